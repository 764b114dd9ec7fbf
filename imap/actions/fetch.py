r"""FETCH: plan the items, read in batches off the loop, write with back-pressure (RFC 9051 §6.4.5; RFC 7162 §3.1.4).

Promises: a batch is read and rendered by one worker job into pieces that the loop only writes; while a client does not
read, nothing more is read for it. Large bodies come in pieces of 256 KB. \Seen that a FETCH sets is committed before
the body is sent, and told with it. What was expunged meanwhile is left out, and the OK says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.log import Log
from data.disk.blobs import Content
from data.errors import Corrupt, Refused
from data.ids import MailboxId
from data.principal import Principal
from data.store.keys import Flag, Ranges
from data.store.store import Store
from imap.actions.bodies import AT_ONCE, Chunk, Message, Stream, damaged, placeholder
from imap.actions.call import DONE, PIECE, Call, Done
from imap.actions.items import Items, Row, numbers_of, pieces
from imap.command import Att, Fetch, Section
from imap.errors import Bye
from imap.response import runs
from imap.view import FlagState, View

ROWS = 2000
LIGHT_ROWS = 10_000
"""Rows of one batch: fewer where each carries an envelope or a structure."""
BUDGET = 1 << 20
ROW_BUDGET = 4 << 20
"""Octets of one batch: bodies, and stored values (a structure of ten thousand parts is half a megabyte)."""
_HEAVY = frozenset({"envelope", "structure", "layout", "preview", "prefix"})
_FLAGGED = ("flags", "keywords", "modseq")
_PARTS = ("prefix", "header_size", "layout")
_ISSUED = Done("Some of the messages are no longer there", b"EXPUNGEISSUED")


async def fetch(call: Call, command: Fetch) -> Done:
    """FETCH and UID FETCH."""
    view, session = call.view, call.session
    if Att.MODSEQ in command.items:
        session.condstore = True  # RFC 7162 §3.1
    ranges = view.ranges(command.sequence, command.uid, session.saved)
    if not ranges:
        return DONE
    plan = _Plan(call, view, command)
    found = 0
    left = ranges
    while left:
        batch = await call.parts.workers.blocking(plan.read, left)
        view.silence(batch.changed, wholly=True)
        for chunk in batch.chunks:
            await _write(call, chunk)
        found += batch.count
        left = _behind(left, batch.last) if batch.last else ()
    if command.changed_since is None and found < view.count(ranges):
        return _ISSUED  # RFC 5530 §3
    return DONE


async def _write(call: Call, chunk: Chunk) -> None:
    if not isinstance(chunk, Stream):
        call.send(chunk)
        await call.flow()
        return
    try:
        while (piece := await call.parts.workers.blocking(next, chunk.pieces, None)) is not None:
            call.send(piece)
            await call.flow()
    except Corrupt as error:
        # The client was promised octets that are not there: no answer can be right any more.
        raise Bye("A stored message is damaged", b"CORRUPTION", error.private) from None


def _behind(ranges: Ranges, uid: int) -> Ranges:
    """What of the ranges lies above `uid`."""
    return tuple((max(low, uid + 1), high) for low, high in ranges if high > uid)


@dataclass(slots=True)
class _Batch:
    """What one job brought: octets to write, the last UID it read (0: nothing is left), how many messages."""

    chunks: Sequence[Chunk] = ()
    last: int = 0
    count: int = 0
    changed: list[FlagState] = field(default_factory=list)


class _Plan:
    """One FETCH as the worker threads carry it out; the view's numbers stand still meanwhile."""

    __slots__ = (
        "_flagged",
        "_items",
        "_light",
        "_log",
        "_mailbox",
        "_sections",
        "_seen",
        "_since",
        "_store",
        "_view",
        "_who",
    )  # fmt: skip

    def __init__(self, call: Call, view: View, command: Fetch) -> None:
        atts = [item for item in command.items if isinstance(item, Att)]
        self._sections = [item for item in command.items if isinstance(item, Section)]
        self._store: Store = call.parts.store
        self._who: Principal = call.principal
        self._log: Log = call.parts.log
        self._mailbox: MailboxId = view.mailbox
        self._view = view
        self._since = command.changed_since or 0
        self._seen = not view.readonly and any(not section.peek for section in self._sections)
        recent = not call.session.rev2
        more = (*_PARTS, *_FLAGGED) if self._sections else ()
        self._items = Items(atts, view, recent=recent, columns=more)
        told = [Att.FLAGS, *([Att.MODSEQ] if call.session.condstore else [])]
        self._flagged = Items(dict.fromkeys([*atts, *told]), view, recent=recent, columns=self._items.columns)
        self._light = not _HEAVY.intersection(self._items.columns)

    def read(self, ranges: Ranges) -> _Batch:
        """One batch, from the beginning of the ranges. Off the loop."""
        return self._read_bodies(ranges) if self._sections else self._read_rows(ranges)

    # --- stored values only -------------------------------------------------------------------------------------------

    def _read_rows(self, ranges: Ranges) -> _Batch:
        limit, budget = (LIGHT_ROWS, None) if self._light else (ROWS, ROW_BUDGET)
        rows: list[Row] = self._store.messages.rows(
            self._who, self._mailbox, ranges, self._items.columns, changed_since=self._since, limit=limit, budget=budget
        )
        if not rows:
            return _Batch()
        uids = [row[0] for row in rows]
        lines = self._items.lines(numbers_of(self._view, uids), rows)
        whole = budget is None and len(rows) < limit
        return _Batch(pieces(lines, PIECE), 0 if whole else uids[-1], len(rows))

    # --- sections -----------------------------------------------------------------------------------------------------

    def _read_bodies(self, ranges: Ranges) -> _Batch:
        if self._since:
            ranges = self._changed(ranges)
        messages = self._store.messages
        found = _bounded(messages.contents(self._who, self._mailbox, ranges, self._items.columns, budget=BUDGET))
        if not found:
            return _Batch()
        changed = self._mark_seen(found) if self._seen else {}
        rows = [self._fresh(row, changed) for row in found]
        heads = self._heads(rows, changed)
        chunks: list[Chunk] = []
        for head, row in zip(heads, rows, strict=True):
            chunks += self._message(head, row)
        return _Batch(list(_joined(chunks)), rows[-1][0], len(rows), list(changed.values()))

    def _changed(self, ranges: Ranges) -> Ranges:
        """The next messages that changed since; bodies are read by UID."""
        rows = self._store.messages.rows(
            self._who, self._mailbox, ranges, (), changed_since=self._since, limit=LIGHT_ROWS
        )
        return tuple(runs(row[0] for row in rows))

    def _mark_seen(self, found: Sequence[Row]) -> dict[int, FlagState]:
        r"""Set \Seen where it is not set; a reader without the right just reads."""
        at = self._at("flags")
        unseen = tuple(runs(row[0] for row in found if not row[at] & Flag.SEEN))
        if not unseen:
            return {}
        try:
            result = self._store.flags.store(self._who, self._mailbox, unseen, "+", Flag.SEEN)
        except Refused:
            return {}
        return {state[0]: state for state in result.changed}

    def _at(self, column: str) -> int:
        return self._items.columns.index(column) + 1

    def _fresh(self, row: Row, changed: dict[int, FlagState]) -> Row:
        """The row with the flags that this FETCH gave it."""
        state = changed.get(row[0])
        if state is None:
            return row
        values: list[Any] = list(row)
        for name, value in zip(_FLAGGED, state[1:], strict=True):
            values[self._at(name)] = value
        return tuple(values)

    def _heads(self, rows: Sequence[Row], changed: dict[int, FlagState]) -> list[bytes]:
        """The stored values of each response, with FLAGS where \\Seen was set."""
        numbers = numbers_of(self._view, [row[0] for row in rows])
        if not changed:
            return self._items.lines(numbers, rows, b"")
        plain, told = self._items, self._flagged
        return [
            (told if row[0] in changed else plain).lines([number], [row], b"")[0]
            for number, row in zip(numbers, rows, strict=True)
        ]

    def _message(self, head: bytes, row: Row) -> Iterator[Chunk]:
        """One response: its stored values, its sections, its end."""
        prefix, header_size, layout = row[1], row[2], row[3]
        content: Content | None = row[-1]
        try:
            if content is None:
                raise Corrupt(f"message {row[0]} of mailbox {self._mailbox} is damaged")
            message = Message(prefix, header_size, layout, content)
            told = [list(message.render(section)) for section in self._sections]
        except Corrupt as error:
            self._log.error("corrupt", mailbox=self._mailbox, uid=row[0], why=error.private)
            told = [[piece] for piece in self._damaged(row[0], prefix)]
        yield head
        bare = head.endswith(b"(")
        for chunks in told:
            if not bare:
                yield b" "
            bare = False
            yield from chunks
        yield b")\r\n"

    def _damaged(self, uid: int, prefix: bytes) -> list[bytes]:
        rows = self._store.messages.rows(self._who, self._mailbox, ((uid, uid),), ("from_text", "subject"))
        _, sender, subject = rows[0] if rows else (uid, "", "")
        text = placeholder(str(sender), str(subject))
        return [damaged(section, prefix, text) for section in self._sections]


def _bounded(rows: Sequence[Row]) -> Sequence[Row]:
    """As many of the rows as may be held at once: of each large body the beginning is read before it is streamed."""
    size = 0
    for count, row in enumerate(rows, 1):
        size += min(row[-1].size, AT_ONCE) if row[-1] is not None else 0
        if size >= BUDGET:
            return rows[:count]
    return rows


def _joined(chunks: Sequence[Chunk]) -> Iterator[Chunk]:
    """Neighbouring octets as pieces of at least 64 KB; streams stay where they are."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        if isinstance(chunk, Stream):
            if held:
                yield b"".join(held)
            held, size = [], 0
            yield chunk
            continue
        held.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
