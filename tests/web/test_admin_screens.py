"""The panel in Debian's Chromium: an administrator's day, and every screen in both widths, themes and languages.

Screenshots are kept in build/screens (git-ignored), one for each screen, width, theme and language.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House, house
from tests.panel_rig import ADMIN, LETTER, LOOKS, Panel, browser, deferred

ANN, BOB = "ann@example.test", "bob@example.test"

pytestmark = [pytest.mark.interop, pytest.mark.long]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ADMIN, admin=True)
        h.add_account(ANN)
        h.ask("account.add", address=BOB, password="secret", name="Bob Example")
        h.ask("alias.add", address="sales@example.test", targets=[ANN, BOB])
        h.ask("account.suspend", address=BOB)
        h.deliver(LETTER.format("x@example.org", ANN, "in"), ANN, sender="x@example.org")
        with h.submission(ANN) as client:
            for at in range(2):
                to = f"far{at}@example.org"
                client.sendmail(ANN, [to], LETTER.format(ANN, to, f"out{at}"))
        h.ask("queue.hold", item=[deferred(h, "far0@example.org")])
        deferred(h, "far1@example.org")
        yield h


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize(("width", "theme", "locale"), LOOKS)
def test_every_screen_in_every_look(chromium: Any, running: House, width: int, theme: str, locale: str) -> None:
    panel = Panel(chromium, running, width, theme, locale).sign_in()
    item = next(row["item"] for row in running.ask("queue.list")["recipients"] if row["state"] == "deferred")
    places = {
        "dashboard": "/", "users": "/accounts", "user": "/accounts/2", "add-user": "/accounts/new",
        "delete-user": "/accounts/2/delete", "bin": "/accounts/bin", "own": "/accounts/1", "gone": "/accounts/999", "aliases": "/aliases", "alias": "/aliases/1", "add-alias": "/aliases/new",
        "domains": "/domains", "domain": "/domains/example.test", "queue": "/queue", "queue-item": f"/queue/{item}",
        "queue-drop": f"/queue/{item}/drop", "log": "/log", "audit": "/audit", "server": "/system", "search": "/search?q=ann",
    }  # fmt: skip
    for name, path in places.items():
        panel.go(path)
        panel.told = [told for told in panel.told if "404" not in told]
        panel.check(name)
    panel.go("/log")
    panel.page.click(".happened a")
    panel.page.wait_for_selector(".hops")
    panel.check("story")
    if width < 500:
        panel.page.click("summary")
        panel.check("menu")
    panel.context.close()


def test_an_administrators_day(chromium: Any, running: House) -> None:
    panel = Panel(chromium, running).sign_in()
    page = panel.page
    page.get_by_role("link", name="Add user").click()
    page.fill("#f-address", "kim")
    page.fill("#f-name", "Kim Park")
    panel.press("Add user")
    password = page.locator("#made").inner_text()
    running.imap("kim@example.test", password).logout()

    running.deliver(LETTER.format("x@example.org", "kim", "k1"), "kim@example.test", sender="x@example.org")
    page.locator("#aq").press("Escape")
    page.get_by_role("heading").first.click()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "aq", "/ goes to the search"
    page.keyboard.type("kim@example.test")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Stored in the inbox of kim@example.test").click()
    panel.reads("The story of one message")

    panel.go("/queue")
    page.get_by_role("button", name="Retry mail to far1@example.org").click()
    panel.reads("It is tried now")
    deferred(running, "far1@example.org")
    panel.go("/queue")
    page.get_by_role("link", name="far1@example.org", exact=True).click()
    assert page.locator(".hops > li").count() >= 3, "handed in, put off, put off once more"

    panel.go("/accounts?q=kim")
    page.get_by_role("link", name="Kim Park").click()
    panel.press("Suspend")
    panel.reads("nobody can sign in to it")
    with pytest.raises(Exception, match=r"AUTHENTICATIONFAILED|Invalid|failed"):
        running.imap("kim@example.test", password)
    panel.go("/audit")
    panel.reads("suspended kim@example.test")
    assert panel.told == []
    panel.context.close()


def test_everything_works_without_a_script(chromium: Any, running: House) -> None:
    panel = Panel(chromium, running).sign_in()
    cookies = panel.context.cookies()
    panel.context.close()
    context = chromium.new_context(java_script_enabled=False)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(f"{panel.base}/admin/aliases/new")
    page.fill("#f-address", "info")
    page.fill("#f-targets", ANN)
    page.locator("main button[type=submit]").click()
    assert "The address was added" in page.locator("main").inner_text()
    assert page.locator("[data-copy]").count() == 0
    page.goto(f"{panel.base}/admin/domains/example.test")
    assert not page.locator("[data-copy]").first.is_visible(), "a button that needs a script is not shown without one"
    context.close()
