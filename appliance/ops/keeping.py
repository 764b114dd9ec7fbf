"""Mail that is kept back, as an administrator sees it: list, release, delete.

Promises: a change and its audit row are one transaction; who looked is audited too, for the list shows subjects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from appliance.ops import people
from appliance.ops.control import Result, Tell
from appliance.ops.state import Ground
from data.disk.db import Tx
from data.errors import Invalid
from data.ids import AccountId
from data.principal import Principal, Role
from data.store.quarantine import Kept, Quarantine

_MOST = 1000


def quarantine_of(ground: Ground) -> Quarantine:
    """What is kept back in a state directory."""
    return Quarantine(ground.db, ground.store.messages, ground.store.mailboxes, ground.story)


def _operator(ground: Ground) -> Principal:
    return Principal(AccountId(0), ground.directory.organisation().id, "console", Role.SYSTEM)


def _list(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    found = quarantine_of(ground).seen_by(_operator(ground), _MOST)
    people.note(ground, actor, "quarantine.list", "quarantine", messages=len(found))
    return {"messages": [_row(ground, one) for one in found]}


def _row(ground: Ground, one: Kept) -> Result:
    return {
        "number": one.id,
        "at": one.at,
        "account": ground.directory.account_by_id(one.account).address,
        "sender": one.return_path,
        "subject": one.subject,
        "why": _why(one.verdict),
    }


def _why(verdict: str) -> str:
    """The codes that weigh most."""
    try:
        return " ".join(f"{code}:{weight}" for code, weight, _ in json.loads(verdict)["why"][:4])
    except (ValueError, KeyError, TypeError):
        return ""


def _changing(action: str) -> Callable[[Ground, Result, Tell, str], Result]:
    """A command that releases or deletes the messages it names, all of them or none."""

    def command(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
        numbers = args["number"]
        if not isinstance(numbers, list) or not all(isinstance(one, int) and 0 < one < 2**62 for one in numbers):
            raise Invalid("numbers", public="Messages are named by their numbers")
        quarantine, operator = quarantine_of(ground), _operator(ground)
        step = quarantine.release_in if action == "quarantine.release" else quarantine.delete_in

        def op(tx: Tx) -> int:
            done = [step(tx, operator, number) for number in numbers]
            ground.audit.record_in(
                tx,
                organisation=operator.organisation,
                actor=actor,
                action=action,
                object=",".join(map(str, numbers)),
                detail={"trails": " ".join(one.trail for one in done)},
            )
            return len(done)

        return {"changed": ground.db.write(op)}

    return command


COMMANDS: Mapping[str, Callable[[Ground, Result, Tell, str], Result]] = {
    "quarantine.list": _list,
    "quarantine.release": _changing("quarantine.release"),
    "quarantine.delete": _changing("quarantine.delete"),
}
