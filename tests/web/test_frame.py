"""W1, W2: hostile mail in a real browser. Nothing runs, nothing leaves the page, with either wall alone and with both.

A server on loopback serves the documents; the browser is told that every `.test` host is that server, so that a request
for another host is not lost but counted. The control test shows that the instrument sees what it must see.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from appliance.web import frame, plain
from appliance.web.sanitize import Clean, clean
from tests.html_payloads import HTML, TEXT, Payload, armed

BATCH = 32
APP_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63f8cf50ff1f00050201ff5e2b8e440000000049454e44ae426082"
)
# What a document of the frame may hold, asked of the browser's own tree.
INSPECT = """doc => {
  const wrong = [];
  for (const e of doc.body.querySelectorAll('*')) {
    if (e.namespaceURI !== 'http://www.w3.org/1999/xhtml') wrong.push('namespace ' + e.tagName);
    if (/^(script|style|link|meta|base|object|embed|applet|iframe|frame|form|input|button|select|textarea|template|video|audio|source|track|picture|map|area|dialog|svg|math|title|noscript|xmp|plaintext|portal)$/i.test(e.tagName)) wrong.push(e.tagName);
    for (const a of e.attributes) {
      if (/^on|^(id|name|srcset|ping|action|formaction|background|is|slot|part|popover|autofocus|srcdoc|usemap)$/i.test(a.name)) wrong.push(a.name + ' on ' + e.tagName);
      if (a.name === 'style' && /url|expression|import|var\\(|@|\\\\|position|z-index|animation/i.test(a.value)) wrong.push('style ' + a.value);
    }
    if (e.tagName === 'A' && e.hasAttribute('href')) {
      if (!['http:', 'https:', 'mailto:'].includes(e.protocol)) wrong.push('href ' + e.href);
      if (e.rel !== 'noopener noreferrer nofollow' || e.target !== '_blank') wrong.push('rel ' + e.rel);
    } else if (e.hasAttribute('href')) wrong.push('href on ' + e.tagName);
    if (e.hasAttribute('src') && !/^data:image\\/(png|jpeg|gif|webp);base64,/.test(e.getAttribute('src'))) wrong.push('src ' + e.getAttribute('src'));
    const s = doc.defaultView.getComputedStyle(e);
    if (/url\\(/.test(s.backgroundImage + s.listStyleImage + s.content + s.maskImage + s.borderImageSource)) wrong.push('loads ' + e.tagName);
    if (['fixed', 'absolute', 'sticky'].includes(s.position)) wrong.push('position ' + s.position);
  }
  return wrong;
}"""


@dataclass
class Site:
    """What the server serves by path, and every request it did not expect."""

    pages: dict[str, tuple[bytes, Sequence[tuple[str, str]]]] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    port: int = 0

    def put(self, path: str, body: bytes, headers: Sequence[tuple[str, str]]) -> None:
        self.pages[path] = (body, headers)


def _server(site: Site) -> ThreadingHTTPServer:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            own = self.headers.get("Host", "").startswith("127.0.0.1:")
            site.seen.append(f"{self.headers.get('Host')} {path}")
            page = site.pages.get(path) if own else None
            if page is None:
                if path != "/favicon.ico":
                    site.strangers.append(f"{self.command} {self.headers.get('Host')} {self.path}")
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body, headers = page
            self.send_response(200)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def log_error(self, format: str, *args: Any) -> None:
            if "Bad request" in format % args:  # a TLS greeting is a request as well
                site.strangers.append("TLS or noise")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    return server


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    found = Site()
    server = _server(found)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (appliance/deploy/test-needs)")
    rules = f"MAP *.test 127.0.0.1:{site.port}, MAP *.org 127.0.0.1:{site.port}"
    with sync_playwright() as play:
        chromium = play.chromium.launch(
            executable_path=path, args=["--no-sandbox", f"--host-resolver-rules={rules}", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@dataclass
class Seen:
    """What happened while a batch of documents was open."""

    dialogs: list[str]
    ran: list[str]
    reports: list[str]
    strangers: list[str]
    wrong: list[str]
    frames: int


def _watch(page: Page) -> tuple[list[str], list[str]]:
    dialogs: list[str] = []
    reports: list[str] = []

    def dismiss(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("console", lambda line: reports.append(line.text))
    return dialogs, reports


def show(browser: Browser, site: Site, documents: dict[str, bytes], headers: Any, *, sandbox: bool, look: bool) -> Seen:
    """Open documents in frames of one page, wait until nothing is under way any more, and say what was seen."""
    site.pages.clear()
    site.strangers.clear()
    frames = []
    for name, body in documents.items():
        site.put(f"/body/{name}", body, headers)
        held = f' sandbox="{frame.SANDBOX}"' if sandbox else ""
        frames.append(f'<iframe{held} src="/body/{name}" title="{escape(name)}"></iframe>')
    page_headers = [("Content-Type", "text/html; charset=utf-8")]
    if sandbox:
        page_headers.append(("Content-Security-Policy", APP_CSP))
    site.put("/app.js", b"window.ran=[];window.pwned=n=>window.ran.push(n);", [("Content-Type", "text/javascript")])
    site.put("/", f'<!doctype html><script src="/app.js"></script>{"".join(frames)}'.encode(), page_headers)
    context = browser.new_context()
    page = context.new_page()
    dialogs, reports = _watch(page)
    page.goto(f"http://127.0.0.1:{site.port}/", wait_until="load")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestIdleCallback(done, {timeout: 500})))")
    page.wait_for_load_state("networkidle")
    ran = page.evaluate("() => window.ran")
    wrong: list[str] = []
    if look:
        found = page.evaluate(
            f"() => {{ const inspect = {INSPECT}; return [...document.querySelectorAll('iframe')].map("
            "f => f.title + ': ' + inspect(f.contentDocument).join(', ')); }"
        )
        wrong = [line for line in found if not line.endswith(": ")]
    count = len(page.frames) - 1
    context.close()
    return Seen(dialogs, ran, reports, list(site.strangers), wrong, count)


def _batches(payloads: Sequence[Payload]) -> Iterator[Sequence[Payload]]:
    for start in range(0, len(payloads), BATCH):
        yield payloads[start : start + BATCH]


def _cleaned(payload: Payload) -> str:
    found = clean(armed(payload))
    return found.html if isinstance(found, Clean) else plain.clean(armed(payload)).html


def _bare(body: str) -> bytes:
    return f"<!doctype html><meta charset=utf-8><body>{body}".encode("utf-8", "replace")


BARE = (("Content-Type", "text/html; charset=utf-8"),)


def _run(
    browser: Browser, site: Site, payloads: Sequence[Payload], make: Callable[[Payload], bytes], **how: Any
) -> None:
    for batch in _batches(payloads):
        seen = show(browser, site, {one.name: make(one) for one in batch}, **how)
        assert seen.frames == len(batch)
        assert not seen.dialogs, seen.dialogs
        assert not seen.ran, seen.ran
        assert not seen.strangers, seen.strangers
        assert not seen.wrong, seen.wrong
        if how["look"]:
            assert not seen.reports, seen.reports


def test_W2_the_instrument_sees_scripts_dialogs_and_requests(browser: Browser, site: Site) -> None:
    """Control: without either wall the same corpus runs and calls home, so silence in the other tests means something."""
    names = {"script-0", "event-0", "load-0", "load-16", "style-0", "sheet-0", "load-40", "confusion-0", "confusion-8"}
    chosen = [one for one in HTML if one.name in names]
    documents = {one.name: _bare(armed(one)) for one in chosen}
    seen = show(browser, site, documents, BARE, sandbox=False, look=True)
    assert {"script-0", "confusion-0"} <= set(seen.ran)
    assert {"script-0"} <= set(seen.dialogs)
    asked = " ".join(seen.strangers)
    assert all(f"canary.test /{name}" in asked for name in ("load-0", "load-16", "style-0", "sheet-0", "load-40"))
    assert any(line.startswith("script-0: SCRIPT") for line in seen.wrong)


@pytest.mark.timeout(300)
def test_W2_nothing_runs_and_nothing_is_asked_in_the_frame(browser: Browser, site: Site) -> None:
    """Both walls, as readers see it: no dialog, no script, no request, and the CSP has nothing to refuse."""

    def make(payload: Payload) -> bytes:
        return frame.document(_cleaned(payload), title=payload.name)

    _run(browser, site, HTML, make, headers=frame.HEADERS, sandbox=True, look=True)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_W2_the_sanitiser_alone_is_enough(browser: Browser, site: Site) -> None:
    """The first wall: cleaned mail in a page without CSP and without a sandbox."""
    _run(browser, site, HTML, lambda one: _bare(_cleaned(one)), headers=BARE, sandbox=False, look=True)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_W1_the_frame_alone_is_enough(browser: Browser, site: Site) -> None:
    """The second wall: mail that nobody cleaned, behind the frame's headers and sandbox."""
    alone = [one for one in HTML if not one.name.startswith("bomb")]
    for batch in _batches(alone):
        documents = {one.name: _bare(armed(one)) for one in batch}
        seen = show(browser, site, documents, frame.HEADERS, sandbox=True, look=False)
        assert not seen.dialogs, seen.dialogs
        assert not seen.ran, seen.ran
        off = [line for line in seen.strangers if "127.0.0.1" not in line]
        assert not off, off


def test_W2_plain_text_is_text(browser: Browser, site: Site) -> None:
    """Hostile text parts and calendar fields, shown as text: no element but our own."""
    _run(
        browser,
        site,
        TEXT,
        lambda one: frame.document(plain.clean(armed(one)).html, kind="plain", theme="auto"),
        headers=frame.HEADERS,
        sandbox=True,
        look=True,
    )


def test_W1_opened_by_itself_the_document_is_as_harmless(browser: Browser, site: Site) -> None:
    """The CSP repeats the sandbox: no script even where there is no frame around."""
    site.pages.clear()
    site.strangers.clear()
    body = "<script>document.title='ran'</script><img src=http://canary.test/x onerror=\"document.title='ran'\">"
    site.put("/body/1", _bare(body), frame.HEADERS)
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{site.port}/body/1", wait_until="load")
    assert page.title() == ""
    assert page.evaluate("() => self.origin") == f"http://127.0.0.1:{site.port}"
    assert not site.strangers
    context.close()


NEWS = """<html><head><style>.hero{background:#0b7a8c;color:#fff;padding:20px} td.r > b{color:#ff0000}
@import url(http://canary.test/x.css);</style></head><body bgcolor="#f4f5f7"><table width="600" align="center">
<tr><td class="hero">Spring</td></tr><tr><td class="r"><b>Now</b> <a href="https://evil.example/">www.bank.test</a>
<img src="cid:logo@example.test" width="40" height="40" alt="logo">
<img src="http://canary.test/pixel.png?u=1" width="40" height="40" alt="news"></td></tr></table></body></html>"""


def test_W2_remote_pictures_come_through_us_when_allowed(browser: Browser, site: Site) -> None:
    """Blocked at first; allowed, they are asked of our own origin, without a referrer that names the message."""
    cleaned = clean(NEWS)
    assert isinstance(cleaned, Clean)
    assert cleaned.remote == ("http://canary.test/pixel.png?u=1",)
    site.pages.clear()
    site.strangers.clear()
    site.seen.clear()
    picture = [("Content-Type", "image/png")]
    site.put("/part/7", PIXEL, picture)
    site.put("/remote/token.seal", PIXEL, picture)
    blocked = cleaned.shown(inline=lambda cid: "/part/7" if cid == "logo@example.test" else None)
    shown = cleaned.shown(inline=lambda cid: "/part/7", remote=lambda url: "/remote/token.seal")
    site.put("/blocked", frame.document(blocked), frame.HEADERS)
    site.put("/shown", frame.document(shown), frame.HEADERS)
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{site.port}/blocked", wait_until="networkidle")
    assert [line.split()[1] for line in site.seen if "favicon" not in line] == ["/blocked", "/part/7"]
    assert page.evaluate("() => getComputedStyle(document.querySelector('td b')).color") == "rgb(255, 0, 0)"
    assert page.evaluate("() => getComputedStyle(document.querySelector('td')).backgroundColor") == "rgb(11, 122, 140)"
    warned = page.evaluate("() => getComputedStyle(document.querySelector('a'), '::after').content")
    assert "evil.example" in warned
    page.goto(f"http://127.0.0.1:{site.port}/shown", wait_until="networkidle")
    assert any(line.endswith(" /remote/token.seal") for line in site.seen)
    assert page.evaluate("() => [...document.images].every(i => i.naturalWidth === 1 && i.complete)")
    assert not site.strangers
    context.close()
