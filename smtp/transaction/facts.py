"""Peer, Session, Envelope: what is known at each verb of a conversation (RFC 5321 §4.1.4)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from data.directory.facts import Resolution
from data.mime.address import NormalAddress
from data.principal import Principal


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end: `host` a plain IP address, `network` the /24 or /64 it stands in, for marks and budgets."""

    host: str
    port: int
    network: str
    loopback: bool

    @property
    def literal(self) -> str:
        """The address as RFC 5321 §4.1.3 writes it in a trace field."""
        return f"[IPv6:{self.host}]" if ":" in self.host else f"[{self.host}]"

    @property
    def head(self) -> str:
        """What counts as one machine for connection limits: the IPv4 address, the IPv6 /64."""
        return self.network if ":" in self.host else self.host


def peer_of(host: str, port: int) -> Peer:
    """The facts of an address that appliance.net.sockets has made plain (no ::ffff:, no scope)."""
    address = ipaddress.ip_address(host.partition("%")[0])
    bits = 24 if address.version == 4 else 64
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    return Peer(str(address), port, str(network), address.is_loopback)


@dataclass(frozen=True, slots=True)
class Tls:
    """What protects the connection: `TLSv1.3`, the cipher's name."""

    version: str
    cipher: str


@dataclass(slots=True)
class Session:
    """One connection. After STARTTLS a new one begins: nothing said in the clear is remembered (RFC 3207 §4.2)."""

    id: str
    peer: Peer
    helo: str | None = None
    extended: bool = False
    tls: Tls | None = None
    principal: Principal | None = None
    unknown: int = 0
    unheard: tuple[bytes, ...] = ()
    """Marks of the last message, while the client may not have had its 250."""
    transactions: int = 0

    def trail(self) -> str:
        """The name of the next message: the connection's, counted on."""
        self.transactions += 1
        return f"{self.id}{self.transactions:02x}"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT that was accepted. `text` is as written with the domain as A-label."""

    text: str
    address: NormalAddress
    resolution: Resolution
    notify: str | None = None
    orcpt: str | None = None


@dataclass(slots=True)
class Envelope:
    """One mail transaction. `return_path` is as written with the domain as A-label, empty for <>."""

    trail: str
    return_path: str
    smtputf8: bool = False
    requiretls: bool = False
    body: str = "7BIT"
    size: int | None = None
    ret: str | None = None
    envid: str | None = None
    recipients: list[Recipient] = field(default_factory=list)
    header: bytes = b""
    """The header as it came, while the message is judged."""
    body_at: int = 0
    """Where the body begins in the message as it is kept."""
