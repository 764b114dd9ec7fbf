"""FETCH sections: BODY[...], BINARY[...] and their old names as octets of one message (RFC 9051 §6.4.5).

The top level of a message is its prefix (trace fields of ours) and the blob behind it; offsets of parts count in the
blob. Promises: what is small is read at once, what is large comes as a Stream of pieces, so that no large message is
ever whole in memory; a damaged one is told as a placeholder that says so, under its own UID (crash point C14). Runs in
a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from data.disk.blobs import Content
from data.errors import Corrupt
from data.mime import sections
from data.mime.decode import KNOWN, stream_decode
from data.mime.part import LayoutError, Part, decode_layout
from imap.command import Form, Kind, Section
from imap.errors import No

AT_ONCE = 131_072
"""Octets up to which a section is read when it is planned."""
PIECE = 262_144
_KINDS = {
    Kind.ALL: "",
    Kind.HEADER: "HEADER",
    Kind.FIELDS: "HEADER.FIELDS",
    Kind.FIELDS_NOT: "HEADER.FIELDS.NOT",
    Kind.TEXT: "TEXT",
    Kind.MIME: "MIME",
}


@dataclass(frozen=True, slots=True)
class Stream:
    """Octets to be read piece by piece, each in a worker thread; `size` were promised to the client."""

    pieces: Iterator[bytes]
    size: int


Chunk = bytes | Stream


@dataclass(frozen=True, slots=True)
class _Value:
    """A section: octets at hand, then the range [start, stop) of the blob."""

    head: bytes
    start: int = 0
    stop: int = 0

    @property
    def size(self) -> int:
        return len(self.head) + self.stop - self.start

    def cut(self, offset: int, count: int) -> _Value:
        """At most `count` octets from `offset` on (RFC 9051 §6.4.5 partial)."""
        end = offset + count
        skipped = max(0, offset - len(self.head))
        start = min(self.start + skipped, self.stop)
        stop = min(self.stop, self.start + max(0, end - len(self.head)))
        return _Value(self.head[offset:end], start, max(start, stop))


class Message:
    """One message whose sections are asked for."""

    __slots__ = ("_content", "_header_size", "_layout", "_prefix", "_root")

    def __init__(self, prefix: bytes, header_size: int, layout: bytes, content: Content) -> None:
        self._prefix = prefix
        self._header_size = header_size
        self._layout = layout
        self._content = content
        self._root: Part | None = None

    def render(self, section: Section) -> Iterator[Chunk]:
        """`BODY[...] {n}` and the octets; raises Corrupt before anything of a large one was promised."""
        if section.form is not Form.STORED:
            yield from self._binary(section)
            return
        value = self._value(section)
        if value is None:
            yield b"%b NIL" % section.label
            return
        if section.offset is not None:
            value = value.cut(section.offset, section.count)
        yield from self._octets(section.label, value)

    def _octets(self, label: bytes, value: _Value) -> Iterator[Chunk]:
        length = value.stop - value.start
        first = self._content.read(value.start, min(value.stop, value.start + AT_ONCE)) if length else b""
        if len(first) != min(length, AT_ONCE):
            raise Corrupt("a blob is shorter than its row says")
        yield b"%b {%d}\r\n%b%b" % (label, value.size, value.head, first)
        if length > AT_ONCE:
            rest = self._content.pieces(value.start + AT_ONCE, value.stop, PIECE)
            yield Stream(rest, length - AT_ONCE)

    # --- where a section lies -----------------------------------------------------------------------------------------

    def _value(self, section: Section) -> _Value | None:
        if section.path:
            return self._nested(section)
        size, header = self._content.size, self._header_size
        match section.kind:
            case Kind.ALL:
                return _Value(self._prefix, 0, size)
            case Kind.HEADER:
                return _Value(self._prefix, 0, header)
            case Kind.TEXT:
                return _Value(b"", header, size)
            case _:
                return _Value(_fields(section, self._prefix + self._content.read(0, header)))

    def _nested(self, section: Section) -> _Value | None:
        found = sections.locate(self.root, section.path, _KINDS[section.kind])
        if found is None:
            return None
        if section.kind in (Kind.FIELDS, Kind.FIELDS_NOT):
            return _Value(_fields(section, self._content.read(*found)))
        return _Value(b"", *found)

    @property
    def root(self) -> Part:
        """The tree of parts; raises Corrupt when what was stored is not one."""
        if self._root is None:
            try:
                self._root = decode_layout(self._layout)
            except LayoutError:
                raise Corrupt("the layout of a message cannot be read") from None
        return self._root

    # --- BINARY ---------------------------------------------------------------------------------------------------------

    def _binary(self, section: Section) -> Iterator[Chunk]:
        """A part with its transfer encoding undone (RFC 9051 §6.4.5, RFC 3516 §4.2)."""
        if not section.path:
            value, encoding = _Value(self._prefix, 0, self._content.size), ""
        else:
            part = sections.find(self.root, section.path)
            if part is None:
                yield b"%b NIL" % section.label if section.form is Form.DECODED else b"%b 0" % section.label
                return
            value, encoding = _Value(b"", part.body_start, part.body_end), part.encoding.lower()
            if part.is_multipart or part.is_message:
                encoding = ""
        if encoding not in KNOWN:
            raise No("The part has an encoding that the server does not know", b"UNKNOWN-CTE")
        size, nul = _measure(self._decoded(value, encoding))
        if section.form is Form.SIZE:
            yield b"%b %d" % (section.label, size)
            return
        offset = section.offset or 0
        stop = size if section.offset is None else min(size, offset + section.count)
        length = max(0, stop - offset)
        yield b"%b %b{%d}\r\n" % (section.label, b"~" if nul else b"", length)
        if length:
            yield Stream(_window(self._decoded(value, encoding), offset, length), length)

    def _decoded(self, value: _Value, encoding: str) -> Iterator[bytes]:
        yield value.head
        yield from stream_decode(self._content.pieces(value.start, value.stop, PIECE), encoding)


def _fields(section: Section, header: bytes) -> bytes:
    return sections.select_fields(header, section.names, section.kind is Kind.FIELDS_NOT)


def _measure(pieces: Iterable[bytes]) -> tuple[int, bool]:
    """(octets, whether a NUL is among them)"""
    size, nul = 0, False
    for piece in pieces:
        size += len(piece)
        nul = nul or b"\0" in piece
    return size, nul


def _window(pieces: Iterable[bytes], offset: int, length: int) -> Iterator[bytes]:
    """`length` octets from `offset` on."""
    for piece in pieces:
        if offset >= len(piece):
            offset -= len(piece)
            continue
        cut = piece[offset : offset + length]
        offset = 0
        length -= len(cut)
        yield cut
        if not length:
            return


# --- damaged messages -------------------------------------------------------------------------------------------------


def placeholder(sender: str, subject: str) -> bytes:
    """What is shown instead of a message whose octets are damaged, from what its row still says."""
    told = "\r\n".join(
        (
            f"From: {_line(sender)}",
            f"Subject: {_line(subject)}",
            "X-Mailstead-Damaged: yes",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
            "",
            "The stored octets of this message are damaged, and the server cannot show them.",
            "The administrator has been told. A restored backup can bring the message back.",
            "",
        )
    )
    return told.encode("utf-8", "replace")


def _line(text: str) -> str:
    return "".join(c for c in islice(text, 500) if c.isprintable())


def damaged(section: Section, prefix: bytes, text: bytes) -> bytes:
    """A section of the placeholder `text`."""
    if section.path or section.form is Form.SIZE:
        return b"%b %b" % (section.label, b"0" if section.form is Form.SIZE else b"NIL")
    header = text.index(b"\r\n\r\n") + 4
    value = {
        Kind.HEADER: prefix + text[:header],
        Kind.TEXT: text[header:],
        Kind.ALL: prefix + text,
    }.get(section.kind)
    if value is None:
        value = _fields(section, prefix + text[:header])
    if section.offset is not None:
        value = value[section.offset : section.offset + section.count]
    return b"%b {%d}\r\n%b" % (section.label, len(value), value)
