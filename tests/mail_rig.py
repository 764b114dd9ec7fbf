"""A mailbox filled for a screen, and what IMAP says of it afterwards.

fill(house, "ann@example.test", 12)
held(house, "ann@example.test", "INBOX") == {"Subject 003": ("\\Seen",), ...}
"""

from __future__ import annotations

import email
import imaplib
import re
import time
from email.message import EmailMessage

from tests.house import House

EVERY = 3_600 * 5
"""Seconds between two messages."""


def letter(number: int, subject: str = "", *, answers: int | None = None, rich: bool = True) -> bytes:
    """A message from somebody outside."""
    message = EmailMessage()
    message["From"] = f"Person {number % 17} <p{number % 17}@example.org>"
    message["To"], message["Cc"] = "somebody@example.test", "team@example.org"
    message["Subject"] = subject or f"Subject {number:03}"
    message["Message-ID"] = f"<letter{number}@example.org>"
    if answers is not None:
        message["References"] = f"<letter{answers}@example.org>"
    message.set_content(f"Text of {number}.\n" * 5)
    if rich:
        message.add_alternative(f"<p>Text of <b>{number}</b></p>" * 5, subtype="html")
    return message.as_bytes()


def fill(house: House, user: str, count: int, *, flags: str = "\\Seen", box: str = "INBOX") -> None:
    """Letters 0 to count-1, the last one the newest."""
    client = house.imap(user)
    now = time.time()
    for number in range(count):
        when = imaplib.Time2Internaldate(now - EVERY * (count - number))
        status, _ = client.append(box, f"({flags})", when, letter(number, rich=number % 2 == 0))
        assert status == "OK"
    client.logout()


def held(house: House, user: str, box: str = "INBOX") -> dict[str, tuple[str, ...]]:
    """The flags of every message of a mailbox, by subject."""
    client = house.imap(user)
    status, counted = client.select(box, readonly=True)
    assert status == "OK", box
    found: dict[str, tuple[str, ...]] = {}
    if counted[0] != b"0":
        _, rows = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        for row in rows:
            if isinstance(row, tuple):
                said = re.search(rb"FLAGS \(([^)]*)\)", row[0])
                assert said
                subject = str(email.message_from_bytes(row[1])["Subject"])
                found[subject] = tuple(sorted(word for word in said[1].decode().split() if word != "\\Recent"))
    client.logout()
    return found
