"""Sending in Debian's Chromium: the toast that undoes it, what became of it, whose pictures are shown."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from tests.house import House, house
from tests.web.test_screens import Screen

pytestmark = [pytest.mark.interop, pytest.mark.long]
ANN, BOB = "ann@example.test", "bob@example.test"
LOOKS = [(1440, "light", "en-US"), (1440, "dark", "zh-CN"), (390, "light", "zh-CN"), (390, "dark", "en-US")]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house(dns="off") as h:
        h.add_account(ANN, admin=True)
        h.add_account(BOB)
        client = h.imap(ANN)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = f"Bob <{BOB}>", ANN, "Lunch"
        message["Message-ID"] = "<lunch@example.test>"
        message.set_content("Are you free at noon?")
        client.append("INBOX", "", "", message.as_bytes().replace(b"\n", b"\r\n"))
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


def shown(chromium: Any, running: House, width: int = 1440, theme: str = "light", locale: str = "en-US") -> Screen:
    screen = Screen(chromium, running, width, theme, locale)
    screen.sign_in(ANN)
    return screen


def send(screen: Screen, subject: str, to: str = BOB) -> None:
    screen.go("/webmail/compose")
    screen.page.fill("#c-to", to)
    screen.page.fill("#c-subject", subject)
    screen.page.fill("#c-text", "First line\n\nlast line")
    screen.page.locator("button[value=send] >> visible=true").first.click()
    screen.page.wait_for_selector(".toast__left")


def test_a_sending_is_undone_by_its_toast_and_opens_as_it_was(chromium: Any, running: House) -> None:
    screen = shown(chromium, running)
    page = screen.page
    send(screen, "Undone by a click")
    assert page.url.endswith("/webmail/mail/inbox")
    assert 0 < int(page.inner_text(".toast__left")) <= 10
    screen.check("sent-toast")
    page.click(".toast__action")
    page.wait_for_url("**/webmail/compose/draft/*/*")
    assert page.input_value("#c-to") == BOB and page.input_value("#c-subject") == "Undone by a click"
    assert page.input_value("#c-text") == "First line\n\nlast line"
    screen.context.close()


def test_it_goes_along_to_another_page_and_z_undoes_it(chromium: Any, running: House) -> None:
    screen = shown(chromium, running)
    page = screen.page
    send(screen, "Undone by a key")
    screen.go("/webmail/mail/archive")
    page.wait_for_selector(".toast__left")
    page.keyboard.press("z")
    page.wait_for_url("**/webmail/compose/draft/*/*")
    assert page.input_value("#c-subject") == "Undone by a key"
    screen.go("/webmail/mail/inbox")
    assert page.locator(".toast__left").count() == 0
    screen.context.close()


def test_an_answer_leads_back_to_its_conversation(chromium: Any, running: House) -> None:
    screen = shown(chromium, running)
    page = screen.page
    page.click("text=Lunch")
    page.click(".reply-bar a >> nth=0")
    page.wait_for_url("**/webmail/compose/reply/*/*")
    page.fill("#c-text", "Yes.")
    page.press("#c-text", "Control+Enter")
    page.wait_for_url(re.compile(r"/webmail/mail/inbox/t\d+$"))
    page.wait_for_selector(".toast__left")
    assert page.locator("#read .thread .msg").count() == 2
    screen.context.close()


@pytest.mark.parametrize("look", LOOKS, ids=[f"{w}-{t}-{lang}" for w, t, lang in LOOKS])
def test_what_became_of_it(chromium: Any, running: House, look: tuple[int, str, str]) -> None:
    from playwright.sync_api import expect

    screen = shown(chromium, running, *look)
    page = screen.page
    subject = f"To the outside {screen.look}"
    send(screen, subject, f"{BOB}, someone@example.org")
    item = next(one for one in running.ask("queue.list")["recipients"] if one["recipient"].startswith("someone"))
    assert item["state"] in {"queued", "deferred"}
    row = page.locator(".msg-row", has_text=subject)
    for _ in range(60):
        screen.go("/webmail/mail/sent")
        if row.locator(".msg-row__fate--waiting").count():
            break
        page.wait_for_timeout(500)
    screen.check("sent-list")
    row.locator(".msg-row__link").click()
    expect(page.locator(".fates__one")).to_have_count(2)
    expect(page.locator(".fates__one--ok")).to_have_count(1)
    page.locator(".msg__frame[data-ready]").wait_for()
    screen.check("sent-fates")
    page.click(".fates__one--warn a")
    page.wait_for_url("**/webmail/help/outside")
    screen.check("help-outside")
    assert page.locator("a[href='/admin/system']").count() == 1
    screen.context.close()


@pytest.mark.parametrize("look", LOOKS, ids=[f"{w}-{t}-{lang}" for w, t, lang in LOOKS])
def test_whose_pictures_are_shown(chromium: Any, running: House, look: tuple[int, str, str]) -> None:
    screen = shown(chromium, running, *look)
    page = screen.page
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Bob <{BOB}>", ANN, f"Pictures {screen.look}"
    message.set_content("Hello")
    message.add_alternative('<p>Hello</p><img src="https://pictures.example.org/a.png" alt="">', subtype="html")
    with running.submission(BOB) as client:
        client.send_message(message)
    running.deliver(message.as_string().replace("Pictures", "Forged"), ANN, sender=BOB)
    for subject, name in (("Forged", "pictures-forged"), ("Pictures", "pictures-vouched")):
        screen.go("/webmail/mail/inbox")
        page.locator(".msg-row", has_text=f"{subject} {screen.look}").locator(".msg-row__link").click()
        page.locator(".msg__notice[data-pictures]:not([hidden])").wait_for()
        screen.check(name)
    page.click(".msg__notice button[value=allow]")
    page.wait_for_load_state("load")
    page.locator(".msg__frame[data-ready]").wait_for()
    assert page.locator(".msg__notice[data-pictures]:not([hidden])").count() == 0
    screen.told.clear()
    screen.go("/webmail/pictures")
    screen.check("pictures")
    page.click("button[value=forget]")
    page.wait_for_load_state("load")
    assert page.locator("button[value=forget]").count() == 0
    screen.context.close()
