"""One message in Debian's Chromium: blocked pictures and their notice, badges, attachments, answers; with and without scripts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from tests.house import House, house
from tests.web.test_screens import ANN, LOOKS, Screen

pytestmark = [pytest.mark.interop, pytest.mark.long]
REMOTE = (
    "<style>h1{color:#0b7a8c}</style><h1>November offer</h1><p>Dear Ann, the new prices are below.</p>"
    '<img src="http://pictures.example.org/1.png"><img src="http://pictures.example.org/2.png">'
    '<a href="http://evil.example.org/">https://bank.example.com/</a>'
)


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        client = h.imap(ANN)
        for at, (sender, subject) in enumerate(
            [("Maria Lindqvist <maria@example.org>", "Quarterly"), ('"ceo@example.test" <evil@example.org>', "Urgent")]
        ):
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = sender, f"{ANN}, cy@example.org", subject
            message["Message-ID"] = f"<m{at}@example.org>"
            message.set_content("The new prices are below.")
            message.add_alternative(REMOTE, subtype="html")
            message.add_attachment(b"x" * 90_000, maintype="application", subtype="pdf", filename="prices.pdf")
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


def test_W2_pictures_are_blocked_counted_and_come_through_us_when_asked(screen: Screen) -> None:
    screen.sign_in()
    screen.page.click("text=Quarterly")
    notice = screen.page.locator("section.msg [data-pictures]")
    notice.wait_for(state="visible")
    assert "2" in notice.locator(".callout__text").inner_text()
    screen.check("message-blocked")
    notice.locator("a").click()
    notice.wait_for(state="hidden")
    frame = screen.page.frame_locator("section.msg iframe")
    sources = frame.locator("img").evaluate_all("all => all.map(one => one.getAttribute('src'))")
    assert len(sources) == 2 and all(one.startswith("/webmail/remote/") for one in sources)
    assert all(url.startswith((screen.base, "data:")) for url in screen.asked)


def test_headers_moving_and_a_sender_who_poses(screen: Screen) -> None:
    screen.sign_in()
    screen.page.click("text=Urgent")
    screen.page.wait_for_selector(".badge--bad")
    screen.check("message-poses")
    place = screen.page.locator(".reply-bar a").first.get_attribute("href")
    assert place is not None
    screen.go(place.replace("/compose/reply/", "/headers/"))
    assert "Message-ID" in screen.page.inner_text(".fields")
    screen.check("message-header")
    screen.page.go_back()
    link = screen.page.locator("a[data-key=v]").get_attribute("href")
    assert link is not None
    screen.go(link)
    screen.check("message-move")


def test_pictures_are_shown_without_scripts(chromium: Any, running: House) -> None:
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    base = f"http://localhost:{running.port('http')}"
    page.goto(f"{base}/webmail/login")
    page.fill("#f-identity", ANN)
    page.fill("#f-password", "secret")
    page.click("button[type=submit]")
    page.click("text=Quarterly")
    page.click("section.msg summary")
    with page.expect_request("**/webmail/remote/**"):
        page.click("text=Show remote images")
    assert "/webmail/mail/inbox/t" in page.url
    context.close()
