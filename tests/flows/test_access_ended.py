"""Who is suspended, deleted or has another password is out: open IMAP sessions end, an open submission sends nothing."""

from __future__ import annotations

import imaplib
import smtplib
import socket
from collections.abc import Iterator

import pytest

from tests.house import House, house

ANN, BOB = "ann@example.test", "bob@example.test"
LETTER = f"From: {ANN}\r\nTo: {BOB}\r\nSubject: s\r\n\r\nx\r\n"


@pytest.fixture
def h() -> Iterator[House]:
    with house() as served:
        served.add_account("ann")
        served.add_account("bob")
        yield served


def idling(h: House, user: str) -> socket.socket:
    """A signed-in plain connection that idles."""
    sock = h.connect(h.imap_port)
    stream = sock.makefile("rwb")
    stream.readline()
    for line in (f"a LOGIN {user} secret", "b SELECT INBOX", "c IDLE"):
        stream.write(line.encode() + b"\r\n")
        stream.flush()
        tag = line[:1].encode()
        while not stream.readline().startswith((tag + b" OK", b"+")):
            pass
    return sock


@pytest.mark.parametrize(
    "words", [("account", "suspend", ANN), ("account", "delete", ANN), ("account", "passwd", ANN, "--password-stdin")]
)
def test_open_sessions_of_that_account_end_and_others_stay(h: House, words: tuple[str, ...]) -> None:
    mine, other = idling(h, ANN), idling(h, BOB)
    h.run(*words, text="another\n")
    left = b""
    while chunk := mine.recv(1000):
        left += chunk
    assert left.startswith(b"* BYE")
    h.deliver(b"Subject: n\r\n\r\nx\r\n", BOB)
    assert b"EXISTS" in other.recv(1000)
    with pytest.raises(imaplib.IMAP4.error):
        h.imap(ANN)
    mine.close()
    other.close()


def test_a_submission_that_is_open_sends_nothing_more(h: House) -> None:
    with h.submission(ANN) as client:
        client.sendmail(ANN, [BOB], LETTER)
        h.run("account", "suspend", ANN)
        with pytest.raises(smtplib.SMTPSenderRefused) as caught:
            client.sendmail(ANN, [BOB], LETTER)
        assert caught.value.smtp_code == 550
    h.run("account", "resume", ANN)
    with h.submission(ANN) as client:
        client.sendmail(ANN, [BOB], LETTER)
