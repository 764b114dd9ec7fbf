"""Failures that nobody is told of: a message with the null return-path has no sender to write to (RFC 5321 §6.1).

Promises: they are noted in the transaction that settles them, told to postmaster together once a day, and forgotten in the
transaction that tells. What is written to postmaster itself is never noted: it would tell of itself for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select

from data.clock import DAY
from data.disk import tables as t
from data.disk.db import Database, Tx
from data.ids import Millis, OrganisationId
from data.reason import Reason
from data.spool.envelope import Item, Outcome, Verdict

SHOWN_MOST = 100

_b = bindparam
_f = t.silent_failure.c
_NOTE = insert(t.silent_failure).values(
    organisation_id=_b("organisation"),
    trail=_b("trail"),
    recipient=_b("recipient"),
    reason=_b("reason"),
    reason_params=_b("params"),
    reply=_b("reply"),
    at=_b("now"),
)
_OLDEST = select(func.min(_f.at), func.max(_f.at), func.max(_f.id), func.count())
_LIST = (
    select(_f.organisation_id, _f.trail, _f.recipient, _f.reason, _f.reason_params, _f.reply, _f.at)
    .order_by(_f.id)
    .limit(SHOWN_MOST)
)
_FORGET = delete(t.silent_failure).where(_f.id <= _b("last"))


@dataclass(frozen=True, slots=True)
class Silent:
    """One recipient whose failure nobody heard of."""

    organisation: OrganisationId
    trail: str
    recipient: str
    reason: Reason
    reply: str | None
    at: Millis


@dataclass(frozen=True, slots=True)
class Day:
    """The failures to tell of now: the first SHOWN_MOST, how many there are in all, and the last one's number."""

    failures: tuple[Silent, ...]
    count: int
    last: int


def note_in(tx: Tx, item: Item, outcome: Outcome) -> None:
    """Keep a failure that causes no notification, if this is one."""
    failed = outcome.verdict in (Verdict.FAILED, Verdict.EXPIRED)
    if not failed or item.return_path or "@" not in outcome.recipient.address:
        return
    row = {
        "organisation": item.organisation,
        "trail": item.trail,
        "recipient": outcome.recipient.address,
        "reason": outcome.reason.code,
        "params": outcome.reason.encode(),
        "reply": outcome.reply[:300] if outcome.reply else None,
        "now": tx.now,
    }
    tx.run(_NOTE, row)


def due(db: Database, now: Millis) -> Day | None:
    """What postmaster is to hear, once the first of it is a day old. A clock that was set back delays nothing: what is
    noted with a time to come is due."""
    with db.read() as reader:
        first, newest, last, count = reader.all(_OLDEST, {})[0]
        if first is None or (now - first < DAY and newest <= now):
            return None
        rows = reader.all(_LIST, {})
    found = tuple(
        Silent(OrganisationId(organisation), trail, recipient, Reason.decode(code, params), reply, Millis(at))
        for organisation, trail, recipient, code, params, reply, at in rows
    )
    return Day(found, count, last)


def told_in(tx: Tx, day: Day) -> None:
    """Postmaster is told in this transaction."""
    tx.run(_FORGET, {"last": day.last})
