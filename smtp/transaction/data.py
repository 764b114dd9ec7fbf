"""Message octets off the wire: the dot-stuffed stream of DATA and the counted chunks of BDAT.

Sans-io. Promises: lines end in CR LF or nothing is taken: a bare CR, a bare LF or a NUL raises Damaged, whatever
surrounds it, so that no peer and we can disagree about where a message ends (SMTP smuggling). Octets are looked at in
whole chunks, never line by line; at most four are held back. The whole equals one octet at a time.
RFC 5321 §4.5.2 (transparency), §2.3.8 (lines); RFC 3030 §2.
"""

from __future__ import annotations

_END = b"\r\n.\r\n"
_STUFFED = b"\r\n."
_CRLF = b"\r\n"


class Damaged(Exception):
    """Octets that are no mail: bare CR, bare LF or NUL."""


def _check(octets: bytes) -> None:
    pairs = octets.count(_CRLF)
    if octets.count(b"\n") != pairs or octets.count(b"\r") != pairs or b"\0" in octets:
        raise Damaged


class DotDecoder:
    """DATA: `feed` returns message octets with the dots taken out; `ended` and `rest` tell of the final dot."""

    __slots__ = ("_fresh", "_held", "ended", "rest")

    def __init__(self) -> None:
        self._held = _CRLF  # the message starts as if a line had just ended
        self._fresh = True
        self.ended = False
        self.rest = b""

    def feed(self, octets: bytes) -> bytes:
        """Take octets off the wire. After the end, `rest` holds what followed it. Raises Damaged."""
        buffer = self._held + octets
        dotted = _STUFFED in buffer  # one pass over what is nearly always without
        end = buffer.find(_END) if dotted else -1
        if end >= 0:
            self.ended = True
            self.rest = buffer[end + len(_END) :]
            self._held = b""
            return self._decode(buffer[: end + 2], dotted=True)
        keep = _held_back(buffer)
        self._held = buffer[len(buffer) - keep :]
        return self._decode(buffer[: len(buffer) - keep], dotted=dotted)

    def _decode(self, piece: bytes, *, dotted: bool) -> bytes:
        if not piece:
            return b""
        _check(piece)
        if dotted:
            piece = piece.replace(_STUFFED, _CRLF)
        if self._fresh:
            self._fresh = False
            return piece[2:]
        return piece


def _held_back(buffer: bytes) -> int:
    """How many octets at the end may belong to the final dot or to a stuffed one."""
    for size in (4, 3, 2, 1):
        if buffer.endswith(_END[:size]):
            return size
    return 0


class ChunkDecoder:
    """BDAT: octets pass as they are, line ends checked across chunks; `finish` completes the last line."""

    __slots__ = ("_cr", "_open")

    def __init__(self) -> None:
        self._cr = False
        self._open = False

    def feed(self, octets: bytes) -> bytes:
        """Take octets of a chunk. Raises Damaged."""
        if not octets:
            return b""
        if self._cr:
            octets = b"\r" + octets
        self._cr = octets.endswith(b"\r")
        piece = octets[:-1] if self._cr else octets
        _check(piece)
        if piece:
            self._open = not piece.endswith(b"\n")
        return piece

    def finish(self) -> bytes:
        """What must follow the last chunk so that the message ends with a line. Raises Damaged."""
        if self._cr:
            raise Damaged
        return _CRLF if self._open else b""
