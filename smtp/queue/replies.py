"""Replies of an SMTP server, octet by octet: sans-io, bounded (RFC 5321 §4.2).

`Replies.feed` takes octets, `Replies.next` gives the next complete reply; "need more" is None. Lines may end in LF alone
(lenient: servers exist). A reply has at most LINES lines of at most LINE octets; beyond that, and for anything that is
no reply, Malformed is raised and nothing more may be fed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE = 4096
LINES = 128
_KEPT_LINES = 20
_KEPT = 400
_SHAPE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?\Z", re.S)
_ENHANCED = re.compile(r"([245])[0-9]{2}[ -]([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:\s|\Z)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def enhanced_of(text: str) -> str | None:
    """The enhanced status code at the head of a reply's text (`550 5.1.1 no`), if its class agrees with the code."""
    found = _ENHANCED.match(text)
    return found[2] if found and found[2][0] == found[1] else None


class Malformed(Exception):
    """What came is no SMTP reply. `why` is a short word for the log and the reason's parameters."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its code and the texts of its lines, control characters removed."""

    code: int
    lines: tuple[str, ...]

    @property
    def positive(self) -> bool:
        """2yz: done."""
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        """5yz: trying again without a change is of no use."""
        return self.code >= 500

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 2034 §4) when its class agrees with the code."""
        return enhanced_of(f"{self.code} {self.lines[0]}") if self.lines else None

    @property
    def text(self) -> str:
        """The whole on one line, for rows, logs and people."""
        return " ".join([str(self.code), *(line for line in self.lines[:_KEPT_LINES] if line)])[: _KEPT * 2]


class Replies:
    """Collects octets into replies."""

    __slots__ = ("_buffer", "_code", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = 0
        self._lines: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether nothing has come since the last complete reply."""
        return not self._buffer and not self._lines

    def feed(self, data: bytes) -> None:
        """Take octets as they come."""
        self._buffer += data

    def next(self) -> Reply | None:
        """The next complete reply, or None when more is needed; raises Malformed."""
        while (end := self._buffer.find(b"\n", 0, LINE + 2)) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            reply = self._line(line)
            if reply is not None:
                return reply
        if len(self._buffer) > LINE:
            raise Malformed("line")
        return None

    def _line(self, line: bytes) -> Reply | None:
        shape = _SHAPE.match(line)
        if shape is None:
            raise Malformed("syntax")
        code, more, text = int(shape[1]), shape[2] == b"-", shape[3] or b""
        if self._lines and code != self._code:
            raise Malformed("codes")
        if len(self._lines) >= LINES:
            raise Malformed("lines")
        self._code = code
        self._lines.append(_CONTROL.sub(" ", text.decode("utf-8", "backslashreplace")).strip()[:_KEPT])
        if more:
            return None
        reply = Reply(code, tuple(self._lines))
        self._lines = []
        return reply
