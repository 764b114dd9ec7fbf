"""Programs we did not write, run as a person runs them, and people whose mail they carry.

`call` runs a program to its end within a time limit and fails with everything it said. `Person` is an account of the
house under test with an IMAPClient beside it, which waits for mail by IDLE instead of by sleeping. `until` is for what
only a file tells (a peer's log, a Maildir).
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any, TypeVar

from imapclient import IMAPClient  # type: ignore[import-untyped]

from tests.house import PASSWORD, House

SECONDS = 30.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program did: its exit status, and its words on both streams."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams."""
        return self.out + self.err


def call(
    words: Sequence[str | Path],
    *,
    text: str | bytes = b"",
    env: Mapping[str, str] | None = None,
    expect: int | None = 0,
    seconds: float = SECONDS,
) -> Ran:
    """Run a program with `text` on its standard input; fails when it does not end with `expect` (None: whatever)."""
    given = text.encode("utf-8") if isinstance(text, str) else text
    # one locale, so that what a program says can be read, and no configuration of the one who runs the tests
    surroundings = {
        "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
    }
    done = subprocess.run(
        [str(word) for word in words], input=given, capture_output=True, env={**surroundings, **(env or {})},
        timeout=seconds, check=False,
    )  # fmt: skip
    ran = Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    assert expect is None or ran.status == expect, f"{words} ended with {ran.status}\n{ran.said}"
    return ran


def until(look: Callable[[], T | None], what: str, seconds: float = SECONDS) -> T:
    """The first true value that `look` gives; fails with `what` was awaited."""
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return found


def self_signed(directory: Path, name: str) -> tuple[Path, Path]:
    """A new certificate that nobody vouches for, and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    call(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", key, "-out", cert, "-subj", f"/CN={name}"]
    )  # fmt: skip
    return cert, key


def compose(
    sender: str, to: str, subject: str, body: str = "Good morning.\n", more: Mapping[str, str] | None = None
) -> bytes:
    """A small message with CRLF line ends."""
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = "Mon, 02 Mar 2026 08:30:00 +0100"
    message["Message-ID"] = f"<{subject.replace(' ', '.').encode('ascii', 'ignore').decode()}@client.example.org>"
    for name, value in (more or {}).items():
        message[name] = value
    message.set_content(body, cte="8bit")
    return message.as_bytes()


def parsed(octets: bytes) -> EmailMessage:
    """A message as the standard library reads it."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def fates(report: EmailMessage) -> list[Message]:
    """The groups of fields of a delivery-status report: of the message, then of each recipient (RFC 3464 §2)."""
    status = list(report.iter_parts())[1]
    assert status.get_content_type() == "message/delivery-status"
    groups: Any = status.get_payload()
    return list(groups)


def received(octets: bytes) -> list[str]:
    """The Received fields, unfolded, latest first."""
    fields = parsed(octets).get_all("Received", [])
    return [" ".join(str(field).split()) for field in fields]


def body(octets: bytes) -> bytes:
    """What follows the first empty line, with CRLF line ends."""
    return octets.replace(b"\r\n", b"\n").partition(b"\n\n")[2].replace(b"\n", b"\r\n")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    house: House
    address: str
    password: str = PASSWORD

    @contextmanager
    def client(self) -> Iterator[IMAPClient]:
        """A signed-in IMAPClient over TLS."""
        client = IMAPClient("localhost", self.house.imaps_port, ssl_context=self.house.tls(), timeout=SECONDS)
        try:
            client.login(self.address, self.password)
            yield client
        except BaseException:
            with contextlib.suppress(OSError):
                client.shutdown()
            raise
        client.logout()

    def await_mail(self, subject: str, mailbox: str = "INBOX", count: int = 1) -> list[bytes]:
        """Wait until `mailbox` holds `count` messages with `subject` in theirs; gives their octets."""
        with self.client() as client:
            client.select_folder(mailbox, readonly=True)
            ends = time.monotonic() + SECONDS
            while len(found := client.search(["SUBJECT", subject], "UTF-8")) < count:
                assert time.monotonic() < ends, f"{self.address} did not get {count} of {subject!r} in {mailbox}"
                client.idle()
                client.idle_check(timeout=1.0)
                client.idle_done()
            assert len(found) == count, f"{len(found)} messages with the subject {subject!r}"
            rows = client.fetch(found, ["BODY.PEEK[]"])
            return [rows[uid][b"BODY[]"] for uid in found]

    def mail(self, subject: str, mailbox: str = "INBOX") -> bytes:
        """The one message with that subject, when it has come."""
        return self.await_mail(subject, mailbox)[0]

    def counts(self) -> dict[str, int]:
        """Messages in each mailbox."""
        with self.client() as client:
            names = [name for _, _, name in client.list_folders()]
            return {name: client.folder_status(name, ["MESSAGES"])[b"MESSAGES"] for name in names}
