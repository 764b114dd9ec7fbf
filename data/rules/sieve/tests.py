"""The tests: each a function of the run and the test as written, in a table by name (RFC 5228 §5 and extensions)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from data.mime.address import Address
from data.mime.mailboxes import quote_local
from data.rules.sieve import words
from data.rules.sieve.actions import Mark
from data.rules.sieve.check import Op
from data.rules.sieve.dates import part_of, zone_offset
from data.rules.sieve.errors import RunError
from data.rules.sieve.state import Running

_T = TypeVar("_T")
DUPLICATE_SECONDS = 7 * 86_400
_PARTS = ("localpart", "domain", "user", "detail")


def holds(run: Running, op: Op) -> bool:
    """Whether a test is true. Raises RunError."""
    run.purse.step()
    return _TESTS[op.name](run, op)


def _header(run: Running, op: Op) -> bool:
    values = [value for name in run.texts(op.arguments[0]) for value in _indexed(run, op, run.message.values(name))]
    return run.matches(op, values, op.arguments[1])


def _indexed(run: Running, op: Op, values: Sequence[_T]) -> Sequence[_T]:
    """All fields of a name, or the one that :index counts to (RFC 5260 §6)."""
    if "index" not in op.tags:
        return values
    number = op.tags["index"]
    assert isinstance(number, int)
    if not 1 <= number <= len(values):
        return ()
    return (values[-number] if "last" in op.tags else values[number - 1],)


def _address(run: Running, op: Op) -> bool:
    message = run.message
    raws = [raw for name in run.texts(op.arguments[0]) for raw in _indexed(run, op, message.raw(name))]
    found = [one for raw in raws for one in message.addresses(raw)]
    return run.matches(op, _parts_of(op, found), op.arguments[1])


def _parts_of(op: Op, addresses: Sequence[Address]) -> list[str]:
    """The part of each address that is compared; an address without a detail has no :detail (RFC 5233 §4)."""
    part = next((tag for tag in _PARTS if tag in op.tags), "all")
    found = []
    for one in addresses:
        text = _part(part, one)
        if text is not None:
            found.append(text)
    return found


def _part(part: str, address: Address) -> str | None:
    user, plus, detail = address.local.partition("+")
    match part:
        case "localpart":
            return address.local
        case "domain":
            return address.domain or ""
        case "user":
            return user
        case "detail":
            return detail if plus else None
        case _:
            return address.spec


def _envelope(run: Running, op: Op) -> bool:
    found: list[str] = []
    for name in run.texts(op.arguments[0]):
        if name.lower() not in words.ENVELOPE_PARTS:
            raise RunError("rules.envelope")
        text = run.message.envelope.sender if name.lower() == "from" else run.message.envelope.recipient
        if not text:
            # the null reverse-path is an empty string, whatever part of it is asked for (RFC 5228 §5.4)
            found.append("")
            continue
        local, at, domain = text.rpartition("@")
        found += _parts_of(op, [Address(None, _unquoted(local if at else text), domain if at else None)])
    return run.matches(op, found, op.arguments[1])


def _unquoted(local: str) -> str:
    inside = local[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return inside if local.startswith('"') and local.endswith('"') and quote_local(inside) == local else local


def _exists(run: Running, op: Op) -> bool:
    return all(run.message.raw(name) for name in run.texts(op.arguments[0]))


def _size(run: Running, op: Op) -> bool:
    size = run.message.size
    over, under = op.tags.get("over"), op.tags.get("under")
    return size > over if isinstance(over, int) else isinstance(under, int) and size < under


def _body(run: Running, op: Op) -> bool:
    transform = next((tag for tag in ("raw", "content") if tag in op.tags), "text")
    types = tuple(run.texts(op.tags["content"])) if transform == "content" else ()
    values = run.message.body(transform, types)
    return run.matches(op, values, op.arguments[0], keeps=False)


def _string(run: Running, op: Op) -> bool:
    values = run.texts(op.arguments[0])
    if "count" in op.tags:
        values = [value for value in values if value]
    return run.matches(op, values, op.arguments[1])


def _hasflag(run: Running, op: Op) -> bool:
    if op.arguments[0] is None:
        flags: Sequence[str] = run.flags
    else:
        names = run.texts(op.arguments[0])
        flags = [flag for name in names for flag in run.variables.get(name.lower(), "").split()]
    if "count" in op.tags:
        return run.matches(op, flags, op.arguments[1])
    # a key may hold several flags, each of which counts (RFC 5232 §4)
    keys = tuple(word for text in run.texts(op.arguments[1]) for word in (text.split() or [text]))
    return run.matches(op, flags, keys)


def _mailboxexists(run: Running, op: Op) -> bool:
    return all(run.world.mailbox_exists(name) for name in run.texts(op.arguments[0]))


def _specialuse_exists(run: Running, op: Op) -> bool:
    mailbox = run.text(op.arguments[0]) if op.arguments[0] is not None else None
    return all(run.world.special_use_exists(use, mailbox) for use in run.texts(op.arguments[1]))


def _environment(run: Running, op: Op) -> bool:
    value = run.message.environment.get(run.text(op.arguments[0]).lower())
    return value is not None and run.matches(op, [value], op.arguments[1])


def _date(run: Running, op: Op) -> bool:
    name = run.text(op.arguments[0])
    raws = _indexed(run, op, run.message.raw(name))
    found = []
    for raw in raws[:1]:  # of several fields the first, unless :index says which (RFC 5260 §4)
        moment = run.message.date(raw, name)
        if moment is not None:
            found.append(_date_part(run, op, *moment))
    return run.matches(op, found, op.arguments[2])


def _currentdate(run: Running, op: Op) -> bool:
    now = run.message.now
    return run.matches(op, [_date_part(run, op, now, run.message.offset_at(now))], op.arguments[1])


def _date_part(run: Running, op: Op, millis: int, original: int) -> str:
    name = run.text(op.arguments[-2]).lower()
    if name not in words.DATE_PARTS:
        raise RunError("rules.date")
    offset = original
    if "zone" in op.tags:
        given = zone_offset(run.text(op.tags["zone"]))
        if given is None:
            raise RunError("rules.date")
        offset = given
    elif "originalzone" not in op.tags:
        offset = run.message.offset_at(millis)
    return part_of(name, millis, offset)


def _duplicate(run: Running, op: Op) -> bool:
    if "uniqueid" in op.tags:
        unique = run.text(op.tags["uniqueid"])
    else:
        name = run.text(op.tags["header"]) if "header" in op.tags else "Message-ID"
        raws = run.message.raw(name)
        if not raws:
            return False
        unique = raws[0].strip().decode("utf-8", "replace")
    handle = run.text(op.tags["handle"]) if "handle" in op.tags else ""
    seconds = op.tags.get("seconds", DUPLICATE_SECONDS)
    assert isinstance(seconds, int)
    key = hashlib.sha256(f"{handle}\0{unique}".encode("utf-8", "replace")).hexdigest()[:32]
    seen = run.world.seen(key) or any(mark.key == key for mark in run.marks)
    if not seen or "last" in op.tags:
        run.marks.append(Mark(key, min(seconds, 90 * 86_400)))
    return seen


_TESTS: Mapping[str, Callable[[Running, Op], bool]] = {
    "address": _address,
    "allof": lambda run, op: all(holds(run, one) for one in op.tests),
    "anyof": lambda run, op: any(holds(run, one) for one in op.tests),
    "body": _body,
    "currentdate": _currentdate,
    "date": _date,
    "duplicate": _duplicate,
    "envelope": _envelope,
    "environment": _environment,
    "exists": _exists,
    "false": lambda run, op: False,
    "hasflag": _hasflag,
    "header": _header,
    "mailboxexists": _mailboxexists,
    "not": lambda run, op: not holds(run, op.tests[0]),
    "size": _size,
    "specialuse_exists": _specialuse_exists,
    "string": _string,
    "true": lambda run, op: True,
}
