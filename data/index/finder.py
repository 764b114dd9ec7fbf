"""Searching an account from the search box: newest first, by pages, never stale.

Everything structured is SQL. Text leaves are answered by the index, and for messages that the index may not know yet
(those in its outbox; all of them while it is being rebuilt) by the stored text, cut into words the same way. So a
message is found from the moment it is committed, and what is expunged never appears, for every row comes from SQL.

A page is a number of hits and a cursor; pages follow each other without gaps or repetition. A page that took too long
ends early, says so (`complete` is false) and has a cursor to go on from: every page makes progress. Junk and Trash are
searched only where a mailbox is named (in:anywhere names them all).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import bindparam, func, select

from data.disk import tables as t
from data.disk.blobs import Blobs
from data.disk.db import Database, Reader
from data.errors import NotFound
from data.ids import AccountId, MailboxId, ThreadId
from data.index import outbox
from data.index.match import Leaf
from data.index.outbox import Record
from data.index.reader import Searchers
from data.index.segments import Lost
from data.index.walk import Cursor, Found, Ground, Plan, Walk
from data.principal import Principal
from data.reason import Reason
from data.store import rights
from data.store.names import INBOX
from data.store.query import Query

PAGE = 50
SECONDS = 2.0
"""How long a page may take, when stored text has to be read for it."""
INDEX_SHARE = 0.5
"""The part of it that the index may take before stored text is read instead."""
COUNTING = 0.05
"""Seconds that go into counting what is not on the page."""
_MAILBOXES = select(t.mailbox.c.id, t.mailbox.c.name, t.mailbox.c.special_use).where(
    t.mailbox.c.account_id == bindparam("account")
)
_NEWEST = select(func.max(t.message.c.id))
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    INBOX: ("inbox", "收件箱"),
    "\\Sent": ("sent", "已发送", "已发邮件"),
    "\\Drafts": ("drafts", "draft", "草稿", "草稿箱"),
    "\\Junk": ("junk", "spam", "垃圾邮件", "垃圾箱"),
    "\\Trash": ("trash", "bin", "已删除", "废纸篓", "回收站"),
    "\\Archive": ("archive", "归档", "存档"),
}
_SPECIAL: Final = {word: use for use, words in _WORDS.items() for word in words}
ANYWHERE: Final = frozenset({"anywhere", "all", "everywhere", "所有", "全部", "所有文件夹", "任何位置"})
ASIDE: Final = frozenset({"\\Junk", "\\Trash"})
"""Mailboxes that are searched only when they are named."""


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
        only: MailboxId | None = None,
        threads: Sequence[ThreadId] = (),
        once: bool = False,
        limit: int = PAGE,
        after: Cursor | None = None,
        seconds: float = SECONDS,
    ) -> Found:
        """A page of what a query finds, newest first; raises NotFound, Invalid. Blocks.

        `only`: in this mailbox, whatever mailboxes the query names; `threads`: in these conversations; `once`: each
        conversation is one hit, where its newest stands.
        """
        began = self._monotonic()
        plan = Plan(query.key, self._now())
        with self._db.read() as reader:
            ground = self._ground(reader, principal, account, query, only)
        if not ground.mailboxes:
            return Found((), hints=ground.hints)
        ground = replace(ground, threads=tuple(threads))
        sets = self._ask(account, ground.record, plan.leaves, began + seconds * INDEX_SHARE)
        walk = Walk(self._db, self._blobs, plan, ground, dict(zip(plan.leaves, sets, strict=True)), once)
        counting: list[float] = []

        def tired() -> bool:
            """Is there no time left for counting what is not shown?"""
            counting.append(self._monotonic())
            return counting[-1] > counting[0] + COUNTING

        return walk.page(limit, after, lambda: self._monotonic() > began + seconds, tired)

    def _ground(
        self, reader: Reader, principal: Principal, account: AccountId, query: Query, only: MailboxId | None
    ) -> Ground:
        names = self._readable(reader, principal, account)
        chosen, hints = _choose(names, query)
        if only is not None:
            chosen = [mailbox for mailbox, _, _ in names if mailbox == only]
        return Ground(
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

    if not query.mailboxes:
        chosen = {mailbox for mailbox, _, use in names if use not in ASIDE}
    elif ANYWHERE.isdisjoint(query.mailboxes):
        chosen = set[int]().union(*map(named, query.mailboxes))
    else:
        chosen = {mailbox for mailbox, _, _ in names}
    for wanted in query.without:
        chosen -= named(wanted)
    return sorted(chosen), tuple(hints)


def _is_called(wanted: str, name: str, use: str | None) -> bool:
    folded = name.casefold()
    if folded == wanted or folded.rpartition("/")[2] == wanted:
        return True
    return _SPECIAL.get(wanted) in {use, name} - {None}
