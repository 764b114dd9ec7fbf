"""A message as it goes over the wire after DATA: dots stuffed, ended by the final dot (RFC 5321 §4.5.2).

Sans-io: `feed` pieces of any size, then `finish`. A line end is CRLF and nothing else: a bare CR or LF raises BareLineEnd
before the piece that holds it is returned, so that no octet of it leaves (message smuggling).
"""

from __future__ import annotations


class BareLineEnd(Exception):
    """The message holds a CR or an LF that is not part of a CRLF."""


def check_line_ends(data: bytes) -> None:
    """Raise BareLineEnd unless every CR and LF in `data` is part of a CRLF."""
    pairs = data.count(b"\r\n")
    if data.count(b"\r") != pairs or data.count(b"\n") != pairs:
        raise BareLineEnd


class Stuffer:
    """Turns one message into the octets between 354 and the reply to the final dot."""

    __slots__ = ("_at_start", "_held")

    def __init__(self) -> None:
        self._at_start = True
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """The stuffed octets of `piece`; a CR at its end waits for what follows."""
        data = self._held + piece
        self._held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(self._held)]
        if not data:
            return b""
        check_line_ends(data)
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        if self._at_start and data[:1] == b".":
            stuffed = b"." + stuffed
        self._at_start = data.endswith(b"\r\n")
        return stuffed

    def finish(self) -> bytes:
        """The final dot, after a line end if the message lacks one."""
        if self._held:
            raise BareLineEnd
        return b".\r\n" if self._at_start else b"\r\n.\r\n"
