"""Everything about a message that is computed once, when it is appended, and kept beside it.

`facts` takes a scanned message and reads of it, by offsets, only what it needs: a message of any size may lie anywhere.
Promises: every text can be stored anywhere (no NUL, no lone surrogates, bounded), nothing raises for anything a message
says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from data.ids import Millis
from data.mime import date, structure, threads
from data.mime.address import Address, Group, mailboxes, quote_local
from data.mime.headers import Index, decode_words, first, index
from data.mime.part import Part, encode_layout
from data.mime.plaintext import Fetch, preview_of
from data.mime.scanner import Scan, Scanner, scan
from data.mime.structure import Lists

SUBJECT_LENGTH = 1000
LIST_LENGTH = 4000
_SUBJECT_READ = 64 * SUBJECT_LENGTH
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a message without opening it again.

    `size` and `header_size` are bytes and count the header prefix, if one was given. `envelope` and `bodystructure` are
    IMAP values as rendered, `layout` is for `decode_layout`. `subject`, `from_`, `to`, `cc` and `bcc` are decoded text,
    lists as `name <address>` joined by ", ". `references` are the ids of References, then In-Reply-To, the last 50.
    """

    size: int
    header_size: int
    envelope: bytes
    bodystructure: bytes
    layout: bytes
    preview: str
    subject: str
    base_subject: str
    from_: str
    to: str
    cc: str
    bcc: str
    sent_at: Millis | None
    message_id: str | None
    references: tuple[str, ...]
    has_attachment: bool


def facts(scanned: Scan, fetch: Fetch, prefix: bytes = b"") -> Facts:
    """The Facts of a scanned message whose bytes `fetch(start, end)` gives.

    `prefix` is header fields that are kept apart from the message and come before its own.
    """
    root = scanned.root
    fields = scanned.fields if not prefix else index(prefix + scanned.header)
    lists = structure.address_lists(fields)
    raw = first(fields, b"subject") or b""
    subject = decode_words(raw[:_SUBJECT_READ])[:SUBJECT_LENGTH]
    return Facts(
        len(prefix) + scanned.size,
        len(prefix) + root.body_start,
        structure.render_envelope(fields, lists),
        structure.bodystructure(root, fetch),
        encode_layout(root),
        preview_of(root, fetch),
        subject,
        threads.base_subject(subject),
        list_text(lists, b"from"),
        list_text(lists, b"to"),
        list_text(lists, b"cc"),
        list_text(lists, b"bcc"),
        _sent_at(fields),
        _message_id(fields),
        _references(fields),
        has_attachment(root),
    )


def facts_of(source: bytes, prefix: bytes = b"") -> Facts:
    """Scan a message that lies in memory and give its Facts."""
    return facts(scan(source), lambda start, end: source[start:end], prefix)


def facts_of_file(file: BinaryIO, scanned: Scan | None = None, prefix: bytes = b"") -> Facts:
    """The Facts of a message in a seekable file, from its beginning; never more than a part of it in memory."""

    def fetch(start: int, end: int) -> bytes:
        file.seek(start)
        return file.read(max(end - start, 0))

    return facts(scan_file(file) if scanned is None else scanned, fetch, prefix)


def scan_file(file: BinaryIO) -> Scan:
    """Scan a message that lies in a seekable file."""
    scanner = Scanner()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        scanner.feed(chunk)
    return scanner.finish()


def list_text(lists: Lists, name: bytes) -> str:
    """An address list as decoded text of bounded length, cut between two mailboxes."""
    items = lists.get(name)
    if not items:
        return ""
    out: list[str] = []
    room = LIST_LENGTH
    for address in mailboxes(items):
        text = _address_text(address)
        room -= len(text) + 2
        if room < -2 and out:
            break
        out.append(text)
    if not out:
        out = [_words(item.name) for item in items if isinstance(item, Group)]
    return ", ".join(out)[:LIST_LENGTH]


def _address_text(address: Address) -> str:
    local = quote_local(_words(address.local))
    spec = local if address.domain is None else f"{local}@{_words(address.domain)}"
    return f"{_words(address.name)} <{spec}>" if address.name else spec


def _words(text: str) -> str:
    """Octets that stand as Latin-1 characters (see structure.address_lists) to text, encoded words decoded."""
    if text.isascii() and "=?" not in text and text.isprintable():
        return text
    return decode_words(text.encode("latin-1", "replace"))


def _sent_at(fields: Index) -> Millis | None:
    raw = first(fields, b"date")
    found = date.parse(raw) if raw is not None else None
    return Millis(found[0]) if found is not None else None


def _message_id(fields: Index) -> str | None:
    raw = first(fields, b"message-id")
    ids = threads.message_ids(raw, 1) if raw is not None else ()
    return ids[0] if ids else None


def _references(fields: Index) -> tuple[str, ...]:
    raw = b" ".join([*fields.get(b"references", ()), *fields.get(b"in-reply-to", ())])
    return threads.message_ids(raw) if raw else ()


# Parts that accompany a message without being anything a person attached.
_MACHINERY = frozenset(
    {
        ("application", "pgp-signature"),
        ("application", "pkcs7-signature"),
        ("application", "x-pkcs7-signature"),
        ("application", "pgp-encrypted"),
        ("message", "delivery-status"),
        ("message", "disposition-notification"),
        ("message", "global-delivery-status"),
        ("text", "rfc822-headers"),
    }
)


def has_attachment(root: Part) -> bool:
    """Whether a person would say that something is attached."""
    return any(_attached(part, root) for part in root.walk())


def _attached(part: Part, root: Part) -> bool:
    if part.type == "multipart" and not part.opaque:
        return False
    if part.disposition == "attachment":
        return (part.type, part.subtype) not in _MACHINERY
    if (part.type, part.subtype) in _MACHINERY:
        return False
    if part.type == "message" and part.subtype in ("rfc822", "global"):
        return part is not root
    if part.type == "text":
        return part.filename is not None and part is not root and part.subtype != "calendar"
    # An image that the text shows by its Content-ID is part of the text.
    return part.content_id is None or (part.disposition != "inline" and part.type != "image")
