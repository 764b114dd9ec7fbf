"""Running a compiled script over a message: commands in order, tests as they are reached, actions gathered (RFC 5228 §2.10).

Promises: ends within its bounds of steps and work; `run` never raises for anything a script or a message says: when it
goes wrong, the actions so far are dropped and the message is kept (RFC 5228 §2.10.6).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence

from data.mime.address import AddressError, normal
from data.rules.sieve.actions import Actions, Discard, FileInto, Keep, Redirect, Reject, Vacation
from data.rules.sieve.check import Op, Script
from data.rules.sieve.errors import RunError
from data.rules.sieve.message import Message
from data.rules.sieve.state import Running, World, flags_in
from data.rules.sieve.tests import holds

REDIRECTS_MOST = 5
FILED_MOST = 20
DAY = 86_400
VACATION_SECONDS = 7 * DAY
VACATION_LEAST, VACATION_MOST = 3600, 90 * DAY
"""Bounds on the time in which a sender is answered once, in seconds (RFC 5230 §4.1, RFC 6131 §2)."""
REASON_MOST = 16 * 1024
_Store = (Keep, FileInto, Redirect)


class _Stop(Exception):
    """The script said stop."""


def run(script: Script, message: Message, world: World) -> Actions:
    """What the script wants done with the message."""
    state = Running(message, world)
    try:
        with contextlib.suppress(_Stop):
            _block(state, script.commands)
        _settle(state)
    except RunError as error:
        return Actions((Keep(implicit=True),), (), error.code)
    return Actions(tuple(state.actions), tuple(state.marks))


def _block(state: Running, commands: Sequence[Op], label: str = "") -> None:
    for op in commands:
        state.purse.step()
        state.label = op.label or label
        if op.name == "if":
            _if(state, op)
        else:
            _COMMANDS[op.name](state, op)


def _if(state: Running, op: Op) -> None:
    for test, block in op.branches:
        if test is None or holds(state, test):
            _block(state, block, op.label or state.label)
            return


def _settle(state: Running) -> None:
    """The implicit keep, and what cannot go together (RFC 5429 §2.1, §2.2)."""
    if state.keep and not any(isinstance(one, Keep) for one in state.actions):
        state.actions.append(Keep(state.flags, implicit=True))
    if any(isinstance(one, Reject) for one in state.actions) and any(
        isinstance(one, (*_Store, Vacation)) for one in state.actions
    ):
        raise RunError("rules.conflict")


# --- actions --------------------------------------------------------------------------------------------------------


def _keep(state: Running, op: Op) -> None:
    if not any(isinstance(one, Keep) for one in state.actions):
        state.actions.append(Keep(_flags(state, op), label=state.label, line=op.line))


def _flags(state: Running, op: Op) -> tuple[str, ...]:
    return state.flags_of(op.tags["flags"]) if "flags" in op.tags else state.flags


def _fileinto(state: Running, op: Op) -> None:
    name = state.text(op.arguments[0])
    special = state.text(op.tags["specialuse"]) if "specialuse" in op.tags else None
    if "copy" not in op.tags:
        state.keep = False
    filed = [one for one in state.actions if isinstance(one, FileInto)]
    if any(one.mailbox == name and one.special_use == special for one in filed):
        return
    if len(filed) >= FILED_MOST:
        raise RunError("rules.filed.many")
    state.actions.append(
        FileInto(name, _flags(state, op), "create" in op.tags, special, label=state.label, line=op.line)
    )


def _redirect(state: Running, op: Op) -> None:
    try:
        address = normal(state.text(op.arguments[0])).address
    except AddressError:
        raise RunError("rules.address") from None
    if "copy" not in op.tags:
        state.keep = False
    before = [one.address for one in state.actions if isinstance(one, Redirect)]
    if address in before:
        return
    if len(before) >= REDIRECTS_MOST:
        raise RunError("rules.redirects")
    state.actions.append(Redirect(address, label=state.label, line=op.line))


def _discard(state: Running, op: Op) -> None:
    state.keep = False
    state.actions.append(Discard(label=state.label, line=op.line))


def _reject(state: Running, op: Op) -> None:
    if any(isinstance(one, Reject) for one in state.actions):
        raise RunError("rules.conflict")
    state.keep = False
    state.actions.append(Reject(state.text(op.arguments[0])[:REASON_MOST], label=state.label, line=op.line))


def _vacation(state: Running, op: Op) -> None:
    if any(isinstance(one, Vacation) for one in state.actions):
        raise RunError("rules.conflict")  # RFC 5230 §4.7: once in a run
    reason = state.text(op.arguments[0])[:REASON_MOST]
    subject = state.text(op.tags["subject"]) if "subject" in op.tags else None
    sender = state.text(op.tags["from"]) if "from" in op.tags else None
    mime = "mime" in op.tags
    handle = state.text(op.tags["handle"]) if "handle" in op.tags else None
    if handle is None:
        # RFC 5230 §4.2: what is said is what distinguishes one answer from another
        said = f"{reason}\0{subject}\0{sender}\0{mime}"
        handle = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32]
    addresses = tuple(state.texts(op.tags["addresses"])) if "addresses" in op.tags else ()
    state.actions.append(
        Vacation(reason, _period(op), handle, subject, sender, addresses, mime=mime, label=state.label, line=op.line)
    )


def _period(op: Op) -> int:
    days, seconds = op.tags.get("days"), op.tags.get("seconds")
    if isinstance(days, int):
        return min(max(days, 1) * DAY, VACATION_MOST)
    return min(max(seconds, VACATION_LEAST), VACATION_MOST) if isinstance(seconds, int) else VACATION_SECONDS


def _stop(state: Running, op: Op) -> None:
    raise _Stop


# --- variables and flags ----------------------------------------------------------------------------------------------


def _set(state: Running, op: Op) -> None:
    value = state.text(op.arguments[1])
    for name in ("lower", "upper", "lowerfirst", "upperfirst", "quotewildcard", "length"):
        # in the order of their precedence (RFC 5229 §4.1)
        if name in op.tags:
            value = _MODIFIERS[name](value)
    state.set_variable(state.text(op.arguments[0]).lower(), value)


def _quoted(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?\\" else char for char in text)


_MODIFIERS: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "lowerfirst": lambda text: text[:1].lower() + text[1:],
    "upperfirst": lambda text: text[:1].upper() + text[1:],
    "quotewildcard": _quoted,
    "length": lambda text: str(len(text)),
}


def _change_flags(state: Running, op: Op) -> None:
    given = state.flags_of(op.arguments[1])
    name = None if op.arguments[0] is None else state.text(op.arguments[0]).lower()
    before = state.flags if name is None else flags_in([state.variables.get(name, "")])
    if op.name == "setflag":
        after = given
    elif op.name == "addflag":
        after = flags_in([*before, *given])
    else:
        gone = {flag.lower() for flag in given}
        after = tuple(flag for flag in before if flag.lower() not in gone)
    if name is None:
        state.flags = after
    else:
        state.set_variable(name, " ".join(after))


_COMMANDS: Mapping[str, Callable[[Running, Op], None]] = {
    "addflag": _change_flags,
    "discard": _discard,
    "ereject": _reject,
    "fileinto": _fileinto,
    "keep": _keep,
    "redirect": _redirect,
    "reject": _reject,
    "removeflag": _change_flags,
    "set": _set,
    "setflag": _change_flags,
    "stop": _stop,
    "vacation": _vacation,
}
