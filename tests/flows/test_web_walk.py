"""Every page, fragment, frame and download of both faces, as somebody who is signed in comes to it: from link to link.

Each answer carries its policy, and no page holds a script, a style or an event in itself. The routes are those of the
applications: one that no link leads to fails the test, so that none is left out.
"""

from __future__ import annotations

import http.client
import re
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

import pytest
from werkzeug.exceptions import HTTPException

from appliance.web import frame
from appliance.web.access import ADMIN, MAIL
from appliance.web.guard import COMMON, CSP_NOTHING, CSP_PAGE
from tests.flows.test_web_guard import APPS
from tests.house import House, house
from tests.panel_rig import deferred
from tests.web_rig import Answer, Browser

ANN, BOB, ROOT = "ann@example.test", "bob@example.test", "root@example.test"
FAR = "far@example.org"
OF_A_RULE: Final = 5
"""Pages that are opened of one route, with other numbers or words."""
NATIVES: Final = {"/webmail/body/": frame.CSP, "/webmail/part/": CSP_NOTHING, "/webmail/source/": CSP_NOTHING}
ELSEWHERE: Final = {
    "/webmail/login/code", "/admin/login/code",  # only between password and code: tests/flows/test_web_sign_in.py
}  # fmt: skip
RICH = '<style>p{color:#123}</style><p onclick="x()">Hello <b>Ann</b><script>x()</script><img src="https://x.example.org/a.png"></p>'


class Reader(HTMLParser):
    """What a page leads to, and what it must not hold."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        if tag == "style" or (tag == "script" and not held.get("src", "").startswith("/static/")):
            self.wrong.append(self.get_starttag_text() or tag)
        for name, value in held.items():
            if name == "style" or name.startswith(("on", "hx-on")) or re.match(r"\s*(javascript|data):", value, re.I):
                self.wrong.append(f"{tag} {name}={value}")
            if name in {"href", "src", "hx-get"} or (name == "action" and held.get("method", "get").lower() == "get"):
                self.links.append(value)


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house(dns="off") as h:
        h.add_account(ROOT, admin=True)
        for who in (ANN, BOB):
            h.add_account(who)
        h.ask("alias.add", address="sales@example.test", targets=[ANN, BOB])
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "Maria <maria@example.org>", f"{ANN}, {FAR}", "Hello & <b>"
        message["Message-ID"] = "<walk@example.org>"
        message.set_content("Hello Ann.")
        message.add_alternative(RICH, subtype="html")
        message.add_attachment(b"<script>x()</script>", maintype="text", subtype="html", filename="a.html")
        h.deliver(message.as_bytes(policy=SMTP), ANN, sender="maria@example.org")
        client = h.imap(ANN)
        client.append("Drafts", "(\\Draft)", "", message.as_bytes(policy=SMTP))
        client.logout()
        with h.submission(ANN) as post:
            post.sendmail(
                ANN, [FAR], f"From: {ANN}\r\nTo: {FAR}\r\nSubject: Out\r\nMessage-ID: <o@example.test>\r\n\r\nx\r\n"
            )
        deferred(h, FAR)
        yield h


def walk(browser: Browser, face: str, *starts: str) -> dict[str, list[tuple[str, Answer]]]:
    """Every answer on the way, by route."""
    bound = APPS[face].url_map.bind("localhost")
    prefix = {MAIL.name: MAIL, ADMIN.name: ADMIN}[face].prefix
    todo, seen, often = list(starts), set(starts), Counter[str]()
    found: dict[str, list[tuple[str, Answer]]] = {}
    while todo:
        link = todo.pop(0)
        native = next((one for one in NATIVES if link.startswith(one)), None)
        try:
            rule = native or prefix + str(bound.match(urlsplit(link).path.removeprefix(prefix), return_rule=True)[0])
        except HTTPException:
            continue
        often[rule] += 1
        if often[rule] > OF_A_RULE or link.startswith(f"{prefix}/logout"):
            continue
        answer = browser.get(link)
        found.setdefault(rule, []).append((link, answer))
        if answer.headers.get_content_type() == "text/html" and rule not in NATIVES:
            reader = Reader()
            reader.feed(answer.text)
            assert reader.wrong == [], link
            for one in (urljoin(link, it).partition("#")[0] for it in (*reader.links, answer.location)):
                if one.startswith(prefix) and one not in seen:
                    seen.add(one)
                    todo.append(one)
        elif answer.location.startswith(prefix) and answer.location not in seen:
            seen.add(answer.location)
            todo.append(answer.location)
    return found


def guarded(link: str, answer: Answer, policy: str = CSP_PAGE) -> None:
    assert answer.headers.get_all("Content-Security-Policy") == [policy], link
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], link
    assert "script-src 'self'" in policy or "default-src 'none'" in policy, link


def rules(face: str) -> set[str]:
    prefix = {MAIL.name: MAIL, ADMIN.name: ADMIN}[face].prefix
    app = APPS[face]
    return {
        prefix + str(one) for one in app.url_map.iter_rules() if app.declared[one.endpoint].method == "GET"
    } - ELSEWHERE


def sent(browser: Browser) -> str:
    """Something is on its way: the page that still can undo it."""
    browser.get("/webmail/compose")
    page = browser.get("/webmail/compose").text
    fields = dict(re.findall(r'type="hidden" name="(key|version|origin|source)" value="([^"]*)"', page))
    fields |= {"to": FAR, "subject": "Soon", "text": "x", "do": "send"}
    return browser.post("/webmail/compose", fields).location


def test_N4_every_page_of_the_webmail(running: House) -> None:
    browser = Browser(running)
    assert browser.sign_in(ANN).status == 303
    starts = (
        "/webmail/",
        "/webmail/login",
        "/webmail/mail/search?q=hello",
        "/webmail/mail/sent",
        "/webmail/help/outside",
    )
    starts += (
        "/webmail/mail/drafts",
        "/webmail/search",
        "/webmail/move/inbox?thread=1",
        "/webmail/security/code",
        sent(browser),
    )
    found = walk(browser, MAIL.name, *starts)
    missing = (rules(MAIL.name) | set(NATIVES)) - {
        rule for rule, all_ in found.items() if any(a.status < 400 for _, a in all_)
    }
    assert missing == set()
    for rule, answers in found.items():
        for link, answer in answers:
            assert answer.status < 400, link
            guarded(link, answer, NATIVES.get(rule, CSP_PAGE))
            if rule in {"/webmail/part/", "/webmail/source/"}:
                assert (
                    answer.headers["Content-Disposition"].startswith("attachment")
                    or answer.headers.get_content_type() == "text/plain"
                )
                assert answer.headers.get_content_type() != "text/html", link
    framed = [answer.text for _, answer in found["/webmail/body/"]]
    assert framed
    assert not [text for text in framed if re.search(r"<script|\son\w+=|javascript:", text)]


def test_N4_every_page_of_the_panel(running: House) -> None:
    browser = Browser(running)
    assert browser.sign_in(ROOT, face="/admin").status == 303
    found = walk(
        browser,
        ADMIN.name,
        "/admin/",
        "/admin/login",
        "/admin/accounts/bin",
        "/admin/search?q=ann",
        "/admin/log?q=ann",
        "/admin/security/code",
    )
    missing = rules(ADMIN.name) - {rule for rule, all_ in found.items() if any(a.status < 400 for _, a in all_)}
    assert missing == set()
    for answers in found.values():
        for link, answer in answers:
            assert answer.status < 400, link
            guarded(link, answer)


@pytest.mark.parametrize(
    "path", sorted({*NATIVES, "/webmail/upload", "/webmail/events", "/webmail/remote/", "/healthz"})
)
def test_N4_natives_carry_the_policy_whatever_they_answer(running: House, path: str) -> None:
    known = Browser(running)
    assert known.sign_in(ANN).status == 303
    for browser in (Browser(running), known):
        for method, more in (
            ("GET", ""),
            ("GET", "1/99999"),
            ("GET", "x/y/z?t=dark"),
            ("POST", ""),
            ("BREW", ""),
            ("HEAD", ""),
        ):
            connection = http.client.HTTPSConnection("localhost", browser.port, timeout=20, context=running.tls())
            try:
                cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
                connection.request(
                    method, path + more, b"a=b" if method == "POST" else None, {"Cookie": cookie} if cookie else {}
                )
                answer = connection.getresponse()  # what streams is not read to its end
                policy = answer.headers.get_all("Content-Security-Policy") or []
                assert len(policy) == 1, (method, path + more)
                assert "script-src 'self'" in policy[0] or "default-src 'none'" in policy[0]
                assert answer.headers.get_all("X-Content-Type-Options") == [COMMON["X-Content-Type-Options"]]
                assert answer.status < 500
            finally:
                connection.close()


def test_N4_the_pages_of_what_went_wrong(running: House) -> None:
    browser = Browser(running)
    assert browser.sign_in(ANN).status == 303
    wrong = {
        "/webmail/nothing": 404, "/webmail/mail/nowhere": 404, "/webmail/mail/inbox/t999": 404, "/webmail/body/1/999": 404,
        "/webmail/headers/1/999": 404, "/webmail/outgoing/x": 404, "/webmail/compose/draft/1/999": 404, "/static/no.css": 404,
    }  # fmt: skip
    for path, status in wrong.items():
        answer = browser.get(path)
        assert answer.status == status, path
        reader = Reader()
        if answer.headers.get_content_type() == "text/html":
            reader.feed(answer.text)
        assert reader.wrong == [], path
        assert len(answer.headers.get_all("Content-Security-Policy") or []) == 1, path
        part = browser.get(path, HX_Request="true")
        assert (part.status, len(part.headers.get_all("Content-Security-Policy") or [])) == (status, 1), path
    assert browser.post("/webmail/preferences", {"theme": "x"}, origin="https://evil.test").status == 403
