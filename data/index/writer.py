"""The one index writer: drains the outbox in small batches, merges in quiet hours, rebuilds what is lost.

Order of a batch: read the rows, read and cut the messages, write a segment, commit the index (fsynced), then delete the
rows and record the generation in one transaction. A process that ends anywhere in between does the batch again: what
the index holds already is not added twice. An index that is missing, damaged, of another version or older than its
record is thrown away; every message of the account goes back into the outbox first, so that searches look at the
store, newest first, until it is complete again.

May not: run on the event loop, or beside a second writer (the lock of the state directory keeps other processes out,
a lock of its own other threads).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from data.disk.blobs import Blobs
from data.disk.crashpoints import hit
from data.disk.db import Database
from data.ids import AccountId
from data.index import outbox, segments
from data.index.extract import words_of
from data.index.outbox import Record
from data.index.segments import Contents, Document, Interrupted, Lost, Opened
from data.index.shelf import Shelf

BATCH = 100
"""Messages of one commit."""
BATCH_WORDS = 200_000
"""Words after which a batch ends early: a few huge messages are a commit of their own."""


PATIENCE = 20
"""Messages that may wait while a merge goes on; searches look at them one by one."""


_ALWAYS: Callable[[], bool] = lambda: True  # noqa: E731


class Step(StrEnum):
    """What a call of `step` has done."""

    IDLE = "idle"
    BATCH = "batch"
    MERGE = "merge"
    REBUILD = "rebuild"


@dataclass(frozen=True, slots=True)
class Status:
    """How an account's index stands: `ready` is false while it is lost and not yet begun anew."""

    account: AccountId
    ready: bool
    indexed: int
    waiting: int
    segments: int
    octets: int


class Writer:
    """Writes the indexes of all accounts; every method may be called from any thread and blocks."""

    def __init__(self, db: Database, blobs: Blobs, shelf: Shelf) -> None:
        self._db = db
        self._blobs = blobs
        self._shelf = shelf
        self._lock = threading.RLock()
        self._open: _Open | None = None
        self._asked: dict[AccountId, str | None] = {}
        self._dirty: set[AccountId] = set()
        self.on_work: Callable[[], None] = lambda: None
        """Called (from any thread) when there is something to do that no committed mail tells of."""
        self.on_lost: Callable[[AccountId, str], None] = lambda account, why: None
        """Told when an index has to be rebuilt."""

    def lost(self, account: AccountId, found: Record | None) -> None:
        """A search found the index of this record lost; it is rebuilt unless that has happened already. Never blocks."""
        self._asked[account] = None if found is None else found.name
        self.on_work()

    def step(self, go_on: Callable[[], bool] = _ALWAYS) -> Step:
        """Do the next piece of work: a rebuild that was asked for, a batch, or (when nothing waits) a merge.

        A merge is given up as soon as `go_on` says no, or more than a few messages wait.
        """
        with self._lock:
            while self._asked:
                account, name = self._asked.popitem()
                if self._is_current(account, name):
                    self._renew(account, "a search could not read it", lambda done, total: None)
                    return Step.REBUILD
            with self._db.read() as reader:
                account_or_none = outbox.next_account(reader)
            if account_or_none is not None:
                return self._batch_or_renew(account_or_none, go_on)
            return self._merge_one(go_on)

    def check(self) -> bool:
        """Once at start: an account whose mail has an index that is lost, or none at all, gets a new one."""
        with self._db.read() as reader:
            found = {account: outbox.record(reader, account) for account in outbox.accounts(reader)}
        for account, record in found.items():
            try:
                self._shelf.generation(account, record)
            except Lost:
                self.lost(account, record)
        return True

    def rebuild(self, account: AccountId, tell: Callable[[int, int], None]) -> int:
        """Throw the index of an account away and make it again, here and now; returns how many messages it holds."""
        with self._lock:
            total = self._renew(account, "it was asked for", lambda done, total: tell(0, total))
        while True:
            with self._lock:
                with self._db.read() as reader:
                    left = outbox.count(reader, account)
                if left:
                    self._batch_or_renew(account, _ALWAYS)
            tell(max(0, total - left), total)
            if not left:
                return self.status(account).indexed

    def status(self, account: AccountId) -> Status:
        """How the index of an account stands."""
        with self._db.read() as reader:
            found, left = outbox.record(reader, account), outbox.count(reader, account)
        try:
            contents = self._shelf.contents(account, found)
        except Lost:
            return Status(account, False, 0, left, 0, 0)
        octets = self._shelf.storage(account).stored_octets()
        return Status(account, True, contents.documents, left, len(contents.segments), octets)

    def close(self) -> None:
        """Let go of open files; a batch that is being written is waited for."""
        with self._lock:
            self._drop()

    # --- one batch ---------------------------------------------------------------------------------------------------

    def _batch_or_renew(self, account: AccountId, go_on: Callable[[], bool]) -> Step:
        try:
            self._batch(account, go_on)
        except Lost as error:
            self._renew(account, str(error), lambda done, total: None)
            return Step.REBUILD
        return Step.BATCH

    def _batch(self, account: AccountId, go_on: Callable[[], bool]) -> None:
        index = self._opened(account)
        with self._db.read() as reader:
            rows = outbox.take(reader, account, BATCH)
        removed = {message for _, message, what in rows if what == outbox.REMOVE}
        added = dict.fromkeys(m for _, m, what in rows if what == outbox.ADD and m not in removed)
        known = index.known(added)
        documents, seen = self._documents([m for m in added if m not in known])
        index.remove(removed)
        index.add(documents, changed=bool(removed))
        hit("X3")
        unread = set(added) - known - seen
        done = [row for row, message, what in rows if what == outbox.REMOVE or message not in unread]
        outbox.done(self._db, account, done, index.record)
        self._dirty.add(account)
        self._merge(index, go_on, quiet=False)

    def _documents(self, messages: list[int]) -> tuple[list[Document], set[int]]:
        """The messages with their words, as many as a batch takes; and those that were looked at."""
        found: list[Document] = []
        seen: set[int] = set()
        size = 0
        for message in messages:
            with self._db.read() as reader:
                words = words_of(reader, self._blobs, message)
            seen.add(message)
            if words is not None:
                found.append((message, segments.packed(words)))
                size += sum(map(len, words.values()))
            if size >= BATCH_WORDS:
                break
        return found, seen

    # --- merging -----------------------------------------------------------------------------------------------------

    def _is_quiet(self) -> bool:
        with self._db.read() as reader:
            return sum(outbox.waiting(reader).values()) <= PATIENCE

    def _merge_one(self, go_on: Callable[[], bool]) -> Step:
        """In quiet hours: one merge in one of the indexes that changed."""
        while self._dirty:
            account = next(iter(self._dirty))
            try:
                if self._merge(self._opened(account), lambda: go_on() and self._is_quiet(), quiet=True):
                    return Step.MERGE
            except Lost as error:
                self._renew(account, str(error), lambda done, total: None)
                return Step.REBUILD
            if not (go_on() and self._is_quiet()):
                return Step.MERGE
            self._dirty.discard(account)
        self._drop()
        return Step.IDLE

    def _merge(self, index: _Open, go_on: Callable[[], bool], *, quiet: bool) -> bool:
        chosen = segments.mergeable(index.contents.segments, quiet=quiet)
        if not chosen:
            return False
        try:
            index.merge(chosen, go_on)
        except Interrupted:
            return False
        self._db.write(lambda tx: outbox.put_record_in(tx, index.account, index.record))
        return True

    # --- beginning anew ----------------------------------------------------------------------------------------------

    def _is_current(self, account: AccountId, name: str | None) -> bool:
        with self._db.read() as reader:
            found = outbox.record(reader, account)
        return (None if found is None else found.name) == name

    def _renew(self, account: AccountId, why: str, tell: Callable[[int, int], None]) -> int:
        """An empty index, and every message of the account in the outbox, newest first."""
        self.on_lost(account, why)
        self._drop()
        outbox.forget(self._db, account)
        self._shelf.clear(account)
        with self._db.read() as reader:
            everything = outbox.messages(reader, account)
            missing = sorted(everything - outbox.pending(reader, account), reverse=True)
        outbox.put_all(self._db, account, missing, lambda done: tell(done, len(everything)))
        begun = self._shelf.begin(account)
        self._db.write(lambda tx: outbox.put_record_in(tx, account, begun))
        return len(everything)

    def _opened(self, account: AccountId) -> _Open:
        """The index of an account, kept open from batch to batch; raises Lost."""
        if self._open is not None and self._open.account == account and self._open.is_there():
            return self._open
        self._drop()
        with self._db.read() as reader:
            found = outbox.record(reader, account)
        self._open = _Open(self._shelf, account, found)
        return self._open

    def _drop(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _Open:
    """One account's index while it is written."""

    def __init__(self, shelf: Shelf, account: AccountId, found: Record | None) -> None:
        self.account = account
        self.storage = shelf.storage(account)
        self.contents: Contents = shelf.contents(account, found)
        assert found is not None
        self.name = found.name
        self._opened: dict[str, Opened] = {}

    @property
    def record(self) -> Record:
        """What the database should know of it."""
        return Record(self.name, self.contents.generation)

    def is_there(self) -> bool:
        """Does the disk still hold what was committed last?"""
        return segments.latest(self.storage, self.name) == self.contents.generation

    def known(self, messages: dict[int, None]) -> set[int]:
        """Which of these messages the index holds already."""
        found: set[int] = set()
        for one in self._all():
            if not messages.keys().isdisjoint(one.ids):
                deleted = one.deleted
                found |= {m for n, m in enumerate(one.ids) if m in messages and n not in deleted}
        return found

    def remove(self, messages: set[int]) -> None:
        """Mark messages as deleted; they count until the next commit."""
        if not messages:
            return
        for segment, one in zip(self.contents.segments, self._all(), strict=True):
            for number, message in enumerate(one.ids):
                if message in messages and not segment.is_deleted(number):
                    segment.delete_document(number)

    def add(self, documents: list[Document], *, changed: bool) -> None:
        """Commit new messages (and deletions, when `changed`)."""
        found = list(self.contents.segments)
        if documents:
            found.append(segments.write(self.storage, self.name, documents))
        elif not changed:
            return
        self._commit(found)

    def merge(self, chosen: list[object], go_on: Callable[[], bool]) -> None:
        """Commit one segment in the place of several."""
        sources = [self._of(segment) for segment in chosen]
        made = segments.merge(self.storage, self.name, sources, go_on)
        rest = [segment for segment in self.contents.segments if segment not in chosen]
        self._commit(rest if made is None else [*rest, made])

    def close(self) -> None:
        """Let go of its files."""
        for one in self._opened.values():
            one.close()
        self._opened.clear()

    def _commit(self, found: list[object]) -> None:
        self.contents = segments.commit(self.storage, self.name, self.contents.generation + 1, found)
        kept = {str(segment.segment_id()) for segment in self.contents.segments}
        for name in [name for name in self._opened if name not in kept]:
            self._opened.pop(name).close()

    def _all(self) -> list[Opened]:
        return [self._of(segment) for segment in self.contents.segments]

    def _of(self, segment: object) -> Opened:
        name = str(segment.segment_id())  # type: ignore[attr-defined]
        if name not in self._opened:
            self._opened[name] = Opened(self.storage, segment)
        return self._opened[name]
