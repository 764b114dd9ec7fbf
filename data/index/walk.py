"""Going through an account's rows, newest first, and testing a search on each: the finder's second half.

Structured leaves are columns of SQL, text leaves are sets of message ids that the index gave, or, where it knows nothing,
the words of the stored message. Candidates are asked for by id when they are few, otherwise the newest rows are met
first, more of them at a time the further down it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import and_, case, literal, not_, or_, select

from data.disk import tables as t
from data.disk.blobs import Blobs
from data.disk.db import Database
from data.errors import Invalid
from data.ids import MailboxId, MessageId, ThreadId
from data.index import match
from data.index.extract import words_of
from data.index.match import Leaf, TextKey, leaf_of
from data.index.outbox import Record
from data.index.words import Words
from data.reason import Reason
from data.store import keys as k
from data.store.search import Condition, condition

FEW = 3000
"""So many candidates are asked for by id; more are met on the way through the newest."""
COUNT = 1000
"""So many hits are counted."""
_IDS = 500
_FIXED = 5
"""Columns of a row before those of the structured leaves."""
_STEPS = (256, 2048, 16_384, 131_072)

_e, _m = t.entry.c, t.message.c
_SOURCE = t.entry.join(t.message, t.message.c.id == t.entry.c.message_id)
_LIVE = _e.flags.op("&")(literal(int(k.Flag.DELETED))) == 0
"""What was marked to be expunged is on no screen."""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """The place after a hit: INTERNALDATE (milliseconds), mailbox, UID. Pages go downwards."""

    date: int
    mailbox: int
    uid: int

    def encode(self) -> str:
        """As it stands in a link."""
        return f"{self.date}.{self.mailbox}.{self.uid}"

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """From a link; raises Invalid."""
        parts = text.split(".")
        if len(parts) != 3 or not all(p.removeprefix("-").isdecimal() and p.isascii() and len(p) < 20 for p in parts):
            raise Invalid(text[:100], public="There is no such page")
        return cls(*map(int, parts))


@dataclass(frozen=True, slots=True)
class Hit:
    """One message in one mailbox."""

    mailbox: MailboxId
    uid: int
    message: MessageId
    internal_date: int
    thread: ThreadId


@dataclass(frozen=True, slots=True)
class Found:
    """One page; `next` is None at the end. `complete` is false when the time was over before the page was full.

    `count` is how many there are from here on, or, without `counted`, at least.
    """

    hits: tuple[Hit, ...]
    next: Cursor | None = None
    complete: bool = True
    hints: tuple[Reason, ...] = ()
    count: int = 0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Ground:
    """What was true when the search began: rows that came later are not looked at. `threads`: only of these, if any."""

    mailboxes: tuple[int, ...]
    newest: int
    pending: set[int]
    record: Record | None
    hints: tuple[Reason, ...]
    threads: tuple[int, ...] = ()


class Plan:
    """A tree taken apart: text leaves for the index, structured leaves as columns of SQL."""

    def __init__(self, key: k.SearchKey, now: int) -> None:
        self.key = key
        self.superset: Condition = condition(key, now)
        self._text: dict[TextKey, Leaf] = {}
        self._structured: dict[k.SearchKey, int] = {}
        self.columns: list[Any] = []
        self._take(key, now)
        self.leaves = tuple(dict.fromkeys(self._text.values()))

    def _take(self, key: k.SearchKey, now: int) -> None:
        match key:
            case k.And(found):
                for one in found:
                    self._take(one, now)
            case k.Or(left, right):
                self._take(left, now)
                self._take(right, now)
            case k.Not(inner):
                self._take(inner, now)
            case k.AnyText() | k.Body() | k.Stored():
                self._text.setdefault(key, leaf_of(key))
            case _ if key not in self._structured:
                found_condition = condition(key, now)
                if not found_condition.exact:
                    raise Invalid(repr(type(key)), public="That cannot be searched for here")
                self._structured[key] = len(self.columns)
                self.columns.append(case((found_condition.sql, 1), else_=0))

    def leaf(self, key: TextKey) -> Leaf:
        """The leaf of a text key."""
        return self._text[key]

    def column(self, key: k.SearchKey) -> int:
        """Which of the columns answers a structured key."""
        return self._structured[key]


@dataclass(slots=True)
class Walk:
    """Goes through rows, newest first, and tests the tree on each."""

    db: Database
    blobs: Blobs
    plan: Plan
    ground: Ground
    sets: dict[Leaf, set[int] | None]
    once: bool = False
    """Does each conversation count once, where its newest hit stands?"""
    _seen: set[int] = field(default_factory=set)
    _words: tuple[int, Words] = field(default=(0, {}))

    def page(self, limit: int, after: Cursor | None, late: Callable[[], bool], tired: Callable[[], bool]) -> Found:
        """The hits behind a cursor; more of them are counted until it is `tired` or there are enough."""
        hits: list[Hit] = []
        count, last, end = 0, after, None
        for row in self._rows(after):
            if count >= limit and end is None:
                end = last
            if end is not None and (count >= COUNT or tired()):
                return self._found(hits, end, count, counted=False)
            if end is None and last is not after and late():
                return self._found(hits, last, count, counted=False, complete=False)
            last = Cursor(row[0], row[1], row[2])
            if self._holds(self.plan.key, row) and not self._stood(row[4], after):
                count += 1
                if end is None:
                    hits.append(Hit(MailboxId(row[1]), row[2], MessageId(row[3]), row[0], ThreadId(row[4])))
        return self._found(hits, end if count > len(hits) else None, count)

    def _found(
        self, hits: list[Hit], end: Cursor | None, count: int, *, counted: bool = True, complete: bool = True
    ) -> Found:
        return Found(tuple(hits), end, complete, self.ground.hints, count, counted)

    def _stood(self, thread: int, after: Cursor | None) -> bool:
        """Was this conversation shown already, on this page or on one before it?"""
        if not self.once:
            return False
        if thread in self._seen:
            return True
        self._seen.add(thread)
        if after is None:
            return False
        with self.db.read() as reader:
            rows = reader.once(self._select(None).where(_m.thread_id == thread, not_(_below(after))).limit(_IDS))
        return any(self._holds(self.plan.key, row) for row in rows)

    # --- the tree on one row -----------------------------------------------------------------------------------------

    def _holds(self, key: k.SearchKey, row: tuple[Any, ...]) -> bool:
        match key:
            case k.And(found):
                return all(self._holds(one, row) for one in found)
            case k.Or(left, right):
                return self._holds(left, row) or self._holds(right, row)
            case k.Not(inner):
                return not self._holds(inner, row)
            case k.AnyText() | k.Body() | k.Stored():
                return self._holds_text(self.plan.leaf(key), row[3])
            case _:
                return bool(row[_FIXED + self.plan.column(key)])

    def _holds_text(self, leaf: Leaf, message: int) -> bool:
        if not leaf.phrase:
            return True
        known = self.sets[leaf]
        if known is not None and message not in self.ground.pending:
            return message in known
        return match.holds(leaf, self._read(message))

    def _read(self, message: int) -> Words:
        if self._words[0] != message:
            with self.db.read() as reader:
                self._words = (message, words_of(reader, self.blobs, message) or {})
        return self._words[1]

    # --- which rows --------------------------------------------------------------------------------------------------

    def _rows(self, after: Cursor | None) -> Iterator[tuple[Any, ...]]:
        candidates = self._candidates(self.plan.key)
        if candidates is not None and len(candidates) <= FEW:
            return iter(self._by_id(sorted(candidates), after))
        return self._newest(after)

    def _newest(self, after: Cursor | None) -> Iterator[tuple[Any, ...]]:
        """All rows that SQL lets through; the further down, the more at a time."""
        steps = iter(_STEPS)
        size = next(steps)
        while True:
            with self.db.read() as reader:
                rows = reader.once(self._select(after).order_by(*_DOWN).limit(size))
            yield from rows
            if len(rows) < size:
                return
            after = Cursor(*rows[-1][:3])
            size = next(steps, size)

    def _by_id(self, candidates: list[int], after: Cursor | None) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        ids = iter(candidates)
        with self.db.read() as reader:
            while some := list(islice(ids, _IDS)):
                found += reader.once(self._select(after).where(_e.message_id.in_(some)))
        return sorted(found, key=lambda row: row[:3], reverse=True)

    def _select(self, after: Cursor | None) -> Any:
        ground = self.ground
        fixed = (_e.internal_date, _e.mailbox_id, _e.uid, _e.message_id, _m.thread_id)
        statement = select(*fixed, *self.plan.columns).select_from(_SOURCE)
        statement = statement.where(
            _e.mailbox_id.in_(ground.mailboxes), _e.message_id <= ground.newest, _LIVE, self.plan.superset.sql
        )
        if ground.threads:
            statement = statement.where(_m.thread_id.in_(ground.threads))
        return statement if after is None else statement.where(_below(after))

    def _candidates(self, key: k.SearchKey) -> set[int] | None:
        """Messages among which all hits are; None when the text leaves do not narrow it down."""
        match key:
            case k.And(found):
                sets = [one for one in map(self._candidates, found) if one is not None]
                return set.intersection(*sets) if sets else None
            case k.Or(left, right):
                a, b = self._candidates(left), self._candidates(right)
                return None if a is None or b is None else a | b
            case k.AnyText() | k.Body() | k.Stored():
                leaf = self.plan.leaf(key)
                known = self.sets[leaf]
                return None if known is None or not leaf.phrase else known | self.ground.pending
            case _:
                return None


_DOWN = (_e.internal_date.desc(), _e.mailbox_id.desc(), _e.uid.desc())


def _below(after: Cursor) -> Any:
    older_uid = and_(_e.mailbox_id == after.mailbox, _e.uid < after.uid)
    same_date = and_(_e.internal_date == after.date, or_(_e.mailbox_id < after.mailbox, older_uid))
    return or_(_e.internal_date < after.date, same_date)
