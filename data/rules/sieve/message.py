"""A message as a script sees it: fields, addresses, dates, parts; read from octets only as far as a test asks.

Promises: nothing a message says raises; header values are decoded and unfolded (RFC 5228 §2.7.2), of a body at most
BODY_MOST octets are looked at. Sans-io: `read` gives octets of the message by offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from data.ids import Millis
from data.mime import date
from data.mime.address import Address, mailboxes, parse_list
from data.mime.decode import to_text, transfer_decode
from data.mime.headers import decode_words, index
from data.mime.part import Part
from data.mime.plaintext import part_text

BODY_MOST = 1 << 20
"""Octets of a body that tests look at, in all; of one part a quarter of it."""
_PART_MOST = BODY_MOST // 4
_FIELD_MOST = 64 * 1024
Fetch = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom, empty for <>, and to whom, as the recipient was written."""

    sender: str
    recipient: str


@dataclass(slots=True)
class Message:
    """One message on its way to one person. `header` is what lies before the body, our own trace fields included;
    `size` counts octets as the sender sent them; `now` is the moment of delivery, `offset_at` the local zone in minutes
    east of UTC at an instant.
    """

    header: bytes
    root: Part
    read: Fetch
    size: int
    envelope: Envelope
    now: Millis
    offset_at: Callable[[int], int] = lambda millis: 0
    environment: dict[str, str] = field(default_factory=dict)
    _fields: dict[bytes, list[bytes]] | None = None
    _bodies: dict[tuple[str, tuple[str, ...]], list[str]] = field(default_factory=dict)

    # --- header -----------------------------------------------------------------------------------------------------

    def raw(self, name: str) -> list[bytes]:
        """The raw values of a field, in the order of the message."""
        if self._fields is None:
            self._fields = index(self.header)
        return self._fields.get(name.strip().lower().encode("utf-8", "replace"), [])

    def values(self, name: str) -> list[str]:
        """The values of a field as text."""
        return [decode_words(raw[:_FIELD_MOST]) for raw in self.raw(name)]

    def addresses(self, raw: bytes) -> list[Address]:
        """The addresses in one field that have a domain; groups are looked into."""
        return [one for one in mailboxes(parse_list(raw[:_FIELD_MOST])) if one.domain]

    def date(self, raw: bytes, name: str) -> tuple[int, int] | None:
        """The instant and its offset in a field; in a trace field behind the last semicolon."""
        value = raw.rpartition(b";")[2] if name.lower() == "received" else raw
        return date.parse(value.strip())

    # --- body (RFC 5173) ----------------------------------------------------------------------------------------------

    def body(self, transform: str, types: tuple[str, ...] = ()) -> list[str]:
        """`raw`: the undecoded body; `text`: what a person would read, part by part; `content`: the parts of a type."""
        key = (transform, types)
        if key not in self._bodies:
            self._bodies[key] = list(_BODIES[transform](self, types))
        return self._bodies[key]

    def _raw_body(self, types: tuple[str, ...]) -> Iterable[str]:
        start = self.root.body_start
        return [to_text(self.read(start, min(self.root.body_end, start + BODY_MOST)), "utf-8")]

    def _text_body(self, types: tuple[str, ...]) -> Iterable[str]:
        room = BODY_MOST
        for part in self.root.walk():
            if room > 0 and part.type == "text" and not part.opaque:
                text = part_text(part, self.read, min(room, _PART_MOST))
                room -= len(text)
                yield text

    def _content_body(self, types: tuple[str, ...]) -> Iterable[str]:
        room = BODY_MOST
        for part in self.root.walk():
            if room > 0 and any(_is_type(part, wanted) for wanted in types):
                text = self._content(part, min(room, _PART_MOST))
                room -= len(text)
                yield text

    def _content(self, part: Part, most: int) -> str:
        """One part without what is inside it: of a multipart the text around its parts, of a message its header."""
        if part.is_multipart:
            starts = [part.body_start, *(child.body_end for child in part.parts)]
            ends = [*(child.header_start for child in part.parts), part.body_end]
            around = [self.read(start, min(end, start + most)) for start, end in zip(starts, ends, strict=True)]
            return to_text(b"".join((around[0], around[-1]))[:most], "utf-8")
        if part.is_message:
            inner = part.parts[0]
            return to_text(self.read(inner.header_start, min(inner.body_start, inner.header_start + most)), "utf-8")
        octets = transfer_decode(self.read(part.body_start, min(part.body_end, part.body_start + most)), part.encoding)
        return to_text(octets, part.param("charset") if part.type == "text" else "utf-8")


_BODIES: dict[str, Callable[[Message, tuple[str, ...]], Iterable[str]]] = {
    "raw": Message._raw_body,
    "text": Message._text_body,
    "content": Message._content_body,
}


def _is_type(part: Part, wanted: str) -> bool:
    """RFC 5173 §5.2: empty is any, without a slash the major type, else the whole."""
    main, slash, sub = wanted.lower().partition("/")
    if not wanted:
        return True
    if (slash and not (main and sub)) or "/" in sub:
        return False
    return part.type == main and (not slash or part.subtype == sub)


def of_octets(octets: bytes, envelope: Envelope, now: Millis, *, prefix: bytes = b"") -> Message:
    """A message that lies in memory."""
    from data.mime.scanner import scan

    scanned = scan(octets)
    return Message(prefix + scanned.header, scanned.root, partial(_slice, octets), len(octets), envelope, now)


def _slice(octets: bytes, start: int, stop: int) -> bytes:
    return octets[start:stop]
