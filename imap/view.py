"""The selected mailbox as its client believes it to be: sequence numbers, UIDs, and what it has yet to be told; sans-io.

Promises: the numbers of messages change only in `flush`, which renders exactly what changed: EXPUNGE from the highest
number down (only when the command may renumber, RFC 9051 §7.5.1), then EXISTS, then FETCH with flags as they are now.
Changes are noted in commit order (one reference each, the rows are shared by all sessions) and melt together when they
are told; beyond a bound the view says `lost`, and whoever owns it reads the mailbox again. A hundred thousand messages cost 400 KB.

May not: read the store; what a snapshot said and what the change bus says is all it knows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from data.ids import AccountId, MailboxId
from data.store.changes import Added, Expunged, FlagsChanged, MailboxChange, MailboxDeleted
from data.store.keys import Ranges
from imap import response
from imap.command import STAR, SequenceSet
from imap.errors import Bad

MAX_CHANGES = 20_000
MAX_ROWS = 500_000
"""What may wait for a client that says nothing: changes, and rows in them (which all sessions share)."""
_PIECE = 1000
_FEW = 64

Span = tuple[int, int]
FlagState = tuple[int, int, str, int]
"""(UID, flags, keywords, MODSEQ)"""


class Shape(NamedTuple):
    """How this client wants to be told: MODSEQ with flags (RFC 7162), no RECENT (RFC 9051)."""

    condstore: bool = False
    rev2: bool = False


class _Told(IntEnum):
    """How much of a change of flags its client wants to hear."""

    NOTHING = 0
    MODSEQ = 1
    FLAGS = 2


class _Flags(NamedTuple):
    """Flags as they are now, and how much of them is to be told."""

    flags: int
    keywords: str
    modseq: int
    told: _Told


class View:
    """One session's view of one mailbox."""

    __slots__ = (
        "_changes",
        "_gone",
        "_known",
        "_rows",
        "_shown",
        "_silent",
        "account",
        "deleted",
        "keywords",
        "lost",
        "mailbox",
        "modseq",
        "readonly",
        "recent",
        "rev2",
        "told",
        "uids",
        "wake",
    )

    def __init__(
        self,
        account: AccountId,
        mailbox: MailboxId,
        uids: array[int],
        modseq: int,
        *,
        recent: Iterable[Span] = (),
        keywords: Iterable[str] = (),
        readonly: bool = False,
        rev2: bool = False,
    ) -> None:
        """`modseq`: changes up to it are in `uids` already; `recent`: UID ranges that are \\Recent in this session.

        `told` grows with what the client was told: whoever reads the mailbox again begins there.
        """
        self.account = account
        self.mailbox = mailbox
        self.uids = uids
        self.modseq = self.told = modseq
        self.recent = tuple(recent)
        self.keywords = tuple(keywords)
        self.readonly = readonly
        self.rev2 = rev2
        self.deleted = False
        self.lost = False
        self.wake: Callable[[], None] | None = None
        self._known = frozenset(k.lower() for k in self.keywords)
        self._changes: list[MailboxChange] = []
        self._rows = 0
        self._shown: list[FlagState] = []
        self._silent: dict[int, _Told] = {}
        self._gone: set[int] = set()

    def __len__(self) -> int:
        return len(self.uids)

    # --- numbers ----------------------------------------------------------------------------------------------------

    def number(self, uid: int) -> int:
        """The sequence number of a UID, 0 when the client does not know it."""
        at = bisect_left(self.uids, uid)
        return at + 1 if at < len(self.uids) and self.uids[at] == uid else 0

    def ranges(self, sequence: SequenceSet, uid: bool, saved: Sequence[int] = ()) -> Ranges:
        """The messages a set names, as UID ranges that begin and end with messages of this view.

        Work is in proportion to the set and the mailbox, never to the numbers in it (attack I2). Raises Bad for a
        sequence number that no message has.
        """
        if sequence.saved:
            spans: Iterable[Span] = ((at, at) for at in self._places(saved))
        elif uid:
            spans = self._uid_spans(sequence.ranges)
        else:
            spans = self._number_spans(sequence.ranges)
        return tuple((self.uids[low], self.uids[high]) for low, high in _merged(spans))

    def _places(self, uids: Sequence[int]) -> Iterator[int]:
        return (number - 1 for number in map(self.number, uids) if number)

    def _uid_spans(self, ranges: Ranges) -> Iterator[Span]:
        if not self.uids:
            return
        top = self.uids[-1]
        for low, high in ranges:
            a, b = (top if low == STAR else low), (top if high == STAR else high)
            first, last = bisect_left(self.uids, min(a, b)), bisect_right(self.uids, max(a, b)) - 1
            if first <= last:
                yield first, last

    def _number_spans(self, ranges: Ranges) -> Iterator[Span]:
        count = len(self.uids)
        for low, high in ranges:
            if not count and high == STAR:
                continue  # (lenient: `1:*` of an empty mailbox is nothing, not an error)
            if low != STAR and low > count:
                raise Bad("There is no message of that number")
            a, b = (count if low == STAR else low), min(high, count)
            yield min(a, b) - 1, max(a, b) - 1

    def count(self, ranges: Ranges) -> int:
        """How many messages of this view the ranges hold."""
        return sum(bisect_right(self.uids, high) - bisect_left(self.uids, low) for low, high in ranges)

    def recent_count(self) -> int:
        """How many messages are \\Recent in this session."""
        return self.count(self.recent)

    # --- what happened ----------------------------------------------------------------------------------------------

    def note(self, change: MailboxChange, *, first: bool = False) -> None:
        """Remember a committed change; `first`: no other session was told of these new messages (\\Recent)."""
        if isinstance(change, MailboxDeleted):
            self.deleted = True
        elif isinstance(change, Added | Expunged | FlagsChanged):
            if self.lost or change.modseq <= self.modseq:
                return
            rows = change.uids if isinstance(change, Expunged) else change.rows
            self._rows += len(rows)
            if first and isinstance(change, Added) and change.rows:
                self._claim(change.rows[0][0], change.rows[-1][0])
        else:
            return
        self._changes.append(change)
        if len(self._changes) > MAX_CHANGES or self._rows > MAX_ROWS:
            self.lose()

    def _claim(self, low: int, high: int) -> None:
        if self.recent and self.recent[-1][1] + 1 == low:
            self.recent = (*self.recent[:-1], (self.recent[-1][0], high))
        else:
            self.recent = (*self.recent, (low, high))

    def lose(self) -> None:
        """Changes were missed: nothing noted is of use, the mailbox must be read again."""
        self.lost = True
        self._changes.clear()
        self._shown.clear()
        self._rows = 0

    def recover(self, uids: array[int], modseq: int, states: Iterable[FlagState]) -> None:
        """The mailbox was read again: `uids` and `modseq` of a new snapshot, and flags that may have changed."""
        held = frozenset(uids)
        self.lose()
        self.lost = False
        self.modseq = modseq
        self._gone.update(uid for uid in self.uids if uid not in held)
        last = self.uids[-1] if self.uids else 0
        added = tuple((uid, 0, "") for uid in uids[bisect_right(uids, last) :])
        if added:
            self._changes.append(Added(self.account, self.mailbox, modseq, added))
        self.show(states)

    def silence(self, states: Iterable[FlagState], *, wholly: bool = False) -> None:
        """This session made these changes and wants to hear their MODSEQ at most (STORE .SILENT); `wholly`: nothing,
        because its responses said it all (\\Seen set by FETCH)."""
        self._silent.update(dict.fromkeys((state[3] for state in states), _Told.NOTHING if wholly else _Told.MODSEQ))

    def show(self, states: Iterable[FlagState]) -> None:
        """Tell these states although nothing changed (a STORE that found the flags as asked)."""
        self._shown += states

    @property
    def pending(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._changes or self._gone or self._shown)

    # --- telling ----------------------------------------------------------------------------------------------------

    def flush(self, renumber: bool, shape: Shape) -> Iterator[bytes]:
        """What the client has to be told, in pieces; the view is as the client knows it once the first was taken."""
        if not self.pending:
            return
        added, flags, keywords = self._melt()
        if renumber and self._gone:
            yield from self._expunge()
        if added:
            yield self._exists(added, shape)
        if self._learn(keywords):
            yield response.mailbox_flags(self.keywords, not self.readonly)
        if flags:
            yield from self._fetches(flags, shape)

    def _melt(self) -> tuple[dict[int, None], dict[int, _Flags], set[str]]:
        """All that waits as one: new UIDs, flags as they are now, and keywords in use; `_gone` takes what is gone."""
        changes, self._changes, self._rows = self._changes, [], 0
        added: dict[int, None] = {}
        flags: dict[int, _Flags] = {}
        keywords: set[str] = set()
        if changes:
            self.told = max(self.told, changes[-1].modseq)
        for change in changes:
            if isinstance(change, FlagsChanged):
                self._melt_flags(change, flags)
            elif isinstance(change, Added):
                added.update(dict.fromkeys(row[0] for row in change.rows))
            elif isinstance(change, Expunged):
                self._melt_gone(change.uids, added, flags)
            elif isinstance(change, MailboxDeleted):
                self._melt_gone((*self.uids, *added), added, flags)
            if isinstance(change, FlagsChanged | Added):
                keywords.update({row[2] for row in change.rows})
        for uid, mask, words, modseq in {state[0]: state for state in self._shown}.values():
            newer = flags.get(uid)
            told = _Flags(mask, words, modseq, _Told.FLAGS) if newer is None else newer._replace(told=_Told.FLAGS)
            flags[uid] = told
        self._shown.clear()
        self._silent.clear()
        return added, flags, keywords

    def _melt_flags(self, change: FlagsChanged, flags: dict[int, _Flags]) -> None:
        """A message that somebody else changed before is told as it is now, even if this change asked for silence."""
        modseq, told = change.modseq, self._silent.get(change.modseq, _Told.FLAGS)
        for uid, mask, words in change.rows:
            before = flags[uid].told if uid in flags else _Told.NOTHING
            flags[uid] = _Flags(mask, words, modseq, max(told, before))

    def _melt_gone(self, uids: Iterable[int], added: dict[int, None], flags: dict[int, _Flags]) -> None:
        for uid in uids:
            flags.pop(uid, None)
            if uid in added:
                del added[uid]
            else:
                self._gone.add(uid)

    def _learn(self, used: set[str]) -> bool:
        """Whether keywords came into use that the client was not told of."""
        names = {name for words in used if words for name in words.split(" ")}
        fresh = sorted(name for name in names if name.lower() not in self._known)
        if fresh:
            self._known |= {name.lower() for name in fresh}
            self.keywords = (*self.keywords, *fresh)
        return bool(fresh)

    def _expunge(self) -> Iterator[bytes]:
        gone, self._gone = self._gone, set()
        places = sorted(self._places(tuple(gone)), reverse=True)
        if len(places) > _FEW:
            self.uids = array("I", [uid for uid in self.uids if uid not in gone])
        else:
            for at in places:
                del self.uids[at]
        for start in range(0, len(places), _PIECE):
            yield b"".join([b"* %d EXPUNGE\r\n" % (at + 1) for at in places[start : start + _PIECE]])

    def _exists(self, added: Iterable[int], shape: Shape) -> bytes:
        self.uids.extend(added)
        if shape.rev2:
            return b"* %d EXISTS\r\n" % len(self.uids)
        return b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(self.uids), self.recent_count())

    def _fetches(self, flags: dict[int, _Flags], shape: Shape) -> Iterator[bytes]:
        lines: list[bytes] = []
        for uid, state in flags.items():
            number = self.number(uid)
            line = self._fetch(number, uid, state, shape) if number else b""
            if line:
                lines.append(line)
            if len(lines) >= _PIECE:
                yield b"".join(lines)
                lines.clear()
        if lines:
            yield b"".join(lines)

    def _fetch(self, number: int, uid: int, state: _Flags, shape: Shape) -> bytes:
        if state.told is not _Told.FLAGS:  # RFC 7162 §3.1.3: MODSEQ is told even when the flags are not
            wanted = shape.condstore and state.told is _Told.MODSEQ
            return b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % (number, uid, state.modseq) if wanted else b""
        flags = response.flags(state.flags, state.keywords, not shape.rev2 and self.is_recent(uid))
        if shape.condstore:
            return b"* %d FETCH (UID %d MODSEQ (%d) FLAGS %b)\r\n" % (number, uid, state.modseq, flags)
        return b"* %d FETCH (UID %d FLAGS %b)\r\n" % (number, uid, flags)

    def is_recent(self, uid: int) -> bool:
        """Whether a message is \\Recent in this session."""
        return any(low <= uid <= high for low, high in self.recent)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Spans of places in as few as possible, ascending."""
    merged: list[Span] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged
