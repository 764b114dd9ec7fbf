"""The rows that put a message into a mailbox, read by range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from data.disk import tables as t
from data.disk.db import Reader, Tx
from data.errors import Invalid
from data.ids import MailboxId
from data.store.keys import Flag, Ranges

LAST_UID = 4_294_967_295
WHOLE: Ranges = ((1, LAST_UID),)
MAX_KEYWORDS = 200
"""Keywords that one mailbox may ever use; a client that invents more is refused."""


class Entry(NamedTuple):
    """A message in a mailbox."""

    uid: int
    message: int
    flags: int
    keywords: str
    modseq: int
    internal_date: int
    size: int


_e = t.entry.c
_SELECT = (
    select(_e.uid, _e.message_id, _e.flags, _e.keywords, _e.modseq, _e.internal_date, _e.size)
    .where(_e.mailbox_id == bindparam("mailbox"), _e.uid.between(bindparam("lo"), bindparam("hi")))
    .order_by(_e.uid)
)
_INSERT = insert(t.entry).values(
    mailbox_id=bindparam("mailbox"),
    uid=bindparam("uid"),
    message_id=bindparam("message"),
    flags=bindparam("flags"),
    keywords=bindparam("keywords"),
    modseq=bindparam("modseq"),
    internal_date=bindparam("internal_date"),
    save_date=bindparam("save_date"),
    size=bindparam("size"),
)
_REFER = update(t.message).where(t.message.c.id == bindparam("p_id")).values(refs=t.message.c.refs + bindparam("by"))
_KEYWORDS = select(t.keyword.c.folded, t.keyword.c.name).where(t.keyword.c.mailbox_id == bindparam("mailbox"))
_ADD_KEYWORD = insert(t.keyword).values(
    mailbox_id=bindparam("mailbox"), folded=bindparam("folded"), name=bindparam("name")
)


def entries(reader: Reader, mailbox: MailboxId, ranges: Ranges | None) -> list[Entry]:
    """The entries of a mailbox (None: all) in ascending UID order."""
    found: list[Entry] = []
    for lo, hi in spans(ranges):
        found += map(Entry._make, reader.all(_SELECT, {"mailbox": mailbox, "lo": lo, "hi": hi}))
    if ranges is not None and len(ranges) > _MANY:
        wanted = Within(ranges)
        return [entry for entry in found if entry.uid in wanted]
    return found


_MANY = 400


def spans(ranges: Ranges | None) -> Ranges:
    """The ranges to ask the database for: where there are very many, the hull of all of them."""
    if ranges is None:
        return WHOLE
    if len(ranges) > _MANY:
        return ((ranges[0][0], ranges[-1][1]),)
    return ranges


class Within:
    """Whether a UID lies in one of many ranges, asked in ascending order."""

    __slots__ = ("_at", "_ranges")

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._at = 0

    def __contains__(self, uid: int) -> bool:
        while self._at < len(self._ranges) and self._ranges[self._at][1] < uid:
            self._at += 1
        return self._at < len(self._ranges) and self._ranges[self._at][0] <= uid


def insert_entries(tx: Tx, mailbox: MailboxId, found: Iterable[Entry]) -> None:
    """Put entries into a mailbox; their `modseq` and `uid` are those of that mailbox."""
    rows = [
        {
            "mailbox": mailbox,
            "uid": e.uid,
            "message": e.message,
            "flags": e.flags,
            "keywords": e.keywords,
            "modseq": e.modseq,
            "internal_date": e.internal_date,
            "save_date": tx.now,
            "size": e.size,
        }
        for e in found
    ]
    if len(rows) == 1:
        tx.run(_INSERT, rows[0])
    else:
        tx.many(_INSERT, rows)


def refer(tx: Tx, messages: Iterable[int], by: int) -> None:
    """Count `by` more (or fewer) entries for each message."""
    tx.many(_REFER, [{"p_id": message, "by": by} for message in messages])


def known_keywords(reader: Reader, mailbox: MailboxId) -> dict[str, str]:
    """The keywords ever used in a mailbox: folded name -> name as first written."""
    return dict(reader.all(_KEYWORDS, {"mailbox": mailbox}))


def register_keywords(tx: Tx, mailbox: MailboxId, keywords: Iterable[str]) -> dict[str, str]:
    """Make sure that keywords are known in a mailbox; returns folded -> name for all that are known.

    Raises Invalid when a new one would be too many; those that are known can be used in any case.
    """
    known = known_keywords(tx, mailbox)
    for keyword in keywords:
        folded = keyword.lower()
        if folded not in known:
            if len(known) >= MAX_KEYWORDS:
                raise Invalid(public="This mailbox uses too many different keywords")
            known[folded] = keyword
            tx.run(_ADD_KEYWORD, {"mailbox": mailbox, "folded": folded, "name": keyword})
    return known


def spell(known: dict[str, str], keywords: Iterable[str]) -> str:
    """Keywords as a row keeps them: as first written, sorted, joined by spaces."""
    return " ".join(sorted({known[k.lower()] for k in keywords}))


def unseen(flags: int) -> int:
    """1 for a message without \\Seen."""
    return 0 if flags & Flag.SEEN else 1


def deleted(flags: int) -> int:
    """1 for a message with \\Deleted."""
    return 1 if flags & Flag.DELETED else 0
