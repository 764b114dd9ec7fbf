"""A client of ManageSieve for tests: keeps a script for somebody of a house and makes it run."""

from __future__ import annotations

import base64
import socket

from tests.house import PASSWORD, House


def put_script(house: House, address: str, script: str, password: str = PASSWORD) -> None:
    """Sign in, keep `script` and make it the active one; profile bench, over loopback."""
    octets = script.encode()
    token = base64.b64encode(f"\0{address}\0{password}".encode())
    with house.connect(house.port("managesieve")) as sock, sock.makefile("rb") as file:
        _answer(file)
        for line in (
            b'AUTHENTICATE "PLAIN" "' + token + b'"',
            b'PUTSCRIPT "mine" {%d+}\r\n' % len(octets) + octets,
            b'SETACTIVE "mine"',
        ):
            sock.sendall(line + b"\r\n")
            said = _answer(file)
            assert said.startswith(b"OK"), said


def _answer(file: socket.SocketIO | object) -> bytes:
    while True:
        line: bytes = file.readline()  # type: ignore[union-attr]
        assert line, "the server closed the connection"
        if line.startswith((b"OK", b"NO", b"BYE")):
            return line
