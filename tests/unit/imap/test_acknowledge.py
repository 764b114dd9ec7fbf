"""When the kernel is asked to acknowledge at once: in the midst of a command, and never between two."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from imap.dispatch import Dialogue
from imap.protocol import ImapProtocol
from imap.session import Rules
from tests.imap_rig import Desk, desk


class Kernel:
    """The socket of a transport: notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []

    def setsockopt(self, *option: int) -> None:
        """As socket.socket has it."""
        self.asked.append(option)  # type: ignore[arg-type]


class Owner:
    """A factory with one connection."""

    rules = Rules()

    def __init__(self, made: Desk) -> None:
        self._desk = made

    def now(self) -> float:
        return self._desk.loop.time()

    def tls(self) -> Any:
        raise AssertionError("nobody asked for TLS")

    def joined(self, connection: ImapProtocol) -> Dialogue:
        return Dialogue(connection, self._desk.parts, self.rules, secure=True)

    def left(self, connection: ImapProtocol) -> None:
        pass

    def timed_out(self, connection: ImapProtocol, why: str) -> None:
        raise AssertionError(why)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux only")
def test_a_command_that_is_not_complete_is_acknowledged_at_once(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        transport: Any = StringTransport()
        transport.socket = Kernel()
        transport.setTcpKeepAlive = transport.setTcpNoDelay = lambda on: None
        protocol = ImapProtocol(Owner(made), "127.0.0.1", "127.0.0.1")

        async def hear(octets: bytes) -> int:
            """How often the kernel was asked because of these octets."""
            before = len(transport.socket.asked)
            protocol.dataReceived(octets)
            assert protocol.dialogue is not None
            await made.quiet(protocol.dialogue)
            return len(transport.socket.asked) - before

        async def talk() -> None:
            protocol.makeConnection(transport)
            assert await hear(b"a NOOP\r\n") == 0
            assert await hear(f'b LOGIN "{made.account()}" {{6}}\r\n'.encode()) == 1
            assert await hear(b"secret") == 1
            assert await hear(b"\r\n") == 0
            assert await hear(b"c APPEND INBOX {12}\r\n") == 1
            assert await hear(b"Subject: x\r\n") == 1
            await hear(b"\r\n")
            assert b"c OK [APPENDUID " in transport.value()
            protocol.connectionLost()

        made.run(talk())
        assert set(transport.socket.asked) == {(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)}
