"""Remote pictures for a reader who allowed them: fetched by the server, so that the sender learns nothing of the reader.

Promises: the proxy serves a URL only with a seal that this server made for that URL, that account and that message, so it
is no open proxy and no way to look around; what it hands out is PNG, JPEG, GIF or WebP by its first octets, typed by
these and by nothing the other side says, with headers under which it can be nothing but a picture. Fetching is
appliance.net.fetch: public addresses only, 5 MB, 5 s, no cookie, no referrer.

May not: serve SVG or anything else that can hold a script; be asked for a URL that was not in a cleaned message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from appliance.net.fetch import Fetcher, FetchError

ACCEPT: Final = "image/webp,image/png,image/jpeg,image/gif"
HEADERS: Final = (
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "private, max-age=86400"),
)
"""What goes out beside Content-Type with every picture, remote or of a part."""

_SEAL: Final = 18
_LONGEST: Final = 2_000
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def picture_type(head: bytes) -> str | None:
    """The media type of a picture by its first 16 octets; None for what is not one of the four kinds."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that may be shown."""

    media_type: str
    body: bytes


class Seals:
    """Makes and checks what stands in the proxy's path: the URL and an HMAC over account, message and URL."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 secret octets of this server; another key makes old pages load no pictures, nothing worse."""
        if len(key) < 32:
            raise ValueError("a key of 32 octets is needed")
        self._key = key

    def token(self, account: int, message: int, url: str) -> str:
        """A path segment, or two when the URL is long: URL-safe letters, `-`, `_` and one dot."""
        raw = url.encode("utf-8", "replace")
        return f"{_text(raw)}.{_text(self._seal(account, message, raw))}"

    def url(self, account: int, message: int, token: str) -> str | None:
        """The URL that a token was made for; None for any other token, account or message."""
        text, _, seal = token.partition(".")
        try:
            raw, given = _octets(text), _octets(seal)
        except (ValueError, binascii.Error):
            return None
        if len(raw) > 4 * _LONGEST or not hmac.compare_digest(given, self._seal(account, message, raw)):
            return None
        return raw.decode("utf-8", "replace")

    def _seal(self, account: int, message: int, raw: bytes) -> bytes:
        said = b"remote picture\0%d\0%d\0" % (account, message) + raw
        return hmac.digest(self._key, said, hashlib.sha256)[:_SEAL]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _octets(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


async def load(fetcher: Fetcher, url: str) -> Picture:
    """Fetch a remote picture. Raises FetchError; `content` when what came is no picture."""
    fetched = await fetcher.get(url, accept=ACCEPT)
    kind = picture_type(fetched.body[:16])
    if kind is None:
        raise FetchError("content", fetched.media_type)
    return Picture(kind, fetched.body)
