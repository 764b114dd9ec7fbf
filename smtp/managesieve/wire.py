"""Framing: octets into lines of words, sans-io (RFC 5804 §1.2, §4).

A line is words between spaces: atoms, numbers, quoted strings, and literals `{n+}`, whose octets follow behind a line end and
after which the line goes on. Promises: the whole is the same as one octet at a time; memory is bounded by the limits; a
literal that is too large is skipped and told of, one that is far too large ends the conversation, so that its octets are
never taken for commands. Lines may end in CRLF or LF (lenient: for people who type). May not: know commands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in octets: the text of one line, the literals of one line, and a literal that is skipped."""

    line: int
    literal: int
    waste: int = 1 << 20


BEFORE_LOGIN = Limits(line=16_384, literal=4_096, waste=16_384)
AFTER_LOGIN = Limits(line=16_384, literal=68 * 1024)


@dataclass(frozen=True, slots=True)
class Atom:
    """A word without quotes, upper-cased."""

    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A whole line: atoms, numbers and strings (as octets)."""

    words: tuple[Atom | int | bytes, ...]


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is none, or holds more than it may; the conversation goes on behind it."""

    public: str
    too_big: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """What comes can neither be taken nor skipped; nothing after it may be read."""

    public: str


Event = Line | Malformed | Lost

_LITERAL = re.compile(rb"\{([0-9]{1,20})(\+?)\}\Z")
_WORD = re.compile(rb'(?:([A-Za-z][A-Za-z0-9-]{0,63}+)|([0-9]{1,19}+)|"((?:[^"\\\r\n\0]|\\["\\])*+)")(?= |\Z)')
_PAIR = re.compile(rb"\\(.)")
NUMBER_MOST = (1 << 32) - 1
_GARBLED = Malformed("That is not a line of ManageSieve")


class Wire:
    """`feed` octets, then take events from `next` until it says None (need more)."""

    __slots__ = ("_buf", "_dead", "_left", "_pieces", "_room", "_scanned", "_skipping", "_too_big", "limits")

    def __init__(self, limits: Limits = BEFORE_LOGIN) -> None:
        self.limits = limits
        self._buf = bytearray()
        self._dead = False
        self._pieces: list[tuple[bytes, bytearray]] = []
        self._left = self._scanned = 0
        self._room = limits.line
        self._skipping = self._too_big = False

    @property
    def waiting(self) -> int:
        """Octets fed and not yet taken."""
        return len(self._buf)

    def feed(self, data: bytes) -> None:
        """Take octets from the peer."""
        if not self._dead:
            self._buf += data

    def drop(self) -> None:
        """Forget everything fed and gathered: what came before TLS is not to be trusted (RFC 5804 §2.2)."""
        self._buf.clear()
        self._fresh()

    def next(self) -> Event | None:
        """The next event; None when more octets are needed."""
        while not self._dead:
            if self._left and not self._literal():
                return None
            end = self._buf.find(b"\n", self._scanned)
            if (len(self._buf) if end < 0 else end) > self._room:
                return self._lose("The line is too long")
            if end < 0:
                self._scanned = len(self._buf)
                return None
            line = bytes(self._buf[: end - 1 if end and self._buf[end - 1] == 13 else end])
            del self._buf[: end + 1]
            self._scanned = 0
            self._room -= len(line)
            found = _LITERAL.search(line)
            if found is None:
                return self._whole(line)
            lost = self._begin(line[: found.start()], int(found[1]), found[2])
            if lost is not None:
                return lost
        return None

    # --- literals -----------------------------------------------------------------------------------------------------

    def _begin(self, head: bytes, size: int, plus: bytes) -> Event | None:
        if not plus:
            # a client may not wait for leave (RFC 5804 §4): it sends on, or waits for an answer that never comes
            return self._lose("A literal is written {n+}")
        if size > self.limits.waste:
            return self._lose("The literal is far too large")
        gathered = sum(len(literal) for _, literal in self._pieces)
        self._skipping = self._too_big = self._too_big or gathered + size > self.limits.literal
        self._pieces.append((head, bytearray()))
        self._left = size
        return None

    def _literal(self) -> bool:
        """Take what is there of a literal; whether it is complete."""
        piece = self._buf[: self._left]
        del self._buf[: self._left]
        self._left -= len(piece)
        if not self._skipping:
            self._pieces[-1][1].extend(piece)
        return not self._left

    # --- words --------------------------------------------------------------------------------------------------------

    def _whole(self, tail: bytes) -> Event:
        pieces, too_big = self._pieces, self._too_big
        self._fresh()
        if too_big:
            return Malformed("That is too large", too_big=True)
        words: list[Atom | int | bytes] = []
        for head, literal in pieces:
            found = _words(head.rstrip(b" "))
            if found is None or (head and not head.endswith(b" ")):
                return _GARBLED
            words += [*found, bytes(literal)]
        if pieces and tail[:1] not in (b"", b" "):
            return _GARBLED
        found = _words(tail.strip(b" "))
        return _GARBLED if found is None else Line((*words, *found))

    def _fresh(self) -> None:
        self._pieces = []
        self._left = self._scanned = 0
        self._room = self.limits.line
        self._skipping = self._too_big = False

    def _lose(self, why: str) -> Lost:
        self._buf.clear()
        self._dead = True
        return Lost(why)


def _words(text: bytes) -> list[Atom | int | bytes] | None:
    """The words of a piece of a line; None when it is garbled."""
    found: list[Atom | int | bytes] = []
    at = 0
    while at < len(text):
        if text[at] == 32:
            at += 1
            continue
        word = _WORD.match(text, at)
        if word is None:
            return None
        if word[1] is not None:
            found.append(Atom(word[1].decode("ascii").upper()))
        elif word[2] is not None:
            found.append(min(int(word[2]), NUMBER_MOST + 1))
        else:
            found.append(_PAIR.sub(rb"\1", word[3]))
        at = word.end()
    return found
