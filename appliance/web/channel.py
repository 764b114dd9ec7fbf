"""HTTP/1.1 on the wire, above twisted.web: bounds and deadlines that hold before anybody looks at a request.

Promises (RELIABILITY F2, N18): a head has 32 KiB, 100 fields and 30 seconds in all; a body has the bound its route
declared, is refused (413) at its Content-Length or at the first octet beyond, and must arrive at 500 octets a second. Every answer, also one
to nonsense, carries the headers of `guard`. What is left of a refused body is read and thrown away for a moment, so that
the sender sees the answer. No HTTP/2, no upgrade, no proxy's word about who is asking.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from twisted.web import http

from appliance.loop import Workers
from appliance.web.body import Body
from appliance.web.guard import COMMON

HEAD_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 75.0
BODY_GRACE: Final = 20.0
BODY_RATE: Final = 500
DRAIN_OCTETS: Final = 4 * 1024 * 1024
DRAIN_SECONDS: Final = 3.0
ABORT_SECONDS: Final = 6.0
"""How long a refused connection lives at most, also one that never finishes its TLS handshake and so never hears why."""
STALL_SECONDS: Final = 300.0

# the library's classes carry few types; what is used of them is typed here
_HttpRequest: Any = http.Request
_HttpChannel: Any = http.HTTPChannel

_REASONS: Final[Mapping[int, bytes]] = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


class Ground(Protocol):
    """What a connection needs of its site."""

    headers: Mapping[str, str]
    workers: Workers
    folder: Path

    def now(self) -> float:
        """The loop's clock."""
        ...

    def joined(self, channel: Channel) -> bool:
        """May it stay?"""
        ...

    def left(self, channel: Channel) -> None:
        """It is gone."""
        ...

    def told(self, channel: Channel) -> bool:
        """There is no room for it: may it stay until it has heard so?"""
        ...

    def most(self, method: bytes, path: bytes) -> int:
        """Octets a body may have."""
        ...

    def dispatch(self, request: Request) -> None:
        """Answer."""
        ...

    def log(self, request: Request) -> None:
        """It was answered."""
        ...


class Request(_HttpRequest):  # type: ignore[misc]
    """One request; its body waits in `body.file`."""

    def __init__(self, channel: Channel, queued: Any = False) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self.ground = channel.ground
        self.body: Body | None = None
        self.most = 0

    def gotLength(self, length: int | None) -> None:
        """The head is complete: is the body within its bound?"""
        self.most = self.channel.most()
        self.body = Body(self.ground.folder, self.ground.workers.blocking, self.channel)
        self.content = self.body.file
        if length is not None and length > self.most:
            self.channel.refuse(413)

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body."""
        if self.body is None or self.channel.refused:
            return
        if self.body.size + len(data) > self.most:
            self.channel.refuse(413)
            return
        self.body.feed(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it is here; go on when the body has come to rest."""
        if self.body is None or self.channel.refused:
            return

        def rested(error: OSError | None) -> None:
            if error is not None:
                self.channel.refuse(503)
            elif not self._disconnected:
                _HttpRequest.requestReceived(self, command, path, version)

        self.body.finish(rested)

    def process(self) -> None:
        """Find out who answers."""
        self.ground.dispatch(self)

    def write(self, data: bytes) -> None:
        """Send; the first time with every header that must be there."""
        if not self.startedWriting and not self._disconnected:
            for name, value in self.ground.headers.items():
                if not self.responseHeaders.hasHeader(name):
                    self.responseHeaders.setRawHeaders(name, [value])
        super().write(data)

    def finish(self) -> None:
        """Done."""
        if self.body is not None:
            self.body.close()
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        """The client is gone."""
        if self.body is not None:
            self.body.close()
        super().connectionLost(reason)


class Channel(_HttpChannel):  # type: ignore[misc]
    """One connection."""

    maxHeaders = 100  # noqa: N815 - twisted.web's name
    totalHeadersSize = 32_768  # noqa: N815 - twisted.web's name
    requestFactory = Request  # noqa: N815 - twisted.web's name

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self.ground = ground
        self.timeOut = IDLE_SECONDS
        self.refused = False
        self._since = 0.0
        self._begun: float | None = None
        self._dumped = 0
        self._moved = 0.0

    # --- its life -------------------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Somebody came."""
        super().connectionMade()
        self._since = self._moved = self.ground.now()
        if self.ground.joined(self):
            return
        if self.ground.told(self):
            self.refuse(503)
        else:
            self.refused = True
            self.abort()

    def connectionLost(self, reason: Any = None) -> None:
        """They are gone."""
        super().connectionLost(reason)
        self.ground.left(self)

    def dataReceived(self, data: bytes) -> None:
        """Octets; after a refusal they are counted and forgotten."""
        self._moved = self.ground.now()
        if self.refused:
            self._dumped += len(data)
            if self._dumped > DRAIN_OCTETS:
                self.abort()
            return
        if self._begun is None and not self._handlingRequest:
            self._begun = self._moved
        super().dataReceived(data)

    def rawDataReceived(self, data: bytes) -> None:
        """A body, or what waits behind a request that is being answered; of a refused one, what came with it."""
        if not self.refused:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        """The head is complete; the body has a clock of its own."""
        self._begun = self.ground.now()
        request = self.requests[-1]
        hosts = request.requestHeaders.getRawHeaders(b"Host") or []
        if len(hosts) > 1 or (not hosts and self._version != b"HTTP/1.0"):
            self.refuse(400)
            return
        request.parseCookies()
        self.persistent = self.checkPersistence(request, self._version)
        request.gotLength(self.length)
        expect = request.requestHeaders.getRawHeaders(b"Expect") or []
        if not self.refused and expect and expect[0].lower() == b"100-continue" and self._version == b"HTTP/1.1":
            self._send100Continue()

    def allContentReceived(self) -> None:
        """The request is complete."""
        if not self.refused:
            self._begun = None
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """It was answered."""
        self._moved = self.ground.now()
        super().requestDone(request)

    # --- the body's sender ----------------------------------------------------------------------------------------------

    def most(self) -> int:
        """Octets the body of the request at hand may have."""
        most: int = self.ground.most(self._command, self._path)
        return most

    def hold(self) -> None:
        """The disk is slower than the network."""
        self._networkProducer.pauseProducing()

    def go_on(self) -> None:
        """The disk has caught up."""
        if not self.refused:
            self._networkProducer.resumeProducing()

    # --- saying no ------------------------------------------------------------------------------------------------------

    def refuse(self, status: int) -> None:
        """Answer before there is a request, and close; what still comes is thrown away for a moment."""
        if self.refused:
            return
        self.refused = True
        self.persistent = False
        text = _REASONS[status] + b"\n"
        lines = [b"HTTP/1.1 %d %s" % (status, _REASONS[status])]
        lines += [f"{name}: {value}".encode() for name, value in self.ground.headers.items()]
        lines += [b"Content-Type: text/plain; charset=utf-8", b"Content-Length: %d" % len(text), b"Connection: close"]
        self.transport.write(b"\r\n".join([*lines, b"", text]))
        self.setRawMode()
        self.setTimeout(None)
        self._networkProducer.resumeProducing()
        self.callLater(DRAIN_SECONDS, self.loseConnection)
        # closing waits for a handshake that may never come, and for octets that nobody may ever read
        self.callLater(ABORT_SECONDS, self.abort)

    def lineLengthExceeded(self, line: bytes) -> None:
        """One line of a head beyond 16 KiB."""
        self.refuse(400)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """twisted.web's own refusal of nonsense, with our headers."""
        self.refuse(400)

    def abort(self) -> None:
        """Close without a word."""
        self.transport.abortConnection()

    def look(self, now: float) -> None:
        """A look at the clock, every few seconds: is a head or a body too slow, or an answer not taken?"""
        if self.refused or not self.connected:
            return
        if self._handlingRequest:
            if self._waitingForTransport and now - self._moved > STALL_SECONDS:
                self.abort()
            return
        if self._begun is None:
            return
        body = self.requests[-1].body if self.requests else None
        allowed = HEAD_SECONDS if body is None else BODY_GRACE + body.size / BODY_RATE
        if now - self._begun > allowed:
            self.refuse(408)


def headers(*, strict_transport: str | None) -> Mapping[str, str]:
    """The headers of every answer of a site."""
    return {**COMMON, **({"Strict-Transport-Security": strict_transport} if strict_transport else {})}
