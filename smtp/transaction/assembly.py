"""A message while it arrives: its header seen whole, its octets counted, its body passed on.

Sans-io. Promises: never holds more than the header bound plus what the caller has not taken yet; says no (Refused) as
soon as a bound is passed. May not: parse beyond finding the header's end and the fields that show a loop.
"""

from __future__ import annotations

import re

from smtp import reply

_BLANK = b"\r\n\r\n"
_RECEIVED = re.compile(rb"^received[ \t]*:", re.I | re.M)


class Assembly:
    """Feed it message octets; `header` is there once it is complete, `take()` gives what has gathered since."""

    __slots__ = ("_buffer", "_hops", "_max_header", "_max_line", "_max_size", "_searched", "header", "size")

    def __init__(self, *, max_size: int, max_header: int, max_line: int, hops: int) -> None:
        """Bounds in octets, `max_line` of a header line; `hops` Received fields are too many (RFC 5321 §6.3)."""
        self._max_size, self._max_header, self._max_line, self._hops = max_size, max_header, max_line, hops
        self._buffer = bytearray()
        self._searched = 0
        self.header: bytes | None = None
        self.size = 0

    @property
    def held(self) -> int:
        """Octets gathered and not taken."""
        return len(self._buffer)

    def feed(self, piece: bytes) -> None:
        """More octets of the message. Raises Refused."""
        self.size += len(piece)
        if self.size > self._max_size:
            self._buffer.clear()
            raise reply.Refused(reply.TOO_BIG, "message.size")
        self._buffer += piece
        if self.header is None:
            self._find_header()

    def finish(self) -> None:
        """The message ends here; one without a blank line is all header. Raises Refused."""
        if self.header is None:
            self._set_header(len(self._buffer))

    def take(self) -> bytes:
        """What has gathered; only once the header is complete, which comes with the first take."""
        octets = bytes(self._buffer)
        self._buffer.clear()
        return octets

    def _find_header(self) -> None:
        if self._buffer.startswith(b"\r\n"):
            self._set_header(2)
            return
        end = self._buffer.find(_BLANK, self._searched)
        if end >= 0:
            self._set_header(end + len(_BLANK))
            return
        self._searched = max(0, len(self._buffer) - len(_BLANK) + 1)
        if len(self._buffer) > self._max_header:
            self._too_long()

    def _set_header(self, end: int) -> None:
        header = bytes(self._buffer[:end])
        if end > self._max_header or (end > self._max_line and max(map(len, header.split(b"\n"))) > self._max_line):
            self._too_long()
        self.header = header
        if len(_RECEIVED.findall(self.header)) >= self._hops:
            self._buffer.clear()
            raise reply.Refused(reply.TOO_MANY_HOPS, "message.hops")

    def _too_long(self) -> None:
        self._buffer.clear()
        raise reply.Refused(reply.HEADER_TOO_BIG, "message.header")
