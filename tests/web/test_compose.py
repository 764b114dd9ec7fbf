"""Writing in Debian's Chromium: autosave, files with progress, two windows, sending by key, undo; both widths and themes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from tests.house import House, house
from tests.web.test_screens import ANN, LOOKS, Screen

pytestmark = [pytest.mark.interop, pytest.mark.long]
BOB = "bob@example.test"


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(BOB)
        client = h.imap(ANN)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = f"Bob <{BOB}>", ANN, "Lunch"
        message["Message-ID"] = "<lunch@example.test>"
        message.set_content("Are you free at noon?\n\nBob\n")
        message.add_alternative("<p>Are you free at noon?</p><script>window.ran = 1</script>", subtype="html")
        client.append("INBOX", "", "", message.as_bytes())
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


def saved(page: Any) -> None:
    """Wait until the draft lies in Drafts as it is written."""
    from playwright.sync_api import expect

    told = page.get_attribute("#compose", "data-saved")
    expect(page.locator("#c-state")).to_have_text(told, timeout=15_000)


def test_writing_saving_attaching_sending_and_undoing(screen: Screen, running: House) -> None:
    screen.sign_in()
    screen.go("/webmail/compose")
    screen.check("compose-empty")
    page = screen.page
    subject = f"Minutes {screen.look}"
    page.fill("#c-to", f"Bob <{BOB}>")
    page.fill("#c-subject", subject)
    page.fill("#c-text", "Hello Bob,\n\nhere are the minutes.\n\nAnn")
    saved(screen.page)
    assert page.input_value("input[name=version]") != "0"
    page.set_input_files("#c-new", [{"name": "minutes.pdf", "mimeType": "application/pdf", "buffer": b"x" * 300_000}])
    page.wait_for_selector(".composer__files .file")
    saved(screen.page)
    screen.check("compose")
    page.press("#c-text", "Control+Enter")
    page.wait_for_url("**/webmail/mail/inbox**")
    page.wait_for_selector(".toast__left")
    screen.check("sent")
    page.click(".toast__action")
    page.wait_for_url("**/webmail/compose/draft/*/*")
    assert page.input_value("#c-subject") == subject
    assert page.locator(".composer__files .file__name").inner_text() == "minutes.pdf"
    screen.check("compose-draft")


def test_W6_answering_hostile_html_holds_text(screen: Screen) -> None:
    screen.sign_in()
    screen.page.click("text=Lunch")
    screen.page.click(".reply-bar a >> nth=0")
    screen.page.wait_for_url("**/webmail/compose/reply/*/*")
    assert "> Are you free at noon?" in screen.page.input_value("#c-text")
    assert screen.page.evaluate("window.ran") is None
    assert screen.page.input_value("#c-to") == f"Bob <{BOB}>"
    screen.check("compose-reply")


def test_what_is_wrong_is_marked(screen: Screen) -> None:
    screen.sign_in()
    screen.go("/webmail/compose")
    screen.page.fill("#c-to", "ghost@example.test")
    screen.page.fill("#c-text", "x")
    screen.page.press("#c-text", "Control+Enter")
    screen.page.wait_for_selector("[aria-invalid=true]")
    screen.told = [line for line in screen.told if "422" not in line]
    screen.check("compose-wrong")


def test_a_second_window_is_told(chromium: Any, running: House) -> None:
    screen = Screen(chromium, running, 1440, "light", "en-US")
    screen.sign_in()
    screen.go("/webmail/compose")
    screen.page.fill("#c-subject", "Two windows")
    saved(screen.page)
    source = screen.page.input_value("input[name=source]")
    other = screen.context.new_page()
    other.goto(f"{screen.base}/webmail/compose/draft/{source}")
    other.fill("#c-text", "from the other")
    saved(other)
    screen.page.fill("#c-text", "from the first")
    screen.page.wait_for_selector("#c-state:has-text('another window')")
    screen.context.close()


def test_a_plain_page_writes_attaches_and_sends(chromium: Any, running: House) -> None:
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    base = f"http://localhost:{running.port('http')}"
    page.goto(f"{base}/webmail/login")
    page.fill("#f-identity", ANN)
    page.fill("#f-password", "secret")
    page.click("button[type=submit]")
    page.click(".sidebar__compose a")
    page.fill("#c-to", BOB)
    page.fill("#c-subject", "Plain")
    page.set_input_files("#c-new", [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"data"}])
    page.click("button[value=attach]")
    assert page.locator(".composer__files .file__name").inner_text() == "a.txt"
    page.fill("#c-text", "See a.txt.")
    page.click(".composer__foot button[value=send]")
    page.wait_for_url(re.compile(r"/webmail/outgoing/[0-9a-f]{32}$"))
    page.click("text=Undo")
    page.wait_for_url("**/webmail/compose/draft/*/*")
    assert page.input_value("#c-text") == "See a.txt."
    context.close()
