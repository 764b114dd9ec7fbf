"""RELIABILITY W1, W2 and W6 through the whole product: hostile mail, delivered, opened and answered in Chromium.

The frame and the sanitiser alone are tried in tests/web/test_frame.py. Here the same corpus comes in as mail, is opened
by the conversation page's own frames, and no script runs, no dialog opens, nothing leaves for anywhere.
"""

from __future__ import annotations

import imaplib
import shutil
import time
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from typing import Any

import pytest

from tests.house import House, house
from tests.html_payloads import HTML, TEXT, Payload, armed

ANN = "ann@example.test"
BATCH = 40
COUNTED = [one for one in HTML if not one.name.startswith("bomb")][::3]

pytestmark = [pytest.mark.interop, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        yield h


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (appliance/deploy/test-needs)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost"]
        )
        yield browser
        browser.close()


class Watched:
    """A signed-in window; notes every script, dialog, violation and request that is not ours."""

    def __init__(self, chromium: Any, running: House) -> None:
        self.base = f"http://localhost:{running.port('http')}"
        self.context = chromium.new_context()
        self.page = self.context.new_page()
        self.dialogs: list[str] = []
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.add_init_script("window.ran = []; window.pwned = (name) => window.ran.push(name);")
        self.page.on("dialog", self._dialog)
        self.page.on("console", lambda line: self.said.append(line.text))
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{self.base}/webmail/login")
        self.page.fill("#f-identity", ANN)
        self.page.fill("#f-password", "secret")
        self.page.click("button[type=submit]")
        self.page.wait_for_load_state("load")

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def calm(self) -> None:
        """Nothing happened that should not, once everything that was to happen has."""
        self.page.evaluate("() => new Promise(done => requestIdleCallback(done, {timeout: 500}))")
        assert not self.dialogs, self.dialogs
        assert self.page.evaluate("() => window.ran") == []
        for frame in self.page.frames:
            assert frame.url.startswith((self.base, "about:blank")), frame.url
        strange = [url for url in self.asked if not url.startswith((self.base, "data:", "blob:"))]
        assert not strange, strange
        refused = [line for line in self.said if "Content Security Policy" in line or "Content-Security-Policy" in line]
        assert not refused, refused


@pytest.fixture
def watched(chromium: Any, running: House) -> Iterator[Watched]:
    made = Watched(chromium, running)
    yield made
    made.context.close()


def put(running: House, payloads: Sequence[Payload], subtype: str) -> None:
    """Messages with these bodies, one conversation each."""
    client = running.imap(ANN)
    for one in payloads:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "Eve <eve@example.org>", ANN, f"Payload {one.name}"
        message["Message-ID"] = f"<{one.name}.{subtype}@example.org>"
        text = armed(one).encode("utf-8", "replace").decode()
        message.set_content(text, subtype=subtype, cte="base64")
        client.append("INBOX", None, imaplib.Time2Internaldate(time.time()), message.as_bytes())
    client.logout()


def bodies(watched: Watched) -> list[str]:
    """The places of the bodies in the inbox, as the conversation pages name them."""
    found = []
    path: str | None = "/webmail/mail/inbox"
    while path:
        watched.page.goto(watched.base + path)
        links = watched.page.eval_on_selector_all(
            "a[href*='/mail/inbox/t']", "all => all.map(a => a.getAttribute('href'))"
        )
        found += [link for link in links if link not in found]
        more = watched.page.query_selector("a[href*='before=']")
        path = more.get_attribute("href") if more else None
    return found


@pytest.mark.parametrize("subtype", ["html", "plain"])
def test_W2_mail_of_every_kind_of_malice_runs_nothing_and_loads_nothing(
    running: House, watched: Watched, subtype: str
) -> None:
    chosen = COUNTED if subtype == "html" else list(TEXT)
    assert subtype == "plain" or len(chosen) >= 190
    put(running, chosen, subtype)
    client = running.imap(ANN)
    client.select("INBOX")
    uids = client.uid("SEARCH", "TEXT", '"Payload"')[1][0].split()
    client.logout()
    watched.page.goto(f"{watched.base}/webmail/mail/inbox")
    thread = watched.page.eval_on_selector("a[href*='/mail/inbox/t']", "a => a.getAttribute('href')")
    watched.page.goto(watched.base + thread)
    (first,) = watched.page.eval_on_selector_all("iframe.msg__frame", "all => all.map(f => f.getAttribute('src'))")
    place = first.split("?")[0].rsplit("/", 1)[0]
    held = watched.page.eval_on_selector("iframe.msg__frame", "f => f.getAttribute('sandbox')")
    for start in range(0, len(uids), BATCH):
        wanted = [f"{place}/{uid.decode()}" for uid in uids[start : start + BATCH]]
        count = watched.page.evaluate(
            """async ([wanted, held]) => {
              document.querySelectorAll("iframe").forEach((one) => one.remove());
              await Promise.all(wanted.map((src) => new Promise((done) => {
                const frame = document.createElement("iframe");
                frame.setAttribute("sandbox", held);
                frame.onload = done;
                frame.src = src;
                document.body.append(frame);
              })));
              return [...document.querySelectorAll("iframe")].filter((one) => one.contentDocument.body).length;
            }""",
            [wanted, held],
        )
        assert count == len(wanted)
        watched.calm()


def test_W1_the_conversation_page_itself_stays_calm(running: House, watched: Watched) -> None:
    """A sample, opened as a reader opens it: row by row, with the page's own scripts at work."""
    put(running, COUNTED[::12], "html")
    for link in bodies(watched)[:18]:
        watched.page.goto(watched.base + link)
        watched.calm()


def test_W6_answering_and_forwarding_malice_stays_calm(running: House, watched: Watched) -> None:
    put(running, COUNTED[::20], "html")
    watched.page.goto(f"{watched.base}/webmail/mail/inbox")
    for link in bodies(watched)[:10]:
        watched.page.goto(watched.base + link)
        places = watched.page.eval_on_selector_all(
            "a[href*='/compose/reply/'], a[href*='/compose/forward/']", "all => all.map(a => a.getAttribute('href'))"
        )
        assert places
        for place in dict.fromkeys(places):
            watched.page.goto(watched.base + place)
            watched.calm()
            assert "<script" not in watched.page.input_value("textarea")
