"""RELIABILITY N2 and N4 on what the loop answers itself: bodies, attachments, sources, pictures, uploads, events.

The declarations are read from the sources, so that none can be missed; pages are enumerated by test_web_guard.
"""

from __future__ import annotations

import ast
import http.client
import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.web.access import Access
from appliance.web.guard import COMMON
from tests.house import House, house
from tests.web_rig import Browser

ROOT = Path(__file__).resolve().parents[2]
ANN, BOB = "ann@example.test", "bob@example.test"


def declared() -> Iterator[tuple[str, str, Access]]:
    """Path below the face, method and access of every native resource of the faces."""
    for path in itertools.chain((ROOT / "webmail").glob("*.py"), (ROOT / "admin").glob("*.py")):
        module = importlib.import_module(f"{path.parent.name}.{path.stem}")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Native":
                place, access, method = (_value(module, one) for one in node.args[:3])
                yield f"/{'webmail' if path.parent.name == 'webmail' else 'admin'}{place}", method, Access(access)


def _value(module: object, node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name):
        return str(getattr(module, node.id))
    assert isinstance(node, ast.Attribute)
    return str(getattr(Access, node.attr))


NATIVES = sorted(declared())
POSTS = [path for path, method, _ in NATIVES if method == "POST"]
GETS = [path for path, method, _ in NATIVES if method == "GET"]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(BOB)
        h.deliver(b"From: x@example.org\r\nSubject: s\r\nContent-Type: text/html\r\n\r\n<p>secret</p>\r\n", ANN)
        yield h


@pytest.fixture(scope="module")
def ann(running: House) -> Browser:
    return signed_in(running, ANN)


def signed_in(running: House, address: str) -> Browser:
    browser = Browser(running)
    assert browser.sign_in(address).status == 303
    browser.get("/webmail/security")
    return browser


def head(browser: Browser, method: str, path: str, body: str | None = None, **more: str) -> http.client.HTTPResponse:
    """The head of an answer alone: a stream of events has no end."""
    connection = http.client.HTTPSConnection("localhost", browser.port, timeout=20, context=browser.house.tls())
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    sent = {"Cookie": cookies, **{name.replace("_", "-"): value for name, value in more.items()}}
    try:
        connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        return connection.getresponse()
    finally:
        connection.close()


def target(path: str) -> str:
    return f"{path}1/1/0" if path.endswith("/") else f"{path}?draft=1&name=a.txt"


def test_there_are_natives_and_none_is_open_to_strangers() -> None:
    assert {path for path, _, _ in NATIVES} >= {
        "/webmail/body/", "/webmail/part/", "/webmail/source/", "/webmail/upload", "/webmail/events",
    }  # fmt: skip
    assert {access for _, _, access in NATIVES} <= {Access.USER, Access.ADMIN}


@pytest.mark.parametrize("path", [path for path, _, _ in NATIVES])
def test_N2_natives_are_for_whoever_signed_in(running: House, ann: Browser, path: str) -> None:
    method = "POST" if path in POSTS else "GET"
    stranger = Browser(running)
    stranger.get("/webmail/login")
    for browser in (Browser(running), stranger):
        answer = head(browser, method, target(path), "x" if method == "POST" else None, Origin=browser.origin)
        assert answer.status in {303, 401, 403}, path
    if method == "GET":
        other = signed_in(running, BOB)
        assert head(other, "GET", target(path)).status in {404} if path.endswith("/") else True


@pytest.mark.parametrize("path", POSTS)
def test_N2_natives_change_nothing_without_token_and_origin(running: House, ann: Browser, path: str) -> None:
    here, token = ann.origin, ann.token
    stranger = Browser(running)
    stranger.get("/webmail/login")
    assert token and head(ann, "POST", target(path), "x", Origin=here, X_CSRF_Token=token).status != 403, "the control"
    for origin, given in (
        (here, ""), (here, stranger.token), (here, "x" * 44),
        ("https://evil.test", token), ("null", token), (f"http://localhost:{ann.port}", token), ("", token),
    ):  # fmt: skip
        assert head(ann, "POST", target(path), "x", Origin=origin, X_CSRF_Token=given).status == 403, (origin, given)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
        body = f'{{"csrf": "{token}"}}' if "json" in kind else f"csrf={token}"
        assert head(ann, "POST", target(path), body, Origin=here, Content_Type=kind).status == 403, kind
    for method in ("GET", "HEAD"):
        assert head(ann, method, target(path) + f"&csrf={token}", None, X_CSRF_Token=token).status in {404, 405}


@pytest.mark.parametrize("path", GETS)
def test_N2_natives_that_read_take_no_other_method(ann: Browser, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = head(ann, method, target(path), "x", Origin=ann.origin, X_CSRF_Token=ann.token)
        assert answer.status in {403, 404, 405, 413}, method


@pytest.mark.parametrize("path", [path for path, _, _ in NATIVES])
def test_N4_natives_carry_the_policy_whatever_they_answer(running: House, ann: Browser, path: str) -> None:
    real = {"/webmail/body/": place(ann), "/webmail/source/": place(ann), "/webmail/part/": f"{place(ann)}/0"}
    targets = [target(path), path + "nonsense", path + "%00", path + "9" * 200]
    if path in real:
        targets.append(path + real[path])
        assert head(ann, "GET", targets[-1]).status == 200
    for browser, method, where in itertools.product((Browser(running), ann), ("GET", "POST", "HEAD", "BREW"), targets):
        answer = head(browser, method, where, "x" if method == "POST" else None)
        assert answer.status != 500, where
        held(answer.headers, framed=path == "/webmail/body/" and answer.status == 200)


def place(ann: Browser) -> str:
    """Where the one message lies: mailbox/uid."""
    page = ann.get("/webmail/mail/inbox").text
    thread = page.split('href="/webmail/mail/inbox/t', 1)[1].split('"', 1)[0].split("?")[0]
    page = ann.get(f"/webmail/mail/inbox/t{thread}").text
    return page.split('src="/webmail/body/', 1)[1].split('"', 1)[0].split("?")[0]


def held(headers: http.client.HTTPMessage, *, framed: bool) -> None:
    """What every answer of this server carries; a body may stand in a frame of our own pages, and nowhere else."""
    for name, value in COMMON.items():
        found = headers.get_all(name) or []
        assert len(found) == 1, (name, found)
        if name == "Content-Security-Policy":
            assert "default-src 'none'" in found[0] and "script-src 'unsafe" not in found[0]
            assert ("frame-ancestors 'self'" if framed else "frame-ancestors 'none'") in found[0]
        elif name == "Cache-Control":
            assert found[0].startswith(("no-store", "private")), found
        elif name == "X-Frame-Options":
            assert found == ["SAMEORIGIN" if framed else "DENY"]
        elif name == "Referrer-Policy":
            assert found[0] in {"no-referrer", value}
        else:
            assert found == [value], name
