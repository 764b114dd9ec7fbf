"""msmtp, as people put it behind their mail program: submission over STARTTLS and over TLS from the first octet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.outside import Person, Ran, body, call, compose, received

DATA_ERROR, NO_PERMISSION = 65, 77

_ACCOUNT = """\
defaults
tls on
tls_starttls {starttls}
tls_trust_file {cert}
timeout 20
account house
host localhost
port {port}
domain client.example.org
auth {auth}
user {user}
password {password}
from {user}
account default : house
"""


@pytest.fixture
def msmtp(program: Callable[[str], str], ann: Person, cert: str, tmp_path: Path) -> Callable[..., Ran]:
    """`msmtp(listener, *words, text=..., auth=..., password=..., expect=0)`, as Ann."""
    path = program("msmtp")

    def send(
        listener: str,
        *words: str,
        text: bytes = b"",
        auth: str = "plain",
        password: str = ann.password,
        expect: int = 0,
    ) -> Ran:
        file = tmp_path / "msmtprc"
        file.touch(0o600)
        starttls = "off" if listener == "submissions" else "on"
        port = ann.house.port(listener)
        file.write_text(
            _ACCOUNT.format(starttls=starttls, cert=cert, port=port, auth=auth, user=ann.address, password=password)
        )
        return call([path, "-C", file, *words], text=text, expect=expect)

    return send


@pytest.mark.parametrize("listener", ["submission", "submissions"])
@pytest.mark.parametrize("auth", ["plain", "login"])
def test_sends(msmtp: Callable[..., Ran], ann: Person, ben: Person, listener: str, auth: str) -> None:
    octets = compose(ann.address, ben.address, "by msmtp", ".\nGrüße\n.\n").replace(b"\r\n", b"\n")
    msmtp(listener, "--", ben.address, text=octets, auth=auth)
    mail = ben.mail("by msmtp")
    assert "with ESMTPSA " in received(mail)[0]
    assert body(mail) == ".\r\nGrüße\r\n.\r\n".encode()


def test_takes_recipients_from_the_header_and_drops_bcc(msmtp: Callable[..., Ran], ann: Person, ben: Person) -> None:
    octets = compose(ann.address, ben.address, "read recipients", more={"Bcc": ann.address})
    msmtp("submission", "--read-recipients", text=octets)
    assert b"Bcc" not in ben.mail("read recipients")
    assert b"Bcc" not in ann.mail("read recipients")


def test_asks_for_the_servers_abilities(msmtp: Callable[..., Ran]) -> None:
    said = msmtp("submission", "--serverinfo").out
    assert "TLS certificate information" in said
    for word in ("SIZE 52428800", "PIPELINING", "DSN", "AUTH", "PLAIN LOGIN"):
        assert word in said, said


def test_an_unknown_colleague_and_a_wrong_password(msmtp: Callable[..., Ran], ann: Person, ben: Person) -> None:
    octets = compose(ann.address, "nobody@example.test", "never")
    said = msmtp("submission", "--", "nobody@example.test", text=octets, expect=DATA_ERROR).err
    assert "550 5.1.1" in said
    said = msmtp("submission", "--", ben.address, text=octets, password="not this", expect=NO_PERMISSION).err
    assert "535 5.7.8" in said
    assert ben.counts()["INBOX"] == 0
