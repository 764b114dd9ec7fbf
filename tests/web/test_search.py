"""Searching in Debian's Chromium: as somebody types, chips, keys, the way back; both widths, themes and languages; without scripts."""

from __future__ import annotations

import imaplib
import shutil
import time
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from tests.house import House, house
from tests.web.test_screens import ANN, LOOKS, Screen

pytestmark = [pytest.mark.interop, pytest.mark.long]
MAIL = [
    ("Maria Lindqvist <maria@example.org>", "Quillwort for the garden", "The quillwort comes on Friday.", ""),
    ("李静 <lijing@example.org>", "2026年第四季度预算初稿", "请查收月度报告书。", "\\Seen"),
    ("Priya Raman <priya@example.org>", "Lunch", "Is there quillwort soup?", "\\Seen \\Flagged"),
    ("Tom Becker <tom@example.org>", "Printer again", "It does not print.", "\\Seen"),
]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        client = h.imap(ANN)
        for at, (sender, subject, text, flags) in enumerate(MAIL):
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = sender, ANN, subject
            message["Message-ID"] = f"<{at}@example.org>"
            message.set_content(text)
            when = imaplib.Time2Internaldate(time.time() - at * 90_000)
            client.append("INBOX", f"({flags})", when, message.as_bytes().replace(b"\n", b"\r\n"))
        message.replace_header("Message-ID", "<junk@example.org>")
        message.replace_header("Subject", "Cheap quillwort")
        client.append("Junk", "", imaplib.Time2Internaldate(time.time()), message.as_bytes())
        client.logout()
        yield h


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (appliance/deploy/test-needs)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=LOOKS, ids=[f"{w}-{t}-{lang}" for w, t, lang in LOOKS])
def screen(request: pytest.FixtureRequest, chromium: Any, running: House) -> Iterator[Screen]:
    made = Screen(chromium, running, *request.param)
    yield made
    made.context.close()


def shown(page: Any, text: str, count: int) -> None:
    """Wait until the list shows what was asked, and so many rows."""
    from playwright.sync_api import expect

    page.locator(f"#listing[data-asked='{text}']").wait_for()
    expect(page.locator("#list .msg-row")).to_have_count(count)


def test_typing_finds(screen: Screen) -> None:
    from playwright.sync_api import expect

    screen.sign_in()
    page = screen.page
    box = page.locator("#q")
    box.press_sequentially("quillw", delay=30)
    shown(page, "quillw", 2)
    expect(box).to_be_focused()
    expect(box).to_have_value("quillw")
    expect(page.locator("mark")).to_have_count(3)
    expect(page.locator("#search-said")).not_to_be_empty()
    asked = [url for url in screen.asked if "/mail/search" in url]
    assert len(asked) <= 3, asked
    screen.check("search")
    # one letter of Chinese is enough, of others it is not
    box.fill("度")
    shown(page, "度", 1)
    before = len(screen.asked)
    box.fill("q")
    page.wait_for_timeout(400)
    assert len(screen.asked) == before
    box.fill("from:priya is:starred soup")
    page.keyboard.press("Enter")
    shown(page, "from:priya is:starred soup", 1)
    expect(page.locator(".asked__one")).to_have_count(3)
    screen.check("search-chips")
    page.locator(".asked__one").nth(2).click()
    shown(page, "from:priya is:starred", 1)
    expect(box).to_have_value("from:priya is:starred")
    box.fill("cheap nonsense")
    page.keyboard.press("Enter")
    shown(page, "cheap nonsense", 0)
    screen.check("search-nothing")
    page.locator(".asked__try a").nth(2).click()
    shown(page, "cheap", 0)
    page.locator(".asked__try a").first.click()
    shown(page, "cheap", 1)
    assert "in=all" in page.url
    page.go_back()
    page.go_back()
    screen.go("/webmail/search")
    page.locator(".asked__tips").wait_for()
    screen.check("search-tips")


def test_a_hit_opens_beside_the_list(screen: Screen) -> None:
    from playwright.sync_api import expect

    screen.sign_in()
    page = screen.page
    page.fill("#q", "quillwort")
    page.keyboard.press("Enter")
    shown(page, "quillwort", 2)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#list .msg-row__link").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".thread__subject")).to_have_text("Quillwort for the garden")
    assert "/webmail/mail/search/t" in page.url
    page.locator("section.msg iframe").wait_for()
    screen.check("search-open")
    page.reload()
    expect(page.locator(".thread__subject")).to_have_text("Quillwort for the garden")
    expect(page.locator("#list .msg-row")).to_have_count(2)
    if screen.look.startswith("1440"):
        expect(page.locator("#q")).to_have_value("quillwort")
        page.locator("#list .msg-row__link").nth(1).click()
        expect(page.locator(".thread__subject")).to_have_text("Lunch")
    page.go_back()
    shown(page, "quillwort", 2)
    page.fill("#q", "")
    page.wait_for_url("**/webmail/mail/inbox*")
    expect(page.locator("#list .msg-row")).to_have_count(4)


def test_a_slow_answer_does_not_take_the_place_of_a_later_one(chromium: Any, running: House) -> None:
    made = Screen(chromium, running, 1440, "light", "en-US")
    page = made.page
    made.sign_in()

    def slow(route: Any) -> None:
        if "q=print" in route.request.url:
            page.wait_for_timeout(900)
        route.continue_()

    page.route("**/mail/search?*", slow)
    page.fill("#q", "print")
    page.keyboard.press("Enter")
    page.fill("#q", "lunch")
    page.keyboard.press("Enter")
    shown(page, "lunch", 1)
    page.wait_for_timeout(1_200)
    shown(page, "lunch", 1)
    made.context.close()


def test_slash_goes_to_the_box_and_new_mail_is_found(chromium: Any, running: House) -> None:
    from playwright.sync_api import expect

    made = Screen(chromium, running, 1440, "light", "en-US")
    page = made.page
    made.sign_in()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    running.deliver("Subject: Just now\r\nMessage-ID: <now@example.org>\r\n\r\nbrandnew\r\n", ANN)
    page.keyboard.type("brandn")
    shown(page, "brandn", 1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("#")
    expect(page.locator("#list .msg-row")).to_have_count(0)
    page.locator(".toast__action").click()
    expect(page.locator("#list .msg-row")).to_have_count(1)
    made.context.close()


def test_without_scripts_it_is_a_form(chromium: Any, running: House) -> None:
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    base = f"http://localhost:{running.port('http')}"
    page.goto(f"{base}/webmail/login")
    page.fill("#f-identity", ANN)
    page.fill("#f-password", "secret")
    page.click("button[type=submit]")
    page.fill("#q", "from:tom")
    page.press("#q", "Enter")
    page.wait_for_url("**/webmail/mail/search?*")
    assert page.locator("#list .msg-row").count() == 1
    page.click("text=Printer again")
    page.wait_for_selector("section.msg iframe")
    assert page.locator("#list .msg-row").count() == 1
    page.click(".asked__one")
    page.wait_for_selector(".asked__tips")
    context.close()
