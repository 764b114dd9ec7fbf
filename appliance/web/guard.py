"""What every request must be and what every answer carries: host, origin, CSRF token, headers, bounds. Pure.

Promises (RELIABILITY N2, N4, N18): a request for a host that is not ours is refused; addresses of pages are made from the
configuration, never from the Host header; what changes something needs a token that belongs to the cookie and an Origin
of our own. Each answer has a content security policy without exceptions: nothing inline, nothing from elsewhere. Tokens
are masked, so that a compressed page does not give them away by its length.
May not: know Flask, Twisted or the database.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from appliance.config import Config

CSP_PAGE: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The policy of every answer that does not bring one of its own."""

CSP_NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
"""For what is downloaded: no script, no style, nothing loaded, an origin of its own."""

COMMON: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CSP_PAGE,
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: with that, browsers send "Origin: null" with our own forms (Fetch §3.2)
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
"""The headers that are added to an answer where it has none of that name."""

HSTS: Final = "max-age=31536000"
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
METHODS: Final = SAFE_METHODS | {"POST"}
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
"""What a cookie of ours looks like: 256 bits in base64url."""

_MAC: Final = 16
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?\Z")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names this server answers to, and its address in the eyes of the world."""

    canonical: str
    names: frozenset[str]
    loopback: bool

    @classmethod
    def configured(cls, config: Config) -> Hosts:
        """As the configuration says. Outside production, loopback names are good with any port (the README says so)."""
        local = config.profile != "production"
        https, http = config.port("https"), config.port("http")
        canonical = config.url or (f"http://localhost:{http}" if local else _address("https", config.hostname, https))
        names = {config.hostname, f"{config.hostname}:{https}", f"{config.hostname}:{http}"}
        return cls(canonical.rstrip("/"), frozenset(names | {_authority(canonical)}), local)

    def knows(self, host: str | None) -> bool:
        """Is this Host header (RFC 9110 §7.2) one of ours?"""
        match = _HOST.match(host or "")
        if match is None:
            return False
        name = match[0].lower()
        return name in self.names or (self.loopback and _is_loopback(match[1]))


def _address(scheme: str, host: str, port: int) -> str:
    usual = {"https": 443, "http": 80}[scheme]
    return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"


def _authority(url: str) -> str:
    return url.split("://", 1)[-1].split("/", 1)[0].lower()


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as the guard sees it. `origin` is the scheme and authority it was sent to; `peer` an IP address."""

    method: str
    path: str
    origin: str
    secure: bool
    peer: str
    header: Callable[[str], str | None]

    @property
    def safe(self) -> bool:
        """Does it promise to change nothing (RFC 9110 §9.2.1)?"""
        return self.method in SAFE_METHODS

    @property
    def fragment(self) -> bool:
        """Does a script of ours ask for a part of a page?"""
        return self.header("HX-Request") == "true" and self.header("HX-History-Restore-Request") != "true"


def from_here(asked: Asked) -> bool:
    """Was it sent by one of our own pages? The browser says so in Origin, or, where it sends none, in Referer."""
    origin = asked.header("Origin")
    if origin is not None:
        return origin.lower() == asked.origin
    site = asked.header("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    referer = asked.header("Referer") or ""
    return referer.lower() == asked.origin or referer.lower().startswith(asked.origin + "/")


# --- CSRF ---------------------------------------------------------------------------------------------------------------


class Tokens:
    """CSRF tokens: a MAC over face and cookie under a key of this installation, masked anew each time it is shown."""

    def __init__(self, digest: Callable[[bytes], bytes]) -> None:
        """`digest` is data.disk.seal.Keys.digest."""
        self._digest = digest

    def show(self, face: str, cookie: str) -> str:
        """The token of a cookie, to be written into a page."""
        mask = secrets.token_bytes(_MAC)
        return base64.urlsafe_b64encode(mask + _xor(mask, self._mac(face, cookie))).decode()

    def fits(self, face: str, cookie: str, token: str | None) -> bool:
        """Is it a token of this cookie?"""
        if not cookie or not token or len(token) > 64:
            return False
        try:
            octets = base64.b64decode(token.encode("ascii"), b"-_", validate=True)
        except ValueError:
            return False
        if len(octets) != 2 * _MAC:
            return False
        return hmac.compare_digest(_xor(octets[:_MAC], octets[_MAC:]), self._mac(face, cookie))

    def _mac(self, face: str, cookie: str) -> bytes:
        return self._digest(b"web csrf 1\0" + face.encode() + b"\0" + cookie.encode("utf-8", "surrogatepass"))[:_MAC]


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


# --- where to go --------------------------------------------------------------------------------------------------------


def local_path(text: str | None, prefix: str, default: str) -> str:
    """`text` if it is a path below `prefix` on this server, else `default`: no redirect leads away."""
    if not text or not text.startswith(prefix + "/") or len(text) > 2_000:
        return default
    if "\\" in text or "//" in text.split("?")[0] or any(c <= " " or c == "\x7f" for c in text) or ".." in text:
        return default
    return text
