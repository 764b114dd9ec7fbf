"""Live mail in Debian's Chromium: what one browser sends appears in another without a reload, at both widths."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House, house
from tests.web.test_screens import Screen

pytestmark = [pytest.mark.interop, pytest.mark.long]
ANN, BOB = "ann@example.test", "bob@example.test"


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(BOB)
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


def put(running: House, subject: str, who: str = ANN, refers: str = "", name: str = "") -> None:
    """A message in an inbox, by SMTP."""
    ident = name or re.sub(r"\W", "", subject)
    more = f"In-Reply-To: <{refers}@example.org>\r\nReferences: <{refers}@example.org>\r\n" if refers else ""
    running.deliver(
        f"From: Eve <eve@example.org>\r\nTo: {who}\r\nSubject: {subject}\r\nMessage-ID: <{ident}@example.org>\r\n{more}\r\nHello\r\n",
        who,
        sender="eve@example.org",
    )


def opened(chromium: Any, running: House, who: str, width: int = 1440, locale: str = "en-GB") -> Screen:
    screen = Screen(chromium, running, width, "light", locale)
    screen.sign_in(who)
    listening(screen)
    return screen


def listening(screen: Screen) -> None:
    """Wait until the page hears what changes."""
    from playwright.sync_api import expect

    expect(screen.page.locator("#live")).to_have_attribute("data-listening", "yes")


def row(screen: Screen, subject: str) -> Any:
    return screen.page.locator(".msg-row", has_text=subject)


@pytest.mark.parametrize("width", [1440, 390])
def test_what_one_sends_the_other_sees_without_a_reload(chromium: Any, running: House, width: int) -> None:
    from playwright.sync_api import expect

    ann, bob = opened(chromium, running, ANN, width), opened(chromium, running, BOB, width)
    ann.page.evaluate("window.same = 1")
    bob.go("/webmail/compose")
    page = bob.page
    subject = f"Live at {width}"
    page.fill("#c-to", ANN)
    page.fill("#c-subject", subject)
    page.fill("#c-text", "It appears by itself.")
    page.locator("button[value=send] >> visible=true").first.click()
    page.wait_for_url("**/webmail/mail/inbox**")
    expect(row(ann, subject)).to_be_visible(timeout=30_000)
    expect(ann.page.locator("#live")).to_have_text("1 new message")
    assert row(ann, subject).evaluate("row => row.classList.contains('msg-row--unread')")
    assert ann.page.evaluate("window.same") == 1
    if width > 500:
        expect(ann.page.locator(".sidebar .nav__link[href$='/inbox'] .nav__count")).to_be_visible()
    ann.check(f"live-{width}")
    for one in (ann, bob):
        one.context.close()


def test_rows_follow_what_happens_elsewhere(chromium: Any, running: House) -> None:
    from playwright.sync_api import expect

    put(running, "Follow me")
    ann = opened(chromium, running, ANN)
    expect(row(ann, "Follow me")).to_have_class(re.compile("msg-row--unread"))
    client = running.imap(ANN)
    client.select("INBOX")
    _, found = client.search(None, "SUBJECT", '"Follow me"')
    client.store(found[0].decode(), "+FLAGS", r"(\Seen \Flagged)")
    expect(row(ann, "Follow me")).not_to_have_class(re.compile("msg-row--unread"))
    expect(row(ann, "Follow me").locator(".msg-row__star")).to_have_attribute("aria-pressed", "true")
    client.create("Later")
    expect(ann.page.locator(".sidebar .nav--labels .nav__link", has_text="Later")).to_be_visible()
    client.store(found[0].decode(), "+FLAGS", r"(\Deleted)")
    client.expunge()
    expect(row(ann, "Follow me")).to_have_count(0)
    client.logout()
    ann.context.close()


def test_a_selection_is_not_moved_under_the_hand(chromium: Any, running: House) -> None:
    from playwright.sync_api import expect

    put(running, "Chosen one")
    ann = opened(chromium, running, ANN)
    row(ann, "Chosen one").hover()
    row(ann, "Chosen one").locator("input").check(force=True)
    put(running, "Waits first")
    button = ann.page.locator(".msg-list__live button")
    expect(button).to_have_text("1 new message")
    put(running, "Waits second")
    expect(button).to_have_text("2 new messages")
    expect(row(ann, "Waits")).to_have_count(0)
    ann.check("live-waiting")
    button.click()
    expect(row(ann, "Waits")).to_have_count(2)
    expect(button).to_have_count(0)
    ann.context.close()


def test_a_conversation_grows_in_place(chromium: Any, running: House) -> None:
    from playwright.sync_api import expect

    put(running, "Growing", name="grow1")
    ann = opened(chromium, running, ANN)
    row(ann, "Growing").locator(".msg-row__link").click()
    expect(ann.page.locator("#read .thread .msg")).to_have_count(1)
    expect(row(ann, "Growing")).not_to_have_class(re.compile("msg-row--unread"))
    put(running, "Re: Growing", refers="grow1", name="grow2")
    button = ann.page.locator(".thread__live button")
    expect(button).to_have_text("New message in this conversation")
    expect(ann.page.locator("#live")).to_have_text("New message in this conversation")
    ann.check("live-conversation")
    button.click()
    expect(ann.page.locator("#read .thread .msg")).to_have_count(2)
    expect(row(ann, "Growing")).not_to_have_class(re.compile("msg-row--unread"))
    ann.context.close()


def test_one_stream_for_all_tabs_and_the_next_tab_takes_it_over(chromium: Any, running: House) -> None:
    from playwright.sync_api import expect

    ann = opened(chromium, running, ANN)
    second = ann.context.new_page()
    asked: list[str] = []
    second.on("request", lambda request: asked.append(request.url))
    second.goto(ann.base + "/webmail/mail/inbox")
    put(running, "For both tabs")
    for page in (ann.page, second):
        expect(page.locator(".msg-row", has_text="For both tabs")).to_be_visible()
    assert not [url for url in asked if "/events" in url]
    ann.page.close()
    expect(second.locator("#live")).to_have_attribute("data-listening", "yes")
    put(running, "For the other tab")
    expect(second.locator(".msg-row", has_text="For the other tab")).to_be_visible()
    ann.context.close()


def test_a_broken_line_misses_nothing(chromium: Any, running: House) -> None:
    from playwright.sync_api import expect

    ann = opened(chromium, running, ANN)
    ann.context.set_offline(True)
    put(running, "Sent in the dark")
    ann.page.wait_for_timeout(300)
    expect(row(ann, "Sent in the dark")).to_have_count(0)
    ann.context.set_offline(False)
    expect(row(ann, "Sent in the dark")).to_be_visible(timeout=20_000)
    running.stop()
    running.start()
    put(running, "Before it came back")
    expect(row(ann, "Before it came back")).to_be_visible(timeout=20_000)
    ann.context.close()


def test_who_is_signed_out_elsewhere_is_told(chromium: Any, running: House) -> None:
    from playwright.sync_api import expect

    running.add_account("tom@example.test")
    tom = opened(chromium, running, "tom@example.test")
    running.ask("account.passwd", address="tom@example.test", password="another secret")
    expect(tom.page.locator("#toasts")).to_contain_text("You are signed out", timeout=15_000)
    tom.context.close()


def test_without_scripts_there_is_the_button(chromium: Any, running: House) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"http://localhost:{running.port('http')}/webmail/login")
    page.fill("#f-identity", BOB)
    page.fill("#f-password", "secret")
    page.click("button[type=submit]")
    put(running, "Found by the button", who=BOB)
    page.click(".list-head__tools a[href$='/mail/inbox']")
    assert page.locator(".msg-row", has_text="Found by the button").count() == 1
    context.close()
