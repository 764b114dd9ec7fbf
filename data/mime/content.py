"""What the MIME fields of one header block say about its body (RFC 2045, RFC 2183, RFC 3282, RFC 2557, RFC 1864).

Promises: always an answer. A missing or malformed Content-Type is text/plain in US-ASCII (RFC 2045 §5.2), or
message/rfc822 inside multipart/digest (RFC 2046 §5.1.5); a missing transfer-encoding is 7bit (RFC 2045 §6.1).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from data.mime.decode import unlabelled
from data.mime.headers import Index, first, parameters, uncommented, unfold
from data.mime.part import Params


class Content(NamedTuple):
    """The middle fields of a Part, in its order."""

    type: str
    subtype: str
    params: Params = ()
    encoding: str = "7bit"
    content_id: str | None = None
    description: str | None = None
    disposition: str | None = None
    disposition_params: Params = ()
    language: tuple[str, ...] = ()
    location: str | None = None
    md5: str | None = None


PLAIN = Content("text", "plain")
DIGEST = Content("message", "rfc822")
OPAQUE = Content("application", "octet-stream")

_MEDIA = re.compile(r"([!#$%&'*+.^_`{|}~0-9a-z-]++)\s*+/\s*+([!#$%&'*+.^_`{|}~0-9a-z-]++)\Z", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9a-z-]++", re.ASCII)
# By far the most frequent values, read without the general rules.
_SIMPLE = re.compile(
    rb"\s*+([A-Za-z]++)/([A-Za-z0-9.+-]++)(?:\s*+;\s*+([A-Za-z-]++)=(?:\"([!#-\[\]-~]*+)\"|([!#-'*-:<-~]++)))?\s*+\Z"
)
_FIELDS = frozenset(
    {
        b"content-type",
        b"content-transfer-encoding",
        b"content-id",
        b"content-description",
        b"content-disposition",
        b"content-language",
        b"content-location",
        b"content-md5",
    }
)


def content(fields: Index, default: Content = PLAIN, limit: int = 50) -> Content:
    """The Content of a header block; `limit` bounds the parameters of each field."""
    present = _FIELDS & fields.keys()
    if not present:
        return default
    kind, subtype, params = (
        media(fields[b"content-type"][0], default, limit) if b"content-type" in present else default[:3]
    )
    encoding = "7bit"
    if b"content-transfer-encoding" in present:
        encoding = token(fields[b"content-transfer-encoding"][0]) or "7bit"
    if present <= _COMMON:
        return Content(kind, subtype, params, encoding)
    disposition, disposition_params = _disposition(first(fields, b"content-disposition"), limit)
    return Content(
        kind,
        subtype,
        params,
        encoding,
        _text(first(fields, b"content-id")),
        _text(first(fields, b"content-description")),
        disposition,
        disposition_params,
        _languages(first(fields, b"content-language")),
        _text(first(fields, b"content-location")),
        _text(first(fields, b"content-md5")),
    )


_COMMON = frozenset({b"content-type", b"content-transfer-encoding"})


_ENCODINGS = {name.encode(): name for name in ("7bit", "8bit", "binary", "quoted-printable", "base64")}


def media(raw: bytes, default: Content, limit: int) -> tuple[str, str, Params]:
    """Type, subtype and parameters of a Content-Type value."""
    simple = _SIMPLE.match(raw)
    if simple is not None:
        kind, subtype, name, quoted, bare = simple.groups()
        value = quoted if quoted is not None else bare
        params: Params = () if name is None else ((name.decode().lower(), value.decode()),)
        return kind.decode().lower(), subtype.decode().lower(), params
    main, params = parameters(raw, limit)
    match = _MEDIA.match(main)
    return (match[1], match[2], params) if match else default[:3]


def token(raw: bytes) -> str:
    """The first token of a value, lower-case, comments gone; empty when there is none."""
    known = _ENCODINGS.get(raw.strip().lower())
    if known is not None:
        return known
    match = _TOKEN.search(uncommented(unfold(raw)).lower())
    return match[0] if match else ""


def _disposition(raw: bytes | None, limit: int) -> tuple[str | None, Params]:
    if raw is None:
        return None, ()
    main, params = parameters(raw, limit)
    match = _TOKEN.match(main)
    return (match[0], params) if match else (None, ())


def _text(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    return unlabelled(unfold(raw)).replace("\0", "")


def _languages(raw: bytes | None) -> tuple[str, ...]:
    if raw is None:
        return ()
    tags = (tag.strip() for tag in uncommented(unfold(raw)).split(",", 50)[:50])
    return tuple(tag for tag in tags if tag)
