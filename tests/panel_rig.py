"""The panel in Debian's Chromium: a window that signs in, looks at itself with axe, and notes what it should not say.

Pictures go to build/screens (git-ignored), one for each screen, width, theme and language.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.house import House

SCREENS = Path(__file__).resolve().parents[1] / "build" / "screens"
AXE = Path(__file__).with_name("web") / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ADMIN = "root@example.test"
LETTER = "From: {0}\r\nTo: {1}\r\nSubject: figures\r\nMessage-ID: <{2}@example.test>\r\n\r\nHello.\r\n"
LOOKS = [(1440, "light", "en-US"), (1440, "dark", "zh-CN"), (390, "light", "zh-CN"), (390, "dark", "en-US")]


def deferred(running: House, recipient: str) -> int:
    """The item of a recipient, once it was tried and put off."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for row in running.ask("queue.list")["recipients"]:
            if row["recipient"] == recipient and row["state"] == "deferred":
                return int(row["item"])
        time.sleep(0.05)
    raise AssertionError(recipient)


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, or the test is skipped."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (appliance/deploy/test-needs)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


class Panel:
    """One browser window; notes what its console says and where it asks."""

    def __init__(self, chromium: Any, running: House, width: int = 1440, theme: str = "light", locale: str = "en-US"):
        """Open the panel's sign-in page."""
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

    def sign_in(self, who: str = ADMIN) -> Panel:
        """As an administrator."""
        self.page.fill("#f-identity", who)
        self.page.fill("#f-password", "secret")
        self.page.click("button[type=submit]")
        self.page.wait_for_selector("main.page")
        return self

    def _asked(self, url: str) -> None:
        if not url.startswith((self.base, "data:")):
            self.told.append(f"asked {url}")

    def go(self, path: str) -> None:
        """Open a page of the panel."""
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
            "() => [document.documentElement, document.querySelector('.page')].filter(Boolean).map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(over) <= 0, (name, self.look)
        assert self.told == [], (name, self.look)
