"""The Twisted Protocol below a conversation: octets, TLS, back-pressure, clocks; it knows nothing of IMAP.

Promises: a client that does not read makes nothing grow: beyond the transport's buffer the conversation waits for room,
and is ended when none comes for minutes (attack F2). STARTTLS begins behind what was written; octets that came before
it never reach the conversation again (attack T1). A connection holds no timer, task or thread of its own; its factory
looks at the clock for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import typing
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from appliance.net.sockets import normal_peer
from imap.actions.call import Gone
from imap.dispatch import Dialogue
from imap.session import Rules

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
LINGER = 10.0
"""Seconds that a client gets to read the end of a conversation and to close its side."""


class Owner(typing.Protocol):
    """imap.factory.ImapFactory, as a connection needs it."""

    rules: Rules

    def now(self) -> float:
        """The loop's clock, in seconds."""
        ...

    def tls(self) -> Any:
        """The certificate of this moment."""
        ...

    def joined(self, connection: ImapProtocol) -> Dialogue | None:
        """Let it in, or turn it away with BYE."""
        ...

    def left(self, connection: ImapProtocol) -> None:
        """A connection is gone."""
        ...

    def timed_out(self, connection: ImapProtocol, why: str) -> None:
        """Note it."""
        ...


@implementer(IPushProducer)
class ImapProtocol(Protocol):
    """One connection."""

    __slots__ = ("_gone", "_leaving", "_room", "_stalled", "born", "dialogue", "heard", "network", "owner", "peer")

    def __init__(self, owner: Owner, peer: str, network: str) -> None:
        self.owner = owner
        self.peer = peer
        self.network = network
        self.born = self.heard = owner.now()
        self._stalled: float | None = None
        self._leaving: float | None = None
        self._room: asyncio.Future[None] | None = None
        self._gone = False
        self.dialogue: Dialogue | None = None

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
            if self.dialogue.inside:
                self._acknowledge()

    def _acknowledge(self) -> None:
        """Have the kernel acknowledge what came, now. A client that writes a literal and the end of its line apart may
        have to wait for that (Nagle's rule), and the kernel would hold it back, some 40 ms, for an answer to send along.
        """
        sock = getattr(self.transport, "socket", None)
        if _QUICKACK is not None and sock is not None and not self._gone:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._gone = True
        self._wake()
        self.owner.left(self)
        if self.dialogue is not None:
            self.dialogue.lost()

    # --- IPushProducer ------------------------------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        if self._stalled is None:
            self._stalled = self.owner.now()

    def resumeProducing(self) -> None:
        """The client has read everything."""
        self._stalled = None
        self._wake()
        if self.dialogue is not None and not self._gone:
            self.dialogue.readable()

    def stopProducing(self) -> None:
        """The connection is gone; connectionLost follows."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # --- Transport, for the conversation --------------------------------------------------------------------------------

    @property
    def congested(self) -> bool:
        """Whether what was written is not read yet, or nobody is there to read it."""
        return self._stalled is not None or self._gone

    def write(self, data: bytes) -> None:
        """Send octets."""
        transport: Any = self.transport
        if transport is not None and not self._gone:
            transport.write(data)

    async def room(self) -> None:
        """Wait until the client has read; raises Gone."""
        while self._stalled is not None and not self._gone:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None
        if self._gone:
            raise Gone

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

    def pause(self) -> None:
        """Read nothing for now."""
        transport: Any = self.transport
        transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        transport: Any = self.transport
        if not self._gone:
            transport.resumeProducing()

    # --- the clock ------------------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Called every few seconds: has this one been silent, slow or deaf for too long?"""
        rules, dialogue = self.owner.rules, self.dialogue
        if self._leaving is not None:
            if now - self._leaving > LINGER:
                self.abort()
        elif self._stalled is not None and now - self._stalled > rules.stall_seconds:
            self.owner.timed_out(self, "stall")
            self.abort()
        elif dialogue is None:
            return
        elif not dialogue.logged_in:
            if now - self.born > rules.login_seconds:
                self.owner.timed_out(self, "login")
                dialogue.bye("You took too long to log in")
        elif not dialogue.busy and now - self.heard > rules.idle_seconds:
            self.owner.timed_out(self, "idle")
            dialogue.bye("Logged out after a long silence")


def peer_of(address: Any) -> str:
    """A client's address in its normal form."""
    host = getattr(address, "host", "")
    return normal_peer(host) if host else "unknown"
