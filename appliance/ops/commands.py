"""What can be done to a state directory from outside, by name: the same functions beside a running server and without.

Promises: arguments and results are plain JSON values; a command either happened, with its audit row, or raised a
StoreError. May not: print or ask; the command line shows results, the control socket carries them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.ops import indexing, keeping, maildir, people, queue, routes
from appliance.ops.control import Result, Tell
from appliance.ops.state import Ground
from appliance.ops.version import VERSION
from data.directory.dkim import DkimKeys
from data.directory.facts import Account, Status
from data.directory.settings import SETTINGS, Value
from data.errors import Invalid, NotFound, Unavailable
from data.principal import Role
from data.store.repair import Repair

Command = Callable[[Ground, Result, Tell, str], Result]
_SHOWN = 200
_CHECKS = 7
_SIZES = frozenset({"account.quota"})
_POWER = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def run(ground: Ground, command: str, args: Result, tell: Tell, actor: str) -> Result:
    """Do one command. Raises StoreError; control.Stopped when `tell` says that nobody waits any more."""
    found = COMMANDS.get(command)
    if found is None:
        raise Invalid(command, public="This server does not know that command; use the program of the same release")
    try:
        return found(ground, args, tell, actor)
    except KeyError as missing:
        raise Invalid(f"{command} lacks {missing}", public="The request is incomplete") from None


# --- accounts -------------------------------------------------------------------------------------------------------


def _account_add(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    role = Role.ADMINISTRATOR if args.get("admin") else Role.USER
    people.add_account(
        ground, args["address"], password=args["password"], name=args.get("name") or "", role=role, actor=actor
    )
    return {"address": ground.directory.account(args["address"]).address}


def _account_list(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    return {"accounts": [_shown(ground, account) for account in ground.directory.accounts()]}


def _shown(ground: Ground, account: Account) -> Result:
    held = people.held(ground, account)
    return {
        "address": account.address,
        "name": account.name,
        "role": account.role.value,
        "status": account.status.value,
        "messages": held.messages,
        "octets": held.octets,
        "quota": held.limit,
    }


def _account_passwd(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.set_password(ground, args["address"], args["password"], actor)
    return {}


def _account_change(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    role = None if args.get("admin") is None else Role.ADMINISTRATOR if args["admin"] else Role.USER
    quota = None if args.get("quota") is None else octets(args["quota"])
    if (args.get("name"), role, quota) == (None, None, None):
        raise Invalid("nothing to change", public="Say what is to be changed: --name, --quota, --admin or --no-admin")
    people.change_account(ground, args["address"], actor, name=args.get("name"), role=role, quota=quota)
    return {}


def octets(text: str) -> int:
    """A size as it is typed: a number of octets, or of K, M, G or T (1024 and its powers). Raises Invalid."""
    found = re.fullmatch(r"(\d{1,15})([KMGT]?)(?:I?B)?", text.upper(), re.ASCII)
    if found is None:
        raise Invalid(text[:100], public="A size is needed, such as 500M or 2G; 0 is unlimited")
    return int(found[1]) << _POWER[found[2]]


def _account_suspend(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.set_status(ground, args["address"], Status.SUSPENDED, actor)
    return {}


def _account_resume(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.set_status(ground, args["address"], Status.ACTIVE, actor)
    return {}


def _account_delete(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.delete_account(ground, args["address"], actor)
    return {}


# --- domains and aliases --------------------------------------------------------------------------------------------


def _domain_add(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.add_domain(ground, args["domain"], actor)
    return {"domain": ground.directory.domain(args["domain"]).name}


def _domain_list(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    keys = DkimKeys(ground.db, ground.keys, ground.clock)
    domains = [
        {
            "domain": domain.name,
            "status": domain.status.value,
            "catch_all": domain.catch_all,
            "records": [(key.name, key.record) for key in keys.active(domain.name)],
        }
        for domain in ground.directory.domains()
    ]
    return {"domains": domains}


def _domain_catch_all(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.set_catch_all(ground, args["domain"], args["address"], actor)
    return {}


def _alias_add(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.add_alias(
        ground,
        args["address"],
        args["targets"],
        group=bool(args.get("group")),
        send_as=bool(args.get("send_as", True)),
        actor=actor,
    )
    return {"unknown": people.unknown(ground, args["targets"])}


def _alias_list(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    aliases = [
        {"address": alias.address, "kind": alias.kind.value, "targets": list(alias.targets), "send_as": alias.send_as}
        for alias in ground.directory.aliases()
    ]
    return {"aliases": aliases}


def _alias_delete(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.delete_alias(ground, args["address"], actor)
    return {}


# --- settings -------------------------------------------------------------------------------------------------------


def _setting_list(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    scope = people.scope_of(ground, args.get("account"))
    found = [
        {"name": name, "value": ground.settings.setting(scope, name), "doc": declared.doc}
        for name, declared in SETTINGS.items()
        if scope.level in declared.levels
    ]
    return {"settings": found}


def _setting_set(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    value = typed(args["name"], args["value"])
    locked = bool(args.get("lock"))
    people.change_setting(ground, args["name"], value, actor, address=args.get("account"), locked=locked)
    return {}


def _setting_clear(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    people.change_setting(ground, args["name"], None, actor, address=args.get("account"))
    return {}


def typed(name: str, text: str) -> Value:
    """What was typed, as the setting's type. Raises NotFound, Invalid."""
    declared = SETTINGS.get(name)
    if declared is None:
        raise NotFound(name, public="There is no such setting")
    if isinstance(declared.default, bool):
        if text not in {"on", "off"}:
            raise Invalid(text, public="on or off is needed")
        return text == "on"
    if isinstance(declared.default, int):
        if name in _SIZES:
            return octets(text)
        if not text.isascii() or not text.isdigit():
            raise Invalid(text, public="A number is needed")
        return int(text)
    return text


# --- the store as a whole -------------------------------------------------------------------------------------------


def _import_maildir(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    account = ground.directory.account(args["account"])
    report = maildir.import_maildir(ground, account, Path(args["path"]), args.get("mailbox"), tell)
    people.note(ground, actor, "account.import", account.address, imported=report.imported)
    return {
        "imported": report.imported,
        "known": report.known,
        "refused": len(report.refused),
        "why": report.refused[:_SHOWN],
    }


def _verify(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    """Rows, blobs and counters, then the audit chain; what is wrong, in the words of data.store.repair."""
    begun: list[str] = []

    def heard(what: str, done: int) -> None:
        if what not in begun:
            begun.append(what)
        tell(len(begun) - 1, _CHECKS)

    findings = [
        {"code": one.code, "subject": one.subject, "detail": one.detail}
        for one in Repair(ground.db, ground.store.blobs).verify(heard)
    ]
    tell(_CHECKS - 1, _CHECKS)
    findings += [
        {"code": "audit.broken", "subject": f"audit {row}", "detail": "does not fit the row before it"}
        for row in ground.audit.verify()
    ]
    tell(_CHECKS, _CHECKS)
    return {"findings": findings}


def _metrics(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    """A running server answers this itself; here there is nothing to count."""
    raise Unavailable("metrics without a server", public="No server is running here")


def _version(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    return {"version": VERSION}


COMMANDS: Mapping[str, Command] = {
    "account.add": _account_add,
    "account.list": _account_list,
    "account.change": _account_change,
    "account.passwd": _account_passwd,
    "account.suspend": _account_suspend,
    "account.resume": _account_resume,
    "account.delete": _account_delete,
    "domain.add": _domain_add,
    "domain.list": _domain_list,
    "domain.catch-all": _domain_catch_all,
    "alias.add": _alias_add,
    "alias.list": _alias_list,
    "alias.delete": _alias_delete,
    "setting.list": _setting_list,
    "setting.set": _setting_set,
    "setting.clear": _setting_clear,
    "import-maildir": _import_maildir,
    "verify": _verify,
    "metrics": _metrics,
    "version": _version,
    **queue.COMMANDS,
    **keeping.COMMANDS,
    **routes.COMMANDS,
    **indexing.COMMANDS,
}
