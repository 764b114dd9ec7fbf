"""What the octets of a message are like, whatever they mean: 8-bit, NUL, bare CR or LF, long lines (RFC 5322 §2.1.1).

Promises: the result does not depend on how the message was cut; a few passes in C over each piece, nothing kept of it.
"""

from __future__ import annotations

LINE_LIMIT = 998
"""RFC 5322 §2.1.1: a line is at most 998 octets without its line end."""


class Measures:
    """The octets themselves: 8-bit, NUL, bare CR or LF, long lines."""

    __slots__ = ("_crlf", "_last_cr", "_lf", "_line_start", "_lone", "eightbit", "longest_line", "nul")

    def __init__(self) -> None:
        self.eightbit = False
        self.nul = False
        self.longest_line = LINE_LIMIT
        self._lone = 0
        self._lf = 0
        self._crlf = 0
        self._last_cr = False
        self._line_start = 0

    @property
    def bare(self) -> bool:
        """Whether some CR or LF stood alone."""
        return self._lone != self._crlf or self._lf != self._crlf

    def add(self, fresh: bytes, base: int) -> None:
        """Take the bytes that follow; `base` is how many came before."""
        self.eightbit = self.eightbit or not fresh.isascii()
        self.nul = self.nul or b"\0" in fresh
        self._lf += fresh.count(b"\n")
        self._lone += fresh.count(b"\r")
        self._crlf += fresh.count(b"\r\n")
        if self._last_cr and fresh[:1] == b"\n":
            self._crlf += 1
        self._long_lines(fresh, base)
        if fresh:
            self._last_cr = fresh.endswith(b"\r")

    def _long_lines(self, fresh: bytes, base: int) -> None:
        """Jump from line end to line end, a longest line at a time, so that only longer lines are looked at singly."""
        start = self._line_start - base
        while True:
            jump = fresh.rfind(b"\n", max(start, 0), max(start + self.longest_line + 1, 0))
            if jump < 0:
                jump = fresh.find(b"\n", max(start, 0))
                if jump < 0:
                    break
                ends_cr = fresh[jump - 1 : jump] == b"\r" if jump else self._last_cr
                self.longest_line = max(self.longest_line, jump - start - ends_cr)
            start = jump + 1
        self._line_start = start + base

    def finish(self, size: int) -> None:
        """The last line may have no end."""
        self.longest_line = max(self.longest_line, size - self._line_start - self._last_cr)
