"""What became of what one sent, in Sent: delivered, waiting, failed, each with its reason; and nobody else's."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest

from tests.house import House, house
from tests.web_rig import Browser

ANN, BOB = "ann@example.test", "bob@example.test"
OUT = "someone@example.org"
FATE = re.compile(
    r'<li class="fates__one(?: fates__one--(\w+))?">.*?fates__who">([^<]*)<.*?fates__state">([^<]*)<', re.DOTALL
)


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house(dns="off") as h:
        h.add_account(ANN)
        h.add_account(BOB)
        yield h


def signed_in(running: House, who: str) -> Browser:
    browser = Browser(running, secure=False)
    assert browser.sign_in(who).status == 303
    return browser


def send(browser: Browser, subject: str, to: str, key: str = "") -> str:
    """Send from the webmail; the key it was sent under."""
    chosen = key or secrets.token_hex(16)
    browser.get("/webmail/compose")
    answer = browser.post(
        "/webmail/compose", {"do": "send", "key": chosen, "to": to, "subject": subject, "text": "Hello", "version": "0"}
    )
    assert answer.location == f"/webmail/outgoing/{chosen}", answer.text[:3000]
    return chosen


def opened(browser: Browser, subject: str, box: str = "sent") -> str:
    """The page of a conversation."""
    page = browser.get(f"/webmail/mail/{box}").text
    found = re.search(
        rf'href="(/webmail/mail/{box}/t\d+)"[^>]*>(?:<span[^>]*>[^<]*</span>)?{re.escape(subject)}<', page
    )
    assert found, page[:4000]
    return browser.get(found[1]).text


def fates(browser: Browser, subject: str) -> dict[str, tuple[str, str]]:
    """What is said of each recipient, and how."""
    return {who: (tone, text) for tone, who, text in FATE.findall(opened(browser, subject))}


def until(look: Callable[[], bool], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.2)


def row(browser: Browser, subject: str) -> str:
    """A row of Sent."""
    page = browser.get("/webmail/mail/sent").text
    return next(part for part in page.split('<li class="msg-row')[1:] if subject in part)


def test_each_recipient_is_told_of(running: House) -> None:
    ann = signed_in(running, ANN)
    send(ann, "To both", f"{BOB}, {OUT}")
    assert fates(ann, "To both") == {BOB: ("", "On its way"), OUT: ("", "On its way")}
    assert "msg-row__fate" not in row(ann, "To both")
    until(lambda: fates(ann, "To both")[OUT][1] == "Waiting")
    assert fates(ann, "To both") == {BOB: ("ok", "Delivered"), OUT: ("warn", "Waiting")}
    page = opened(ann, "To both")
    assert "Trial domain: mail to other domains waits." in page and "Next attempt:" in page
    assert 'href="/webmail/help/outside"' in page
    assert "msg-row__fate--waiting" in row(ann, "To both")
    help_page = ann.get("/webmail/help/outside").text
    assert "queue.routes" in help_page and "/admin/system" not in help_page
    # what was dropped is told as that, and no longer waits
    item = next(one["item"] for one in running.ask("queue.list")["recipients"] if one["recipient"] == OUT)
    running.ask("queue.drop", item=[item])
    assert fates(ann, "To both")[OUT] == ("bad", "Not sent")
    assert "msg-row__fate" not in row(ann, "To both")


def test_of_another_account_nothing_is_told(running: House) -> None:
    ann, bob = signed_in(running, ANN), signed_in(running, BOB)
    key = send(ann, "Hers alone", f"{BOB}, {OUT}")
    # bob knows her key by the Message-ID, and sends something himself under it
    send(bob, "Under her key", ANN, key)
    assert list(fates(bob, "Under her key")) == [ANN]
    # or files a copy with another one as if it were his own
    key = send(ann, "Hers as well", f"{BOB}, {OUT}")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = BOB, ANN, "As if his"
    message["Message-ID"] = f"<{key}@example.test>"
    message.set_content("x")
    client = running.imap(BOB)
    client.append("Sent", r"(\Seen)", "", message.as_bytes().replace(b"\n", b"\r\n"))
    client.logout()
    assert fates(bob, "As if his") == {}
    assert set(fates(ann, "Hers alone")) == set(fates(ann, "Hers as well")) == {BOB, OUT}


def test_only_what_was_sent_here_has_a_fate(running: House) -> None:
    bob = signed_in(running, BOB)
    running.deliver(
        f"From: {BOB}\r\nTo: {BOB}\r\nSubject: Forged\r\nMessage-ID: <{'a' * 32}@example.test>\r\n\r\nx\r\n", BOB
    )
    page = opened(bob, "Forged", "inbox")
    assert "fates__one" not in page
    # it says it is from the reader, and is not
    assert "Sender not checked" in page
    send(bob, "Mine", ANN)
    page = opened(bob, "Mine")
    assert "Sender not checked" not in page and "Sent from this server" not in page
