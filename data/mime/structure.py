"""ENVELOPE, BODY and BODYSTRUCTURE as they go over the wire (RFC 9051 §7.5.2).

Values are header text as sent: folding taken out, encoded words left for the client. A string goes as a quoted string
where that is allowed and as a literal `{n}` where it holds octets beyond ASCII, a CR or LF, or is long; NUL is left out,
as neither form may hold it. Types, encodings and parameter names go in lower-case.

An opaque part goes as application/octet-stream with its own parameters, disposition and size, because the grammar
demands of a multipart and of a message/rfc822 what was not looked into. Rendering follows the tree without recursion.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from data.mime.address import Address, Group, parse_list
from data.mime.headers import Index, index, unfold
from data.mime.part import Params, Part

Fetch = Callable[[int, int], bytes]
Lists = dict[bytes, list[Address | Group]]

_HEADER_BOUND = 100 * 1024
_PLAIN = re.compile(rb"[ !#-\[\]-~]{0,1000}+\Z")
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]{0,1000}+\Z")
_ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


def string(value: bytes) -> bytes:
    """A string: quoted, or a literal where it must be (RFC 9051 §4.3)."""
    if _PLAIN.match(value):
        return b'"' + value + b'"'
    if _QUOTABLE.match(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    if b"\0" in value:
        return string(value.replace(b"\0", b""))
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """A string, or NIL."""
    return b"NIL" if value is None else string(value)


def _text(value: str) -> bytes:
    return string(value.encode("utf-8", "replace"))


def _latin(value: str) -> bytes:
    return string(value.encode("latin-1", "replace"))


def _ntext(value: str | None) -> bytes:
    return b"NIL" if value is None else _text(value)


def address_lists(fields: Index, limit: int = 2000) -> Lists:
    """The address fields of a header, parsed; octets beyond ASCII stand as the characters of the same number.

    Where a field is there more than once, its lists are put together; `limit` is for all of them.
    """
    lists: Lists = {}
    for name in _ADDRESS_FIELDS:
        if name not in fields:
            continue
        found: list[Address | Group] = []
        for raw in fields[name]:
            items = parse_list(raw.decode("latin-1"), limit)
            limit -= sum(len(item.members) if isinstance(item, Group) else 1 for item in items)
            found += items
        lists[name] = found
    return lists


def envelope(header: bytes) -> bytes:
    """The ENVELOPE of a header block."""
    fields = index(header[:_HEADER_BOUND])
    return render_envelope(fields, address_lists(fields))


def render_envelope(fields: Index, lists: Lists) -> bytes:
    """The ENVELOPE of a header that was split and whose address lists were parsed."""
    rendered = {name: _addresses(items) for name, items in lists.items()}
    author = rendered.get(b"from", b"NIL")
    sender = rendered.get(b"sender", b"NIL")
    reply_to = rendered.get(b"reply-to", b"NIL")
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _field(fields, b"date"),
        _field(fields, b"subject"),
        author,
        # RFC 9051 §7.5.2: absent or empty, Sender and Reply-To are those of From.
        sender if sender != b"NIL" else author,
        reply_to if reply_to != b"NIL" else author,
        rendered.get(b"to", b"NIL"),
        rendered.get(b"cc", b"NIL"),
        rendered.get(b"bcc", b"NIL"),
        _field(fields, b"in-reply-to"),
        _field(fields, b"message-id"),
    )


def _field(fields: Index, name: bytes) -> bytes:
    return string(unfold(fields[name][0])) if name in fields else b"NIL"


def _addresses(items: list[Address | Group]) -> bytes:
    if not items:
        return b"NIL"
    out = []
    for item in items:
        if isinstance(item, Group):
            # RFC 9051 §7.5.2: a NIL host marks a group; its name begins it, NIL NIL NIL NIL ends it.
            out.append(b"(NIL NIL %b NIL)" % _latin(item.name))
            out.extend(map(_address, item.members))
            out.append(b"(NIL NIL NIL NIL)")
        else:
            out.append(_address(item))
    return b"(" + b"".join(out) + b")"


def _address(item: Address) -> bytes:
    return b"(%b %b %b %b)" % (
        b"NIL" if item.name is None else _latin(item.name),
        b"NIL" if item.route is None else _latin(item.route),
        _latin(item.local),
        # A NIL host would mean a group: a mailbox without a domain has an empty one.
        _latin(item.domain or ""),
    )


def bodystructure(root: Part, fetch: Fetch) -> bytes:
    """The BODYSTRUCTURE of a message, with extension data. `fetch(start, end)` gives bytes of the message."""
    return _render(root, fetch, extended=True)


def body(root: Part, fetch: Fetch) -> bytes:
    """The BODY of a message: the same without extension data."""
    return _render(root, fetch, extended=False)


def _render(root: Part, fetch: Fetch, *, extended: bool) -> bytes:
    """Walk the tree with a stack of parts to open and pieces of text that close them."""
    out: list[bytes] = []
    stack: list[Part | bytes] = [root]
    while stack:
        top = stack.pop()
        if isinstance(top, bytes):
            out.append(top)
        elif top.is_multipart:
            out.append(b"(")
            stack.append(_multipart_tail(top, extended=extended))
            stack.extend(reversed(top.parts))
        elif top.is_message:
            embedded = top.parts[0]
            end = min(embedded.body_start, embedded.header_start + _HEADER_BOUND)
            out += (b"(", _basic(top), b" ", envelope(fetch(embedded.header_start, end)), b" ")
            stack.append(b" %d%b)" % (top.lines, _extension(top) if extended else b""))
            stack.append(embedded)
        else:
            lines = b" %d" % top.lines if top.type == "text" and not top.opaque else b""
            out += (b"(", _basic(top), lines, _extension(top) if extended else b"", b")")
    return b"".join(out)


def _basic(part: Part) -> bytes:
    """Type, parameters, id, description, encoding and size of a part that is no multipart."""
    kind, subtype, params = part.type, part.subtype, part.params
    if part.opaque:
        kind, subtype = "application", "octet-stream"
    elif kind == "text" and not any(name == "charset" for name, _ in params):
        # RFC 2046 §4.1.2: the default is US-ASCII, and saying so spares clients the rule.
        params = (*params, ("charset", "us-ascii"))
    return b"%b %b %b %b %b %b %d" % (
        _text(kind),
        _text(subtype),
        _params(params),
        _ntext(part.content_id),
        _ntext(part.description),
        _text(part.encoding),
        part.size,
    )


def _params(params: Params) -> bytes:
    if not params:
        return b"NIL"
    return b"(" + b" ".join([_param(name, value) for name, value in params]) + b")"


def _param(name: str, value: str) -> bytes:
    if value.isascii() and "\n" not in value and "\r" not in value:
        return b"%b %b" % (_text(name), _text(value))
    # RFC 2231 §4: text beyond ASCII goes as the sender should have written it, with its charset.
    return b"%b %b" % (_text(name + "*"), _text("utf-8''" + quote(value, safe="!#$&+-.^_`{|}~", errors="replace")))


def _extension(part: Part) -> bytes:
    """MD5, then what all parts share (RFC 9051 §9 body-ext-1part)."""
    return b" %b%b" % (_ntext(part.md5), _shared_extension(part))


def _shared_extension(part: Part) -> bytes:
    if part.disposition is None and not part.language and part.location is None:
        return b" NIL NIL NIL"
    disposition = b"NIL"
    if part.disposition is not None:
        disposition = b"(%b %b)" % (_text(part.disposition), _params(part.disposition_params))
    language = b"(" + b" ".join(map(_text, part.language)) + b")" if part.language else b"NIL"
    return b" %b %b %b" % (disposition, language, _ntext(part.location))


def _multipart_tail(part: Part, *, extended: bool) -> bytes:
    """Subtype and, extended, parameters, disposition, language and location (RFC 9051 §9 body-ext-mpart)."""
    if not extended:
        return b" %b)" % _text(part.subtype)
    return b" %b %b%b)" % (_text(part.subtype), _params(part.params), _shared_extension(part))
