"""The listener on 4190: a Twisted Factory over sockets that are open already, and its life as a Service.

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
from appliance.net.sockets import adopt, is_loopback, network_of, normal_peer
from smtp.managesieve import response
from smtp.managesieve.commands import SieveParts
from smtp.managesieve.dialogue import Dialogue
from smtp.managesieve.protocol import SieveProtocol
from smtp.managesieve.session import Rules

NAME = "managesieve"
TICK = 2.0
"""Seconds between two looks at the clock."""


class Contexts(Protocol):
    """appliance.net.tls.Certificates, as this room needs it."""

    def twisted_factory(self, protocol: Any) -> Any:
        """What startTLS takes."""
        ...


class SieveFactory(Factory):
    """Makes and minds the connections."""

    noisy = False

    def __init__(self, parts: SieveParts, certificates: Contexts, metrics: Metrics, rules: Rules) -> None:
        self.parts = parts
        self.rules = rules
        self.connections: set[SieveProtocol] = set()
        self.empty = asyncio.Event()
        self.empty.set()
        self._strict = replace(rules, plaintext_login=False)
        self._certificates = certificates
        self._metrics = metrics
        self._peers: Counter[str] = Counter()
        self._draining = False
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    def tls(self) -> Any:
        """The certificate of this moment."""
        return self._certificates.twisted_factory(NAME)

    def buildProtocol(self, addr: IAddress | None) -> SieveProtocol:
        """One connection arrived."""
        host = getattr(addr, "host", "")
        peer = normal_peer(host) if host else "unknown"
        return SieveProtocol(self, peer, network_of(peer))

    def joined(self, connection: SieveProtocol) -> Dialogue | None:
        """Let it in, or turn it away with BYE."""
        self.connections.add(connection)
        self.empty.clear()
        if self._draining or self._too_many(connection):
            self._metrics.refused(NAME, "drain" if self._draining else "limit")
            connection.write(response.bye("Too many connections, or the server is going down", b"TRYLATER"))
            connection.close()
            return None
        self._peers[connection.network] += 1
        self._metrics.connected(NAME)
        return Dialogue(connection, self.parts, self.rules if is_loopback(connection.peer) else self._strict)

    def _too_many(self, connection: SieveProtocol) -> bool:
        exempt = self.rules.plaintext_login and is_loopback(connection.peer)
        most = self.rules.per_peer
        return bool(most) and not exempt and self._peers[connection.network] >= most

    def left(self, connection: SieveProtocol) -> None:
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
        self._metrics.disconnected(NAME)

    def look(self) -> None:
        """Look at the clock for everyone."""
        now = self.now()
        for connection in tuple(self.connections):
            connection.look(now)

    def drain(self) -> None:
        """Nobody new; everyone else finishes the command they are in and is told BYE."""
        self._draining = True
        for connection in tuple(self.connections):
            if connection.dialogue is not None:
                connection.dialogue.drain()


class SieveService:
    """The life of the listener."""

    name = NAME

    def __init__(self, factory: SieveFactory, sockets: Iterable[socket.socket]) -> None:
        self.factory = factory
        self._sockets = tuple(sockets)
        self._ports: Sequence[Any] = ()
        self._tick: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Accept on every socket."""
        for host, port in (sock.getsockname()[:2] for sock in self._sockets):
            self.factory.parts.log.info("listen", listener=NAME, host=host, port=port)
        self._ports = [adopt(sock, self.factory) for sock in self._sockets]
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
