"""What changed in an account since a number, read from its change log, and which conversations that was.

Promises: answers are bounded; what is beyond the bound is said to be, never left out in silence. May not: check rights
(whoever asks is told of their own account), write, or know who is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, select

from data.disk import tables as t
from data.disk.db import Database
from data.ids import AccountId, MailboxId, ThreadId
from data.store.keys import Flag
from data.store.modseq import ranges_of

SINCE_MOST: Final = 500
"""Rows of the log that are told one by one; who missed more begins anew."""

_b = bindparam
_c, _e, _m = t.change.c, t.entry.c, t.message.c
_NEWEST = select(t.counter.c.modseq).where(t.counter.c.account_id == _b("account"))
_SINCE = (
    select(_c.modseq, _c.mailbox_id, _c.kind, _c.uids)
    .where(_c.account_id == _b("account"), _c.modseq > _b("since"))
    .order_by(_c.modseq)
    .limit(SINCE_MOST + 1)
)
_WITHIN = (
    select(_e.uid, _m.thread_id, _e.flags, _e.internal_date)
    .select_from(t.entry.join(t.message, _m.id == _e.message_id))
    .where(_e.mailbox_id == _b("mailbox"), _e.uid >= _b("first"), _e.uid <= _b("last"))
    .order_by(_e.uid)
)


@dataclass(frozen=True, slots=True)
class Logged:
    """One row of the log: `kind` is added, expunged, flags, created, renamed, deleted or subscribed."""

    modseq: int
    mailbox: MailboxId
    kind: str
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A message where it lies: `date` is its internal date in milliseconds."""

    uid: int
    thread: ThreadId
    flags: Flag
    date: int


class ChangeLog:
    """The change log of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def newest(self, account: AccountId) -> int:
        """The number of the account's last change; 0 when it has none."""
        with self._db.read() as reader:
            return int(reader.value(_NEWEST, {"account": account}) or 0)

    def since(self, account: AccountId, modseq: int, most: int = 5_000) -> tuple[Logged, ...] | None:
        """What changed after a number, in order; None when that is more than SINCE_MOST rows or `most` messages, or
        when the number is not of this account's past."""
        if modseq > self.newest(account):
            return None
        with self._db.read() as reader:
            rows = reader.all(_SINCE, {"account": account, "since": modseq})
        if len(rows) > SINCE_MOST or sum(_count(row[3]) for row in rows) > most:
            return None
        return tuple(Logged(row[0], MailboxId(row[1]), row[2], tuple(_uids(row[3]))) for row in rows)

    def placed(self, mailbox: MailboxId, uids: Iterable[int]) -> tuple[Placed, ...]:
        """Those of these messages that lie in the mailbox, by UID."""
        found: list[Placed] = []
        with self._db.read() as reader:
            for first, last in ranges_of(sorted(uids)):
                rows = reader.all(_WITHIN, {"mailbox": mailbox, "first": first, "last": last})
                found += [Placed(uid, ThreadId(thread), Flag(flags), date) for uid, thread, flags, date in rows]
        return tuple(found)


def _ranges(text: str) -> Iterator[tuple[int, int]]:
    for part in filter(None, text.split(",")):
        first, _, last = part.partition(":")
        yield int(first), int(last or first)


def _count(text: str) -> int:
    return sum(last - first + 1 for first, last in _ranges(text))


def _uids(text: str) -> Iterator[int]:
    for first, last in _ranges(text):
        yield from range(first, last + 1)
