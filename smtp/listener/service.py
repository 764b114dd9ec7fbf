"""A listener: sockets that are open already, the connections on them, their clock, and an orderly end.

Promises: at most so many connections from one machine and in all; every connection is looked at once a second; a drain
answers idle sessions 421 and lets those that send a message finish within the deadline. Implements the life cycle of
appliance.lifecycle. May not: decide about mail.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from socket import socket

from appliance import sasl
from appliance.auth import Gate, LoginRefused
from appliance.log import Log
from appliance.loop import Workers
from appliance.maillog import Event, MailLog
from appliance.metrics import Metrics
from appliance.net.sockets import normal_peer
from appliance.ratelimit import Gauge, TokenBuckets
from data.clock import Clock
from data.store.messages import Messages
from smtp import reply
from smtp.listener.conversation import Ask, Conversation
from smtp.listener.role import Role
from smtp.listener.wire import Wire
from smtp.policy import stages
from smtp.policy.limits import Limits
from smtp.reply import Refused, Reply
from smtp.transaction.facts import Peer, Session, peer_of

_TICK = 1.0
_BACKLOG = 1024
_GUESS_WINDOW = 600.0
_SAID = 260
"""Characters of a refused address that are logged."""
_EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN")


@dataclass(frozen=True, slots=True)
class ListenerParts:
    """What a listener works with. `bench` frees loopback of every limit and lets it sign in without TLS."""

    hostname: str
    limits: Limits
    workers: Workers
    messages: Messages
    gate: Gate
    clock: Clock
    log: Log
    maillog: MailLog
    metrics: Metrics
    tls: Callable[[], ssl.SSLContext | None]
    bench: bool = False
    heads: Gauge = field(default_factory=lambda: Gauge(0))
    """Connections by machine, over all listeners that share these parts."""


class Listener:
    """One named listener (mx, submission, submissions) for one role."""

    def __init__(
        self, name: str, role: Role, parts: ListenerParts, sockets: Sequence[socket], *, tls_first: bool = False
    ) -> None:
        """`tls_first`: the connection begins with a handshake (RFC 8314 §3.3)."""
        self.name = name
        self.role = role
        self.hostname = parts.hostname
        self.workers = parts.workers
        self.messages = parts.messages
        self._parts = parts
        self._sockets = tuple(sockets)
        self._tls_first = tls_first
        self._free = parts.limits.unbounded()
        self._heads = parts.heads
        self._open: dict[Wire, bool] = {}
        self._guesses = TokenBuckets(
            parts.clock, rate=max(1, parts.limits.unknown) / _GUESS_WINDOW, burst=max(1, parts.limits.unknown)
        )
        self._servers: list[asyncio.Server] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._shaking: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._capabilities: dict[tuple[bool, bool], bytes] = {}

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Accept on every socket."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            if self._tls_first:
                self._accepting.append(loop.create_task(self._accept(sock), name=f"accept {self.name}"))
            else:
                self._servers.append(
                    await loop.create_server(lambda: Conversation(self, loop), sock=sock, backlog=_BACKLOG)
                )
            host, port = sock.getsockname()[:2]
            self._parts.log.info("listen", listener=self.name, host=host, port=port)
        self._tick()

    async def drain(self, deadline: float) -> None:
        """Accept nothing new; idle sessions end now, those in a message after it, at the latest at the deadline."""
        self._close()
        for wire in list(self._open):
            if wire.busy:
                wire.finishing = True
            else:
                wire.end(reply.SHUTTING_DOWN)
        if self._open:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._emptied.wait()

    async def stop(self) -> None:
        """Let go of everything; what was submitted to the store still commits."""
        self.role.settle()
        if self._ticker is not None:
            self._ticker.cancel()
        self._close()
        for wire in list(self._open):
            wire.cut()
        for task in list(self._shaking):
            task.cancel()
        await asyncio.sleep(0)

    def _close(self) -> None:
        for task in self._accepting:
            task.cancel()
        for server in self._servers:
            server.close()
        if self._accepting:
            for sock in self._sockets:
                sock.close()

    async def _accept(self, sock: socket) -> None:
        """Accept for a listener that begins with TLS: the peer is known, and counted, before its handshake."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(sock)
            except OSError as error:
                # no descriptors left, or a peer that went away meanwhile: others still wait
                self._parts.log.failure(error, listener=self.name)
                await asyncio.sleep(_TICK)
                continue
            task = loop.create_task(self._shake(connection, peer_of(normal_peer(address[0]), address[1])))
            self._shaking.add(task)
            task.add_done_callback(self._shaking.discard)

    async def _shake(self, connection: socket, peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        wire = Conversation(self, loop)
        context = self.tls()
        if context is None or wire.admit(peer) is not None:
            connection.close()
            return
        try:
            await loop.connect_accepted_socket(
                lambda: wire,
                connection,
                ssl=context,
                ssl_handshake_timeout=wire.limits.begin,
                ssl_shutdown_timeout=wire.limits.linger,
            )
        except (OSError, TimeoutError):
            self.left(wire)
            self._parts.metrics.refused(self.name, "tls")
        except asyncio.CancelledError:
            self.left(wire)
            raise

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for wire in list(self._open):
            wire.look(now)
        self._ticker = loop.call_later(_TICK, self._tick)

    # --- what the wire asks -----------------------------------------------------------------------------------------

    def peer(self, transport: asyncio.BaseTransport) -> Peer:
        """Who is at the other end, in one form."""
        name = transport.get_extra_info("peername") or ("::", 0)
        return peer_of(normal_peer(name[0]), name[1])

    def limits_for(self, peer: Peer) -> Limits:
        """What that peer is held to."""
        return self._free if self._parts.bench and peer.loopback else self._parts.limits

    def entered(self, wire: Wire) -> Reply | None:
        """One more connection, or a Reply that turns it away."""
        peer, limits = wire.peer, wire.limits
        assert peer is not None
        refusal = stages.connection(
            self._heads.held(peer.head), len(self._open), per_head=limits.per_head, connections=limits.connections
        )
        if refusal is not None:
            self._parts.metrics.refused(self.name, "limit")
            self._parts.log.info("limit", listener=self.name, peer=peer.host)
            return refusal
        self._heads.enter(peer.head)
        self._open[wire] = True
        self._parts.metrics.connected(self.name)
        return None

    def left(self, wire: Wire) -> None:
        """It is over; may be told twice."""
        if self._open.pop(wire, None) is None or wire.peer is None:
            return
        self._heads.leave(wire.peer.head)
        self._parts.metrics.disconnected(self.name)
        if not self._open:
            self._emptied.set()

    def tls(self) -> ssl.SSLContext | None:
        """The certificate, if there is one."""
        return self._parts.tls()

    def failed(self, wire: Wire, error: BaseException) -> None:
        """Something of ours went wrong: the log alone hears of it."""
        peer = wire.peer
        self._parts.log.failure(error, listener=self.name, peer=peer.host if peer else None)

    # --- what the conversation asks ---------------------------------------------------------------------------------

    def offers_sign_in(self, session: Session) -> bool:
        """AUTH stands under TLS on a submission port; in profile bench on loopback without it as well."""
        return self.role.signs_in and (session.tls is not None or self._parts.gate.allows_plaintext(session.peer.host))

    def capabilities(self, session: Session) -> bytes:
        """The answer to EHLO in one piece (RFC 5321 §4.1.1.1)."""
        key = (session.tls is not None, self.offers_sign_in(session))
        found = self._capabilities.get(key)
        if found is None:
            found = self._capabilities[key] = self._describe(*key)
        return found

    def _describe(self, tls: bool, sign_in: bool) -> bytes:
        lines = [self.hostname, f"SIZE {self._parts.limits.message}", *_EXTENSIONS]
        if tls:
            lines.append("REQUIRETLS")
        elif self._parts.tls() is not None:
            lines.append("STARTTLS")
        if sign_in:
            lines.append("AUTH " + " ".join(sasl.MECHANISMS))
        return reply.several(250, lines)

    async def sign_in(self, session: Session, mechanism: str, initial: bytes | None, ask: Ask) -> None:
        """A SASL exchange, then the login gate (RFC 4954 §4)."""
        exchange = sasl.begin(mechanism)
        if exchange is None:
            raise Refused(reply.AUTH_UNKNOWN, "auth.mechanism")
        credentials = await _exchange(exchange, initial, ask)
        try:
            session.principal = await self._parts.gate.login(
                credentials.authcid,
                credentials.password,
                protocol="smtp",
                peer=session.peer.host,
                tls=session.tls is not None,
                authzid=credentials.authzid,
                id=session.id,
            )
        except LoginRefused as no:
            raise Refused(_refusal(no), "auth.login") from no

    def may_guess(self, peer: Peer) -> bool:
        """One more unknown recipient from that network."""
        return self._guesses.take(peer.network)

    def refused(self, session: Session, verb: str, said: str, no: Refused) -> None:
        """A client was told no: one line for what concerns mail, at debug for what is only bad form."""
        if verb in {"MAIL", "RCPT", "DATA", "BDAT"}:
            self._parts.maillog.event(
                Event.REJECTED,
                id=session.id,
                listener=self.name,
                peer=session.peer.host,
                sender=said[5:_SAID] if verb == "MAIL" else None,
                recipient=said[3:_SAID] if verb == "RCPT" else None,
                reason=no.why,
                reply=no.reply.wire[:9],
            )
        else:
            self._parts.log.debug("refused", id=session.id, listener=self.name, peer=session.peer.host, reason=no.why)


def _refusal(no: LoginRefused) -> Reply:
    """The answer to a sign-in that the gate refused."""
    if no.temporary:
        return reply.AUTH_LATER
    return reply.AUTH_APP_PASSWORD if no.app_password else reply.AUTH_FAILED


async def _exchange(exchange: sasl.Mechanism, initial: bytes | None, ask: Ask) -> sasl.Credentials:
    line = initial
    try:
        while True:
            step = exchange.step(line)
            if isinstance(step, sasl.Credentials):
                return step
            line = await ask(step.text)
    except sasl.SaslError as error:
        raise Refused(_sasl_reply(error, line), "auth.sasl") from error


def _sasl_reply(error: sasl.SaslError, line: bytes | None) -> Reply:
    """RFC 4954 §4: 501 for what is no base64 and for `*`; what is no user name and password is simply wrong."""
    if error.cancelled:
        return reply.AUTH_CANCELLED
    try:
        sasl.decode(line or b"")
    except sasl.SaslError:
        return reply.AUTH_BAD
    return reply.AUTH_FAILED
