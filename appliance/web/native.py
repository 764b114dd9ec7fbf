"""Native resources: answers of the loop, which hold no thread; downloads with back-pressure among them.

A native resource is a coroutine behind a declaration:

    site.add(MAIL, Native("/part/", Access.USER, "GET", answer))     # a path that ends with / stands for all below it
    async def answer(call: Call) -> None: ...

Promises: the access that was declared is proved before the coroutine runs, and, where it changes something, Origin and
token (in the header X-CSRF-Token). A download reads its next 64 KiB when the last are on their way, and ends when its
reader stops for five minutes. `Range` is not offered: what asks for one gets the whole (RFC 9110 §14.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qs, quote

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from appliance.web.access import BODY_DEFAULT, Access, RouteError
from appliance.web.channel import STALL_SECONDS, Request
from appliance.web.guard import CSP_NOTHING, Asked
from data.directory.facts import Account
from data.directory.sessions import Session

CHUNK: Final = 64 * 1024


@implementer(IPushProducer)
class Flow:
    """Whether the client takes more: the transport's word, to be awaited."""

    def __init__(self) -> None:
        self._ready = asyncio.Event()
        self._ready.set()
        self.gone = False

    def pauseProducing(self) -> None:
        """The buffers are full."""
        self._ready.clear()

    def resumeProducing(self) -> None:
        """There is room again."""
        self._ready.set()

    def stopProducing(self) -> None:
        """The client is gone."""
        self.gone = True
        self._ready.set()

    @property
    def paused(self) -> bool:
        """Is there no room just now?"""
        return not self._ready.is_set()

    async def room(self) -> bool:
        """Wait for room; False when the client is gone or took nothing for five minutes."""
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            return False
        return not self.gone


@dataclass(slots=True)
class Call:
    """One request to a native resource. `rest` is what follows its path; `session` the visitor's, where one is needed."""

    request: Request
    asked: Asked
    rest: str
    session: Session | None
    blocking: Callable[..., Awaitable[Any]]
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        """Whose session it is; only behind an access that needs one."""
        assert self.session is not None
        return self.session.account

    @property
    def body(self) -> BinaryIO:
        """The request's body, to be read off the loop."""
        assert self.request.body is not None
        file: BinaryIO = self.request.body.file
        return file

    def send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """The whole answer at once."""
        if self.gone:
            return
        self._head(status, {"Content-Length": str(len(data)), **(headers or {})})
        self.request.write(data)
        self.request.finish()

    def say(self, status: int, text: str) -> None:
        """A sentence."""
        self.send(status, text.encode() + b"\n", {"Content-Type": "text/plain; charset=utf-8"})

    async def stream(self, size: int, read: Callable[[int, int], bytes], headers: Mapping[str, str]) -> None:
        """`size` octets of `read(start, stop)`, as fast as they are taken."""
        if self.gone:
            return
        self._head(200, {"Content-Length": str(size), **headers})
        flow = self.flow()
        try:
            at = 0
            while at < size and await flow.room():
                data = await self.blocking(read, at, min(at + CHUNK, size))
                if flow.gone or not data:
                    break
                self.request.write(data)
                at += len(data)
        finally:
            self._end(at == size, flow)

    def flow(self) -> Flow:
        """Begin to hear whether the client takes more."""
        flow = Flow()
        self.request.registerProducer(flow, True)
        return flow

    @property
    def gone(self) -> bool:
        """Has the client left?"""
        return bool(self.request._disconnected)

    def open(self, headers: Mapping[str, str]) -> Flow:
        """Begin an answer without an end (a stream of events)."""
        self._head(200, headers)
        flow = self.flow()
        self.request.write(b"")
        return flow

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.request.setResponseCode(status)
        for name, value in headers.items():
            self.request.responseHeaders.setRawHeaders(name, [value])

    def _end(self, whole: bool, flow: Flow) -> None:
        if self.gone:
            return
        self.request.unregisterProducer()
        if whole and not flow.gone:
            self.request.finish()
        else:
            # a length was promised that cannot be kept: the client must see that something is missing
            self.request.channel.abort()


Answer = Callable[[Call], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Native:
    """The declaration of a native resource. `open_host`: any Host, and plain HTTP, will do (a probe)."""

    path: str
    access: Access
    method: str
    answer: Answer
    body: int = BODY_DEFAULT
    open_host: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.access, Access):
            raise RouteError(f"{self.path} does not say who may use it")
        if self.method not in {"GET", "POST"} or not self.path.startswith("/"):
            raise RouteError(f"{self.path}: {self.method}")
        if self.open_host and self.access is not Access.PUBLIC:
            raise RouteError(f"{self.path} is open to any host and needs a session")

    def takes(self, path: str) -> bool:
        """Is it meant by this path?"""
        return path.startswith(self.path) if self.path.endswith("/") else path == self.path


def attachment(name: str, kind: str = "application/octet-stream") -> Mapping[str, str]:
    """The headers of a download: never shown in place, never sniffed, no script (RFC 6266, RFC 8187)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name)[:100] or "file"
    return {
        "Content-Type": kind,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name[:200], safe='')}",
        "Content-Security-Policy": CSP_NOTHING,
    }


def query_of(uri: bytes) -> Mapping[str, str]:
    """The query's fields, the first of each name."""
    text = uri.partition(b"?")[2].decode("utf-8", "replace")[:4_096]
    try:
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=50).items()}
    except ValueError:
        return {}
