"""Framing: octets into commands, sans-io (RFC 9051 §2.2.1, §4.3; RFC 7888).

A command is lines and literals. The wire gathers both into one flat value, in which each literal still stands behind
its `{n}` and CRLF, so that the grammar sees exactly what the wire counted. At each literal it stops and asks: its owner
says `collect` (into the command), `stream` (hand it on as Octets, for APPEND), `skip` or `refuse`.

Promises: the whole is the same as one octet at a time; memory is bounded by the limits; a literal that cannot be
skipped ends the conversation, so that its octets are never taken for commands. Lines may end in CRLF or LF (lenient:
for people who type). May not: know commands, answer, or decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in octets: one line, one collected literal, one command with its literals, one overlong line thrown away."""

    line: int
    literal: int
    command: int
    waste: int = 1 << 20


BEFORE_LOGIN = Limits(line=16_384, literal=4_096, command=16_384)
AFTER_LOGIN = Limits(line=65_536, literal=65_536, command=262_144)


@dataclass(frozen=True, slots=True)
class Text:
    """A command without its last line end; after a streamed literal, only what came behind it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal of `size` octets comes next; `head` is the command up to and with `{n}` CRLF. A decision is due."""

    head: bytes
    size: int
    sync: bool


@dataclass(frozen=True, slots=True)
class Octets:
    """A piece of a streamed literal; `last` with its final octet."""

    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line or command beyond its limit; it is thrown away up to its end. `head` is how it began."""

    head: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Octets came that can neither be taken nor skipped; nothing after them may be read."""

    why: str


Event = Text | Literal | Octets | Overlong | Lost


class _State(Enum):
    LINE = auto()
    ASKED = auto()
    COLLECT = auto()
    STREAM = auto()
    SKIP = auto()
    WASTE = auto()
    DEAD = auto()


_LITERAL = re.compile(rb"~?\{([0-9]+)(\+?)\}\Z")
_TAIL = 32
_HEAD = 256
_MAX_SIZE = (1 << 63) - 1


class Wire:
    """`feed` octets, then take events from `next` until it says None (need more, or a decision is due)."""

    __slots__ = ("_buf", "_command", "_left", "_scanned", "_state", "_sync", "_tail", "_wasted", "limits")

    def __init__(self, limits: Limits = BEFORE_LOGIN) -> None:
        self.limits = limits
        self._buf = bytearray()
        self._scanned = 0
        self._command = bytearray()
        self._state = _State.LINE
        self._left = 0
        self._sync = False
        self._tail = b""
        self._wasted = 0

    @property
    def waiting(self) -> int:
        """Octets fed and not yet taken."""
        return len(self._buf)

    @property
    def inside(self) -> bool:
        """Whether a command has begun and is not complete."""
        return bool(self._buf or self._command) or self._state is not _State.LINE

    def feed(self, data: bytes) -> None:
        """Take octets from the peer."""
        if self._state is not _State.DEAD:
            self._buf += data

    def drop(self) -> None:
        """Forget everything fed and gathered: what came before TLS is not to be trusted (RFC 9051 §6.2.1)."""
        self._buf.clear()
        self._fresh()

    # --- decisions --------------------------------------------------------------------------------------------------

    def admits(self, literal: Literal) -> bool:
        """Whether the limits allow to collect it."""
        return literal.size <= self.limits.literal and len(self._command) + literal.size <= self.limits.command

    def collect(self) -> None:
        """Take the literal into the command."""
        self._decide(_State.COLLECT)

    def stream(self) -> None:
        """Hand the literal on in pieces; what was gathered so far is forgotten."""
        self._command.clear()
        self._decide(_State.STREAM)

    def skip(self) -> None:
        """Read the literal and throw it away; the command goes on behind it, without what came before."""
        self._command.clear()
        self._decide(_State.SKIP)

    def refuse(self) -> None:
        """Do not take a synchronizing literal: the client waits for leave, so the command ends here."""
        if not self._sync:
            raise ValueError("a non-synchronizing literal is on its way and cannot be refused")
        self._decide(_State.LINE)
        self._fresh()

    def kill(self) -> None:
        """Read nothing any more."""
        self._buf.clear()
        self._fresh()
        self._state = _State.DEAD

    def _decide(self, state: _State) -> None:
        if self._state is not _State.ASKED:
            raise ValueError("no literal waits for a decision")
        self._state = state

    # --- events -----------------------------------------------------------------------------------------------------

    def next(self) -> Event | None:
        """The next event; None when more octets or a decision are needed."""
        while True:
            event, again = self._step()
            if event is not None or not again:
                return event

    def _step(self) -> tuple[Event | None, bool]:
        """(event, whether to try again without one)"""
        match self._state:
            case _State.LINE:
                return self._line()
            case _State.COLLECT:
                return None, self._collect()
            case _State.STREAM:
                return self._stream(), False
            case _State.SKIP:
                return None, self._skip()
            case _State.WASTE:
                return self._waste()
            case _:
                return None, False

    def _line(self) -> tuple[Event | None, bool]:
        buf = self._buf
        end = buf.find(b"\n", self._scanned)
        length = len(buf) if end < 0 else end
        if length > self.limits.line or len(self._command) + length > self.limits.command:
            return self._overlong(), False
        if end < 0:
            self._scanned = len(buf)
            return None, False
        line = bytes(buf[: end - 1 if end and buf[end - 1] == 13 else end])
        del buf[: end + 1]
        self._scanned = 0
        if line.endswith(b"}"):
            found = _LITERAL.search(line)
            if found:
                return self._ask(line, found), False
        if self._command:
            line = bytes(self._command) + line
        self._fresh()
        return Text(line), False

    def _ask(self, line: bytes, found: re.Match[bytes]) -> Event:
        self._sync = not found[2]
        self._left = int(found[1]) if len(found[1]) < 20 else _MAX_SIZE + 1
        self._command += line
        self._command += b"\r\n"
        if self._left > _MAX_SIZE and not self._sync:
            return self._lose("the literal is too large to skip")
        self._state = _State.ASKED
        return Literal(bytes(self._command), self._left, self._sync)

    def _collect(self) -> bool:
        piece = self._buf[: self._left]
        del self._buf[: self._left]
        self._command += piece
        self._left -= len(piece)
        if self._left:
            return False
        self._state = _State.LINE
        return True

    def _stream(self) -> Event | None:
        if not self._buf and self._left:
            return None
        piece = bytes(self._buf[: self._left])
        del self._buf[: self._left]
        self._left -= len(piece)
        if not self._left:
            self._state = _State.LINE
        return Octets(piece, not self._left)

    def _skip(self) -> bool:
        gone = min(self._left, len(self._buf))
        del self._buf[:gone]
        self._left -= gone
        if self._left:
            return False
        self._state = _State.LINE
        return True

    # --- lines that are too long --------------------------------------------------------------------------------------

    def _overlong(self) -> Event:
        head = bytes((self._command + self._buf[:_HEAD])[:_HEAD])
        self._command.clear()
        self._state = _State.WASTE
        self._tail = b""
        self._wasted = 0
        return Overlong(head)

    def _waste(self) -> tuple[Event | None, bool]:
        """Throw the rest of the line away; a non-synchronizing literal at its end cannot be told from commands."""
        end = self._buf.find(b"\n")
        length = len(self._buf) if end < 0 else end
        self._wasted += length
        self._tail = (self._tail + bytes(self._buf[max(0, length - _TAIL) : length]))[-_TAIL:]
        del self._buf[: length if end < 0 else length + 1]
        if self._wasted > self.limits.waste:
            return self._lose("the line is far too long"), False
        if end < 0:
            return None, False
        tail = self._tail.removesuffix(b"\r")
        self._fresh()
        found = _LITERAL.search(tail)
        if found and found[2]:
            return self._lose("the line is too long and a literal follows it"), False
        return None, True

    def _lose(self, why: str) -> Lost:
        self.kill()
        return Lost(why)

    def _fresh(self) -> None:
        self._command.clear()
        self._scanned = 0
        self._left = 0
        self._state = _State.LINE
        self._tail = b""
        self._wasted = 0
