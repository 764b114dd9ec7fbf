"""A new certificate is shown without a restart, on the asyncio stack (SMTP) and the Twisted stack (IMAP)."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.net import keypair
from tests.house import HOST, House, house


@pytest.fixture
def h(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "state") as running:
        yield running


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _imaps(h: House) -> ssl.SSLSocket:
    return _context().wrap_socket(socket.create_connection((HOST, h.imaps_port), timeout=15))


def _smtps(h: House) -> ssl.SSLSocket:
    return _context().wrap_socket(socket.create_connection((HOST, h.smtps_port), timeout=15))


def _starttls(h: House, port: int, ask: bytes, ready: bytes) -> ssl.SSLSocket:
    plain = socket.create_connection((HOST, port), timeout=15)
    file = plain.makefile("rb")
    file.readline()
    plain.sendall(ask)
    while not file.readline().startswith(ready):
        pass
    return _context().wrap_socket(plain)


def _smtp(h: House) -> ssl.SSLSocket:
    return _starttls(h, h.smtp_port, b"EHLO client.example.org\r\nSTARTTLS\r\n", b"220 ")


def _imap(h: House) -> ssl.SSLSocket:
    return _starttls(h, h.imap_port, b"a STARTTLS\r\n", b"a OK")


CLIENTS: tuple[Callable[[House], ssl.SSLSocket], ...] = (_imaps, _imap, _smtps, _smtp)


def _shown(h: House) -> set[bytes]:
    """The certificates that new connections of every kind are shown."""
    found = set()
    for connect in CLIENTS:
        with connect(h) as sock:
            found.add(sock.getpeercert(binary_form=True) or b"")
    return found


def _reload(h: House, verb: str) -> None:
    """HUP, and wait until the log says what became of it."""
    before = h.log().count(f"verb={verb}")
    assert h.process is not None
    h.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 20
    while h.log().count(f"verb={verb}") == before:
        assert time.monotonic() < until, h.log()[-2000:]
        time.sleep(0.02)


def test_a_new_pair_is_shown_and_a_broken_one_is_not(h: House) -> None:
    certificate, key = h.state / "tls" / "cert.pem", h.state / "tls" / "key.pem"
    old = keypair.read_pair(certificate, key)
    assert _shown(h) == {old.der}
    with _imaps(h) as standing:
        standing.recv(1000)
        certificate.write_bytes(keypair.self_signed("mail.example.test", old.key))
        _reload(h, "certificate.loaded")
        new = keypair.read_pair(certificate, key)
        assert new.der != old.der and _shown(h) == {new.der}
        key.write_bytes(keypair.new_key())
        _reload(h, "certificate.broken")
        assert _shown(h) == {new.der}
        standing.sendall(b"n NOOP\r\n")
        assert standing.recv(1000).startswith(b"n OK"), "a connection from before goes on"
    assert "key.pem is not the key of the first certificate" in h.log()
