"""The one outgoing HTTP client: a GET that can reach nobody inside, is bounded, and tells nobody who asks.

Promises: a name is resolved once, by appliance.net.resolver; every address it has must be permitted, and the connection
goes to one of these addresses, never to the name again, so that an answer that changes between look and use changes
nothing. Each redirect is judged anew, at most three. Bounds hold for all of it: seconds for everything from the question
to the last octet, octets of the body while it arrives (whatever Content-Length says), 16 KiB of header. TLS is verified
against the name. No cookies, no referrer, no credentials, no content coding, one request a connection.

May not: send anything of the user's; be used with a URL nobody checked for its purpose. RFC 9110, RFC 9112 through h11.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import h11

from appliance.net.answers import Found, Resolver, Temporary
from appliance.net.egress import Address, FetchError, Place, joined, permitted, place_of
from appliance.net.tls import verifying_context

__all__ = ["FetchError", "Fetched", "Fetcher"]

SIZE: Final = 5 * 1024 * 1024
SECONDS: Final = 5.0
REDIRECTS: Final = 3
AT_ONCE: Final = 24
_HEADER: Final = 16 * 1024
_CHUNK: Final = 64 * 1024
_TRIES: Final = 3
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer with status 200: what it says it is, its octets, and the URL that gave it."""

    media_type: str
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    media_type: str
    location: str
    body: bytes


class Fetcher:
    """Fetches by GET; used on the loop."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        context: ssl.SSLContext | None = None,
        may: Callable[[Address, int], bool] = permitted,
        seconds: float = SECONDS,
    ) -> None:
        """`may` judges each address and port; anything but `permitted` is for tests against loopback."""
        self._resolver = resolver
        self._context = context or verifying_context()
        self._may = may
        self._seconds = seconds
        self._free = asyncio.Semaphore(AT_ONCE)

    async def get(self, url: str, *, accept: str = "*/*", size: int = SIZE, redirects: int = REDIRECTS) -> Fetched:
        """Fetch one URL, following so many redirects. Raises FetchError, and nothing else."""
        place = place_of(url)
        try:
            async with asyncio.timeout(self._seconds), self._free:
                for _ in range(redirects + 1):
                    answer = await self._ask(place, accept, size)
                    if answer.status == 200:
                        return Fetched(answer.media_type, answer.body, place.url)
                    if answer.status not in _MOVED or not answer.location:
                        raise FetchError("status", str(answer.status))
                    place = joined(place, answer.location)
        except TimeoutError:
            raise FetchError("timeout", place.host)
        raise FetchError("redirects", place.host)

    async def _ask(self, place: Place, accept: str, size: int) -> _Answer:
        reader, writer = await self._connect(place, await self._addresses(place))
        try:
            return await _exchange(reader, writer, place, accept, size)
        except h11.RemoteProtocolError:
            raise FetchError("protocol", place.host)
        except (OSError, ssl.SSLError):
            raise FetchError("connect", place.host)
        finally:
            writer.transport.abort()

    async def _addresses(self, place: Place) -> list[Address]:
        """The addresses of a host, all of them permitted; one that is not refuses the host."""
        answer = await self._resolver.addresses(place.host)
        if isinstance(answer, Temporary):
            raise FetchError("dns", answer.reason.code)
        if not isinstance(answer, Found):
            raise FetchError("dns", "no such host")
        with contextlib.suppress(ValueError):
            found = [ipaddress.ip_address(value) for value in answer.values]
            if found and all(self._may(address, place.port) for address in found):
                return found
        raise FetchError("address", f"{place.host} port {place.port}")

    async def _connect(
        self, place: Place, addresses: list[Address]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        secure = place.scheme == "https"
        for address in addresses[:_TRIES]:
            try:
                return await asyncio.open_connection(
                    str(address),
                    place.port,
                    ssl=self._context if secure else None,
                    server_hostname=place.host if secure else None,
                    limit=_CHUNK,
                )
            except ssl.SSLError:
                raise FetchError("tls", place.host)
            except OSError:
                continue
        raise FetchError("connect", place.host)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place, accept: str, size: int
) -> _Answer:
    wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER)
    fields = [
        ("Host", place.authority),
        ("User-Agent", "Mailstead"),
        ("Accept", accept),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    request = wire.send(h11.Request(method="GET", target=place.target, headers=fields))
    writer.write((request or b"") + (wire.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            wire.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Response):
            head = event
            _check_head(event, size)
            if event.status_code != 200:
                return _answer(event, b"")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > size:
                raise FetchError("size", place.host)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return _answer(head, bytes(body))
        elif not isinstance(event, h11.InformationalResponse):
            raise FetchError("protocol", place.host)


def _field(head: h11.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in head.headers if key == name), "")


def _check_head(head: h11.Response, size: int) -> None:
    length = _field(head, b"content-length")
    if length.isdigit() and int(length[:19]) > size and head.status_code == 200:
        raise FetchError("size", f"{length[:19]} octets")
    if _field(head, b"content-encoding").lower() not in {"", "identity"}:
        raise FetchError("encoding", "a content coding nobody asked for")


def _answer(head: h11.Response, body: bytes) -> _Answer:
    media_type = _field(head, b"content-type").split(";")[0].strip().lower()[:100]
    return _Answer(head.status_code, media_type, _field(head, b"location")[:4000], body)
