"""What every route of both faces must hold to: access (N2), headers (N4), log (N15), hosts and bounds (N18).

The routes are read from the applications themselves, so that none can be missed.
"""

from __future__ import annotations

import atexit
import http.client
import json
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask

import admin.app
import webmail.app
from appliance.config import build
from appliance.ops import init
from appliance.ops import state as ground_floor
from appliance.web.access import ADMIN, FACES, MAIL, Access, Declared, RouteError, Routes, WebApp
from appliance.web.guard import COMMON, CSP_PAGE
from appliance.web.parts import WebParts
from data.clock import SystemClock
from tests.house import House, house
from tests.web_rig import Browser
from webmail.outgoing import Outgoing

ANN, ROOT = "ann@example.test", "root@example.test"


def _parts() -> WebParts:
    """Real storage and no loop: enough to declare every route; nothing of them runs here."""
    state = Path(tempfile.mkdtemp(prefix="routes-"))
    init.initialise(state, init.Choices("example.test", "Example", {"hostname": "mail.example.test"}), SystemClock())
    with ground_floor.hold(state) as held:
        ground = ground_floor.open_ground(held, build({"hostname": "mail.example.test"}), SystemClock())
        kept = ("state", "config", "clock", "db", "store", "directory", "settings", "audit", "keys")
        rest: dict[str, Any] = {name: getattr(ground, name) for name in kept}
        rest["finder"] = ground.index.finder
        rest |= dict.fromkeys(("gate", "workers", "metrics", "log"))
        ground.close()
    atexit.register(shutil.rmtree, state, ignore_errors=True)
    return WebParts.build(pages=cast(Any, None), **rest)


PARTS = _parts()
APPS = {MAIL.name: webmail.app.create_app(PARTS, cast(Outgoing, None)), ADMIN.name: admin.app.create_app(PARTS)}


def _filled(rule: str) -> str:
    """A rule with something in each of its places."""
    chosen = re.sub(r"<any\((\w+)[^)]*\):\w+>", r"\1", rule)
    return re.sub(r"<(?:path:|string:)?\w+>", "x", re.sub(r"<int[^>]*>", "1", chosen))


def _routes() -> list[tuple[str, str, str, Declared]]:
    found = []
    for face in FACES:
        app = APPS[face.name]
        for rule in app.url_map.iter_rules():
            path = face.prefix + _filled(str(rule))
            found.append((face.name, path, rule.endpoint, app.declared[rule.endpoint]))
    return found


ROUTES = _routes()
POSTS = [(face, path, one) for face, path, _, one in ROUTES if one.method == "POST"]
GETS = [(face, path, one) for face, path, _, one in ROUTES if one.method == "GET"]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(ROOT, admin=True)
        yield h


@pytest.fixture(scope="module")
def visitors(running: House) -> dict[str, Browser]:
    """Somebody signed in at each face."""
    mail, panel = Browser(running), Browser(running)
    assert mail.sign_in(ANN).status == 303
    assert panel.sign_in(ROOT, face="/admin").status == 303
    mail.get("/webmail/security")
    panel.get("/admin/security")
    return {"mail": mail, "admin": panel}


def form(browser: Browser, path: str, token: str, origin: str | None, **more: str) -> int:
    head = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin or "", **more}
    return browser.ask("POST", path, f"csrf={token}&x=1", head).status


# --- access --------------------------------------------------------------------------------------------------------------


def test_there_are_routes_and_each_says_who_may() -> None:
    assert len(ROUTES) > 15
    assert {one.access for _, _, _, one in ROUTES} >= {Access.PUBLIC, Access.SECOND, Access.USER, Access.ADMIN}
    assert {path for _, path, _, one in ROUTES if one.access is Access.PUBLIC} == {
        f"{face.prefix}/{page}" for face in FACES for page in ("login", "logout")
    }
    assert not [path for face, path, _, one in ROUTES if face == "admin" and one.access is Access.USER]


def test_a_route_without_access_cannot_be_registered() -> None:
    app = WebApp("bare", MAIL)
    with pytest.raises(RouteError):
        app.add_url_rule("/x", "x", lambda: "x", methods=["GET"])
    with pytest.raises(RouteError):
        app.route("/y")(lambda: "y")
    both = {"declared": Declared(Access.USER, "GET", 1)}
    with pytest.raises(RouteError):
        app.add_url_rule("/z", "z", lambda: "z", methods=["GET", "POST"], **both)
    routes = Routes("fine")
    routes.get("/fine", Access.USER)(lambda: "fine")
    routes.add_to(app)
    assert list(app.declared.values()) == [Declared(Access.USER, "GET", 256 * 1024)]
    assert isinstance(app, Flask)


@pytest.mark.parametrize(("face", "path", "one"), GETS, ids=[path for _, path, _ in GETS])
def test_nobody_sees_a_page_without_signing_in(running: House, face: str, path: str, one: Declared) -> None:
    answer = Browser(running).get(path)
    if one.access is Access.PUBLIC:
        assert answer.status == 200
    else:
        assert (answer.status, answer.location.split("?")[0]) == (
            303,
            f"/{'webmail' if face == 'mail' else face}/login",
        )


@pytest.mark.parametrize(("face", "path", "one"), GETS, ids=[path for _, path, _ in GETS])
def test_a_user_sees_nothing_of_the_panel(running: House, visitors, face: str, path: str, one: Declared) -> None:
    if face != "admin" or one.access is Access.PUBLIC:
        return
    mail = visitors["mail"]
    for cookies in (mail.cookies, {"__Host-admin": mail.cookies["__Host-mail"]}):
        assert Browser(running, cookies=dict(cookies)).get(path).status == 303


# --- N2: what changes something ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("face", "path", "one"), POSTS, ids=[path for _, path, _ in POSTS])
def test_N2_no_change_without_token_and_origin(running: House, visitors, face: str, path: str, one: Declared) -> None:
    browser = visitors[face]
    token, here = browser.token, browser.origin
    stranger = Browser(running)
    stranger.get(f"{'/webmail' if face == 'mail' else '/admin'}/login")
    assert token
    assert form(browser, path, "", here) == 403, "no token"
    assert form(browser, path, stranger.token, here) == 403, "the token of another cookie"
    assert form(browser, path, "x" * 44, here) == 403, "nonsense"
    assert form(browser, path, token, "https://evil.test") == 403, "another origin"
    assert form(browser, path, token, "null") == 403, "an opaque origin"
    assert form(browser, path, token, f"http://localhost:{browser.port}") == 403, "another scheme"
    assert form(browser, path, token, None) == 403, "nobody says where it comes from"
    assert form(browser, path, token, None, **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert form(browser, path, token, None, Referer="https://evil.test/https://localhost") == 403
    body = json.dumps({"csrf": token})
    plain = browser.ask("POST", path, body, {"Content-Type": "text/plain", "Origin": here})
    assert plain.status == 403, "JSON as text/plain"
    for method in ("GET", "HEAD"):
        answer = browser.ask(method, f"{path}?csrf={token}", None, {"Origin": here})
        assert answer.status in {405, 404, 200, 303}, method
        if answer.status != 405:
            assert any(rule == path for _, rule, _ in GETS), f"{path} is no page"
    assert browser.get(f"/{'webmail' if face == 'mail' else 'admin'}/security").status == 200, "still signed in"


def test_N2_signing_in_needs_a_token_too(running: House) -> None:
    browser = Browser(running)
    fields = f"identity={ANN}&password=secret"
    head = {"Content-Type": "application/x-www-form-urlencoded", "Origin": browser.origin}
    assert browser.ask("POST", "/webmail/login", fields, head).status == 403
    browser.get("/webmail/login")
    assert browser.ask("POST", "/webmail/login", fields, head).status == 403
    assert browser.ask("POST", "/webmail/login", f"{fields}&csrf={browser.token}", head).status == 303


def test_N2_other_methods_are_refused(running: House, visitors) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "CONNECT"):
        answer = visitors["mail"].ask(method, "/webmail/security")
        assert answer.status == 405, method
        assert answer.headers["Allow"] == "GET, HEAD, POST"


# --- N4: headers ---------------------------------------------------------------------------------------------------------


def ours(answer: http.client.HTTPMessage, *, kept: bool = False) -> None:
    for name, value in COMMON.items():
        if not (kept and name == "Cache-Control"):
            assert answer.get_all(name) == [value], name
    assert answer.get("Server") is None
    assert "script-src 'self'" in CSP_PAGE
    assert "unsafe" not in CSP_PAGE


PLACES = [
    *sorted({path for _, path, _, _ in ROUTES}),
    *(
        "/",
        "/webmail",
        "/admin",
        "/webmail/",
        "/admin/",
        "/healthz",
        "/nothing",
        "/webmail/nothing",
        "/static/nothing.css",
    ),
    *("/favicon.ico", "/robots.txt", "/%2e%2e/etc/passwd", "/webmail/%00", "/webmail/../admin/security"),
]


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "BREW"])
def test_N4_every_answer_carries_the_policy(running: House, visitors, path: str, method: str) -> None:
    for browser in (Browser(running), visitors["mail"]):
        answer = browser.ask(method, path, "a=b" if method == "POST" else None)
        assert answer.status != 500
        ours(answer.headers)
        assert b" style=" not in answer.body.lower()
        for tag in re.findall(r"<script[^>]*>", answer.text if method != "HEAD" else ""):
            assert " src=" in tag, tag
        assert not re.search(r"<style|\son\w+=|javascript:", answer.text if method != "HEAD" else "")


def test_N4_static_files_are_kept_for_ever_and_carry_it_too(running: House) -> None:
    page = Browser(running).get("/webmail/login").text
    names = set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page))
    assert len(names) > 3
    for name in names:
        answer = Browser(running).get(name)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]
        ours(answer.headers, kept=True)
        packed = Browser(running).get(name, Accept_Encoding="gzip")
        assert packed.text.encode() == answer.body if packed.headers.get("Content-Encoding") else True
        same = Browser(running).get(name, If_None_Match=answer.headers["ETag"])
        assert (same.status, same.body) == (304, b"")
        assert Browser(running).ask("POST", name, "a=b").status == 404


def raw(running: House, data: bytes, *, wait: float = 5.0) -> bytes:
    """Octets to the plain listener, and all that comes back."""
    with socket.create_connection(("127.0.0.1", running.port("http")), timeout=wait) as sock:
        sock.sendall(data)
        found = b""
        try:
            while piece := sock.recv(65_536):
                found += piece
        except TimeoutError:
            return found
        return found


def test_N4_also_when_the_request_is_nonsense(running: House) -> None:
    for data in (
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n",
        b"POST /webmail/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /webmail/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 60_000 + b"\r\n\r\n",
    ):
        answer = raw(running, data)
        assert answer.startswith(b"HTTP/1.1 400 "), data[:60]
        assert f"Content-Security-Policy: {CSP_PAGE}\r\n".encode() in answer


# --- N18: hosts and bounds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.test", "localhost.evil.test", "127.0.0.1.nip.io", "evil.test:443", "10.0.0.1", "a b"]
)
def test_N18_another_host_is_refused(running: House, host: str) -> None:
    begun = time.monotonic()
    answer = Browser(running).get("/webmail/login", Host=host)
    assert answer.status == 421
    assert time.monotonic() - begun < 5
    assert host not in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1234", "127.0.0.1", "[::1]:80", "mail.example.test", "MAIL.Example.Test"]
)
def test_N18_our_names_and_loopback_are_known(running: House, host: str) -> None:
    assert Browser(running).get("/webmail/login", Host=host).status == 200


def test_N18_the_probe_answers_anybody(running: House) -> None:
    answer = Browser(running, secure=False).get("/healthz", Host="10.1.2.3")
    assert (answer.status, answer.body) == (200, b"ok\n")


def test_N18_forwarding_headers_are_nobodys_word(running: House) -> None:
    answer = Browser(running).get("/webmail/security", X_Forwarded_Host="evil.test", X_Forwarded_Proto="http")
    assert answer.location.startswith("/webmail/login")
    Browser(running, headers={"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"}).sign_in(ANN, "wrong")
    time.sleep(0.1)
    assert "203.0.113.9" not in running.log()


def test_N18_large_forms_are_refused_at_once(running: House, visitors) -> None:
    browser = visitors["mail"]
    head = {"Content-Type": "application/x-www-form-urlencoded", "Origin": browser.origin}
    begun = time.monotonic()
    fields = "&".join(f"f{n}=" for n in range(30_000))
    assert browser.ask("POST", "/webmail/preferences", f"csrf={browser.token}&{fields}", head).status in {403, 413}
    assert browser.ask("POST", "/webmail/preferences", "x" * 600_000, head).status == 413
    parts = (
        b"".join(b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n' for _ in range(3_000)) + b"--b--\r\n"
    )
    many = browser.ask(
        "POST", "/webmail/preferences", parts, {**head, "Content-Type": "multipart/form-data; boundary=b"}
    )
    assert many.status in {403, 413}
    deep = browser.ask("POST", "/webmail/preferences", "[" * 10_000, {**head, "Content-Type": "application/json"})
    assert deep.status == 403
    assert time.monotonic() - begun < 8


def test_N18_a_chunked_body_is_cut_off_where_it_is_too_large(running: House) -> None:
    head = b"POST /webmail/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    answer = raw(running, head + chunk * 12)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_N18_a_length_is_refused_before_the_body(running: House) -> None:
    head = (
        b"POST /webmail/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
    )
    assert raw(running, head).startswith(b"HTTP/1.1 413 ")


def test_N18_ranges_are_not_offered(running: House) -> None:
    wanted = "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(500))
    answer = Browser(running).get("/webmail/login", Range=wanted)
    assert answer.status == 200
    assert answer.headers.get("Content-Range") is None


def test_N18_absolute_targets_and_odd_paths(running: House) -> None:
    for path in (b"http://evil.test/webmail/login", b"*", b"/" + b"a" * 9_000, b"webmail"):
        answer = raw(running, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 "), path[:40]


def test_in_production_plain_http_shows_nothing() -> None:
    with house(profile="production") as h:
        plain, tls = Browser(h, secure=False), Browser(h)
        canonical = f"https://mail.example.test:{h.port('https')}"
        name = f"mail.example.test:{h.port('http')}"
        answer = plain.get("/webmail/login?x=1", Host=name)
        assert (answer.status, answer.location) == (308, f"{canonical}/webmail/login?x=1")
        assert plain.ask("POST", "/webmail/login", "a=b", {"Host": name}).status == 403
        assert plain.get("/webmail/login").status == 421
        assert tls.get("/webmail/login").status == 421
        shown = tls.get("/webmail/login", Host="mail.example.test")
        assert shown.status == 200
        assert shown.headers["Strict-Transport-Security"].startswith("max-age=")
        assert "__Host-mail" in shown.cookies()


# --- N15: the log --------------------------------------------------------------------------------------------------------


def test_N15_nothing_typed_breaks_the_log_and_no_secret_is_in_it(running: House) -> None:
    canary = "canary-7f3a-secret"
    evil = "ann\r\nts=2026 level=info verb=login account=root\x1b[31m<script>@example.test"
    browser = Browser(running, headers={"User-Agent": "UA\x1b[2J<b>"})
    browser.sign_in(evil, canary)
    browser.get("/webmail/nothing%0d%0averb=forged?token=" + canary)
    browser.ask("POST", "/webmail/logout", f"csrf=no&x={canary}", {"Content-Type": "application/x-www-form-urlencoded"})
    browser.get("/webmail/login", Host="evil.test%0d%0averb=forged")
    time.sleep(0.2)
    log = running.log()
    assert canary not in log
    assert browser.cookies["__Host-mail"] not in log
    assert "\x1b" not in log
    assert not [
        line for line in log.splitlines() if line and not re.match(r"ts=\d{4}-\d\d-\d\dT[\d:.]+Z level=\w+ ", line)
    ]
    assert not [line for line in log.splitlines() if re.search(r"(^|\s)verb=forged", line)]
    assert "why=csrf" in log
