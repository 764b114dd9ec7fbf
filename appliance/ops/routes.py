"""Where mail for a domain goes, as an administrator says it: add, list and delete routes, with a login where one is asked.

Promises: a route, its login and the audit row are one transaction; no password is ever listed. The table itself is the
setting queue.routes, so that both ways to change it see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from appliance.config import split_host_port
from appliance.ops.control import Result, Tell
from appliance.ops.people import Office
from data.directory.settings import Scope
from data.directory.smarthosts import Smarthosts
from data.disk.db import Tx
from data.disk.seal import Keys
from data.errors import Invalid, NotFound

_SETTING = "queue.routes"
Command = Callable[["Routing", Result, Tell, str], Result]


class Routing(Office, Protocol):
    """An office that can seal passwords."""

    @property
    def keys(self) -> Keys: ...


def _lines(ground: Routing) -> tuple[Scope, list[str]]:
    everybody = Scope.organisation(ground.directory.organisation().id)
    return everybody, ground.settings.text(everybody, _SETTING).splitlines()


def _domain_of(line: str) -> str:
    return next(iter(line.partition("#")[0].split()), "").lower()


def _target_of(line: str) -> tuple[str, int] | None:
    words = line.partition("#")[0].split()
    return split_host_port(words[1]) if len(words) == 2 else None


def _add(ground: Routing, args: Result, tell: Tell, actor: str) -> Result:
    """A route; the one of the same domain before is replaced."""
    domain, target = str(args["domain"]).lower(), str(args["target"])
    try:
        host, port = split_host_port(target)
    except ValueError:
        raise Invalid(target, public="A host and a port are needed, such as smtp.example.org:587") from None
    user, password = args.get("user"), args.get("password")
    everybody, lines = _lines(ground)
    kept = [line for line in lines if _domain_of(line) != domain]
    text = "".join(line + "\n" for line in [*kept, f"{domain} {target}"])
    logins = Smarthosts(ground.db, ground.keys)

    def op(tx: Tx) -> None:
        ground.settings.set_in(tx, everybody, _SETTING, text)
        if user is not None:
            logins.put_in(tx, host, port, str(user), str(password or ""))
        _forget_unused(tx, logins, lines, text.splitlines())
        _note(ground, tx, actor, "route.add", domain, {"target": target, "login": int(user is not None)})

    ground.db.write(op)
    return {}


def _delete(ground: Routing, args: Result, tell: Tell, actor: str) -> Result:
    """No route for the domain any more; the login goes with the last route to its host."""
    domain = str(args["domain"]).lower()
    everybody, lines = _lines(ground)
    kept = [line for line in lines if _domain_of(line) != domain]
    if len(kept) == len(lines):
        raise NotFound(domain, public="There is no such route")
    logins = Smarthosts(ground.db, ground.keys)

    def op(tx: Tx) -> None:
        ground.settings.set_in(tx, everybody, _SETTING, "".join(line + "\n" for line in kept))
        _forget_unused(tx, logins, lines, kept)
        _note(ground, tx, actor, "route.delete", domain, {})

    ground.db.write(op)
    return {}


def _list(ground: Routing, args: Result, tell: Tell, actor: str) -> Result:
    names = Smarthosts(ground.db, ground.keys).names()
    _, lines = _lines(ground)
    found = [(_domain_of(line), target) for line in lines if (target := _target_of(line)) is not None]
    routes = [
        {"domain": domain, "host": host, "port": port, "user": names.get((host, port), "")}
        for domain, (host, port) in found
    ]
    return {"routes": routes}


def _forget_unused(tx: Tx, logins: Smarthosts, before: list[str], after: list[str]) -> None:
    left = {_target_of(line) for line in after}
    for target in {_target_of(line) for line in before}:
        if target is not None and target not in left:
            logins.drop_in(tx, *target)


def _note(ground: Routing, tx: Tx, actor: str, action: str, domain: str, detail: Mapping[str, str | int]) -> None:
    organisation = ground.directory.organisation().id
    ground.audit.record_in(tx, organisation=organisation, actor=actor, action=action, object=domain, detail=detail)


COMMANDS: Mapping[str, Command] = {"route.add": _add, "route.list": _list, "route.delete": _delete}
