"""Whose remote pictures are shown without asking: vouched messages of an allowed sender, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.house import House, house
from tests.web_rig import Browser

ANN, BOB = "ann@example.test", "bob@example.test"
HTML = '<p>Hello</p><img src="https://pictures.example.org/a.png" alt="">'


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(BOB)
        yield h


@pytest.fixture(scope="module")
def ann(running: House) -> Browser:
    browser = Browser(running, secure=False)
    assert browser.sign_in(ANN).status == 303
    return browser


def letter(subject: str, sender: str = f"Bob <{BOB}>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ANN, subject
    message["Message-ID"] = f"<{subject.replace(' ', '')}@example.test>"
    message.set_content("Hello")
    message.add_alternative(HTML, subtype="html")
    return message


def submit(running: House, subject: str) -> None:
    client = running.submission(BOB)
    client.send_message(letter(subject))
    client.quit()


def forge(running: House, subject: str) -> None:
    running.deliver(letter(subject).as_string(), ANN, sender=BOB)


def opened(ann: Browser, subject: str) -> tuple[str, str]:
    """The page of a message, and the document in its frame."""
    page = ann.get("/webmail/mail/inbox").text
    found = re.search(
        rf'href="(/webmail/mail/inbox/t\d+)"[^>]*>(?:<span[^>]*>[^<]*</span>)?{re.escape(subject)}<', page
    )
    assert found, page[:4000]
    page = ann.get(found[1]).text
    body = re.search(r"/webmail/body/\d+/\d+", page)
    assert body
    return page, ann.get(body[0]).text


def change(ann: Browser, do: str, address: str, back: str = "") -> str:
    ann.get("/webmail/pictures")
    answer = ann.post("/webmail/pictures", {"do": do, "address": address, "back": back})
    return answer.location or str(answer.status)


def test_W2_a_senders_pictures_are_shown_only_where_it_is_certain_who_sent(running: House, ann: Browser) -> None:
    submit(running, "Signed in")
    forge(running, "Forged")
    page, body = opened(ann, "Signed in")
    assert 'data-blocked="1"' in body and "/webmail/remote/" not in body
    assert "Sent from this server" in page and f"Always for {BOB}" in page
    page, body = opened(ann, "Forged")
    assert "Sender not checked" in page and "Always for" not in page and "asked each time" in page
    assert change(ann, "allow", "Bob@Example.test", "/mail/inbox/t1") == "/webmail/mail/inbox/t1"
    assert "/webmail/remote/" in opened(ann, "Signed in")[1]
    assert "/webmail/remote/" not in opened(ann, "Forged")[1]
    assert f">{BOB}<" in ann.get("/webmail/pictures").text
    assert change(ann, "forget", BOB) == "/webmail/pictures"
    assert "/webmail/remote/" not in opened(ann, "Signed in")[1]
    assert f">{BOB}<" not in ann.get("/webmail/pictures").text


def test_what_one_allows_holds_for_nobody_else(running: House, ann: Browser) -> None:
    change(ann, "allow", BOB)
    bob = Browser(running, secure=False)
    bob.sign_in(BOB)
    assert "Nobody yet" in bob.get("/webmail/pictures").text
    change(ann, "forget", BOB)


@pytest.mark.parametrize("address", ["", "nonsense", "a@b\nc@d.test", "x" * 500 + "@example.test"])
def test_what_is_no_address_is_refused(ann: Browser, address: str) -> None:
    assert change(ann, "allow", address) == "422"


def test_one_comes_back_below_the_mail_and_nowhere_else(ann: Browser) -> None:
    for back in ("https://example.org/", "//example.org", "/mail/../admin", "/mail/inbox/t1?x=//y"):
        assert change(ann, "forget", BOB, back) == "/webmail/pictures"
