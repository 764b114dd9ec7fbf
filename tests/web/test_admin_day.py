"""An administrator's day in Chromium: sign in, add a user, see their first message, send what waits on its way, sign out.

Every screen on the way is looked at by axe, stays within the window and keeps its console silent; pictures of all are in
build/screens. Widths, themes and languages are spread so that each pair of theme and language occurs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House, house
from tests.panel_rig import ADMIN, LETTER, LOOKS, Panel, browser, deferred

ANN = "ann@example.test"
WHY = {"en-US": "told not to look up other domains", "zh-CN": "被设置为不查询其他域名"}
TRIED = {"en-US": "It is tried now", "zh-CN": "正在重试"}
STORED = {"en-US": "Stored in the inbox of", "zh-CN": "收件箱"}

pytestmark = [pytest.mark.interop]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house(dns="off") as h:
        h.add_account(ADMIN, admin=True)
        h.add_account(ANN)
        yield h


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize(
    ("width", "theme", "locale"),
    [pytest.param(*look, marks=[pytest.mark.long] if look in LOOKS[1:3] else []) for look in LOOKS],
)
def test_a_day(chromium: Any, running: House, width: int, theme: str, locale: str) -> None:
    panel = Panel(chromium, running, width, theme, locale)
    page, name = panel.page, f"kim{width}{theme}"
    far = f"{name}@example.org"
    assert page.evaluate("document.documentElement.lang") == {"en-US": "en", "zh-CN": "zh-Hans"}[locale]
    panel.check("day-1-sign-in")
    panel.sign_in()
    panel.check("day-2-dashboard")

    page.locator("main a[href$='/accounts/new']").click()
    page.wait_for_selector("#f-address")
    panel.check("day-3-add-user")
    page.fill("#f-address", name)
    page.fill("#f-name", "Kim Park")
    page.locator("main form button[type=submit]").click()
    page.wait_for_selector("#made")
    panel.check("day-4-password")
    password = page.locator("#made").inner_text()
    running.imap(f"{name}@example.test", password).logout()

    running.deliver(LETTER.format("x@example.org", name, name), f"{name}@example.test", sender="x@example.org")
    page.fill("#aq", f"{name}@example.test")
    page.keyboard.press("Enter")
    page.locator("main a[href*='/admin/log/']", has_text=STORED[locale]).first.click()
    page.wait_for_selector(".hops")
    assert f"{name}@example.test" in page.locator(".hops").inner_text()
    panel.check("day-5-their-first-message")

    with running.submission(ANN) as client:
        client.sendmail(ANN, [far], LETTER.format(ANN, far, f"out-{name}"))
    item = deferred(running, far)
    page.locator("nav a[href$='/admin/queue']:visible").first.click()
    page.wait_for_selector(".table--queue")
    row = page.locator(".table--queue tr", has_text=far)
    assert WHY[locale] in row.inner_text()
    panel.check("day-6-queue")
    row.locator(f"form[action$='/queue/{item}/retry'] button").click()
    page.wait_for_selector(".callout--ok")
    assert TRIED[locale] in page.locator(".callout--ok").inner_text()
    deferred(running, far)
    panel.go(f"/queue/{item}")
    assert page.locator(".hops > li").count() >= 3, "handed in, put off, put off once more"
    panel.check("day-7-tried-again")

    page.locator(".topbar form[action$='/logout'] button").click()
    page.wait_for_selector("#f-identity")
    panel.go("/queue")
    assert page.url.startswith(f"{panel.base}/admin/login"), "signed out for good"
    panel.context.close()
