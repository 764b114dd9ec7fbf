"""The hash of a message's body for DKIM (RFC 6376 §3.4.3, §3.4.4), from pieces of any size.

Promises: memory for a piece and no more, whatever the body is; the digest is the same however it is cut.
"""

from __future__ import annotations

import hashlib
import re

_WSP = re.compile(rb"[\t ]+")
_NEWLINES = 4096


class BodyHash:
    """The bh= of a body. `limit` is l=, the count of canonical octets that are hashed."""

    __slots__ = ("_any", "_hash", "_limit", "_newlines", "_relaxed", "_rest", "length")

    def __init__(self, *, relaxed: bool = True, limit: int | None = None) -> None:
        self._hash = hashlib.sha256()
        self._relaxed = relaxed
        self._limit = limit
        self._rest = b""
        self._newlines = 0
        self._any = False
        self.length = 0
        """Canonical octets so far, hashed or not; all of them after `digest`."""

    def feed(self, piece: bytes) -> None:
        """The next octets; line ends are CRLF."""
        data = self._rest + piece
        if self._relaxed:
            data = _WSP.sub(b" ", data).replace(b" \r\n", b"\r\n")
        # a space, a CR or both may belong to a line end that is still to come
        end = len(data) - (1 if data.endswith(b"\r") else 0)
        if self._relaxed:
            end -= 1 if data.endswith(b" ", 0, end) else 0
        self._rest = data[end:]
        stop = end
        while data.endswith(b"\r\n", 0, stop):
            stop -= 2
        if stop:
            self._flush_newlines()
            self._put(memoryview(data)[:stop])
            self._any = True
        self._newlines += (end - stop) // 2

    def digest(self) -> bytes:
        """The end of the body: it ends in one CRLF, whatever it ended in; an empty one hashes as nothing when relaxed, as
        a CRLF when simple. Call it once."""
        if self._rest.strip(b" ") if self._relaxed else self._rest:
            self._flush_newlines()
            self._put(memoryview(self._rest))
            self._any = True
        if self._any or not self._relaxed:
            self._put(memoryview(b"\r\n"))
        return self._hash.digest()

    def _put(self, octets: memoryview) -> None:
        if self._limit is None:
            self._hash.update(octets)
        elif self.length < self._limit:
            self._hash.update(octets[: self._limit - self.length])
        self.length += len(octets)

    def _flush_newlines(self) -> None:
        while self._newlines:
            some = min(self._newlines, _NEWLINES)
            self._put(memoryview(b"\r\n" * some))
            self._newlines -= some
