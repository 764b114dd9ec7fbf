"""Text leaves to message ids of one account, from the index alone.

Promises: the answer for each leaf is exact for what the index holds, or None when it took longer than it may (the
searcher then looks at stored text); Lost when the index cannot be read. A few accounts' segments stay open between
questions, the least used are closed; their octets are opened piecewise through a cache of bounded size. One question
at a time for each account. May not: decide who may see a message, or whether it is still there.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from data.ids import AccountId
from data.index import segments
from data.index.match import Leaf, meets
from data.index.outbox import Record
from data.index.schema import unpacked
from data.index.segments import Lost, Opened
from data.index.shelf import Shelf

WARM = 8
"""Accounts whose segments stay open."""
_LOOK = 256
WORDS = 2_000
"""Words that the beginning of one may stand for in a segment; stored text is looked at for a beginning of more."""


class TooSlow(Exception):
    """The time for this question is over."""


class Searchers:
    """The open indexes of a few accounts."""

    def __init__(self, shelf: Shelf, keep: int = WARM) -> None:
        self._shelf = shelf
        self._keep = keep
        self._lock = threading.Lock()
        self._warm: OrderedDict[AccountId, _Searcher] = OrderedDict()

    def lookup(
        self, account: AccountId, record: Record | None, leaves: Sequence[Leaf], late: Callable[[], bool]
    ) -> list[set[int] | None]:
        """For each leaf the messages that hold it; None for those that were not answered before `late`.

        Raises Lost.
        """
        searcher = self._searcher(account)
        try:
            return searcher.answer(self._shelf, record, leaves, late)
        except Lost:
            self.drop(account)
            raise

    def drop(self, account: AccountId) -> None:
        """Close the index of an account."""
        with self._lock:
            found = self._warm.pop(account, None)
        if found is not None:
            found.close()

    def close(self) -> None:
        """Close all of them."""
        for account in list(self._warm):
            self.drop(account)

    def _searcher(self, account: AccountId) -> _Searcher:
        coldest: list[_Searcher] = []
        with self._lock:
            found = self._warm.get(account)
            if found is None:
                found = self._warm[account] = _Searcher(account)
            self._warm.move_to_end(account)
            while len(self._warm) > self._keep:
                coldest.append(self._warm.popitem(last=False)[1])
        for one in coldest:
            one.close()
        return found


class _Searcher:
    """One account's open segments, those of the last commit that was asked for."""

    def __init__(self, account: AccountId) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._at: tuple[str, int] | None = None
        self._open: list[Opened] = []

    def answer(
        self, shelf: Shelf, record: Record | None, leaves: Sequence[Leaf], late: Callable[[], bool]
    ) -> list[set[int] | None]:
        with self._lock, segments.reading():
            self._refresh(shelf, record)
            return [self._leaf(leaf, late) for leaf in leaves]

    def close(self) -> None:
        with self._lock:
            for one in self._open:
                one.close()
            self._open, self._at = [], None

    def _refresh(self, shelf: Shelf, record: Record | None) -> None:
        """Open what a later commit has added, close what it has dropped; once more if it changes meanwhile."""
        while True:
            generation = shelf.generation(self._account, record)
            assert record is not None
            if self._at == (record.name, generation):
                return
            try:
                self._adopt(shelf, record)
                return
            except Lost:
                # a newer commit may have removed the files of this one while they were opened
                if shelf.generation(self._account, record) == generation:
                    raise

    def _adopt(self, shelf: Shelf, record: Record) -> None:
        storage = shelf.storage(self._account)
        found = shelf.contents(self._account, record)
        old = {one.name: one for one in self._open}
        now: list[Opened] = []
        try:
            for segment in found.segments:
                one = old.get(str(segment.segment_id())) or Opened(storage, segment)
                old.pop(one.name, None)
                one.refresh(segment)
                now.append(one)
        except BaseException:
            self._open = [*now, *old.values()]
            raise
        for one in old.values():
            one.close()
        self._open, self._at = now, (record.name, found.generation)

    def _leaf(self, leaf: Leaf, late: Callable[[], bool]) -> set[int] | None:
        found: set[int] = set()
        try:
            for one in self._open:
                _collect(one, leaf, found, late)
        except TooSlow:
            return None
        return found


def _collect(one: Opened, leaf: Leaf, found: set[int], late: Callable[[], bool]) -> None:
    """Add the messages of one segment that hold a leaf."""
    if not leaf.begun:
        _collect_whole(one, leaf, found, late)
        return
    start = leaf.phrase[-1][0].encode("utf-8", "surrogatepass")
    for nth, word in enumerate(one.beginning(start)):
        if nth == WORDS:
            raise TooSlow
        _collect_whole(one, leaf.ending(word.decode("utf-8", "surrogatepass")), found, late)


def _collect_whole(one: Opened, leaf: Leaf, found: set[int], late: Callable[[], bool]) -> None:
    if late():
        raise TooSlow
    words = [word.encode("utf-8", "surrogatepass") for word in leaf.words]
    matchers = [one.postings(word) for word in words]
    if any(matcher is None for matcher in matchers):
        return
    ids, deleted = one.ids, one.deleted
    if leaf.anywhere:
        found.update(ids[number] for number in matchers[0].all_ids() if number not in deleted)  # type: ignore[union-attr]
        return
    lead = min(range(len(words)), key=lambda nth: one.count(words[nth]))
    for nth, number in enumerate(_together(matchers, lead)):
        if not nth % _LOOK and late():
            raise TooSlow
        if number not in deleted and meets(leaf, [unpacked(matcher.value()) for matcher in matchers]):  # type: ignore[union-attr]
            found.add(ids[number])


def _together(matchers: Sequence[Any], lead: int) -> Any:
    """The documents that all lists hold; while one is yielded every matcher stands at it."""
    first = matchers[lead]
    others = [matcher for nth, matcher in enumerate(matchers) if nth != lead]
    while first.is_active():
        number = first.id()
        for other in others:
            if not other.is_active():
                return
            other.skip_to(number)
            if not other.is_active():
                return
            if other.id() != number:
                break
        else:
            yield number
            first.next()
            continue
        # the next that the list in the way can hold
        first.skip_to(max(number + 1, other.id()))
