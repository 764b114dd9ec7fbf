"""The Twisted Protocol below a conversation: octets, TLS, back-pressure; it knows nothing of ManageSieve.

Promises: a client that does not read makes nothing grow; STARTTLS begins behind what was written, and octets that came
before it never reach the conversation again. A connection holds no timer of its own; its factory looks at the clock.
"""

from __future__ import annotations

import asyncio
import typing
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from smtp.managesieve.dialogue import Dialogue
from smtp.managesieve.session import Rules

LINGER = 10.0
"""Seconds that a client gets to read the end of a conversation and to close its side."""


class Owner(typing.Protocol):
    """smtp.managesieve.factory.SieveFactory, as a connection needs it."""

    rules: Rules

    def now(self) -> float:
        """The loop's clock, in seconds."""
        ...

    def tls(self) -> Any:
        """The certificate of this moment."""
        ...

    def joined(self, connection: SieveProtocol) -> Dialogue | None:
        """Let it in, or turn it away with BYE."""
        ...

    def left(self, connection: SieveProtocol) -> None:
        """A connection is gone."""
        ...


@implementer(IPushProducer)
class SieveProtocol(Protocol):
    """One connection."""

    def __init__(self, owner: Owner, peer: str, network: str) -> None:
        self.owner = owner
        self.peer = peer
        self.network = network
        self.born = self.heard = owner.now()
        self.dialogue: Dialogue | None = None
        self._stalled: float | None = None
        self._leaving: float | None = None
        self._room: asyncio.Future[None] | None = None
        self._gone = False

    # --- what Twisted says --------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """The connection is there."""
        transport: Any = self.transport
        transport.setTcpKeepAlive(1)
        transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self.dialogue = self.owner.joined(self)
        if self.dialogue is not None:
            self.dialogue.open()

    def dataReceived(self, data: bytes) -> None:
        """Octets came."""
        self.heard = self.owner.now()
        if self.dialogue is not None:
            self.dialogue.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._gone = True
        self._wake()
        self.owner.left(self)
        if self.dialogue is not None:
            self.dialogue.lost()

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        if self._stalled is None:
            self._stalled = self.owner.now()

    def resumeProducing(self) -> None:
        """The client has read everything."""
        self._stalled = None
        self._wake()

    def stopProducing(self) -> None:
        """The connection is gone; connectionLost follows."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # --- Transport, for the conversation --------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send octets."""
        transport: Any = self.transport
        if transport is not None and not self._gone:
            transport.write(data)

    async def room(self) -> None:
        """Wait until the client has read, or is gone."""
        while self._stalled is not None and not self._gone:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def start_tls(self) -> None:
        """TLS from here on."""
        transport: Any = self.transport
        transport.startTLS(self.owner.tls())

    def close(self) -> None:
        """Close when everything is sent; a client that does not take part in it is cut off a little later."""
        transport: Any = self.transport
        if transport is not None and not self._gone and self._leaving is None:
            self._leaving = self.owner.now()
            transport.unregisterProducer()
            transport.loseConnection()

    def abort(self) -> None:
        """Close at once."""
        transport: Any = self.transport
        if transport is not None and not self._gone:
            transport.abortConnection()

    # --- the clock ------------------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """End what takes too long (attack F2)."""
        rules, dialogue = self.owner.rules, self.dialogue
        if self._leaving is not None:
            if now - self._leaving > LINGER:
                self.abort()
        elif self._stalled is not None and now - self._stalled > rules.stall_seconds:
            self.abort()
        elif dialogue is None:
            return
        elif not dialogue.logged_in:
            if now - self.born > rules.login_seconds:
                dialogue.bye("You took too long to sign in")
        elif not dialogue.busy and now - self.heard > rules.idle_seconds:
            dialogue.bye("Signed out after a long silence")
