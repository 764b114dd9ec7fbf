"""curl: smtp and smtps to send, imap and imaps to list, fetch, search and append."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.outside import Person, Ran, body, call, compose, parsed, received, self_signed

LOGIN_DENIED, UPLOAD_FAILED, TLS_UNVERIFIED, NOT_FOUND = 67, 55, 60, 78


@pytest.fixture
def curl(program: Callable[[str], str], ann: Person, cert: str) -> Callable[..., Ran]:
    """`curl(listener, path, *words)`: as Ann, TLS demanded and verified."""
    path = program("curl")
    schemes = {"mx": "smtp", "submission": "smtp", "submissions": "smtps", "imap": "imap", "imaps": "imaps"}

    def ask(listener: str, rest: str = "", *words: str | Path, login: bool = True, expect: int = 0) -> Ran:
        url = f"{schemes[listener]}://localhost:{ann.house.port(listener)}/{rest}"
        who = ["--user", f"{ann.address}:{ann.password}"] if login else []
        return call(
            [path, "-q", "-sS", "--max-time", "20", "--ssl-reqd", "--cacert", cert, *who, url, *words], expect=expect
        )

    return ask


@pytest.fixture
def letter(tmp_path: Path, ann: Person, ben: Person) -> Path:
    """A message from Ann to Ben in a file, LF line ends as on any disk."""
    file = tmp_path / "letter.eml"
    file.write_bytes(compose(ann.address, ben.address, "by curl", ".dots\n..\nGrüße\n").replace(b"\r\n", b"\n"))
    return file


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_sends(curl: Callable[..., Ran], letter: Path, ann: Person, ben: Person, listener: str) -> None:
    curl(listener, "client.example.org", "--mail-from", ann.address, "--mail-rcpt", ben.address, "--crlf", "-T", letter)
    mail = ben.mail("by curl")
    assert "with ESMTPSA " in received(mail)[0]
    assert body(mail) == ".dots\r\n..\r\nGrüße\r\n".encode()


def test_delivers_to_the_mx(curl: Callable[..., Ran], letter: Path, ben: Person) -> None:
    words = ("--mail-from", "dora@example.net", "--mail-rcpt", ben.address, "--crlf", "-T", letter)
    curl("mx", "client.example.org", *words, login=False)
    mail = ben.mail("by curl")
    assert "with ESMTPS " in received(mail)[0]
    assert parsed(mail)["Return-Path"] == "<dora@example.net>"


def test_is_refused_without_a_recipient_of_ours(curl: Callable[..., Ran], letter: Path) -> None:
    words = ("--mail-from", "dora@example.net", "--mail-rcpt", "nobody@example.test", "-T", letter)
    assert "550" in curl("mx", "client.example.org", *words, login=False, expect=UPLOAD_FAILED).err


@pytest.mark.parametrize("listener", ["imap", "imaps"])
def test_lists_mailboxes(curl: Callable[..., Ran], listener: str) -> None:
    listed = curl(listener).out
    names = re.findall(r'^\* LIST \([^)]*\) "/" "?([^"\r\n]+)"?\r?$', listed, re.MULTILINE)
    assert sorted(names) == ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]


@pytest.mark.parametrize("listener", ["imap", "imaps"])
def test_fetches_a_message_and_parts_of_it(curl: Callable[..., Ran], ann: Person, listener: str) -> None:
    ann.house.deliver(compose("dora@example.net", ann.address, "to be fetched", "Line.\n" * 3000), ann.address)
    whole = ann.mail("to be fetched")
    # curl writes what a literal holds, octet for octet
    assert curl(listener, "INBOX;UID=1").out.encode() == whole
    assert curl(listener, "INBOX;MAILINDEX=1;SECTION=TEXT").out.encode() == body(whole)
    assert curl(listener, "INBOX;UID=1;SECTION=HEADER.FIELDS%20(Subject)").out == "Subject: to be fetched\r\n\r\n"


def test_searches_and_changes_flags(curl: Callable[..., Ran], ann: Person) -> None:
    for number in range(3):
        ann.house.deliver(compose("dora@example.net", ann.address, f"number {number}"), ann.address)
    assert curl("imaps", "INBOX?SUBJECT%20%22number%201%22").out == "* SEARCH 2\r\n"
    curl("imaps", "INBOX", "-X", "STORE 3 +FLAGS (\\Flagged $Important)")
    assert re.fullmatch(r"\* SEARCH 3\r\n", curl("imaps", "INBOX", "-X", "SEARCH KEYWORD $Important FLAGGED").out)
    flags = curl("imaps", "INBOX", "-X", "FETCH 3 (FLAGS)").out
    assert re.search(r"\* 3 FETCH \(FLAGS \(.*\\Flagged.*\)\)", flags)


def test_appends(curl: Callable[..., Ran], letter: Path, ann: Person, ben: Person) -> None:
    # curl sends a file as it is; IMAP wants CRLF, which is for whoever made the file to give
    octets = compose(ann.address, ben.address, "put away")
    letter.write_bytes(octets)
    curl("imaps", "Archive", "-T", letter)
    assert ann.mail("put away", "Archive") == octets
    assert ann.counts()["Archive"] == 1


def test_makes_and_removes_a_mailbox(curl: Callable[..., Ran]) -> None:
    curl("imaps", "", "-X", 'CREATE "Letters/2026"')
    assert '"Letters/2026"' in curl("imaps", "", "-X", 'LIST "" "Letters/*"').out
    curl("imaps", "", "-X", 'DELETE "Letters/2026"')
    assert curl("imaps", "", "-X", 'LIST "" "Letters/*"').out == ""


def test_a_wrong_password_and_an_unknown_mailbox(curl: Callable[..., Ran], ann: Person) -> None:
    curl("imaps", "INBOX;UID=1", "--user", f"{ann.address}:not this", expect=LOGIN_DENIED)
    curl("submissions", "", "--user", f"{ann.address}:not this", "-X", "NOOP", expect=LOGIN_DENIED)
    # curl has one exit status for both refusals of the server
    assert "Select failed" in curl("imaps", "Nowhere;UID=1", expect=LOGIN_DENIED).err
    curl("imaps", "INBOX;UID=1", expect=NOT_FOUND)


@pytest.mark.parametrize("listener", ["submission", "submissions", "imap", "imaps"])
def test_the_certificate_is_what_it_trusts(curl: Callable[..., Ran], tmp_path: Path, listener: str) -> None:
    """With another certificate to trust it leaves: what the other tests verify is verified indeed."""
    other, _ = self_signed(tmp_path, "localhost")
    curl(listener, "", "--cacert", other, expect=TLS_UNVERIFIED)
