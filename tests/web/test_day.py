"""A day at the webmail in Chromium, told once at each look: hostile mail is read, answered with a file, received live in
another browser, found again; a sending is taken back, several conversations are moved at once, and it ends by signing out.

The host of all that the hostile message wants to load is a listener of this test, which must not be connected to. axe looks
at every screen on the way; none is wider than its window, the console is silent, nothing is asked but of the server.
Pictures of all are in build/screens. The looks that run always hold both widths, both themes and both languages.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from tests.house import House, house
from tests.panel_rig import browser
from tests.web.test_screens import Screen

pytestmark = [pytest.mark.interop]
LOOKS = [
    (1440, "light", "en-US"),
    (390, "dark", "zh-CN"),
    pytest.param(1440, "dark", "zh-CN", marks=pytest.mark.long),
    pytest.param(390, "light", "en-US", marks=pytest.mark.long),
]
HOSTILE = """<html><head><link rel="stylesheet" href="{0}/sheet.css"><style>@import url({0}/import.css);
h1 {{ color: #0b7a8c }} p {{ background: url({0}/style.png) }} @font-face {{ font-family: f; src: url({0}/f.woff2) }}</style>
<script src="{0}/remote.js"></script></head><body onload="document.title='ran'"><h1>Autumn offer</h1>
<p onclick="alert(1)">Dear customer, the prices are below.</p><script>document.title = "ran"; fetch("{0}/script")</script>
<img src="{0}/pixel.png" alt="Our logo"><img srcset="{0}/set.png 2x" alt=""><svg onload="alert(2)"><image href="{0}/svg.png"/></svg>
<form action="{0}/form"><input name="card" autofocus onfocus="alert(3)"><button>Pay</button></form>
<iframe src="{0}/frame"></iframe><video poster="{0}/poster.png"></video><a href="javascript:alert(4)">Read on</a></body></html>"""
LETTERS = ("Rooms for Thursday", "Printer on the second floor", "二楼的会议室")


@dataclass
class Stranger:
    """A host on the network that somebody's message wants to be asked; it notes who connects."""

    door: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def place(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.door.getsockname()[1]}"

    def _watch(self) -> None:
        while True:
            try:
                guest, address = self.door.accept()
            except OSError:
                return
            self.seen.append(str(address))
            guest.close()


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    found = Stranger()
    yield found
    found.door.close()


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        yield h


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


class Desk(Screen):
    """A window in which not one line on the console is forgiven."""

    def sign_in(self, user: str = "", face: str = "/webmail") -> None:
        super().sign_in(user, face)
        self.page.locator("#live[data-listening=yes]").wait_for(state="attached")

    def check(self, name: str) -> None:
        super().check(f"day-{name}")
        assert self.told == [], name

    def row(self, subject: str) -> Any:
        return self.page.locator("#list .msg-row", has_text=subject)

    def open(self, subject: str) -> None:
        self.row(subject).locator(".msg-row__link").click()
        self.page.locator(".thread__subject", has_text=subject).wait_for()
        self.page.locator("section.msg iframe[data-ready]").first.wait_for()

    def saved(self) -> None:
        """What is written lies in Drafts."""
        from playwright.sync_api import expect

        expect(self.page.locator("#c-state")).to_have_text(self.page.get_attribute("#compose", "data-saved"))

    def send(self) -> None:
        self.page.locator("button[value=send] >> visible=true").first.click()
        self.page.wait_for_selector(".toast__left")


def hostile(ann: str, bob: str, place: str, subject: str) -> EmailMessage:
    """What must not harm: everything HTML has to run, load and send."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Bob Becker <{bob}>", f"Ann Arbor <{ann}>", subject
    message["Message-ID"] = f"<{abs(hash(subject))}@example.test>"
    message.set_content("Dear customer, the prices are below.")
    message.add_alternative(HOSTILE.format(place), subtype="html")
    return message


def people(running: House, look: str, place: str) -> tuple[str, str]:
    """Two of the firm: Ann has mail, and a folder for it."""
    ann, bob = (running.add_account(f"{name}.{look.lower()}") for name in ("ann", "bob"))
    client = running.imap(ann)
    client.create("Projects")
    client.logout()
    for at, subject in enumerate(LETTERS):
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = "Maria Lindqvist <maria@example.org>", ann, subject
        letter["Message-ID"] = f"<{at}.{look}@example.org>"
        letter.set_content("Let us talk about it on Monday.\n")
        running.deliver(letter.as_bytes(policy=SMTP), ann, sender="maria@example.org")
    with running.submission(bob) as post:
        post.send_message(hostile(ann, bob, place, f"Offer {look}"))
    return ann, bob


@pytest.mark.parametrize(("width", "theme", "locale"), LOOKS)
def test_a_day(chromium: Any, running: House, stranger: Stranger, width: int, theme: str, locale: str) -> None:
    look = f"{width}-{theme}"
    ann, bob = people(running, look, stranger.place)
    desk, other = (Desk(chromium, running, width, theme, locale) for _ in range(2))
    desk.go("/webmail/login")
    assert desk.page.evaluate("document.documentElement.lang") == {"en-US": "en", "zh-CN": "zh-Hans"}[locale]
    desk.check("1-sign-in")
    desk.sign_in(ann)
    other.sign_in(bob)
    other.page.evaluate("window.same = true")
    for subject in (*LETTERS, f"Offer {look}"):
        desk.row(subject).wait_for()
    desk.check("2-inbox")

    reads(desk, f"Offer {look}")
    answers(desk, f"Offer {look}")
    receives(other, f"Re: Offer {look}")
    finds(other, look)
    takes_back(desk, bob)
    moves(desk, running, ann)
    signs_out(desk)
    assert stranger.seen == [], "somebody was told that the message was read"
    for one in (desk, other):
        assert one.told == []
        one.context.close()


def reads(desk: Desk, subject: str) -> None:
    """Nothing of it runs, nothing is loaded, and it is told what is held back."""
    desk.open(subject)
    frame = desk.page.frame_locator("section.msg iframe")
    assert frame.locator("h1").inner_text() == "Autumn offer"
    assert frame.locator("script, svg, form, input, iframe, link, video, [onclick], [onload]").count() == 0
    assert frame.locator("[href^='javascript:']").count() == 0
    desk.page.locator("section.msg [data-pictures]").wait_for(state="visible")
    assert desk.page.title().startswith(subject)
    desk.check("3-hostile")


def answers(desk: Desk, subject: str) -> None:
    """With a file; the answer stands in the conversation afterwards."""
    page = desk.page
    page.locator(".reply-bar a[data-key=r]").click()
    page.wait_for_url("**/webmail/compose/reply/*/*")
    assert "> Dear customer" in page.input_value("#c-text")
    page.fill("#c-text", "The zeppelin is too dear for us.\n\nAnn")
    page.set_input_files("#c-new", [{"name": "figures.pdf", "mimeType": "application/pdf", "buffer": b"x" * 40_000}])
    page.wait_for_selector(".composer__files .file")
    desk.saved()
    desk.check("4-answer")
    desk.send()
    page.wait_for_url(re.compile(r"/webmail/mail/inbox/t\d+"))
    assert page.locator("#read .thread .msg").count() == 2
    page.locator("section.msg iframe[data-ready]").first.wait_for()
    desk.check("5-answered")


def receives(other: Desk, subject: str) -> None:
    """The other one's open page shows it by itself."""
    from playwright.sync_api import expect

    expect(other.row(subject)).to_be_visible(timeout=30_000)
    assert other.page.evaluate("window.same"), "the page was not loaded again"
    other.check("6-live")
    other.open(subject)
    assert other.page.locator(".file__name").first.inner_text() == "figures.pdf"
    other.check("7-received")


def finds(other: Desk, look: str) -> None:
    """By a word of the text."""
    from playwright.sync_api import expect

    other.go("/webmail/mail/inbox")
    other.page.locator("#q").press_sequentially("zeppelin", delay=20)
    other.page.locator("#listing[data-asked=zeppelin]").wait_for()
    expect(other.row(f"Re: Offer {look}")).to_have_count(1)
    other.check("8-found")


def takes_back(desk: Desk, bob: str) -> None:
    """What was sent a moment ago lies there again, word for word."""
    page, text = desk.page, "Dear Bob,\n\nI did not mean to send this.  再见\n\nAnn"
    desk.go("/webmail/compose")
    desk.check("9-compose")
    page.fill("#c-to", bob)
    page.fill("#c-subject", "Too early")
    page.fill("#c-text", text)
    desk.send()
    desk.check("10-sent")
    page.click(".toast__action")
    page.wait_for_url("**/webmail/compose/draft/*/*")
    assert (page.input_value("#c-to"), page.input_value("#c-subject")) == (bob, "Too early")
    assert page.input_value("#c-text") == text
    desk.check("11-back")


def moves(desk: Desk, running: House, ann: str) -> None:
    """Two conversations go to a folder in one step; a third is archived while it is open."""
    from playwright.sync_api import expect

    page = desk.page
    desk.go("/webmail/mail/inbox")
    for subject in LETTERS[:2]:
        desk.row(subject).hover()
        desk.row(subject).locator(".msg-row__check input").check(force=True)
    expect(page.locator(".bulk")).to_be_visible()
    desk.check("12-chosen")
    page.locator(".bulk [value=move]").click()
    page.locator(".targets__one", has_text="Projects").wait_for()
    desk.check("13-where-to")
    page.locator(".targets__one", has_text="Projects").click()
    page.locator(".toast__action").wait_for()
    for subject in LETTERS[:2]:
        expect(desk.row(subject)).to_have_count(0)
    desk.check("14-moved")
    desk.open(LETTERS[2])
    page.locator(".read__bar [value^='archive:']").click()
    expect(desk.row(LETTERS[2])).to_have_count(0)
    page.locator(".thread__subject", has_text=LETTERS[2]).wait_for(state="detached")
    client = running.imap(ann)
    held = {box: int(client.select(box, readonly=True)[1][0]) for box in ("INBOX", "Projects", "Archive")}
    client.logout()
    assert held == {"INBOX": 1, "Projects": 2, "Archive": 1}
    desk.check("15-archived")


def signs_out(desk: Desk) -> None:
    """For good: the way back leads to the sign-in page."""
    page = desk.page
    desk.go("/webmail/mail/inbox")
    phone = not page.locator(".sidebar").is_visible()
    if phone:  # all that the sidebar holds is in a menu there
        page.locator(".drawer > summary").click()
        page.locator(".drawer .nav__link", has_text="Projects").click()
        page.locator(".list-head__title", has_text="Projects").wait_for()
        assert page.locator(".drawer[open]").count() == 0
        assert page.locator("#list .msg-row").count() == 2
    page.locator(".drawer > summary" if phone else "summary.account").click()
    desk.check("16-menu")
    page.locator("form[action$='/logout'] button >> visible=true").click()
    page.wait_for_url("**/webmail/login*")
    desk.check("17-signed-out")
    desk.go("/webmail/mail/inbox")
    assert page.url.startswith(f"{desk.base}/webmail/login")
