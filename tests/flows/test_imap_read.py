"""Mail is read: delivered over SMTP, told to whoever idles, fetched, kept over a restart; and the server's end is told."""

from __future__ import annotations

import hashlib
import imaplib
import random
import re
import signal
import threading
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.house import House, house

imaplib._MAXLINE = 100_000_000  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def served() -> Iterator[House]:
    with house() as h:
        yield h


def letter(subject: str, text: str = "Hello.\r\n") -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Someone <someone@example.org>", "ann@example.test", subject
    made.set_content(text)
    return made.as_bytes().replace(b"\n", b"\r\n")


def idle(client: imaplib.IMAP4) -> None:
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+ ")


def stop_idling(client: imaplib.IMAP4) -> list[bytes]:
    client.send(b"DONE\r\n")
    said = []
    while not (line := client.readline()).startswith(b"i "):
        said.append(line)
    assert line.startswith(b"i OK")
    return said


def fetched(client: imaplib.IMAP4, number: str, item: str) -> bytes:
    status, data = client.fetch(number, item)
    assert status == "OK"
    first = data[0]
    assert isinstance(first, tuple)
    return bytes(first[1])


def test_mail_comes_in_and_everyone_who_idles_is_told(served: House) -> None:
    """From the MX to two sessions that wait, and the message is what was sent, with our trace fields before it."""
    ann = served.add_account("ann")
    watchers = [served.imap(ann) for _ in range(2)]
    for watcher in watchers:
        watcher.select("INBOX")
        idle(watcher)
    sent = letter("comes in")
    served.deliver(sent, ann)
    for watcher in watchers:
        assert watcher.readline() == b"* 1 EXISTS\r\n"
        stop_idling(watcher)
    whole = fetched(watchers[0], "1", "(BODY.PEEK[])")
    assert whole.endswith(sent)
    assert whole.startswith(b"Return-Path: <someone@example.org>\r\n")
    size = watchers[0].fetch("1", "(RFC822.SIZE)")[1][0]
    assert isinstance(size, bytes)
    assert int(re.findall(rb"RFC822.SIZE (\d+)", size)[0]) == len(whole)
    assert fetched(watchers[0], "1", "(BODY.PEEK[TEXT])") == sent.split(b"\r\n\r\n", 1)[1]
    for watcher in watchers:
        watcher.logout()


def test_what_one_client_does_another_sees(served: House) -> None:
    """Flags, moves and expunges by one are told to the other, at once while it idles."""
    bob = served.add_account("bob")
    one, two = served.imap(bob), served.imap(bob)
    for n in range(3):
        one.append("INBOX", "", "", letter(f"number {n}"))
    one.select("INBOX")
    two.select("INBOX")
    idle(two)
    one.store("1", "+FLAGS", "(\\Answered $Work)")
    one.uid("MOVE", "2", "Archive")
    said = [two.readline() for _ in range(4)]
    assert said[2] == b"* 1 FETCH (UID 1 FLAGS (\\Answered $Work))\r\n"
    assert said[3] == b"* 2 EXPUNGE\r\n"
    assert stop_idling(two) == []
    one.logout()
    two.logout()


def test_everything_is_there_after_a_restart(served: House) -> None:
    """UIDs, UIDVALIDITY, flags, keywords, subscriptions and messages, large ones too."""
    eve = served.add_account("eve")
    large = letter("large", "\r\n".join(f"{random.Random(n).getrandbits(256):064x}" for n in range(60_000)))
    client = served.imap(eve, timeout=60)
    client.append("INBOX", "(\\Flagged $Keep)", "", letter("small"))
    client.append("INBOX", "", "", large)
    client.create("Work/2026")
    client.subscribe("Work/2026")
    before = _state(client)
    client.logout()
    served.stop()
    served.start()
    client = served.imap(eve, timeout=60)
    assert _state(client) == before
    digest = hashlib.sha256(fetched(client, "2", "(BODY.PEEK[])")).digest()
    assert digest == hashlib.sha256(large).digest()
    client.logout()


def _state(client: imaplib.IMAP4) -> list[object]:
    client.select("INBOX", readonly=True)
    said = [client.response(name)[1] for name in ("UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ")]
    rows = client.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE EMAILID THREADID)")[1]
    return [said, rows, client.lsub()[1], client.list()[1]]


def test_the_end_of_the_server_is_told(served: House) -> None:
    """TERM: an idler, a client between commands and one that never logged in hear BYE, and the process ends clean."""
    dan = served.add_account("dan")
    idler, other = served.imap(dan), served.imap(dan)
    stranger = served.connect(served.imap_port)
    stranger.recv(1000)
    idler.select("INBOX")
    idle(idler)
    ended: list[int] = []
    stopper = threading.Thread(target=lambda: ended.append(served.stop(signal.SIGTERM)))
    stopper.start()
    assert idler.readline().startswith(b"* BYE")
    assert other.readline().startswith(b"* BYE")
    assert stranger.recv(1000).startswith(b"* BYE")
    stranger.close()
    idler.shutdown()
    other.shutdown()
    stopper.join()
    assert ended == [0]
    served.start()
