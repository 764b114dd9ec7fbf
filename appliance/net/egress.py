"""Where the server may go by itself: URLs read strictly, addresses that are nobody's inside.

Promises: pure. `place_of` takes http and https URLs to ports 80 and 443 without user information whose host is a name, an
IPv4 address in four decimal parts or a bracketed IPv6 address; every other way to write an address (one number, octal,
hexadecimal, fewer parts) is refused, not understood. `permitted` says yes to public unicast alone: not to this host, this
site, this link, carrier NAT, documentation, benchmarks, multicast or reserved space, and not to IPv6 that carries an IPv4
address inside (mapped, compatible, 6to4, Teredo, NAT64), since another machine would open it.

May not: resolve or connect. RFC 6890, RFC 6598, RFC 4291, RFC 6052, RFC 3056, RFC 4380.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urljoin, urlsplit

from data.mime.address import AddressError, domain_to_ascii

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Why = Literal[
    "url", "scheme", "port", "address", "name", "dns", "connect", "tls", "timeout", "size", "status", "redirects",
    "protocol", "encoding", "content", "busy",
]  # fmt: skip

PORTS: Final = {"http": 80, "https": 443}
LONGEST: Final = 2_000

_FORBIDDEN_4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
_FORBIDDEN_6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_NUMBER = re.compile(r"\d+\Z|0x[0-9a-f]*\Z", re.IGNORECASE)
_FOUR = re.compile(r"(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}\Z")
_UNFIT = re.compile("[\x00-\x20\x7f\\\\]")


class FetchError(Exception):
    """Nothing was fetched. `why` is one of a closed list; `public` may be shown to the person who asked."""

    public = "This cannot be fetched"

    def __init__(self, why: Why, private: str = "") -> None:
        super().__init__(private or why)
        self.why: Why = why
        self.private = private


@dataclass(frozen=True, slots=True)
class Place:
    """A URL in parts: host in A-labels or an address without brackets, target as it is sent."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The Host field: brackets around IPv6, the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL again, in the form in which it is used."""
        return f"{self.scheme}://{self.authority}{self.target}"


def permitted(address: Address, port: int) -> bool:
    """Whether the server may connect to this address and port by itself."""
    if port not in PORTS.values():
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _FORBIDDEN_4)
    return address.scope_id is None and address in _GLOBAL_6 and not any(address in net for net in _FORBIDDEN_6)


def place_of(url: str) -> Place:
    """Read an absolute URL. Raises FetchError: url, scheme, name."""
    if len(url) > LONGEST or _UNFIT.search(url):
        raise FetchError("url", "too long, or holds what no URL holds")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise FetchError("url", "it cannot be read")
    if parts.scheme.lower() not in PORTS:
        raise FetchError("scheme", parts.scheme[:20])
    if "@" in parts.netloc:
        raise FetchError("url", "it holds user information")
    scheme = parts.scheme.lower()
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?") if parts.query else ""
    )
    return Place(scheme, _host(host, bracketed="[" in parts.netloc), PORTS[scheme] if port is None else port, target)


def _host(host: str, *, bracketed: bool) -> str:
    host = host.removesuffix(".")
    if bracketed or ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            raise FetchError("name", "not an IPv6 address")
        if address.scope_id is not None:
            raise FetchError("name", "an address with a zone")
        return str(address)
    if _NUMBER.match(host.rpartition(".")[2]):
        # What ends in a number is an address to a browser (URL Standard §3.5); only its plain form is one to us.
        if not _FOUR.match(host):
            raise FetchError("name", "an address in an odd form")
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise FetchError("name", "not an IPv4 address")
    try:
        name = host.lower() if host.isascii() and "xn--" not in host.lower() else domain_to_ascii(host)
    except AddressError:
        raise FetchError("name", "not a host name")
    if not _NAME.match(name):
        raise FetchError("name", "not a host name")
    return name


def joined(place: Place, location: str) -> Place:
    """Where a redirect leads. Raises FetchError."""
    try:
        return place_of(urljoin(place.url, location))
    except ValueError:
        raise FetchError("url", "the redirect cannot be read")
