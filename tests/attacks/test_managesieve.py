"""Hostile clients on 4190: injection before TLS, passwords in the clear, slow and greedy ones."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from smtp.managesieve.dialogue import Dialogue
from smtp.managesieve.protocol import SieveProtocol
from smtp.managesieve.session import Rules
from tests.house import PASSWORD, House, house


@pytest.fixture(scope="module")
def server() -> Iterator[House]:
    with house(profile="production") as built:
        built.add_account("ann")
        yield built


class Client:
    """Octets and lines."""

    def __init__(self, server: House) -> None:
        self.server = server
        self.sock: socket.socket = server.connect(server.port("managesieve"))
        self.left = b""
        self.greeting = self.answer()

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def line(self) -> bytes:
        while b"\n" not in self.left:
            try:
                octets = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLError):
                octets = b""
            if not octets:
                rest, self.left = self.left, b""
                return rest
            self.left += octets
        line, _, self.left = self.left.partition(b"\n")
        return line + b"\n"

    def answer(self) -> bytes:
        """Lines up to OK, NO, BYE or the end."""
        said = b""
        while line := self.line():
            said += line
            if line.startswith((b"OK", b"NO", b"BYE")):
                break
        return said

    def do(self, text: str | bytes) -> bytes:
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.answer()

    def tls(self) -> bytes:
        self.sock = self.server.tls().wrap_socket(self.sock, server_hostname="localhost")
        return self.answer()

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def client(server: House) -> Iterator[Client]:
    made = Client(server)
    yield made
    made.close()


def _plain(password: str = PASSWORD) -> str:
    return base64.b64encode(f"\0ann@example.test\0{password}".encode()).decode()


def test_T1_what_is_sent_behind_starttls_is_never_answered(client: Client) -> None:
    client.send(b'STARTTLS\r\nNOOP "injected"\r\nLOGOUT\r\n')
    assert client.answer().startswith(b"OK")
    said = client.tls()
    assert b'"SASL" "PLAIN"' in said
    assert b"STARTTLS" not in said
    assert client.do('NOOP "mine"') == b'OK (TAG "mine") "Done"\r\n'
    assert client.do("STARTTLS").startswith(b"NO")


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_T4_no_password_is_looked_at_without_tls(client: Client, password: str) -> None:
    assert b'"SASL" ""' in client.greeting
    said = client.do(f'AUTHENTICATE "PLAIN" "{_plain(password)}"')
    assert said == b'NO (ENCRYPT-NEEDED) "A password is taken under TLS alone: use STARTTLS first"\r\n'


def test_signed_in_over_tls_and_a_wrong_password(client: Client) -> None:
    client.do("STARTTLS")
    client.tls()
    assert client.do(f'AUTHENTICATE "PLAIN" "{_plain("wrong")}"').startswith(b"NO ")
    assert client.do(f'AUTHENTICATE "PLAIN" "{_plain()}"') == b'OK "Signed in"\r\n'
    assert client.do('PUTSCRIPT "a" "keep;"').startswith(b"OK")


def test_T5_somebody_else_is_not_acted_for(client: Client) -> None:
    client.do("STARTTLS")
    client.tls()
    token = base64.b64encode(f"bob@example.test\0ann@example.test\0{PASSWORD}".encode()).decode()
    assert client.do(f'AUTHENTICATE "PLAIN" "{token}"').startswith(b"NO")


def test_I3_a_large_literal_before_a_sign_in(client: Client) -> None:
    client.send(b'PUTSCRIPT "a" {5000+}\r\n' + b"LOGOUT\r\n" * 625 + b"\r\n")
    assert client.answer().startswith(b"NO")
    assert client.do("NOOP").startswith(b"OK")
    assert client.do('PUTSCRIPT "a" {4294967295+}').startswith(b"BYE")
    assert client.line() == b""


def test_O1_a_line_without_an_end(client: Client) -> None:
    client.send(b"A" * 100_000)
    assert client.answer().startswith(b"BYE")


class Owner:
    """A factory with a clock that is moved by hand."""

    rules = Rules(plaintext_login=True)

    def __init__(self) -> None:
        self.moment = 0.0

    def now(self) -> float:
        return self.moment

    def joined(self, connection: SieveProtocol) -> Dialogue:
        nothing: Any = None
        return Dialogue(connection, nothing, self.rules)

    def left(self, connection: SieveProtocol) -> None:
        pass


class Wire(StringTransport):
    """A transport in memory that knows what Twisted's TCP transport knows."""

    aborted = False

    def setTcpKeepAlive(self, on: int) -> None:
        pass

    def setTcpNoDelay(self, on: int) -> None:
        pass

    def abortConnection(self) -> None:
        self.aborted = True


@pytest.fixture
def slow() -> tuple[Owner, SieveProtocol, Wire]:
    owner: Any = Owner()
    connection, wire = SieveProtocol(owner, "192.0.2.1", "192.0.2.1"), Wire()
    connection.makeConnection(wire)
    return owner, connection, wire


def test_F2_sixty_seconds_to_sign_in_whatever_is_said(slow: tuple[Owner, SieveProtocol, Wire]) -> None:
    owner, connection, wire = slow
    for second in range(61):
        owner.moment = float(second)
        connection.heard = owner.moment
        connection.look(owner.moment)
    assert b"BYE" not in wire.value()
    owner.moment = 61.0
    connection.look(owner.moment)
    assert wire.value().endswith(b'BYE "You took too long to sign in"\r\n')
    assert wire.disconnecting
    connection.look(owner.moment + 11)
    assert wire.aborted, "a client that does not close is cut off"


def test_F2_who_does_not_read_is_cut_off(slow: tuple[Owner, SieveProtocol, Wire]) -> None:
    _, connection, wire = slow
    connection.pauseProducing()
    connection.look(30.0)
    assert not wire.aborted
    connection.look(61.0)
    assert wire.aborted


def test_nonsense_ends(client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\n" * 20)
    said = b""
    while line := client.line():
        said += line
    assert said.count(b"NO ") == 11
    assert b"BYE" in said


def test_an_account_that_ends_is_sent_away(server: House) -> None:
    server.add_account("eve")
    client = Client(server)
    client.do("STARTTLS")
    client.tls()
    token = base64.b64encode(f"\0eve@example.test\0{PASSWORD}".encode()).decode()
    assert client.do(f'AUTHENTICATE "PLAIN" "{token}"').startswith(b"OK")
    assert client.do("LISTSCRIPTS").startswith(b"OK")
    server.ask("account.suspend", address="eve@example.test")
    assert client.do("LISTSCRIPTS").startswith(b"BYE")
    client.close()
