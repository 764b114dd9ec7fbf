"""One Chromium for the tests of the list and the keys; the other modules bring their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.house import PASSWORD, House

Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def browser_of_list() -> Iterator[Any]:
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (appliance/deploy/test-needs)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def enter(browser_of_list: Any, running: House) -> Iterator[Opened]:
    """`enter("ann@example.test", width=390)`: a page of somebody who is signed in; what its console says fails the test."""
    contexts: list[Any] = []
    base = f"http://localhost:{running.port('http')}"

    def make(user: str, *, width: int = 1440, scripts: bool = True, **more: Any) -> Any:
        context = browser_of_list.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=scripts,
            locale="en-US",
            base_url=base,
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto("/webmail/login")
        page.fill("#f-identity", user)
        page.fill("#f-password", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/mail/inbox")
        return page

    yield make
    for context in contexts:
        context.close()
