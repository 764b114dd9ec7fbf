"""The panel in Debian's Chromium: an administrator's day, and every screen in both widths, themes and languages.

Screenshots are kept in build/screens (git-ignored), one for each screen, width, theme and language.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house import House, house

SCREENS = Path(__file__).resolve().parents[2] / "build" / "screens"
AXE = Path(__file__).with_name("vendor") / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ADMIN, ANN, BOB = "root@example.test", "ann@example.test", "bob@example.test"
LETTER = "From: {0}\r\nTo: {1}\r\nSubject: figures\r\nMessage-ID: <{2}@example.test>\r\n\r\nHello.\r\n"
LOOKS = [(1440, "light", "en-US"), (1440, "dark", "zh-CN"), (390, "light", "zh-CN"), (390, "dark", "en-US")]

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


def deferred(running: House, recipient: str) -> int:
    """The item of a recipient, once it was tried and put off."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for row in running.ask("queue.list")["recipients"]:
            if row["recipient"] == recipient and row["state"] == "deferred":
                return int(row["item"])
        time.sleep(0.05)
    raise AssertionError(recipient)


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


class Panel:
    """One browser window, signed in as an administrator; notes what its console says and where it asks."""

    def __init__(self, chromium: Any, running: House, width: int = 1440, theme: str = "light", locale: str = "en-US"):
        self.base = f"http://localhost:{running.port('http')}"
        self.look = f"{width}-{theme}-{locale[:2]}"
        self.context = chromium.new_context(
            viewport={"width": width, "height": 900 if width > 500 else 844}, color_scheme=theme, locale=locale
        )
        self.page = self.context.new_page()
        self.told: list[str] = []
        self.page.on("console", lambda message: self.told.append(message.text))
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.go("/login")
        self.page.fill("#f-identity", ADMIN)
        self.page.fill("#f-password", "secret")
        self.page.click("button[type=submit]")
        self.page.wait_for_selector("main.page")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.base, "data:")):
            self.told.append(f"asked {url}")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}/admin{path}", wait_until="load")

    def press(self, name: str) -> None:
        """A button, or a link that looks like one, by what it says."""
        self.page.get_by_role("main").get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_load_state("load")

    def reads(self, text: str) -> None:
        """The page says so."""
        self.page.get_by_role("main").get_by_text(text).first.wait_for()

    def check(self, name: str) -> None:
        """Keep a picture; axe finds nothing, nothing is wider than the window, the console is silent."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"admin-{name}-{self.look}.png")
        self.page.evaluate(AXE.read_text("utf-8") + ";0")
        found = self.page.evaluate(
            "rules => axe.run(document, {runOnly: rules}).then(r => r.violations.map("
            "v => v.id + ' ' + v.nodes.map(n => n.target).join(' ; ')))",
            RULES,
        )
        assert found == [], (name, self.look)
        over = self.page.evaluate(
            "() => [document.documentElement, document.querySelector('.page')].map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(over) <= 0, (name, self.look)
        assert self.told == [], (name, self.look)


@pytest.mark.parametrize(("width", "theme", "locale"), LOOKS)
def test_every_screen_in_every_look(chromium: Any, running: House, width: int, theme: str, locale: str) -> None:
    panel = Panel(chromium, running, width, theme, locale)
    item = next(row["item"] for row in running.ask("queue.list")["recipients"] if row["state"] == "deferred")
    places = {
        "dashboard": "/", "users": "/accounts", "user": "/accounts/2", "add-user": "/accounts/new",
        "delete-user": "/accounts/2/delete", "aliases": "/aliases", "alias": "/aliases/1", "add-alias": "/aliases/new",
        "domains": "/domains", "domain": "/domains/example.test", "queue": "/queue", "queue-item": f"/queue/{item}",
        "queue-drop": f"/queue/{item}/drop", "log": "/log", "audit": "/audit", "server": "/system", "search": "/search?q=ann",
    }  # fmt: skip
    for name, path in places.items():
        panel.go(path)
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
    panel = Panel(chromium, running)
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
    panel = Panel(chromium, running)
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
