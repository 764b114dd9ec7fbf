"""The listeners on 143 and 993: a Twisted Factory over sockets that are open already, and their life as a Service.

Promises: one address holds no more than its share of connections (IPv6: one /64), the next is told BYE (attack F1); one
clock looks after all connections; draining says BYE to everyone, after the command each is in.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from appliance.metrics import Metrics
from appliance.net.sockets import adopt, is_loopback, network_of
from data.ids import AccountId
from imap import response
from imap.actions.call import ImapParts
from imap.dispatch import Dialogue
from imap.protocol import ImapProtocol, peer_of
from imap.session import Rules

TICK = 2.0
"""Seconds between two looks at the clock."""
_TOO_MANY = "Too many connections from your address"


class Contexts(Protocol):
    """appliance.net.tls.Certificates, as this room needs it."""

    def twisted_factory(self, protocol: Any) -> Any:
        """What startTLS and TLS listeners take."""
        ...


class ImapFactory(Factory):
    """Makes and minds the connections of one listener."""

    noisy = False

    def __init__(
        self, name: str, parts: ImapParts, certificates: Contexts, metrics: Metrics, rules: Rules, *, secure: bool
    ) -> None:
        """`name`: for log and metrics (imap, imaps). `secure`: TLS is up before the first octet."""
        self.name = name
        self.parts = parts
        self.rules = rules
        self.connections: set[ImapProtocol] = set()
        self.empty = asyncio.Event()
        self.empty.set()
        self._strict = replace(rules, plaintext_login=False)
        self._certificates = certificates
        self._metrics = metrics
        self._secure = secure
        self._peers: Counter[str] = Counter()
        self._draining = False
        self._loop = asyncio.get_running_loop()
        parts.hub.on_access_ended(self.end_access)

    def now(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    def tls(self) -> Any:
        """The certificate of this moment."""
        return self._certificates.twisted_factory("imap")

    def buildProtocol(self, addr: IAddress | None) -> ImapProtocol:
        """One connection arrived."""
        peer = peer_of(addr)
        return ImapProtocol(self, peer, network_of(peer))

    def joined(self, connection: ImapProtocol) -> Dialogue | None:
        """Let it in, or turn it away with BYE."""
        self.connections.add(connection)
        self.empty.clear()
        reason = self._refuse(connection)
        if reason is not None:
            self._metrics.refused(self.name, reason)
            self.parts.log.info("refused", listener=self.name, peer=connection.peer, why=reason)
            told = _TOO_MANY if reason == "limit" else "The server is going down"
            connection.write(response.untagged(b"BYE", told, b"LIMIT" if reason == "limit" else b"UNAVAILABLE"))
            connection.close()
            return None
        self._peers[connection.network] += 1
        self._metrics.connected(self.name)
        rules = self.rules if is_loopback(connection.peer) else self._strict
        dialogue = Dialogue(connection, self.parts, rules, secure=self._secure)
        self.parts.log.debug("connect", id=dialogue.id, listener=self.name, peer=connection.peer)
        return dialogue

    def _refuse(self, connection: ImapProtocol) -> str | None:
        if self._draining:
            return "drain"
        exempt = self.rules.plaintext_login and is_loopback(connection.peer)
        most = self.rules.per_peer
        return "limit" if most and not exempt and self._peers[connection.network] >= most else None

    def left(self, connection: ImapProtocol) -> None:
        """A connection is gone."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        if not self.connections:
            self.empty.set()
        if connection.dialogue is None:
            return
        self._peers[connection.network] -= 1
        if not self._peers[connection.network]:
            del self._peers[connection.network]
        self._metrics.disconnected(self.name)

    def timed_out(self, connection: ImapProtocol, why: str) -> None:
        """Note it."""
        id_ = connection.dialogue.id if connection.dialogue is not None else None
        self.parts.log.info("timeout", id=id_, listener=self.name, peer=connection.peer, why=why)

    def look(self) -> None:
        """Look at the clock for everyone."""
        now = self.now()
        for connection in tuple(self.connections):
            connection.look(now)

    def end_access(self, account: AccountId) -> None:
        """Whoever is signed in as that account finishes the command they are in and is told BYE."""
        for connection in tuple(self.connections):
            dialogue = connection.dialogue
            if dialogue is not None and dialogue.account == account:
                dialogue.end_access()

    def drain(self) -> None:
        """Nobody new; everyone else finishes the command they are in and is told BYE."""
        self._draining = True
        for connection in tuple(self.connections):
            if connection.dialogue is not None:
                connection.dialogue.drain()


class ImapService:
    """The life of one listener."""

    def __init__(self, factory: ImapFactory, sockets: Iterable[socket.socket], *, implicit_tls: bool) -> None:
        self.name = factory.name
        self.factory = factory
        self._sockets = tuple(sockets)
        self._implicit = implicit_tls
        self._ports: Sequence[Any] = ()
        self._tick: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Accept on every socket."""
        tls = self.factory.tls() if self._implicit else None
        for host, port in (sock.getsockname()[:2] for sock in self._sockets):
            self.factory.parts.log.info("listen", listener=self.name, host=host, port=port)
        self._ports = [adopt(sock, self.factory, tls) for sock in self._sockets]
        self._look()

    def _look(self) -> None:
        self.factory.look()
        self._tick = asyncio.get_running_loop().call_later(TICK, self._look)

    async def drain(self, deadline: float) -> None:
        """Stop accepting; return when all connections are gone, or at the deadline."""
        for port in self._ports:
            port.stopListening()
        self._ports = ()
        self.factory.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self.factory.empty.wait()

    async def stop(self) -> None:
        """Let go of everything."""
        if self._tick is not None:
            self._tick.cancel()
        for port in self._ports:
            port.stopListening()
        for connection in tuple(self.factory.connections):
            connection.abort()
