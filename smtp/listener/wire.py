"""The wire of one connection: octets in and out, deadlines, TLS, and an end that lets the last answer arrive.

A subclass of aiosmtpd's protocol that keeps its life cycle (one task for a connection, the table of verbs) and replaces
what it reads with: octets gather in one buffer, commands are taken from it a group at a time and answered in one write
(RFC 2920 §3.2), message data is taken from it in large pieces, and reading stops while it is full. Promises: bounded
memory; every wait has a deadline; nothing received in the clear is seen after TLS began (RFC 3207 §4.2, §6).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from math import inf
from typing import Any, Protocol, cast

from aiosmtpd.smtp import SMTP

from smtp import reply
from smtp.policy.limits import Limits
from smtp.reply import Refused, Reply
from smtp.transaction.facts import Peer, Tls

_FULL = 256 * 1024
"""Octets in the buffer at which the peer has to wait."""
_OUTBOX = 64 * 1024
_CONTROL = bytes(range(0x20)) + b"\x7f"


class Gone(Exception):
    """The connection has ended or is about to: whoever waits for octets stops."""


class Desk(Protocol):
    """What the wire asks of its listener."""

    hostname: str

    def entered(self, wire: Wire) -> Reply | None:
        """One more connection; a Reply turns it away."""
        ...

    def left(self, wire: Wire) -> None:
        """It is over; may be told twice."""
        ...

    def peer(self, transport: asyncio.BaseTransport) -> Peer:
        """Who is at the other end."""
        ...

    def limits_for(self, peer: Peer) -> Limits:
        """What that peer is held to."""
        ...

    def tls(self) -> ssl.SSLContext | None:
        """The certificate, if there is one."""
        ...

    def failed(self, wire: Wire, error: BaseException) -> None:
        """Something of ours went wrong."""
        ...


class Wire(SMTP):
    """Transport and framing; the verbs are smtp.listener.conversation's."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        # aiosmtpd's constructor looks through every attribute of the class, for each connection, to find what is known
        # here; what the methods we keep ask for is set below.
        asyncio.StreamReaderProtocol.__init__(
            self, asyncio.StreamReader(loop=loop), client_connected_cb=self._cb_client_connected, loop=loop
        )
        self.loop = loop
        self.hostname = desk.hostname
        self.session = self.envelope = self.transport = None
        self._original_transport = self._tls_protocol = self._handler_coroutine = None
        self._desk = desk
        self._inbox = bytearray()
        self._outbox: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._held_back = False
        self._ended = False
        self._discarding = False
        self._discarded = 0
        self._partial = False
        self._deadline = inf
        self._overdue: Reply = reply.TIMEOUT
        self._begun = loop.time()
        self.established = False
        self.closing = False
        self.busy = False
        self.finishing = False
        self.hasty = False
        self.limits = Limits()
        self.peer: Peer | None = None
        self.tls_facts: Tls | None = None

    # --- what asyncio calls -----------------------------------------------------------------------------------------

    def admit(self, peer: Peer) -> Reply | None:
        """A client is there: is there room for it? Told before its first octet, and before a TLS handshake."""
        self.peer = peer
        self.limits = self._desk.limits_for(peer)
        return self._desk.entered(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The conversation begins, or ends with one line."""
        refusal = self.admit(self._desk.peer(transport)) if self.peer is None else None
        if refusal is not None:
            self._ended = True
            self.transport = transport
            stream = cast(asyncio.WriteTransport, transport)
            stream.write(refusal.wire)
            stream.close()
            return
        self._note_tls(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The peer is gone. Work in hand is not cancelled: what was submitted commits."""
        self._ended = True
        self._desk.left(self)
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Octets of the peer."""
        if self._discarding:
            self._discarded += len(data)
            if self._discarded > self.limits.drain:
                self._abort()
            return
        self._inbox += data
        if len(self._inbox) >= _FULL and not self._held_back:
            self._held_back = True
            self._stream.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """The peer will say no more; what it said is still answered (not under TLS, where the close is mutual)."""
        self._ended = True
        self._wake()
        return self.tls_facts is None

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Deadlines are ours: the listener looks at them once a second, instead of a timer for each command."""

    # --- input ------------------------------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Until more octets are there. Raises Gone at the end of them."""
        if self._silent() or self.closing:
            raise Gone
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._silent() and not self._inbox:
            raise Gone

    def _silent(self) -> bool:
        """No more octets will come."""
        return self._ended

    def take(self, most: int = -1) -> bytes:
        """What is in the buffer, or its first octets."""
        if most < 0 or most >= len(self._inbox):
            octets = bytes(self._inbox)
            self._inbox.clear()
        else:
            octets = bytes(self._inbox[:most])
            del self._inbox[:most]
        if self._held_back and len(self._inbox) < _FULL // 2:
            self._held_back = False
            if not self._ended:
                self._stream.resume_reading()
        return octets

    def put_back(self, octets: bytes) -> None:
        """What was taken too much stands before the rest again."""
        if octets:
            self._inbox[:0] = octets

    def unread(self) -> int:
        """Octets that came already."""
        return len(self._inbox)

    async def line(self, most: int = 0) -> bytes:
        """The next command line without its CR LF, of at most `most` octets. Raises Refused, Gone."""
        while True:
            bound = most or self._bound()
            end = self._inbox.find(b"\n", 0, bound + 2)
            if end >= 0:
                return self._cut(end)
            if len(self._inbox) > bound + 1:
                raise Refused(reply.LINE_TOO_LONG, "line.length")
            await self.flush()
            self._rest()
            await self.wait()

    def _bound(self) -> int:
        signing_in = self._inbox[:5].upper() == b"AUTH "
        return self.limits.sasl_line if signing_in else self.limits.command

    def _cut(self, end: int) -> bytes:
        line = bytes(self._inbox[: end + 1])
        self.take(end + 1)
        self._deadline = inf
        self._partial = False
        if not line.endswith(b"\r\n") or line[:-2].translate(None, _CONTROL) != line[:-2]:
            raise Refused(reply.BAD_LINE, "line.octets")
        return line[:-2]

    # --- output -----------------------------------------------------------------------------------------------------

    def say(self, octets: bytes) -> None:
        """Queue an answer; it goes out with its group."""
        self._outbox.append(octets)

    async def flush(self) -> None:
        """Send what is queued in one write; waits while the peer does not read."""
        if not self._outbox:
            return
        octets = b"".join(self._outbox)
        self._outbox.clear()
        if self.transport is None or self._stream.is_closing():
            return
        self._stream.write(octets)
        if self._stream.get_write_buffer_size() > _OUTBOX:
            self.deadline(self.limits.idle)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
            self._deadline = inf

    async def push(self, status: str | bytes) -> None:
        """aiosmtpd's way to answer."""
        self.say((status.encode("utf-8") if isinstance(status, str) else status) + b"\r\n")

    @property
    def _stream(self) -> Any:
        return self.transport

    # --- time -------------------------------------------------------------------------------------------------------

    def deadline(self, seconds: float, overdue: Reply = reply.TIMEOUT) -> None:
        """The next wait ends in so many seconds, with that answer."""
        self._deadline = self.loop.time() + seconds
        self._overdue = overdue

    def _rest(self) -> None:
        """Waiting for a command: idle, or in the middle of a line, or not yet begun in earnest."""
        if not self._inbox:
            self._partial = False
            self.deadline(self.limits.idle)
        elif not self._partial:
            self._partial = True
            self.deadline(self.limits.line)
        if not self.established:
            self._deadline = min(self._deadline, self._begun + self.limits.begin)

    def look(self, now: float) -> None:
        """The listener's tick: end what is overdue."""
        if now < self._deadline:
            return
        self._deadline = inf
        if self._discarding or self.transport is None or self._stream.get_write_buffer_size() > _OUTBOX:
            self._abort()
            return
        self.end(self._overdue)

    def end(self, last: Reply) -> None:
        """Say one last thing from outside the conversation, then close."""
        if self._discarding:
            self._abort()
            return
        self.closing = True
        if self.transport is not None and not self._stream.is_closing():
            self._stream.write(b"".join([*self._outbox, last.wire]))
            self._outbox.clear()
            self._stream.close()
        self._wake()

    def cut(self) -> None:
        """End at once, whatever is in hand."""
        self._abort()

    def _abort(self) -> None:
        self.closing = self._ended = True
        if self.transport is not None:
            self._stream.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- TLS --------------------------------------------------------------------------------------------------------

    async def begin_tls(self, context: ssl.SSLContext) -> None:
        """The handshake. Whatever was received in the clear and not read is gone. Raises OSError (also SSLError)."""
        await self.flush()
        self._inbox.clear()
        self._held_back = False
        left = self.limits.begin if self.established else self._begun + self.limits.begin - self.loop.time()
        transport = await self.loop.start_tls(
            self._stream,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=max(1.0, left),
            ssl_shutdown_timeout=self.limits.linger,
        )
        if transport is None:
            raise ConnectionResetError
        # the inbox stays as it is: the first octets under TLS may be here already
        self.transport = transport
        self._transport = transport
        setattr(self._writer, "_transport", transport)  # noqa: B010 - as StreamWriter.start_tls does
        self._over_ssl = True
        self._note_tls(transport)

    def _note_tls(self, transport: asyncio.BaseTransport) -> None:
        wrapped = transport.get_extra_info("ssl_object")
        if wrapped is not None:
            self.tls_facts = Tls(wrapped.version() or "TLS", (wrapped.cipher() or ("?",))[0])

    # --- the life of a connection -------------------------------------------------------------------------------------

    async def _handle_client(self) -> None:
        try:
            self.say(reply.greeting(self._desk.hostname).wire)
            await self.converse()
            await self._leave()
        except (Gone, ConnectionError):
            pass
        except Exception as error:
            self._desk.failed(self, error)
            self.end(reply.TRY_LATER)
        finally:
            await self.over()
            self._close()

    async def converse(self) -> None:
        """Greeting said; returns when the connection may close."""
        raise Gone

    async def over(self) -> None:
        """The conversation has ended, in whatever way: let go of what it held."""

    async def _leave(self) -> None:
        """Close so that the peer reads our last answer: unread octets would make the system reset the connection.

        Who said QUIT has read it all; under TLS the close is a dialogue of its own.
        """
        await self.flush()
        polite = not self.hasty and not self._inbox
        if polite or self._ended or not self.closing or self._stream.is_closing() or not self._stream.can_write_eof():
            return
        self._discarding = True
        self._inbox.clear()
        if self._held_back:
            self._held_back = False
            self._stream.resume_reading()
        self._stream.write_eof()
        self._deadline = self.loop.time() + self.limits.linger
        while not self._ended:
            self._waiter = self.loop.create_future()
            await self._waiter

    def _close(self) -> None:
        self._desk.left(self)
        if self.transport is not None and not self._stream.is_closing():
            self._stream.close()
