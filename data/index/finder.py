"""Searching an account from the search box: newest first, by pages, never stale.

Everything structured is SQL. Text leaves are answered by the index, and for messages that the index may not know yet
(those in its outbox; all of them while it is being rebuilt) by the stored text, cut into words the same way. So a
message is found from the moment it is committed, and what is expunged never appears, for every row comes from SQL.

A page is a number of hits and a cursor; pages follow each other without gaps or repetition. A page that took too long
ends early, says so (`complete` is false) and has a cursor to go on from: every page makes progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import and_, bindparam, case, func, or_, select

from data.disk import tables as t
from data.disk.blobs import Blobs
from data.disk.db import Database, Reader
from data.errors import Invalid, NotFound
from data.ids import AccountId, MailboxId, MessageId
from data.index import match, outbox
from data.index.extract import words_of
from data.index.match import Leaf, TextKey, leaf_of
from data.index.outbox import Record
from data.index.reader import Searchers
from data.index.segments import Lost
from data.index.words import Words
from data.principal import Principal
from data.reason import Reason
from data.store import keys as k
from data.store import rights
from data.store.query import Query
from data.store.search import Condition, condition

PAGE = 50
SECONDS = 2.0
"""How long a page may take, when stored text has to be read for it."""
INDEX_SHARE = 0.5
"""The part of it that the index may take before stored text is read instead."""
FEW = 3000
"""So many candidates are asked for by id; more are met on the way through the newest."""
_IDS = 500
_STEPS = (256, 2048, 16_384, 131_072)

_e, _m = t.entry.c, t.message.c
_SOURCE = t.entry.join(t.message, t.message.c.id == t.entry.c.message_id)
_MAILBOXES = select(t.mailbox.c.id, t.mailbox.c.name, t.mailbox.c.special_use).where(
    t.mailbox.c.account_id == bindparam("account")
)
_NEWEST = select(func.max(_m.id))
_SPECIAL = {
    "sent": "\\Sent",
    "drafts": "\\Drafts",
    "draft": "\\Drafts",
    "junk": "\\Junk",
    "spam": "\\Junk",
    "trash": "\\Trash",
    "bin": "\\Trash",
    "archive": "\\Archive",
}


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


@dataclass(frozen=True, slots=True)
class Found:
    """One page; `next` is None at the end. `complete` is false when the time was over before the page was full."""

    hits: tuple[Hit, ...]
    next: Cursor | None = None
    complete: bool = True
    hints: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ground:
    """What was true when the search began: rows that came later are not looked at."""

    mailboxes: tuple[int, ...]
    newest: int
    pending: set[int]
    record: Record | None
    hints: tuple[Reason, ...]


class Finder:
    """Search over all mailboxes of an account that a principal may read."""

    def __init__(
        self,
        db: Database,
        blobs: Blobs,
        searchers: Searchers,
        now: Callable[[], int],
        lost: Callable[[AccountId, Record | None], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._searchers = searchers
        self._now = now
        self._lost = lost
        self._monotonic = monotonic

    def find(
        self,
        principal: Principal,
        account: AccountId,
        query: Query,
        *,
        limit: int = PAGE,
        after: Cursor | None = None,
        seconds: float = SECONDS,
    ) -> Found:
        """A page of what a query finds, newest first; raises NotFound, Invalid. Blocks."""
        began = self._monotonic()
        plan = _Plan(query.key, self._now())
        with self._db.read() as reader:
            ground = self._ground(reader, principal, account, query)
        if not ground.mailboxes:
            return Found((), hints=ground.hints)
        sets = self._ask(account, ground.record, plan.leaves, began + seconds * INDEX_SHARE)
        walk = _Walk(self._db, self._blobs, plan, ground, dict(zip(plan.leaves, sets, strict=True)))
        return walk.page(limit, after, lambda: self._monotonic() > began + seconds)

    def _ground(self, reader: Reader, principal: Principal, account: AccountId, query: Query) -> _Ground:
        names = self._readable(reader, principal, account)
        chosen, hints = _choose(names, query)
        return _Ground(
            mailboxes=tuple(chosen),
            newest=int(reader.value(_NEWEST) or 0),
            pending=outbox.pending(reader, account),
            record=outbox.record(reader, account),
            hints=hints,
        )

    @staticmethod
    def _readable(reader: Reader, principal: Principal, account: AccountId) -> list[tuple[int, str, str | None]]:
        rows = reader.all(_MAILBOXES, {"account": account})
        found = [
            (mailbox, name, use)
            for mailbox, name, use in rows
            if rights.READ in rights.of_mailbox(reader, principal, mailbox, account)
        ]
        if not found:
            raise NotFound(f"account {account} has no mailbox for account {principal.account}")
        return found

    def _ask(
        self, account: AccountId, record: Record | None, leaves: Sequence[Leaf], until: float
    ) -> list[set[int] | None]:
        """What the index says of each leaf; None where stored text has to tell."""
        nothing: list[set[int] | None] = [None] * len(leaves)
        if not leaves:
            return nothing
        try:
            return self._searchers.lookup(account, record, leaves, lambda: self._monotonic() > until)
        except Lost:
            self._lost(account, record)
        except OSError:
            pass  # no descriptor left: stored text is slower and just as true
        return nothing


def _choose(names: list[tuple[int, str, str | None]], query: Query) -> tuple[list[int], tuple[Reason, ...]]:
    """The mailboxes that `in:` and `-in:` leave."""
    hints = list(query.hints)

    def named(wanted: str) -> set[int]:
        found = {mailbox for mailbox, name, use in names if _is_called(wanted, name, use)}
        if not found:
            hints.append(Reason("search.mailbox"))
        return found

    chosen = {mailbox for mailbox, _, _ in names}
    if query.mailboxes:
        chosen &= set().union(*map(named, query.mailboxes))
    for wanted in query.without:
        chosen -= named(wanted)
    return sorted(chosen), tuple(hints)


def _is_called(wanted: str, name: str, use: str | None) -> bool:
    folded = name.casefold()
    if folded == wanted or folded.rpartition("/")[2] == wanted:
        return True
    return use is not None and _SPECIAL.get(wanted) == use


class _Plan:
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
class _Walk:
    """Goes through rows, newest first, and tests the tree on each."""

    db: Database
    blobs: Blobs
    plan: _Plan
    ground: _Ground
    sets: dict[Leaf, set[int] | None]
    _words: tuple[int, Words] = field(default=(0, {}))

    def page(self, limit: int, after: Cursor | None, late: Callable[[], bool]) -> Found:
        hits: list[Hit] = []
        last = after
        for row in self._rows(after):
            if hits and len(hits) >= limit:
                return Found(tuple(hits), last, hints=self.ground.hints)
            if last is not after and late():
                return Found(tuple(hits), last, complete=False, hints=self.ground.hints)
            last = Cursor(row[0], row[1], row[2])
            if self._holds(self.plan.key, row):
                hits.append(Hit(MailboxId(row[1]), row[2], MessageId(row[3]), row[0]))
        return Found(tuple(hits), hints=self.ground.hints)

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
                return bool(row[4 + self.plan.column(key)])

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
        statement = select(_e.internal_date, _e.mailbox_id, _e.uid, _e.message_id, *self.plan.columns).select_from(
            _SOURCE
        )
        statement = statement.where(
            _e.mailbox_id.in_(ground.mailboxes), _e.message_id <= ground.newest, self.plan.superset.sql
        )
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
