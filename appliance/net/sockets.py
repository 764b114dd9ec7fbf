"""Listening sockets: every one opened once, all of them before anything answers.

Promises: `open_all` binds the whole plan or nothing: a port that is taken is one line that names listener, address and
port. IPv6 sockets are IPv6 only (V6ONLY), so that an address appears in one form; `normal_peer` writes a mapped
`::ffff:192.0.2.1` as the IPv4 address it is. Sockets handed over by systemd (LISTEN_FDS) are taken instead of opened,
by name or by port. `adopt` gives a socket to Twisted; asyncio takes them by `create_server(sock=...)`.

May not: accept. A connection that arrives between opening and accepting waits in the backlog.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

BACKLOG: Final = 1024
_SYSTEMD_FIRST: Final = 3


class ListenError(RuntimeError):
    """The sockets of the plan cannot be had; the text is one line for the operator."""


class TakenPort(ListenError):
    """A port of the plan is in use by another process."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One listener of the plan: `host` is an IP address, `port` 0 lets the system choose (tests)."""

    name: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.name} ({bracketed(self.host)}:{self.port})"


def plan(names: Iterable[tuple[str, int]], hosts: Sequence[str]) -> tuple[Listen, ...]:
    """Each named port on each address."""
    return tuple(Listen(name, host, port) for name, port in names for host in hosts)


def bracketed(host: str) -> str:
    """An address as it stands before a port: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def normal_peer(host: str) -> str:
    """A peer's address in its one form: IPv4-mapped IPv6 as IPv4, no zone, lower case (RFC 4291 §2.5.5.2, RFC 5952)."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def is_loopback(host: str) -> bool:
    """Whether a peer's address is this machine's loopback."""
    try:
        return ipaddress.ip_address(normal_peer(host)).is_loopback
    except ValueError:
        return False


def network_of(host: str) -> str:
    """What a peer is counted under: its IPv4 address, or its IPv6 /64 (one subscriber's network)."""
    try:
        address = ipaddress.ip_address(normal_peer(host))
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


def open_all(listeners: Sequence[Listen], environ: Mapping[str, str] | None = None) -> dict[str, list[socket.socket]]:
    """Open every socket of the plan, by listener name; all listen when this returns, or none is open.

    An IPv6 wildcard is left out on a machine without IPv6 if the listener has another address. `environ` is where
    systemd says what it hands over. Raises TakenPort, ListenError.
    """
    given = _from_systemd({} if environ is None else environ)
    opened: dict[str, list[socket.socket]] = {one.name: [] for one in listeners}
    everything = [sock for _, sock in given]
    try:
        for one in listeners:
            sock = _handed_over(given, one) or _open(one, alone=sum(o.name == one.name for o in listeners) == 1)
            if sock is not None:
                opened[one.name].append(sock)
                everything.append(sock)
        for name, sock in given:
            raise ListenError(f"systemd handed over a socket {name!r} on {_local(sock)} that no listener is named for")
        for one in listeners:
            for sock in opened[one.name]:
                _listen(sock, one)
    except BaseException:
        for sock in everything:
            sock.close()
        raise
    return opened


def _open(one: Listen, *, alone: bool) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in one.host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT and not alone:
            return None
        raise ListenError(f"cannot listen for {one}: {error.strerror}")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((one.host, one.port))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRNOTAVAIL and one.host == "::" and not alone:
            return None
        raise _refusal(error, one)
    return sock


def _listen(sock: socket.socket, one: Listen) -> None:
    try:
        sock.listen(BACKLOG)
    except OSError as error:
        raise _refusal(error, one)


def _refusal(error: OSError, one: Listen) -> ListenError:
    if error.errno == errno.EADDRINUSE:
        return TakenPort(f"cannot listen for {one}: the port is in use by another process")
    if error.errno in {errno.EACCES, errno.EPERM} and one.port < 1024:
        return ListenError(f"cannot listen for {one}: ports below 1024 need the right CAP_NET_BIND_SERVICE")
    return ListenError(f"cannot listen for {one}: {error.strerror}")


# --- systemd --------------------------------------------------------------------------------------------------------------


def _from_systemd(environ: Mapping[str, str]) -> list[tuple[str, socket.socket]]:
    """Named listening stream sockets from descriptor 3 on, as sd_listen_fds(3) describes."""
    if environ.get("LISTEN_PID") != str(os.getpid()) or not environ.get("LISTEN_FDS", "").isdigit():
        return []
    count = int(environ["LISTEN_FDS"])
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found = []
    for index in range(count):
        descriptor = _SYSTEMD_FIRST + index
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise ListenError(f"systemd handed over descriptor {descriptor}, which is not a socket")
        sock = socket.socket(fileno=descriptor)
        sock.set_inheritable(False)
        sock.setblocking(False)
        found.append((names[index] if index < len(names) else "", sock))
    return found


def _handed_over(given: list[tuple[str, socket.socket]], one: Listen) -> socket.socket | None:
    """Take the socket meant for `one`: of its name and family, or else of its port and family."""
    family = socket.AF_INET6 if ":" in one.host else socket.AF_INET
    fitting = [(name, sock) for name, sock in given if sock.family == family]
    for name, sock in fitting:
        if name == one.name or sock.getsockname()[1] == one.port:
            given.remove((name, sock))
            return sock
    return None


def _local(sock: socket.socket) -> str:
    address = sock.getsockname()
    return f"{bracketed(address[0])}:{address[1]}" if isinstance(address, tuple) else str(address)


# --- Twisted ----------------------------------------------------------------------------------------------------------------


def adopt(sock: socket.socket, factory: Any, tls: Any = None) -> Any:
    """Let a Twisted `factory` accept on `sock`, which is given away. Returns the listening port (`stopListening`).

    `tls` is a context factory of appliance.net.tls: with it the connection begins with a TLS handshake.
    """
    from twisted.internet import reactor as module
    from twisted.protocols.tls import TLSMemoryBIOFactory

    reactor: Any = module
    if tls is not None:
        factory = TLSMemoryBIOFactory(tls, False, factory)
    port = reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
    sock.close()
    return port
