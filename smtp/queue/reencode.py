"""A message made fit for every server before it is signed: seven bits, lines of at most 998 octets (RFC 6376 §5.3, RFC 6152).

Promises: parts with octets above 127, or with longer lines, become quoted-printable or base64, whichever is shorter; what
they decode to stays, octet by octet. Header lines that are too long are folded where there is white space. Everything else
goes through as it is, and nothing of a multipart/signed or multipart/encrypted is touched (RFC 1847 §2.1): what cannot go
everywhere is told by who sends it. The message is read and written piece by piece. Pure but for reading.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from data.mime.part import Part

LINE_MOST: Final = 998
PIECE: Final = 65_536
_FOLD_AT: Final = 900
_BASE64_LINE: Final = 57
_DENSE: Final = 6
"""One octet of so many above 127: base64 is the shorter one."""
_IDENTITY = ("7bit", "8bit", "binary")
_ENCODING = re.compile(rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.MULTILINE | re.IGNORECASE)
_HAS = re.compile(rb"^(mime-version|content-type)[ \t]*:", re.MULTILINE | re.IGNORECASE)

Read = Callable[[int, int], bytes]


@dataclass(slots=True)
class Measure:
    """Of a run of octets: how many are above 127, the longest line, whether it is UTF-8."""

    size: int = 0
    high: int = 0
    longest: int = 0
    utf8: bool = True
    _line: int = 0
    _decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def feed(self, piece: bytes) -> None:
        """More octets."""
        self.size += len(piece)
        if not piece.isascii():
            self.high += len(piece.translate(None, _LOW))
        if self.utf8:
            try:
                self._decoder.decode(piece)
            except UnicodeDecodeError:
                self.utf8 = False
        first, *rest = piece.split(b"\n")
        self._line += len(first)
        self.longest = max(self.longest, self._line - (1 if rest and first.endswith(b"\r") else 0))
        if rest:
            self.longest = max(self.longest, *(len(one) - one.endswith(b"\r") for one in rest))
            self._line = len(rest[-1])

    @property
    def plain(self) -> bool:
        """Fit for every server."""
        return not self.high and self.longest <= LINE_MOST


_LOW = bytes(range(128))


@dataclass(frozen=True, slots=True)
class Edit:
    """[start, stop) of the message is replaced: by `octets`, or by itself in an encoding."""

    start: int
    stop: int
    octets: bytes = b""
    encoding: str = ""


def edits(root: Part, read: Read) -> list[Edit]:
    """What has to change, in order; nothing for a message that is fit."""
    return list(_edits(root, read, top=True))


def rewritten(size: int, changes: list[Edit], read: Read) -> Iterator[bytes]:
    """The message with its changes."""
    at = 0
    for change in changes:
        yield from _pieces(at, change.start, read)
        match change.encoding:
            case "quoted-printable":
                yield from _quoted(_pieces(change.start, change.stop, read))
            case "base64":
                yield from _base64(_pieces(change.start, change.stop, read))
            case _:
                yield change.octets
        at = change.stop
    yield from _pieces(at, size, read)


def _pieces(start: int, stop: int, read: Read) -> Iterator[bytes]:
    for at in range(start, stop, PIECE):
        yield read(at, min(at + PIECE, stop))


def _edits(part: Part, read: Read, *, top: bool = False) -> Iterator[Edit]:
    if part.type == "multipart":
        if part.opaque or part.subtype in ("signed", "encrypted"):
            return
        below = [edit for child in part.parts for edit in _edits(child, read)]
        yield from _container(part, below, read, top=top)
    elif part.type == "message":
        # nothing but identity is allowed here (RFC 2046 §5.2.1), so what is inside changes, or nothing
        below = [edit for child in part.parts for edit in _edits(child, read)] if part.is_message else []
        yield from _container(part, below, read, top=top)
    else:
        yield from _leaf(part, read, top=top)


def _container(part: Part, below: list[Edit], read: Read, *, top: bool) -> Iterator[Edit]:
    header = read(part.header_start, part.body_start)
    # its label follows what it holds: 8bit where something inside stays so is still true
    changed = (
        _labelled(header, "")
        if below and part.encoding in ("8bit", "binary") and _settled(part, below, read)
        else header
    )
    yield from _header(part, header, _folded(changed) if top else changed)
    yield from below


def _settled(part: Part, below: list[Edit], read: Read) -> bool:
    """Whether nothing above 127 is left inside."""
    at = part.body_start
    for start, stop in [*((one.start, one.stop) for one in below), (part.body_end, part.body_end)]:
        if not all(piece.isascii() for piece in _pieces(at, start, read)):
            return False
        at = stop
    return True


def _leaf(part: Part, read: Read, *, top: bool) -> Iterator[Edit]:
    header = read(part.header_start, part.body_start)
    measure = Measure()
    if part.encoding in _IDENTITY:
        for piece in _pieces(part.body_start, part.body_end, read):
            measure.feed(piece)
    if measure.plain:
        yield from _header(part, header, _folded(header) if top else header)
        return
    dense = measure.high * _DENSE > measure.size or part.type != "text"
    encoding = "base64" if dense else "quoted-printable"
    named = _labelled(header, encoding, top=top, utf8=measure.utf8 and bool(measure.high))
    yield from _header(part, header, _folded(named) if top else named)
    yield Edit(part.body_start, part.body_end, encoding=encoding)


def _header(part: Part, before: bytes, after: bytes) -> Iterator[Edit]:
    if before != after:
        yield Edit(part.header_start, part.body_start, after)


def _labelled(header: bytes, encoding: str, *, top: bool = False, utf8: bool = False) -> bytes:
    """The header block with another Content-Transfer-Encoding, or none."""
    fields = _ENCODING.sub(b"", header)
    ended = fields.endswith(b"\r\n\r\n") or fields == b"\r\n"
    fields = fields[:-2] if ended else fields
    if not encoding:
        return fields + b"\r\n"
    has = {name.lower() for name in _HAS.findall(fields)}
    added = b"MIME-Version: 1.0\r\n" if top and b"mime-version" not in has else b""
    if utf8 and b"content-type" not in has:
        added += b"Content-Type: text/plain; charset=utf-8\r\n"
    return fields + added + f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()


def _folded(header: bytes) -> bytes:
    """Lines that are too long are folded at white space (RFC 5322 §2.2.3); one without any stays."""
    lines = header.split(b"\r\n")
    if max(map(len, lines)) <= LINE_MOST:
        return header
    return b"\r\n".join(piece for line in lines for piece in _fold(line))


def _fold(line: bytes) -> Iterator[bytes]:
    while len(line) > LINE_MOST:
        # not right behind the name: a line of white space alone would end there (RFC 5322 §3.2.2)
        at = max(line.rfind(b" ", 80, _FOLD_AT), line.rfind(b"\t", 80, _FOLD_AT))
        if at < 0 or not line[at:].strip():
            break
        yield line[:at]
        line = line[at:]
    yield line


def _quoted(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Quoted-printable (RFC 2045 §6.7): line ends stay, everything else fits into 76 characters."""
    rest = b""
    for piece in pieces:
        rest += piece
        end = rest.rfind(b"\r\n") + 2
        if end >= 2:
            yield binascii.b2a_qp(rest[:end], istext=True)
            rest = rest[end:]
        while len(rest) > PIECE:
            yield _qp_line(rest[:PIECE]) + b"=\r\n"
            rest = rest[PIECE:]
    if rest:
        yield _qp_line(rest)


def _qp_line(octets: bytes) -> bytes:
    """A part of a line; all the line ends in it are soft."""
    return binascii.b2a_qp(octets, istext=True).replace(b"\n", b"\r\n")


def _base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        whole = len(rest) - len(rest) % _BASE64_LINE
        yield _lines(rest[:whole])
        rest = rest[whole:]
    yield _lines(rest)


def _lines(octets: bytes) -> bytes:
    return b"".join(
        binascii.b2a_base64(octets[at : at + _BASE64_LINE], newline=False) + b"\r\n"
        for at in range(0, len(octets), _BASE64_LINE)
    )
