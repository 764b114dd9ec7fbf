"""The panel where two people use it at once, twice, too late or against themselves; and what each change leaves behind."""

from __future__ import annotations

import csv
import html
import imaplib
import io
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pyotp
import pytest

import admin.app
from admin.desk import PAGE
from admin.login import routes_of_login
from appliance.web.access import ADMIN as FACE
from appliance.web.access import WebApp
from tests.house import House, house
from tests.instruments.dnsserver import DnsServer
from tests.web_rig import Answer, Browser

ROOT, SECOND, ANN = "root@example.test", "second@example.test", "ann@example.test"
LETTER = "From: {0}\r\nTo: {1}\r\nSubject: figures\r\nMessage-ID: <{2}@example.test>\r\n\r\nHello.\r\n"
FORM = {"name": "", "role": "user", "quota": "0", "language": "en"}


@pytest.fixture(scope="module")
def names() -> Iterator[DnsServer]:
    with DnsServer({"example.org": "SERVFAIL", "mail.example.test": {"A": ["192.0.2.7"]}}) as server:
        yield server


@pytest.fixture(scope="module")
def running(names: DnsServer) -> Iterator[House]:
    with house(dns=names.address) as h:
        for address in (ROOT, SECOND):
            h.add_account(address, admin=True)
        h.add_account(ANN)
        yield h


@pytest.fixture(scope="module")
def root(running: House) -> Browser:
    return panel(running, ROOT)


@pytest.fixture(scope="module")
def second(running: House) -> Browser:
    return panel(running, SECOND)


def panel(running: House, who: str) -> Browser:
    browser = Browser(running)
    assert browser.sign_in(who, face="/admin").status == 303
    browser.get("/admin/")
    return browser


def go(browser: Browser, path: str, **fields: str) -> Answer:
    """Send a form of the panel and follow where it leads."""
    answer = browser.post(f"/admin{path}", fields)
    return browser.get(answer.location) if answer.status == 303 else answer


def words(answer: Answer) -> str:
    """What a person reads on a page."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def hidden(answer: Answer, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, name
    return html.unescape(found[1])


def account(running: House, browser: Browser, name: str) -> str:
    """A new account; returns its number."""
    running.add_account(name)
    found = re.search(r"/admin/accounts/(\d+)\"", browser.get(f"/admin/accounts?q={name}@").text)
    assert found
    return found[1]


def audited(running: House, browser: Browser) -> list[list[str]]:
    """The audit log as its export tells it, newest first."""
    text = browser.get("/admin/audit/export").body.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))[1:]


def waiting(running: House, recipient: str) -> int:
    """The item of a recipient, once it was tried and put off."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for row in running.ask("queue.list")["recipients"]:
            if row["recipient"] == recipient and row["state"] == "deferred":
                return int(row["item"])
        time.sleep(0.05)
    raise AssertionError(f"{recipient} does not wait")


def send(running: House, *recipients: str) -> list[int]:
    with running.submission(ANN) as client:
        for to in recipients:
            client.sendmail(ANN, [to], LETTER.format(ANN, to, to.partition("@")[0]))
    return [waiting(running, to) for to in recipients]


# --- twice, too late, at once ------------------------------------------------------------------------------------------------


def test_a_form_that_is_sent_twice_adds_one_account(running: House, root: Browser) -> None:
    once = hidden(root.get("/admin/accounts/new"), "once")
    fields = {**FORM, "address": "twin", "once": once}
    answers: list[Answer] = []
    clicks = [threading.Thread(target=lambda: answers.append(root.post("/admin/accounts/new", fields))) for _ in "12"]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert sorted(answer.status for answer in answers) == [200, 303]
    late = next(answer for answer in answers if answer.status == 303)
    assert "was added once" in words(root.get(late.location))
    assert [row[3:5] for row in audited(running, root)].count(["account.add", "twin@example.test"]) == 1


def test_two_administrators_do_not_overwrite_each_other_unasked(running: House, root: Browser, second: Browser) -> None:
    ident = account(running, root, "edith")
    version = hidden(root.get(f"/admin/accounts/{ident}"), "version")
    changed = go(second, f"/accounts/{ident}", **{**FORM, "name": "Edith Second", "version": version})
    assert "The change was saved" in words(changed)
    late = go(root, f"/accounts/{ident}", **{**FORM, "name": "Edith Root", "version": version})
    assert late.status == 409
    assert f"{SECOND} has changed this" in words(late) and "Edith Second, User" in words(late)
    assert 'value="Edith Root"' in late.text, "what was typed is not lost"
    assert "Edith Second" in words(second.get(f"/admin/accounts/{ident}"))
    again = go(root, f"/accounts/{ident}", **{**FORM, "name": "Edith Root", "version": hidden(late, "version")})
    assert "Edith Root" in words(again) and again.status == 200


@pytest.mark.parametrize(
    ("page", "path", "first", "other", "kept"),
    [
        ("/aliases/{alias}", "/aliases/{alias}", {"targets": ANN}, {"targets": SECOND}, ANN),
        ("/domains/example.test", "/domains/example.test/catch-all", {"address": ANN}, {"address": ROOT}, ANN),
        ("/system", "/system/routes", {"routes": "example.net 127.0.0.1:9"}, {"routes": "example.net 127.0.0.1:8"}, "127.0.0.1:9"),
    ],
)  # fmt: skip
def test_nor_where_mail_leads(
    running: House, root: Browser, second: Browser, page: str, path: str, first: Any, other: Any, kept: str
) -> None:
    name = f"team-{page.strip('/').partition('/')[0]}@example.test"
    running.ask("alias.add", address=name, targets=[ROOT], group=True)
    alias = re.search(r"/admin/aliases/(\d+)\"", root.get(f"/admin/aliases?q={name}").text)
    assert alias
    page, path = page.format(alias=alias[1]), path.format(alias=alias[1])
    version = hidden(root.get(f"/admin{page}"), "version")
    assert "saved" in words(go(second, path, **first, version=version))
    late = go(root, path, **other, version=version)
    assert late.status == 409 and f"{SECOND} has changed this" in words(late) and kept in words(late)
    assert kept in words(second.get(f"/admin{page}")) or f'value="{kept}"' in second.get(f"/admin{page}").text
    assert "saved" in words(go(root, path, **other, version=hidden(late, "version")))
    go(root, path, **dict.fromkeys(first, ANN if page.startswith("/aliases") else ""))


def test_what_somebody_else_deleted_is_said_and_nothing_breaks(running: House, root: Browser, second: Browser) -> None:
    ident = account(running, root, "gone")
    root.get(f"/admin/accounts/{ident}")
    assert "Recycle bin" in words(go(second, f"/accounts/{ident}/delete"))
    for path in ("", "/password", "/suspend", "/resume", "/delete", "/sessions/end", "/second-factor/remove"):
        answer = go(root, f"/accounts/{ident}{path}", **FORM)
        assert answer.status == 404 and "deleted meanwhile" in words(answer), path
        assert '<nav class="sidebar"' in answer.text, "inside the panel, with a way on"
    running.add_account("gone")
    taken = go(root, f"/accounts/{ident}/restore")
    assert taken.status == 409 and "belongs to somebody else by now" in words(taken)
    for path, told in (
        ("/aliases/99999/delete", "taken away meanwhile"),
        ("/queue/99999/retry", "does not wait any more"),
        ("/queue/99999/drop", "does not wait any more"),
        ("/domains/other.example/check", "not a domain of yours"),
    ):
        answer = go(root, path)
        assert answer.status == 404 and told in words(answer), path


def test_nobody_changes_their_own_access_and_somebody_is_left(running: House, root: Browser, second: Browser) -> None:
    found = re.search(r"/admin/accounts/(\d+)\"", root.get(f"/admin/accounts?q={ROOT}").text)
    assert found
    mine = found[1]
    page = root.get(f"/admin/accounts/{mine}")
    assert "/password" not in page.text and "/admin/security" in page.text
    for path in ("/password", "/suspend", "/delete", "/sessions/end", "/second-factor/remove"):
        answer = go(root, f"/accounts/{mine}{path}")
        assert answer.status == 403 and "You may not change that" in words(answer), path
    found = re.search(r"/admin/accounts/(\d+)\"", root.get(f"/admin/accounts?q={SECOND}").text)
    assert found
    # each demotes the other at the same time: one of them is too late, and is told so
    answers: list[int] = []
    both = [
        threading.Thread(target=lambda b=b, i=i: answers.append(b.post(f"/admin/accounts/{i}", FORM).status))
        for b, i in ((root, found[1]), (second, mine))
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    left = [row["address"] for row in running.ask("account.list")["accounts"] if row["role"] != "user"]
    assert len(left) == 1, answers
    for address in (ROOT, SECOND):
        running.ask("account.change", address=address, admin=True)
    assert panel(running, ROOT).get("/admin/").status == 200


# --- getting in ----------------------------------------------------------------------------------------------------------------


def test_a_lost_phone_and_signing_out_everywhere(running: House, root: Browser) -> None:
    ident = account(running, root, "lena")
    lena, other = Browser(running), Browser(running)
    for browser in (lena, other):
        browser.sign_in("lena@example.test")
    page = lena.get("/webmail/security/code")
    secret = re.search(r"[?&]secret=([A-Z2-7]+)", html.unescape(page.text)) or re.search(
        r">([A-Z2-7]{4}(?: [A-Z2-7]{4})+)<", page.text
    )
    assert secret
    code = pyotp.TOTP(secret[1].replace(" ", "")).now()
    assert lena.post("/webmail/security/code", {"code": code}).status == 200
    assert Browser(running).sign_in("lena@example.test").location == "/webmail/login/code"

    shown = root.get(f"/admin/accounts/{ident}")
    assert "Take two-step sign-in away" in words(shown) and "127.0.0.1" in words(shown)
    assert "their password alone signs them in" in words(go(root, f"/accounts/{ident}/second-factor/remove")).lower()
    third = Browser(running)
    assert third.sign_in("lena@example.test").location == "/webmail/"
    session = re.findall(r'name="session" value="(\d+)"', root.get(f"/admin/accounts/{ident}").text)
    assert session
    assert "That browser is signed out" in words(go(root, f"/accounts/{ident}/sessions/end", session=session[0]))
    client = running.imap("lena@example.test")
    assert "They are signed out" in words(go(root, f"/accounts/{ident}/sessions/end"))
    for browser in (lena, third):
        assert browser.get("/webmail/security").status == 303
    with pytest.raises(imaplib.IMAP4.error, match="Please sign in again"):
        for _ in range(100):
            client.noop()
            time.sleep(0.05)
    client.shutdown()
    told = [row[3] for row in audited(running, root)][:3]
    assert told == ["account.sign-out", "account.sign-out", "account.second-factor.reset"]


def test_the_list_says_who_was_here_last_and_sorts(running: House, root: Browser) -> None:
    for name in ("sort1", "sort2", "sort3"):
        account(running, root, name)
    running.ask("account.change", address="sort3@example.test", name="Aaron Sort")
    running.deliver(LETTER.format("x@example.org", "sort2", "s2"), "sort2@example.test", sender="x@example.org")

    def order(sort: str) -> list[str]:
        text = root.get(f"/admin/accounts?q=sort&sort={sort}").text
        return re.findall(r'class="table__sub">(sort\d)@', text)

    assert order("name") == ["sort3", "sort1", "sort2"] and order("nonsense") == order("name")
    assert order("address") == ["sort1", "sort2", "sort3"] and order("new") == ["sort3", "sort2", "sort1"]
    assert order("storage")[0] == "sort2"
    assert words(root.get("/admin/accounts?q=sort")).count("not yet") == 3
    running.imap("sort3@example.test").logout()
    assert order("last")[0] == "sort3", "a mail program counts"
    assert words(root.get("/admin/accounts?q=sort")).count("not yet") == 2


def test_pages_go_on_where_the_last_one_ended(running: House, root: Browser) -> None:
    for at in range(PAGE + 1):
        running.ask("account.add", address=f"page{at:02}@example.test", password="secret", name="Same ~ Name")
    for sort in ("name", "storage", "last", "new"):
        seen, path = [], f"/admin/accounts?q=page&sort={sort}"
        for _ in range(3):
            page = root.get(path).text
            seen += re.findall(r'class="table__sub">(page\d+)@', page)
            following = re.search(r'href="(/admin/accounts\?[^"]*after=[^"]+)"', page)
            if following is None:
                break
            path = html.unescape(following[1])
        assert sorted(seen) == [f"page{at:02}" for at in range(PAGE + 1)], sort
    assert root.get("/admin/accounts?after=" + "~" * 500).status == 200


# --- the queue ---------------------------------------------------------------------------------------------------------------


def test_many_messages_at_once_and_whether_their_sender_is_told(running: House, root: Browser) -> None:
    items = send(running, "m1@example.org", "m2@example.org", "m3@example.org")
    listed = root.get("/admin/queue?q=m2@")
    assert "m2@example.org" in listed.text and "m1@example.org" not in listed.text
    assert "m1@example.org" in root.get("/admin/queue?state=deferred&domain=example.org").text
    assert "Nothing found" in words(root.get("/admin/queue?state=frozen"))

    def chosen(action: str, *which: int, path: str = "/queue/chosen", **more: str) -> Answer:
        fields = [("csrf", root.token), ("action", action), *(("item", str(item)) for item in which), *more.items()]
        head = {"Content-Type": "application/x-www-form-urlencoded", "Origin": root.origin}
        answer = root.ask("POST", f"/admin{path}", urlencode(fields), head)
        return root.get(answer.location) if answer.status == 303 else answer

    assert "Nothing was chosen" in words(chosen("hold"))
    assert "Nothing was chosen" in words(chosen("sell", items[0]))
    assert "every message that was chosen" in words(chosen("hold", *items))
    assert words(root.get("/admin/queue?state=frozen")).count("An administrator holds it") >= 3
    assert "left alone" in words(chosen("release", items[0], 99999))
    asked = chosen("drop", items[1], items[2])
    assert "Drop 2 messages?" in words(asked) and ANN in words(asked) and "Tell them" in words(asked)
    assert words(root.get("/admin/queue?q=@example.org")).count("m2@example.org") == 1, "asking changes nothing"

    assert "its sender is told" in words(chosen("", items[1], path="/queue/chosen/drop", sender="told"))
    assert "not told" in words(chosen("", items[2], path="/queue/chosen/drop", sender="untold"))
    waiting(running, "m1@example.org")
    assert "its sender is told" in words(go(root, f"/queue/{items[0]}/drop", sender="told"))
    client, end = running.imap(ANN), time.monotonic() + 20
    while time.monotonic() < end and int(client.select("INBOX")[1][0] or b"0") < 2:
        time.sleep(0.05)
    texts = [client.fetch(str(at), "(BODY.PEEK[])")[1][0][1].decode() for at in (1, 2)]  # type: ignore[index]
    client.logout()
    assert sorted(m for m in ("m1", "m2", "m3") for text in texts if f"rfc822; {m}@example.org" in text) == ["m1", "m2"]
    told = words(root.get("/admin/log?outcome=failed"))
    assert "took it out, and its sender was told" in told
    assert words(root.get("/admin/log?outcome=dropped")).count("m3@example.org") >= 1
    assert [row[3] for row in audited(running, root)][:2] == ["queue.return", "queue.drop"]


# --- looking things up ---------------------------------------------------------------------------------------------------------


def test_the_log_by_outcome_day_and_queue_number(running: House, root: Browser) -> None:
    (item,) = send(running, "day@example.org")
    running.deliver(LETTER.format("x@example.org", ANN, "in"), ANN, sender="x@example.org")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    stored = words(root.get(f"/admin/log?outcome=stored&day={today}&q=x@example.org"))
    assert "Stored in the inbox of ann@example.test" in stored and "Not delivered" not in stored.partition("When")[2]
    delayed = words(root.get("/admin/log?outcome=deferred&q=day@"))
    assert "Not delivered to day@example.org yet" in delayed
    by_number = words(root.get(f"/admin/log?q={item}"))
    assert "handed the message in" in by_number and "day@example.org" in by_number
    for nothing in ("day=2001-01-01", "q=nobody@", "outcome=dropped&q=day@"):
        assert "No message fits" in words(root.get(f"/admin/log?{nothing}")), nothing
    for odd in ("day=9999-12-31", "day=x", "outcome=x", "q=" + "9" * 15, "before=" + "9" * 15):
        assert root.get(f"/admin/log?{odd}").status == 200, odd


def test_the_audit_log_is_filtered_and_exported_as_text(running: House, root: Browser) -> None:
    ident = account(running, root, "calc")
    go(root, f"/accounts/{ident}", **{**FORM, "name": '=cmd|" /C calc"!A0'})
    running.ask("alias.add", address="=sum@example.test", targets=[ANN])
    page = words(root.get("/admin/audit?kind=account&q=calc@"))
    assert "changed the account calc@example.test" in page and "added the address" not in page.partition("When")[2]
    answer = root.get("/admin/audit/export?kind=account&q=calc@")
    assert answer.headers.get_content_type() == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert rows[0] == ["number", "time", "who", "action", "object", "details"]
    assert [row[3] for row in rows[1:]] == ["account.edit", "account.add"]
    assert rows[1][5] == 'name: =cmd|" /C calc"!A0'
    whole = audited(running, root)
    assert whole[0][4] == "'=sum@example.test", "a spreadsheet takes it for text"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in whole for cell in row)
    assert "No change fits" in words(root.get("/admin/audit?day=2001-01-01"))


def test_records_are_compared_with_dns(running: House, root: Browser, names: DnsServer) -> None:
    known = next(one for one in running.ask("domain.list")["domains"] if one["domain"] == "example.test")
    (first, key), *_ = known["records"]
    names.set("example.test", {"MX": ["10 mail.example.test."], "TXT": ['"v=spf1 include:other.example -all"', '"x"']})
    quoted = " ".join(f'"{key[at : at + 200]}"' for at in range(0, len(key), 200))
    names.set(first, {"TXT": [quoted]})
    names.set("_dmarc.example.test", {"TXT": ['"v=DMARC1; p=reject"']})
    names.set("7.2.0.192.in-addr.arpa", {"PTR": ["other.example."]})
    before = root.get("/admin/domains/example.test")
    assert "Check now" in words(before) and "Found" not in words(before)
    page = go(root, "/domains/example.test/check")
    states = dict(zip(*_states(page), strict=True))
    assert states["MX example.test"] == "Found" and states["A mail.example.test"] == "Found"
    assert states[f"TXT {first}"] == "Found" and states["TXT _dmarc.example.test"] == "Found"
    assert states["TXT example.test"] == "Different" and states["PTR the server's address"] == "Different"
    assert "v=spf1 mx include:other.example -all" in words(page), "what is there is kept"
    assert "192.0.2.7 other.example" in words(page)
    assert list(states.values()).count("Not yet") == len(states) - 6
    assert "needed records are not as they should be" in words(page)


def _states(page: Answer) -> tuple[list[str], list[str]]:
    rows = re.findall(
        r'record__type">(.*?)<.*?record__host"[^>]*>(.*?)<.*?record__state"><span[^>]*>(?:<svg.*?</svg>)?(.*?)<',
        page.text,
        re.DOTALL,
    )
    return [f"{kind} {html.unescape(host)}" for kind, host, _ in rows], [state for *_, state in rows]


# --- every change leaves a row ---------------------------------------------------------------------------------------------------

UNAUDITED = {
    "/login": "a sign-in is in the server's log",
    "/login/code": "so is its second step",
    "/logout": "ends the session of whoever asks",
    "/security/password": "proved in test_web_sign_in: it needs the present password",
    "/security/code": "proved in test_web_sign_in: it needs a code",
    "/security/code/remove": "proved in test_web_sign_in: it needs a code",
    "/security/recovery": "it needs a code",
    "/security/sessions/end": "one's own sessions",
    "/preferences": "how pages look to oneself",
}
"""POST routes of the panel that leave no row when they are called with nothing but a session, and why."""


def _posts() -> set[str]:
    app = WebApp("routes", FACE)
    for routes in (*routes_of_login(), *(room.routes for room in admin.app.ROOMS)):
        routes.add_to(app)
    return {str(rule) for rule in app.url_map.iter_rules() if app.declared[rule.endpoint].method == "POST"}


def test_every_change_of_the_panel_leaves_a_row_with_who_did_it(running: House, root: Browser) -> None:
    ident = account(running, root, "rose")
    alias = re.search(r"/admin/aliases/(\d+)\"", go(root, "/aliases/new", address="roses", targets=ANN).text)
    assert alias
    items = send(running, *(f"r{at}@example.org" for at in range(4)))
    held, chosen, dropped, returned = items
    calls: list[tuple[str, str, dict[str, str], str]] = [
        ("/accounts/new", "/accounts/new", {**FORM, "address": "violet"}, "account.add"),
        ("/accounts/<int:ident>", f"/accounts/{ident}", {**FORM, "name": "Rose"}, "account.edit"),
        ("/accounts/<int:ident>/password", f"/accounts/{ident}/password", {}, "account.password"),
        ("/accounts/<int:ident>/suspend", f"/accounts/{ident}/suspend", {}, "account.suspended"),
        ("/accounts/<int:ident>/resume", f"/accounts/{ident}/resume", {}, "account.active"),
        ("/accounts/<int:ident>/second-factor/remove", f"/accounts/{ident}/second-factor/remove", {}, "account.second-factor.reset"),
        ("/accounts/<int:ident>/sessions/end", f"/accounts/{ident}/sessions/end", {}, "account.sign-out"),
        ("/accounts/<int:ident>/delete", f"/accounts/{ident}/delete", {}, "account.delete"),
        ("/accounts/<int:ident>/restore", f"/accounts/{ident}/restore", {}, "account.restore"),
        ("/aliases/new", "/aliases/new", {"address": "violets", "targets": ANN}, "alias.add"),
        ("/aliases/<int:ident>", f"/aliases/{alias[1]}", {"targets": ROOT}, "alias.edit"),
        ("/aliases/<int:ident>/delete", f"/aliases/{alias[1]}/delete", {}, "alias.delete"),
        ("/domains", "/domains", {"domain": "third.example"}, "domain.add"),
        ("/domains/<name>/check", "/domains/third.example/check", {}, "domain.check"),
        ("/domains/<name>/catch-all", "/domains/third.example/catch-all", {"address": ANN}, "domain.catch-all"),
        ("/queue/retry", "/queue/retry", {}, "queue.retry"),
        ("/queue/<int:ident>/hold", f"/queue/{held}/hold", {}, "queue.hold"),
        ("/queue/<int:ident>/release", f"/queue/{held}/release", {}, "queue.release"),
        ("/queue/<int:ident>/retry", f"/queue/{held}/retry", {}, "queue.retry"),
        ("/queue/chosen", "/queue/chosen", {"item": str(chosen), "action": "hold"}, "queue.hold"),
        ("/queue/chosen/drop", "/queue/chosen/drop", {"item": str(chosen), "sender": "told"}, "queue.return"),
        ("/queue/<int:ident>/drop", f"/queue/{dropped}/drop", {"sender": "untold"}, "queue.drop"),
        ("/queue/<int:ident>/drop", f"/queue/{returned}/drop", {"sender": "told"}, "queue.return"),
        ("/system/routes", "/system/routes", {"routes": "third.example 127.0.0.1:9"}, "setting"),
    ]  # fmt: skip
    assert {rule for rule, *_ in calls} | set(UNAUDITED) == _posts()
    for rule, path, fields, action in calls:
        before = audited(running, root)[0][0]
        answer, end = root.post(f"/admin{path}", fields), time.monotonic() + 10
        while answer.status == 409 and time.monotonic() < end:  # it is on the wire at that moment
            answer = root.post(f"/admin{path}", fields)
        assert answer.status in {200, 303}, (rule, words(answer))
        new = [row for row in audited(running, root) if int(row[0]) > int(before)]
        assert [(row[2], row[3]) for row in new] == [(ROOT, action)], rule
    assert "is whole" in words(root.get("/admin/audit"))
