"""Hostile connections (RELIABILITY §2.1 T1-T4, §2.2 F1, F2) against the running appliance, and against the protocol with a
clock that the test moves.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address

from appliance.metrics import Metrics
from imap.factory import ImapFactory
from imap.protocol import LINGER, ImapProtocol
from imap.session import Rules
from tests.house import House, house
from tests.imap_rig import Desk, desk, message


@pytest.fixture(scope="module")
def served() -> Iterator[House]:
    """Limits as in production, on a high port."""
    with house(profile="development") as h:
        h.add_account("ann")
        yield h


class Wire:
    """A blocking client that sends octets as they are."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._left = b""

    def line(self) -> bytes:
        """One line; empty when the server has closed."""
        while b"\n" not in self._left:
            try:
                octets = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLError):
                octets = b""
            if not octets:
                return b""
            self._left += octets
        line, self._left = self._left.split(b"\n", 1)
        return line + b"\n"

    def until(self, tag: bytes) -> list[bytes]:
        """Lines up to the one that begins with `tag`, or the end."""
        said = []
        while line := self.line():
            said.append(line)
            if line.startswith(tag + b" "):
                break
        return said

    def do(self, command: bytes) -> list[bytes]:
        tag = command.split(b" ")[0]
        self.sock.sendall(command + b"\r\n")
        return self.until(tag)


@pytest.fixture
def plain(served: House) -> Iterator[Wire]:
    with contextlib.closing(served.connect(served.imap_port)) as sock:
        wire = Wire(sock)
        assert wire.line().startswith(b"* OK")
        yield wire


@contextlib.contextmanager
def wrapped(served: House, wire: Wire) -> Iterator[Wire]:
    assert not wire._left, "octets in the clear behind the answer to STARTTLS"
    with served.tls().wrap_socket(wire.sock, server_hostname="localhost") as secure:
        yield Wire(secure)


# --- STARTTLS ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("injected", [b"x NOOP\r\n", b"x NOOP\r\ny CAPABILITY\r\n", b"x LOGIN a {1+}\r\na", b"x LOG"])
def test_T1_what_follows_starttls_in_the_clear_is_never_answered(served: House, plain: Wire, injected: bytes) -> None:
    """Commands in the segment of STARTTLS: dropped; under TLS only what came under TLS is answered."""
    plain.sock.sendall(b"a STARTTLS\r\n" + injected)
    assert plain.line().startswith(b"a OK")
    with wrapped(served, plain) as secure:
        said = secure.do(b"b NOOP")
        assert said == [b"b OK NOOP completed\r\n"]


@pytest.mark.parametrize("injected", [b"x NOOP\r\n", b"\0" * 100])
def test_T1_what_follows_the_ok_in_the_clear_ends_the_handshake(plain: Wire, injected: bytes) -> None:
    """Octets that are no TLS where TLS must begin: the connection ends, and nothing is answered."""
    assert plain.do(b"a STARTTLS")[-1].startswith(b"a OK")
    plain.sock.sendall(injected)
    said = b"".join(iter(plain.line, b""))
    assert b"OK" not in said


def test_T2_state_before_tls_is_forgotten_and_tls_begins_once(served: House, plain: Wire) -> None:
    """ID said before; a second STARTTLS."""
    assert plain.do(b'a ID ("name" "x")')[-1].startswith(b"a OK")
    assert plain.do(b"b STARTTLS")[-1].startswith(b"b OK")
    with wrapped(served, plain) as secure:
        told = secure.do(b"c CAPABILITY")[0]
        assert b"STARTTLS" not in told
        assert b"LOGINDISABLED" not in told
        assert b"AUTH=PLAIN" in told
        assert secure.do(b"d STARTTLS")[-1].startswith(b"d BAD")
        assert secure.do(b"e LOGIN ann@example.test secret")[-1].startswith(b"e OK")
        assert secure.do(b"f STARTTLS")[-1].startswith(b"f BAD")


@pytest.mark.parametrize("password", [b"secret", b"wrong"])
@pytest.mark.parametrize("form", ["login", "literal", "initial", "asked"])
def test_T4_no_password_is_looked_at_without_tls(served: House, plain: Wire, password: bytes, form: str) -> None:
    """The same answer for a right and a wrong one, and no sign-in in the log."""
    import base64

    assert b"LOGINDISABLED" in plain.do(b"z CAPABILITY")[0]
    token = base64.b64encode(b"\0ann@example.test\0" + password)
    command = {
        "login": b"a LOGIN ann@example.test " + password,
        "literal": b"a LOGIN {16+}\r\nann@example.test {%d+}\r\n%b" % (len(password), password),
        "initial": b"a AUTHENTICATE PLAIN " + token,
        "asked": b"a AUTHENTICATE PLAIN",
    }[form]
    assert plain.do(command) == [b"a NO [PRIVACYREQUIRED] A password is taken under TLS alone: use STARTTLS first\r\n"]
    assert not [line for line in served.log().splitlines() if "verb=login" in line and "tls=false" in line]


# --- floods -----------------------------------------------------------------------------------------------------------


def test_F1_one_address_gets_its_share(served: House) -> None:
    """Connections beyond the share are told BYE; when some leave, others come in; other addresses are served."""
    with contextlib.ExitStack() as stack:
        greetings = []
        for _ in range(45):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", served.imap_port), timeout=15))
            wire = Wire(sock)
            greetings.append(wire.line())
            if greetings[-1].startswith(b"* BYE"):
                assert b"[LIMIT]" in greetings[-1]
                assert wire.line() == b""
        assert sum(g.startswith(b"* OK") for g in greetings) == 30
        other = socket.create_connection(("127.0.0.1", served.imap_port), timeout=15, source_address=("127.0.0.2", 0))
        with stack.enter_context(contextlib.closing(other)):
            assert Wire(other).line().startswith(b"* OK")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.closing(served.connect(served.imap_port)) as sock:
            if Wire(sock).line().startswith(b"* OK"):
                return
    raise AssertionError("the address was not let in again")


def test_F1_a_client_is_served_while_another_attacks(served: House) -> None:
    """NOOP stays quick while one connection asks for the dear things without end."""
    with contextlib.ExitStack() as stack:
        attackers = []
        for _ in range(4):
            sock = stack.enter_context(contextlib.closing(served.connect(served.imaps_port, tls=True)))
            wire = Wire(sock)
            wire.line()
            wire.do(b"a LOGIN ann@example.test secret")
            wire.do(b"b SELECT INBOX")
            attackers.append(wire)
        client = served.imap("ann@example.test")
        stack.callback(client.logout)
        waited = []
        for _ in range(40):
            for wire in attackers:
                wire.sock.sendall(b"x SEARCH " + b"(" * 10_000 + b"\r\n")
                wire.sock.sendall(b'y LIST "" "' + b"*%" * 1_500 + b'"\r\n')
            begun = time.monotonic()
            assert client.noop()[0] == "OK"
            waited.append(time.monotonic() - begun)
            for wire in attackers:
                wire.until(b"y")
        assert sorted(waited)[-3] < 0.25  # two may fall to whatever else the machine does


# --- slowness, with a clock of the test's -------------------------------------------------------------------------------


class Server:
    """A factory whose clock stands still until it is moved, and connections over transports in memory."""

    def __init__(self, room: Desk, rules: Rules, *, secure: bool = True) -> None:
        self.room = room
        self.time = 1000.0
        room.run(self._make(rules, secure))

    async def _make(self, rules: Rules, secure: bool) -> None:
        class Certificates:
            def twisted_factory(self, protocol: Any) -> Any:
                raise AssertionError("no TLS here")

        self.factory = ImapFactory("imap", self.room.parts, Certificates(), Metrics(), rules, secure=secure)
        self.factory.now = lambda: self.time  # type: ignore[method-assign]

    def connect(self, host: str = "192.0.2.1") -> tuple[ImapProtocol, Transport]:
        async def make() -> tuple[ImapProtocol, Transport]:
            address: Any = IPv4Address("TCP", host, 1234)
            protocol: Any = self.factory.buildProtocol(address)
            transport = Transport()
            protocol.makeConnection(transport)
            return protocol, transport

        made = self.room.run(make())
        assert isinstance(made, tuple)
        return made

    def say(self, protocol: ImapProtocol, octets: bytes) -> None:
        async def speak() -> None:
            protocol.dataReceived(octets)
            assert protocol.dialogue is not None
            await self.room.quiet(protocol.dialogue)

        self.room.run(speak())

    def later(self, seconds: float) -> None:
        """Let time pass, a few seconds at a time, with a look at the clock each time."""
        for _ in range(int(seconds)):
            self.time += 1.0
            self.factory.look()


class Transport:
    """A TCP transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.disconnecting = False
        self.aborted = 0
        self.on_write: Callable[[], None] = lambda: None

    def value(self) -> bytes:
        return bytes(self.written)

    def write(self, data: bytes) -> None:
        self.written += data
        self.on_write()

    def loseConnection(self) -> None:
        self.disconnecting = True

    def abortConnection(self) -> None:
        self.aborted += 1

    def __getattr__(self, name: str) -> Any:
        """No socket lies below, and the producer's part is played by the test."""
        if name in ("setTcpKeepAlive", "setTcpNoDelay", "registerProducer", "unregisterProducer", "resumeProducing"):
            return lambda *_: None
        raise AttributeError(name)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


def test_F2_sixty_seconds_to_log_in_however_much_is_said(room: Desk) -> None:
    """One octet now and then does not buy time; after BYE a client that stays is cut off."""
    server = Server(room, Rules())
    protocol, transport = server.connect()
    for _ in range(11):
        server.later(5)
        server.say(protocol, b"a")
        assert not transport.disconnecting
    server.later(7)
    assert b"* BYE" in transport.value()
    assert transport.disconnecting
    assert transport.aborted == 0
    server.later(LINGER + 2)
    assert transport.aborted >= 1


def test_F2_half_an_hour_of_silence_after_login(room: Desk) -> None:
    """Autologout (RFC 9051 §5.4), in IDLE too; a command puts it off."""
    server = Server(room, Rules())
    address = room.account()
    protocol, transport = server.connect()
    server.say(protocol, f"a LOGIN {address} secret\r\n".encode())
    assert b"a OK" in transport.value()
    server.later(29 * 60)
    server.say(protocol, b"b IDLE\r\n")
    server.later(29 * 60)
    assert not transport.disconnecting
    server.later(2 * 60)
    assert b"* BYE" in transport.value()
    assert transport.disconnecting


def test_F2_a_client_that_does_not_read_is_not_read_for(room: Desk) -> None:
    """FETCH of much, to a client that takes nothing: a bounded amount waits, and after five minutes it is over."""
    address = room.account()
    writer = room.login(address)
    for n in range(12):
        assert writer.append(message(f"big {n}", "x" * 70 + "\r\n" + ("y" * 998 + "\r\n") * 1200)).ok
    server = Server(room, Rules())
    protocol, transport = server.connect()
    server.say(protocol, f"a LOGIN {address} secret\r\nb SELECT INBOX\r\n".encode())
    transport.written.clear()
    transport.on_write = protocol.pauseProducing  # from the first write of the FETCH on, the transport's buffer is full
    server.say(protocol, b"c FETCH 1:* BODY.PEEK[]\r\n")
    assert 0 < len(transport.value()) <= 1 << 20
    before = len(transport.value())
    server.later(4 * 60)
    assert transport.aborted == 0
    assert len(transport.value()) == before
    server.later(2 * 60)
    assert transport.aborted >= 1
    room.run(_end(protocol))
    assert room.login(address).do("SELECT INBOX").ok


async def _end(protocol: ImapProtocol) -> None:
    protocol.connectionLost()
    for _ in range(10):
        await asyncio.sleep(0)


def test_F1_shares_are_counted_by_network(room: Desk) -> None:
    """IPv6 is counted by /64, and a connection that ends gives its place back."""
    server = Server(room, Rules(per_peer=2))
    made = [server.connect(host) for host in ("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1")]
    greetings = [transport.value()[:5] for _, transport in made]
    assert greetings == [b"* OK ", b"* OK ", b"* BYE", b"* OK "]
    room.run(_end(made[0][0]))
    _, transport = server.connect("2001:db8::4")
    assert transport.value().startswith(b"* OK")


def test_bench_on_loopback_has_no_share(room: Desk) -> None:
    """Profile bench lets loopback have any number of connections, and nobody else."""
    server = Server(room, Rules(per_peer=2, plaintext_login=True))
    greetings = [server.connect(host)[1].value()[:5] for host in ["127.0.0.1"] * 4 + ["192.0.2.1"] * 3]
    assert greetings == [b"* OK "] * 6 + [b"* BYE"]


def test_draining_says_bye_to_everyone(room: Desk) -> None:
    """Those who idle and those who said nothing; who comes later is turned away."""
    server = Server(room, Rules())
    address = room.account()
    protocol, idler = server.connect()
    server.say(protocol, f"a LOGIN {address} secret\r\nb IDLE\r\n".encode())
    _, silent = server.connect()
    server.factory.drain()
    for transport in (idler, silent):
        assert transport.value().endswith(b"* BYE [UNAVAILABLE] The server is going down\r\n")
        assert transport.disconnecting
    _, late = server.connect()
    assert late.value().startswith(b"* BYE")
