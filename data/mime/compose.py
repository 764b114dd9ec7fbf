"""Messages that we write: text, HTML, inline images and attachments (RFC 2046, RFC 2387), and reports (RFC 6522).

Promises: CRLF line ends, ASCII lines of at most 998 octets that need no re-encoding on any way (attached messages
excepted, which RFC 2046 §5.2.1 forbids to encode), fields in one fixed order, nothing of a value outside its field.
What a report returns of another message goes out as it came in; it is never parsed here.

May not: read the clock or make up identifiers of messages; both are given.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from data.ids import Millis
from data.mime import encode
from data.mime.address import Address
from data.mime.date import format_date
from data.mime.part import Params


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message; with a `content_id` (no angle brackets) it is shown inside the HTML."""

    data: bytes
    type: str = "application/octet-stream"
    name: str | None = None
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is written. Ids are without angle brackets; `date` is an instant, `offset` minutes east."""

    sender: Address
    date: Millis
    message_id: str
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    offset: int = 0
    subject: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    text: str = ""
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a multipart/report says for programs: groups of fields, and what it returns of the message it is about.

    `type` is delivery-status (RFC 3464) or disposition-notification (RFC 8098). `original` is the octets of the whole
    message, or, if `headers_only`, of its header block.
    """

    groups: tuple[tuple[tuple[str, str], ...], ...]
    original: bytes
    headers_only: bool = True
    type: str = "delivery-status"


@dataclass(frozen=True, slots=True)
class _Entity:
    """A body part, written: its header block without the blank line, and its body."""

    header: bytes
    body: bytes

    @property
    def octets(self) -> bytes:
        return self.header + b"\r\n" + self.body


def compose(draft: Draft, *, with_bcc: bool = False) -> bytes:
    """The message of a draft. Bcc is written only where asked for: in the sender's own copy (RFC 5322 §3.6.3).

    Raises AddressError for an address that cannot be written.
    """
    return _message(draft, _body(draft), with_bcc=with_bcc)


def compose_report(draft: Draft, report: Report) -> bytes:
    """A report (RFC 6522): the draft's text for people, then the fields for programs, then what is returned."""
    fields = b"\r\n".join(b"".join(encode.unstructured(*pair) for pair in group) for group in report.groups)
    status = _Entity(encode.parameters("Content-Type", f"message/{report.type}", ()), fields)
    parts = (_text(draft.text, "plain"), status, _returned(report))
    return _message(draft, _multipart("report", parts, (("report-type", report.type),)), with_bcc=False)


def _message(draft: Draft, body: _Entity, *, with_bcc: bool) -> bytes:
    everyone = (draft.sender, *draft.to, *draft.cc, *draft.reply_to, *(draft.bcc if with_bcc else ()))
    # RFC 6532: a local part beyond ASCII can stand in no other header than one in UTF-8.
    utf8 = any(not address.local.isascii() for address in everyone)
    out = [encode.addresses("From", (draft.sender,), utf8=utf8)]
    lists = (("Reply-To", draft.reply_to), ("To", draft.to), ("Cc", draft.cc), ("Bcc", draft.bcc if with_bcc else ()))
    out += [encode.addresses(name, items, utf8=utf8) for name, items in lists if items]
    out.append(encode.unstructured("Subject", draft.subject, utf8=utf8))
    out.append(encode.field("Date", (format_date(draft.date, draft.offset),)))
    ids = (("Message-ID", (draft.message_id,)), ("In-Reply-To", draft.in_reply_to), ("References", draft.references))
    out += [encode.message_ids(name, found, utf8=utf8) for name, found in ids]
    out += [encode.unstructured(name, value, utf8=utf8) for name, value in draft.extra]
    out.append(b"MIME-Version: 1.0\r\n")
    return b"".join(out) + body.octets


def _body(draft: Draft) -> _Entity:
    """mixed(alternative(plain, related(html, images)), files), each level only where it is needed."""
    inline = [each for each in draft.attachments if each.content_id is not None and draft.html is not None]
    files = [each for each in draft.attachments if each not in inline]
    body = _text(draft.text, "plain")
    if draft.html is not None:
        rich = _text(draft.html, "html")
        if inline:
            rich = _multipart("related", (rich, *map(_attached, inline)), (("type", "text/html"),))
        body = _multipart("alternative", (body, rich))
    return _multipart("mixed", (body, *map(_attached, files))) if files else body


def _multipart(subtype: str, parts: Iterable[_Entity], params: Params = ()) -> _Entity:
    """A container. `=_` can stand in no quoted-printable or base64, and 96 random bits in nothing else."""
    boundary = f"=_{secrets.token_hex(12)}"
    delimiter = b"--" + boundary.encode("ascii")
    pieces = [delimiter + b"\r\n" + part.octets + b"\r\n" for part in parts]
    header = encode.parameters("Content-Type", f"multipart/{subtype}", (*params, ("boundary", boundary)))
    body = b"".join(pieces) + delimiter + b"--\r\n"
    # RFC 2045 §6.4: what holds 8-bit parts says so itself.
    return _Entity(header if body.isascii() else header + b"Content-Transfer-Encoding: 8bit\r\n", body)


_ASCII = bytes(range(128))
_LINE_END = re.compile(r"\r\n?|\n")
_LONG_LINE = re.compile(rb"[^\n]{999}")
_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\r\n|\Z)")


def _text(text: str, subtype: str) -> _Entity:
    """A text part in UTF-8: as it is where that survives transport, else quoted-printable or base64."""
    content = _LINE_END.sub("\r\n", text)
    if content and not content.endswith("\r\n"):
        content += "\r\n"
    octets = content.replace("\0", "").encode("utf-8", "replace")
    charset = "us-ascii" if octets.isascii() else "utf-8"
    if octets.isascii() and not _LONG_LINE.search(octets) and not _TRAILING.search(octets):
        encoding, body = "7bit", octets
    elif len(octets.translate(None, _ASCII)) * 3 > len(octets):
        encoding, body = "base64", _base64(octets)
    else:
        encoding, body = "quoted-printable", binascii.b2a_qp(octets, istext=True)
    header = encode.parameters("Content-Type", f"text/{subtype}", (("charset", charset),))
    return _Entity(header + encode.field("Content-Transfer-Encoding", (encoding,)), body)


def _base64(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


_MEDIA = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}\Z", re.ASCII)


def _attached(file: Attachment) -> _Entity:
    kind = file.type.lower()
    if not _MEDIA.match(kind) or kind.startswith("multipart/"):
        kind = "application/octet-stream"
    name: Params = () if file.name is None else (("name", file.name),)
    header = encode.parameters("Content-Type", kind, name)
    filename: Params = () if file.name is None else (("filename", file.name),)
    disposition = "attachment" if file.content_id is None else "inline"
    header += encode.parameters("Content-Disposition", disposition, filename)
    if file.content_id is not None:
        header += encode.field("Content-ID", (f"<{encode.clean(file.content_id)}>",))
    if kind in ("message/rfc822", "message/global"):
        encoding = "7bit" if file.data.isascii() else "8bit"
        return _Entity(header + encode.field("Content-Transfer-Encoding", (encoding,)), file.data)
    return _Entity(header + b"Content-Transfer-Encoding: base64\r\n", _base64(file.data))


def _returned(report: Report) -> _Entity:
    """The message a report is about, or its header block, untouched (RFC 6522 §3 (3), RFC 6533 §6.3)."""
    ascii_only = report.original.isascii()
    if report.headers_only:
        kind = "text/rfc822-headers" if ascii_only else "message/global-headers"
    else:
        kind = "message/rfc822"
    header = encode.parameters("Content-Type", kind, ())
    return _Entity(header + (b"" if ascii_only else b"Content-Transfer-Encoding: 8bit\r\n"), report.original)
