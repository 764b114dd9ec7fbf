"""The segments of one account's index: written, merged, committed and opened.

A commit is a new table of contents (TOC) under the next generation, renamed into place; segments are never changed,
only their lists of deleted documents, which the TOC keeps. So a process that ends anywhere leaves the index as it was
before, and files that nobody names, which the next commit removes. Segments are written through Whoosh's codec, term by
term in order, and merged as streams: memory holds one batch, or one block of each list, never a segment.

May not: know the database. Every error of reading is Lost: the index has to be rebuilt.
"""

from __future__ import annotations

import errno
import heapq
import os
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from whoosh.index import TOC, clean_files
from whoosh.reading import TermNotFound

from data.disk.crashpoints import hit
from data.index import schema as s
from data.index.storage import SealedStorage
from data.index.words import Words

_WANTS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EINTR)

Packed = dict[str, bytes]
"""word -> positions as a posting keeps them; without containers inside, it costs the garbage collector nothing"""
Document = tuple[int, Packed]
"""(message id, its words)"""
_POSTING = struct.Struct("=HI")


class Lost(Exception):
    """The index is not there, is damaged, or is not the one the database knows."""


class Interrupted(Exception):
    """A merge was given up: there was something more urgent, or the process ends."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A table of contents: which segments there are, at which generation."""

    generation: int
    segments: tuple[Any, ...]

    @property
    def documents(self) -> int:
        """Messages in the index."""
        return sum(int(one.doc_count()) for one in self.segments)


@contextmanager
def reading() -> Iterator[None]:
    """Whatever goes wrong inside, with files that may be damaged in any way, is Lost; a want of resources is not."""
    try:
        yield
    except (Lost, Interrupted, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _WANTS:
            raise
        raise Lost(repr(error)) from error


def latest(storage: SealedStorage, name: str) -> int:
    """The generation of the last commit of an index; -1 when there is none."""
    return int(TOC._latest_generation(storage, name))


def contents(storage: SealedStorage, name: str) -> Contents:
    """The last commit; raises Lost."""
    with reading():
        toc = TOC.read(storage, name, schema=s.schema())
        return Contents(int(toc.generation), tuple(toc.segments))


def commit(storage: SealedStorage, name: str, generation: int, segments: Sequence[Any]) -> Contents:
    """Make these the segments of the index, durably, and remove the files of others."""
    storage.sync()
    hit("X1")
    TOC(s.schema(), list(segments), generation).write(storage, name)
    storage.sync()
    hit("X2")
    clean_files(storage, name, generation, segments)
    return Contents(generation, tuple(segments))


def write(storage: SealedStorage, name: str, documents: Sequence[Document]) -> Any:
    """A new segment with these messages; it counts once it is committed."""
    codec = s.codec(len(documents))
    segment = codec.new_segment(storage, name)
    _write_ids(codec, storage, segment, (message for message, _ in documents))
    with closing(_Terms(codec, storage, segment)) as out:
        for word, postings in _inverted(documents):
            out.add(word, postings)
    segment.set_doc_count(len(documents))
    return segment


def _inverted(documents: Sequence[Document]) -> Iterator[tuple[bytes, list[tuple[int, bytes]]]]:
    """word -> (document number, positions), in the order of the words' octets."""
    # Lists of tuples would be a hundred thousand containers a batch: the garbage collector would stop every thread to
    # look at all of them. So the postings of a word are one string of octets, too.
    inverted: dict[str, bytes] = {}
    known = inverted.get
    for number, (_, words) in enumerate(documents):
        for word, value in words.items():
            inverted[word] = known(word, b"") + _POSTING.pack(number, len(value)) + value
    # the order of code points is the order of UTF-8
    for word in sorted(inverted):
        yield word.encode("utf-8", "surrogatepass"), list(_postings(inverted[word]))


def _postings(joined: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(joined):
        number, size = _POSTING.unpack_from(joined, at)
        at += _POSTING.size
        yield number, joined[at : at + size]
        at += size


def packed(words: Words) -> Packed:
    """The words of a message, ready to be written."""
    return {word: s.packed(positions) for word, positions in words.items()}


def _write_ids(codec: Any, storage: SealedStorage, segment: Any, ids: Iterable[int]) -> None:
    out = codec.per_document_writer(storage, segment)
    for number, message in enumerate(ids):
        out.start_doc(number)
        out.add_column_value(s.ID, s.ID_COLUMN, message)
        out.finish_doc()
    out.close()


class _Terms:
    """Writes posting lists in order."""

    def __init__(self, codec: Any, storage: SealedStorage, segment: Any) -> None:
        self._out = codec.field_writer(storage, segment)
        self._out.start_field(s.TEXT, s.schema()[s.TEXT])

    def add(self, word: bytes, postings: Iterable[tuple[int, bytes]]) -> None:
        out = self._out
        out.start_term(word)
        for number, value in postings:
            out.add(number, 1.0, value, None)
        out.finish_term()

    def close(self) -> None:
        self._out.finish_field()
        self._out.close()


# --- reading ----------------------------------------------------------------------------------------------------------


class Opened:
    """One segment, open: the message of each document, and the posting list of each word."""

    def __init__(self, storage: SealedStorage, segment: Any) -> None:
        with reading():
            codec = segment.codec()
            self.name = str(segment.segment_id())
            self._segment = segment
            self.ids = _ids(storage, codec.column_filename(segment, s.ID))
            if len(self.ids) != segment.doc_count_all():
                raise Lost(f"segment {self.name} has {len(self.ids)} documents, not {segment.doc_count_all()}")
            self._codec = codec
            self._terms = codec.terms_reader(storage, segment)
            self._format = s.schema()[s.TEXT].format

    @property
    def deleted(self) -> Any:
        """Numbers of documents that do not count any more."""
        return self._segment.deleted_docs() if self._segment.has_deletions() else frozenset()

    def refresh(self, segment: Any) -> None:
        """The same segment as a later commit knows it: with more deleted documents."""
        self._segment = segment

    def lists(self) -> Iterator[tuple[bytes, Any]]:
        """Every word in order, with what `matcher` needs to read its list."""
        for (_, word), info in self._terms.items():
            yield bytes(word), info

    def matcher(self, info: Any) -> Any:
        """Whoosh's matcher over a list that `lists` has named."""
        return self._codec.postings_reader(self._terms._postfile, info, self._format)

    def postings(self, word: bytes) -> Any | None:
        """Whoosh's matcher over the list of a word; None for a word that is not there."""
        try:
            return self._terms.matcher(s.TEXT, word, self._format)
        except TermNotFound:
            return None

    def beginning(self, start: bytes) -> Iterator[bytes]:
        """Every word that begins so, in order."""
        for field, word in self._terms.terms_from(s.TEXT, start):
            if field != s.TEXT or not word.startswith(start):
                return
            yield bytes(word)

    def count(self, word: bytes) -> int:
        """How many messages hold a word, deleted ones included."""
        try:
            return int(self._terms.term_info(s.TEXT, word).doc_frequency())
        except TermNotFound:
            return 0

    def close(self) -> None:
        """Let go of its files."""
        self._terms.close()


def _ids(storage: SealedStorage, name: str) -> array[int]:
    with storage.open_file(name) as file:
        found = array("q")
        found.frombytes(file.read())
    if sys.byteorder == "little":
        found.byteswap()
    return found


# --- merging ----------------------------------------------------------------------------------------------------------


def merge(storage: SealedStorage, name: str, sources: Sequence[Opened], go_on: Callable[[], bool]) -> Any | None:
    """One segment out of several, without what was deleted; None when nothing is left. Raises Lost, Interrupted."""
    maps = [_numbers(sources, nth) for nth in range(len(sources))]
    kept = [source.ids[old] for source, numbers in zip(sources, maps, strict=True) for old in sorted(numbers)]
    if not kept:
        return None
    codec = s.codec(len(kept))
    segment = codec.new_segment(storage, name)
    _write_ids(codec, storage, segment, kept)
    words = heapq.merge(*(_numbered(one, nth) for nth, one in enumerate(sources)), key=lambda one: one[:2])
    with reading(), closing(_Terms(codec, storage, segment)) as out:
        for done, (word, lists) in enumerate(groupby(words, key=lambda one: one[0])):
            if not done % 64 and not go_on():
                raise Interrupted
            postings = list(_merged(sources, maps, lists))
            if postings:
                out.add(word, postings)
    segment.set_doc_count(len(kept))
    return segment


def _numbered(source: Opened, nth: int) -> Iterator[tuple[bytes, int, Any]]:
    for word, info in source.lists():
        yield word, nth, info


def _numbers(sources: Sequence[Opened], nth: int) -> dict[int, int]:
    """Old document number -> new one, of one source; deleted documents have none."""
    base = sum(len(source.ids) - len(source.deleted) for source in sources[:nth])
    deleted = sources[nth].deleted
    live = (old for old in range(len(sources[nth].ids)) if old not in deleted)
    return {old: base + new for new, old in enumerate(live)}


def _merged(
    sources: Sequence[Opened], maps: Sequence[dict[int, int]], lists: Iterable[tuple[bytes, int, Any]]
) -> Iterator[tuple[int, bytes]]:
    for _, nth, info in lists:
        numbers = maps[nth]
        matcher = sources[nth].matcher(info)
        while matcher.is_active():
            new = numbers.get(matcher.id())
            if new is not None:
                yield new, matcher.value()
            matcher.next()


TIERS = (10, 100, 1000, 10_000, 100_000)
WIDTH_QUIET = 8
WIDTH_BUSY = 64
WIDTH_MOST = 128
"""Segments that one merge reads side by side."""


def mergeable(segments: Sequence[Any], *, quiet: bool) -> list[Any]:
    """The segments that should become one: those of the smallest tier that holds too many of them.

    In quiet hours a segment of which half is deleted is written anew as well.
    """
    width = WIDTH_QUIET if quiet else WIDTH_BUSY
    tiers: dict[int, list[Any]] = {}
    for segment in segments:
        tiers.setdefault(_tier(int(segment.doc_count())), []).append(segment)
    for tier in sorted(tiers):
        if len(tiers[tier]) >= width:
            return tiers[tier][:WIDTH_MOST]
    if quiet:
        for segment in segments:
            if segment.deleted_count() * 2 > segment.doc_count_all():
                return [segment]
    return []


def _tier(documents: int) -> int:
    return next((nth for nth, most in enumerate(TIERS) if documents <= most), len(TIERS))


def remove_all(storage: SealedStorage) -> None:
    """Delete every file of an index, the tables of contents first: half of it is none."""
    for name in sorted(storage.list(), key=lambda one: not one.endswith(".toc")):
        os.unlink(os.path.join(storage.folder, name))
