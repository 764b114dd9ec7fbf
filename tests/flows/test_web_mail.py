"""Reading on the web, as bytes: folders, pages, conversations, actions, and that nobody reads another's mail."""

from __future__ import annotations

import html
import imaplib
import re
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from appliance.web import frame
from tests.house import House, house
from tests.web_rig import Browser

ANN, BOB = "ann@example.test", "bob@example.test"


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(BOB)
        yield h


def put(
    running: House, message: EmailMessage, *, user: str = ANN, box: str = "INBOX", flags: str = "", at: int = 0
) -> None:
    client = running.imap(user)
    when = imaplib.Time2Internaldate(1_700_000_000 + at) if at else None
    status, _ = client.append(box, f"({flags})", when or "", message.as_bytes().replace(b"\n", b"\r\n"))
    assert status == "OK"
    client.logout()


def letter(subject: str, text: str = "Text.", ident: str = "", answers: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Bob Green <bob@example.org>", ANN, subject
    message["Message-ID"] = f"<{ident or subject.replace(' ', '')}@example.org>"
    if answers:
        message["References"] = f"<{answers}@example.org>"
    message.set_content(text)
    return message


@pytest.fixture(scope="module")
def ann(running: House) -> Browser:
    browser = Browser(running)
    browser.sign_in(ANN)
    return browser


def threads(page: str) -> list[str]:
    return re.findall(r'id="t(\d+)"', page)


def open_of(page: str, subject: str) -> str:
    found = re.search(rf'href="(/webmail/mail/\w+/t\d+)"[^>]*>(?:<span[^>]*>[^<]*</span>)?{re.escape(subject)}<', page)
    assert found, page[:4000]
    return found[1]


def test_the_inbox_is_a_page_without_scripts(running: House, ann: Browser) -> None:
    put(running, letter("Plain & <b>bold</b>", "Hello Ann."))
    assert ann.get("/webmail/").location == "/webmail/mail/inbox"
    page = ann.get("/webmail/mail/inbox").text
    assert "Plain &amp; &lt;b&gt;bold&lt;/b&gt;" in page
    for name in ("Inbox", "Sent", "Drafts", "Archive", "Junk", "Trash"):
        assert name in page
    assert "1 message" in html.unescape(page)
    where = re.search(r'href="(/webmail/mail/inbox/t\d+)"', page)
    assert where
    opened = ann.get(where[1]).text
    assert '<html lang="en"' in opened
    assert "msg__frame" in opened
    part = ann.get(where[1], HX_Request="true").text
    assert "<html" not in part
    assert "msg__frame" in part
    whole = ann.get(where[1], HX_Request="true", HX_History_Restore_Request="true").text
    assert "<html" in whole


def test_opening_changes_nothing_and_marking_is_a_post(running: House, ann: Browser) -> None:
    put(running, letter("To be read"))
    page = ann.get("/webmail/mail/inbox").text
    where = open_of(page, "To be read")
    ann.get(where)
    assert "data-unread" in ann.get(where).text
    thread = where.rpartition("/t")[2]
    assert ann.post("/webmail/mail/inbox/act", {"do": f"read:{thread}", "back": thread}).location == where
    assert "data-unread" not in ann.get(where).text
    ann.post("/webmail/mail/inbox/act", {"do": f"unread:{thread}"})
    assert "data-unread" in ann.get(where).text


def test_pages_follow_each_other_to_the_end(running: House, ann: Browser) -> None:
    running.ask("account.add", address="many@example.test", password="secret", admin=False)
    client = running.imap("many@example.test")
    for n in range(120):
        client.append("INBOX", "", imaplib.Time2Internaldate(1_700_000_000 + n), letter(f"N{n}").as_bytes())
    client.logout()
    browser = Browser(running)
    browser.sign_in("many@example.test")
    path, found = "/webmail/mail/inbox", []
    for _ in range(5):
        page = browser.get(path, HX_Request="true").text
        found += threads(page)
        more = re.search(r'href="(/webmail/mail/inbox\?before=[^"]+)"', page)
        if more is None:
            break
        path = html.unescape(more[1])
    assert len(found) == len(set(found)) == 120
    assert browser.get("/webmail/mail/inbox?before=nonsense&show=nonsense").status == 200


@pytest.mark.parametrize(
    ("do", "box"), [("archive", "archive"), ("trash", "trash"), ("junk", "junk"), ("inbox", "inbox")]
)
def test_a_conversation_moves_as_a_whole(running: House, ann: Browser, do: str, box: str) -> None:
    put(running, letter(f"Move {do}", ident=f"{do}-1"), at=1)
    put(running, letter(f"Re: Move {do}", ident=f"{do}-2", answers=f"{do}-1"), at=2)
    where = open_of(ann.get("/webmail/mail/inbox").text, f"Move {do}")
    thread = where.rpartition("/t")[2]
    assert ann.post("/webmail/mail/inbox/act", {"do": f"{do}:{thread}"}).location == "/webmail/mail/inbox"
    assert (thread in threads(ann.get("/webmail/mail/inbox").text)) == (box == "inbox")
    assert thread in threads(ann.get(f"/webmail/mail/{box}").text)
    assert ann.get(f"/webmail/mail/{box}/t{thread}").text.count("<iframe ") == 2


def test_stars_and_filters(running: House, ann: Browser) -> None:
    put(running, letter("A star"))
    thread = open_of(ann.get("/webmail/mail/inbox").text, "A star").rpartition("/t")[2]
    ann.post("/webmail/mail/inbox/act", {"do": f"star:{thread}"})
    assert threads(ann.get("/webmail/mail/inbox?show=starred").text) == [thread]
    ann.post("/webmail/mail/inbox/act", {"do": f"unstar:{thread}"})
    assert threads(ann.get("/webmail/mail/inbox?show=starred").text) == []


def test_strange_actions_are_refused(ann: Browser) -> None:
    ann.get("/webmail/mail/inbox")
    for fields in ({"do": "explode:1"}, {"do": ""}, {"do": "star:x"}, {"do": "star:-1"}):
        assert ann.post("/webmail/mail/inbox/act", fields).status == 422, fields
    assert ann.post("/webmail/mail/inbox/act", {"do": "star:999999"}).status == 303
    assert ann.post("/webmail/mail/nowhere/act", {"do": "star:1"}).status == 404


def test_nobody_reads_anothers_mail(running: House, ann: Browser) -> None:
    put(running, letter("Secret of Bob"), user=BOB)
    bob = Browser(running)
    bob.sign_in(BOB)
    where = open_of(bob.get("/webmail/mail/inbox").text, "Secret of Bob")
    page = bob.get(where).text
    body = re.search(r'src="(/webmail/body/\d+/\d+)', page)
    assert body
    place = body[1].removeprefix("/webmail/body/")
    for path in (
        where,
        body[1],
        f"/webmail/part/{place}/0",
        f"/webmail/source/{place}",
        f"/webmail/mail/m{place.split('/')[0]}",
    ):
        assert bob.get(path).status == 200, path
        foreign = ann.get(path)
        assert foreign.status == 404, path
        assert "Secret of Bob" not in foreign.text
        assert Browser(running).get(path).status in {303, 401}, path


def test_W1_a_body_leaves_only_in_its_own_frame(running: House, ann: Browser) -> None:
    message = letter("Rich")
    hostile = '<p>Fine</p><script>alert(1)</script><img src="http://tracker.example.org/x.gif" onerror="alert(2)"><form action="/webmail/logout"><input></form><svg onload="alert(3)"/>'
    message.add_alternative(hostile, subtype="html")
    put(running, message)
    page = ann.get(open_of(ann.get("/webmail/mail/inbox").text, "Rich")).text
    assert "<p>Fine</p>" not in page
    found = re.search(r'<iframe class="msg__frame"[^>]* sandbox="([^"]+)" src="([^"]+)"', page)
    assert found
    assert found[1] == frame.SANDBOX
    assert "allow-scripts" not in found[1]
    body = ann.get(found[2])
    assert body.headers["Content-Security-Policy"] == frame.CSP
    assert body.headers.get_all("Content-Security-Policy") == [frame.CSP]
    assert body.headers["Referrer-Policy"] == "no-referrer"
    assert "<p>Fine</p>" in body.text
    for word in ("<script", "onerror", "tracker", "<form", "<svg", "alert"):
        assert word not in body.text, word


def test_W3_parts_are_downloads(running: House, ann: Browser) -> None:
    message = letter("Files")
    png = b"\x89PNG\r\n\x1a\n" + b"0" * 64
    message.add_attachment(b"<script>alert(1)</script>", maintype="text", subtype="html", filename="page.html")
    message.add_attachment(b"<svg onload='alert(1)'/>", maintype="image", subtype="svg+xml", filename="a.svg")
    message.add_attachment(png, maintype="image", subtype="png", filename="../../x\u202egnp.exe")
    put(running, message)
    page = ann.get(open_of(ann.get("/webmail/mail/inbox").text, "Files")).text
    links = re.findall(r'class="file" href="([^"]+)"', page)
    assert len(links) == 3
    assert "wrote this name backwards" in page
    for link in links:
        for path in (link, link + "?show=1"):
            answer = ann.get(path)
            assert answer.status == 200
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            picture = link == links[2] and path.endswith("show=1")
            assert answer.headers["Content-Type"] == ("image/png" if picture else "application/octet-stream")
            assert answer.headers["Content-Disposition"].startswith("inline" if picture else "attachment; ")
    name = ann.get(links[2]).headers["Content-Disposition"]
    assert "/" not in name.replace("UTF-8''", "")
    assert "%E2%80%AE" not in name
    assert ann.get(links[2]).body == png


def test_the_source_is_whole(running: House, ann: Browser) -> None:
    message = letter("Large", "x" * 70 + "\n")
    message.add_attachment(bytes(range(256)) * 4096, maintype="application", subtype="x-data", filename="a.bin")
    put(running, message)
    page = ann.get(open_of(ann.get("/webmail/mail/inbox").text, "Large")).text
    source = re.search(r'href="(/webmail/source/\d+/\d+)"', page)
    assert source
    assert ann.get(source[1]).body == message.as_bytes().replace(b"\n", b"\r\n")
    assert ann.ask("HEAD", source[1]).body == b""


@pytest.mark.parametrize(
    "path",
    [
        "/webmail/body/",
        "/webmail/body/1",
        "/webmail/body/1/2/3/4",
        "/webmail/body/x/y",
        "/webmail/part/1/1/99",
        "/webmail/source/-1/1",
        "/webmail/body/999999999999999999999/1",
    ],
)
def test_strange_places_are_nowhere(ann: Browser, path: str) -> None:
    assert ann.get(path).status == 404
