"""One body part as byte offsets into its message, and the compact form of a whole tree that the database keeps.

A tree of Parts says where each header block and body lies in the message as stored, so that no BODY[...] needs a
second scan. `encode_layout` keeps what finding, decoding and naming parts needs and leaves out what is only rendered
(description, language, location, MD5 and the boundary: BODYSTRUCTURE is kept rendered beside it).

Promises: `decode_layout(encode_layout(part)) == slim(part)`. A tree is at most as deep as the scanner's bound on
nesting. RFC 2045, RFC 2046 §5.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf, a multipart or an embedded message.

    Header block = [header_start, body_start), body = [body_start, body_end), in bytes from the start of the message.
    `lines` counts the line ends in the body. `parts` are the children of a multipart, or the one embedded message of a
    message/rfc822. An opaque part was not looked into: beyond a bound, or an embedded message under base64.
    """

    header_start: int
    body_start: int
    body_end: int
    type: str = "text"
    subtype: str = "plain"
    params: Params = ()
    encoding: str = "7bit"
    content_id: str | None = None
    description: str | None = None
    disposition: str | None = None
    disposition_params: Params = ()
    language: tuple[str, ...] = ()
    location: str | None = None
    md5: str | None = None
    lines: int = 0
    parts: tuple[Part, ...] = ()
    opaque: bool = False

    @property
    def size(self) -> int:
        """Bytes of the body as stored, before any transfer-decoding."""
        return self.body_end - self.body_start

    @property
    def is_multipart(self) -> bool:
        """A multipart whose children are known."""
        return self.type == "multipart" and not self.opaque

    @property
    def is_message(self) -> bool:
        """An embedded message whose own tree is known: `parts[0]`."""
        return self.type == "message" and bool(self.parts)

    def param(self, name: str) -> str | None:
        """A parameter of Content-Type by its lower-case name."""
        return next((value for key, value in self.params if key == name), None)

    @property
    def filename(self) -> str | None:
        """The file name as sent (RFC 2183 §2.3, else the `name` of Content-Type); encoded words not decoded."""
        found = next((value for key, value in self.disposition_params if key == "filename"), None)
        return found if found is not None else self.param("name")

    def walk(self) -> Iterator[Part]:
        """This part and all below it, parents first, in the order of the message."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.parts))


class LayoutError(ValueError):
    """These bytes are not a layout that this version wrote."""


VERSION = 1

# What a layout names by one number; a text not listed here is written out. Append only: stored layouts refer to these.
_WORDS = (
    "text", "plain", "html", "multipart", "mixed", "alternative", "related", "signed", "report", "digest", "message",
    "rfc822", "delivery-status", "application", "octet-stream", "pdf", "image", "jpeg", "png", "gif", "audio", "video",
    "calendar", "7bit", "8bit", "binary", "quoted-printable", "base64", "attachment", "inline", "charset", "name",
    "filename", "format", "flowed", "delsp", "yes", "utf-8", "UTF-8", "us-ascii", "US-ASCII", "iso-8859-1",
    "ISO-8859-1", "windows-1252", "Windows-1252", "gb2312", "gb18030", "GB2312", "GB18030", "gbk", "GBK", "iso-2022-jp",
    "ISO-2022-JP", "type", "method", "protocol", "micalg", "report-type", "x-mac-type", "zip", "pgp-signature",
    "pkcs7-signature", "csv", "rfc822-headers", "global", "fixed", "x-unix-mode", "encrypted", "pgp-encrypted",
)  # fmt: skip
_NUMBER_OF = {word: number for number, word in enumerate(_WORDS, start=1)}
_LEFT_OUT = frozenset({"boundary"})

_HAS_ID, _HAS_DISPOSITION, _HAS_CHILDREN, _OPAQUE = 1, 2, 4, 8


def slim(part: Part) -> Part:
    """The part and all below it with the fields alone that a layout keeps."""
    return replace(
        part,
        params=_kept(part.params),
        description=None,
        language=(),
        location=None,
        md5=None,
        parts=tuple(slim(child) for child in part.parts),
    )


def _kept(params: Params) -> Params:
    return tuple(pair for pair in params if pair[0] not in _LEFT_OUT)


def encode_layout(part: Part) -> bytes:
    """The tree as bytes: a version, then each part in the order of the message; about 20 bytes for a plain text."""
    out = bytearray((VERSION,))
    at = 0
    for each in part.walk():
        at = _encode_one(out, each, at)
    return bytes(out)


def _encode_one(out: bytearray, part: Part, at: int) -> int:
    """Append one part, its offsets counted from `at`; returns where the next one counts from."""
    flags = (
        (_HAS_ID if part.content_id is not None else 0)
        | (_HAS_DISPOSITION if part.disposition is not None else 0)
        | (_HAS_CHILDREN if part.parts else 0)
        | (_OPAQUE if part.opaque else 0)
    )
    out.append(flags)
    _put_number(out, part.header_start - at)
    _put_number(out, part.body_start - part.header_start)
    _put_number(out, part.body_end - part.body_start)
    _put_number(out, part.lines)
    _put_text(out, part.type)
    _put_text(out, part.subtype)
    _put_text(out, part.encoding)
    _put_params(out, _kept(part.params))
    if part.content_id is not None:
        _put_text(out, part.content_id)
    if part.disposition is not None:
        _put_text(out, part.disposition)
        _put_params(out, part.disposition_params)
    if part.parts:
        _put_number(out, len(part.parts))
        return part.body_start
    return part.body_end


def _put_number(out: bytearray, value: int) -> None:
    """A whole number, seven bits a byte; the sign in the lowest bit (a clamped part may start before the last end)."""
    value = value << 1 if value >= 0 else (-value << 1) | 1
    while value > 127:
        out.append((value & 127) | 128)
        value >>= 7
    out.append(value)


def _put_text(out: bytearray, text: str) -> None:
    number = _NUMBER_OF.get(text)
    if number is not None:
        out.append(number)
        return
    raw = text.encode("utf-8", "replace")
    out.append(0)
    _put_number(out, len(raw))
    out += raw


def _put_params(out: bytearray, params: Params) -> None:
    kept = params[:255]
    out.append(len(kept))
    for name, value in kept:
        _put_text(out, name)
        _put_text(out, value)


class _Reader:
    """Walks over a layout; every read past its end is a LayoutError."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        at = self.at
        self.at = at + 1
        return self.data[at]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return -(value >> 1) if value & 1 else value >> 1
            shift += 7

    def text(self) -> str:
        number = self.byte()
        if number:
            return _WORDS[number - 1]
        size = self.number()
        raw = self.data[self.at : self.at + size]
        if size < 0 or len(raw) != size:
            raise LayoutError("a text runs past the end")
        self.at += size
        return raw.decode("utf-8")

    def params(self) -> Params:
        return tuple((self.text(), self.text()) for _ in range(self.byte()))


class _Pending:
    """A container whose children are still to be read."""

    __slots__ = ("children", "missing", "part")

    def __init__(self, part: Part, missing: int) -> None:
        self.part = part
        self.missing = missing
        self.children: list[Part] = []


def decode_layout(layout: bytes) -> Part:
    """The tree that `encode_layout` wrote. Raises LayoutError for anything else."""
    reader = _Reader(layout)
    try:
        if reader.byte() != VERSION:
            raise LayoutError("another version of layout")
        root = _decode_tree(reader)
    except (IndexError, UnicodeDecodeError) as error:
        raise LayoutError("the layout is damaged") from error
    if reader.at != len(layout):
        raise LayoutError("bytes after the last part")
    return root


def _decode_tree(reader: _Reader) -> Part:
    stack: list[_Pending] = []
    at = 0
    while True:
        part, children = _decode_one(reader, at)
        if children:
            stack.append(_Pending(part, children))
            at = part.body_start
            continue
        at = part.body_end
        while stack:
            top = stack[-1]
            top.children.append(part)
            if len(top.children) < top.missing:
                break
            part = replace(top.part, parts=tuple(top.children))
            stack.pop()
        else:
            return part


def _decode_one(reader: _Reader, at: int) -> tuple[Part, int]:
    """One part without its children, and how many there are."""
    flags = reader.byte()
    header_start = at + reader.number()
    body_start = header_start + reader.number()
    body_end = body_start + reader.number()
    lines = reader.number()
    kind, subtype, encoding = reader.text(), reader.text(), reader.text()
    params = reader.params()
    content_id = reader.text() if flags & _HAS_ID else None
    disposition, disposition_params = (reader.text(), reader.params()) if flags & _HAS_DISPOSITION else (None, ())
    part = Part(
        header_start,
        body_start,
        body_end,
        kind,
        subtype,
        params,
        encoding,
        content_id,
        disposition=disposition,
        disposition_params=disposition_params,
        lines=lines,
        opaque=bool(flags & _OPAQUE),
    )
    return part, reader.number() if flags & _HAS_CHILDREN else 0
