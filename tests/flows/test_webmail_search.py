"""Searching on the web, as bytes: what is found and when, chips, pages, hints, suggestions, and whose mail it is."""

from __future__ import annotations

import html
import imaplib
import re
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from urllib.parse import quote

import pytest

from tests.house import PASSWORD, House, house
from tests.web_rig import Answer, Browser

ANN, BOB = "ann@example.test", "bob@example.test"
NEWEST = 1_760_000_000


def letter(
    subject: str, text: str = "Text.", sender: str = "Bob Green <bob@example.org>", ident: str = ""
) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ANN, subject
    message["Message-ID"] = f"<{ident or quote(subject)}@example.org>"
    message.set_content(text)
    return message


def put(h: House, message: EmailMessage, *, box: str = "INBOX", flags: str = "", age: int = 0, user: str = ANN) -> None:
    client = h.imap(user)
    when = imaplib.Time2Internaldate(NEWEST - age * 86_400)
    status, _ = client.append(box, f"({flags})", when, message.as_bytes().replace(b"\n", b"\r\n"))
    assert status == "OK"
    client.logout()


def search(browser: Browser, text: str, more: str = "", **headers: str) -> Answer:
    return browser.get(f"/webmail/mail/search?q={quote(text)}{more}", **headers)


def subjects(page: str) -> list[str]:
    found = re.findall(r'class="msg-row__link msg-row__subject"[^>]*>(?:<span[^>]*>[^<]*</span>)?(.*?)</a>', page)
    return [html.unescape(re.sub(r"</?mark>", "", one)) for one in found]


def found(browser: Browser, text: str, more: str = "") -> list[str]:
    answer = search(browser, text, more, HX_Request="true")
    assert answer.status == 200, text
    return subjects(answer.text)


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(BOB)
        files = letter("Plans for Lisbon", "See inside.", "Maria Lindqvist <maria@example.net>")
        files.add_attachment(b"x" * 100, maintype="application", subtype="pdf", filename="offer.pdf")
        put(h, letter("Invoice 17", "Please pay the bill by Friday."), age=1)
        put(h, files, age=2, flags="\\Seen \\Flagged")
        put(h, letter("Grüße", "Herr Müller wohnt in der Großen Straße.", "Jörg <joerg@example.net>"), age=3)
        put(h, letter("季度预算", "请查收月度报告书。", "李静 <lijing@example.cn>"), age=4, flags="\\Seen \\Answered")
        put(h, letter("A bill of mine", "Sent bill."), box="Sent", age=5)
        put(h, letter("Cheap bill", "Junk bill."), box="Junk", age=6)
        put(h, letter("Old bill", "Trashed bill."), box="Trash", age=7)
        put(h, letter("Bobs bill", "Private bill."), user=BOB)
        yield h


@pytest.fixture(scope="module")
def ann(running: House) -> Browser:
    browser = Browser(running)
    browser.sign_in(ANN)
    return browser


CASES: list[tuple[str, list[str]]] = [
    ("bill", ["Invoice 17", "A bill of mine"]),
    ("BIL", ["Invoice 17", "A bill of mine"]),
    ("bil ", []),
    ('"the bill"', ["Invoice 17"]),
    ("bill -invoice", ["A bill of mine"]),
    ("from:maria", ["Plans for Lisbon"]),
    ("发件人:maria", ["Plans for Lisbon"]),
    ("from:lijing@example.cn", ["季度预算"]),
    ("来自:李静", ["季度预算"]),
    ("to:ann bill", ["Invoice 17", "A bill of mine"]),
    ("subject:bill", ["A bill of mine"]),
    ("主题：预算", ["季度预算"]),
    ("muller", ["Grüße"]),
    ("grosse ", []),
    ("grossen strasse", ["Grüße"]),
    ("报告", ["季度预算"]),
    ("度", ["季度预算"]),
    ("has:attachment", ["Plans for Lisbon"]),
    ("包含:附件", ["Plans for Lisbon"]),
    ("offer.pdf", ["Plans for Lisbon"]),
    ("is:starred", ["Plans for Lisbon"]),
    ("is:answered", ["季度预算"]),
    ("状态:未读 -in:sent", ["Invoice 17", "Grüße"]),
    ("is:read", ["Plans for Lisbon", "季度预算"]),
    ("in:sent bill", ["A bill of mine"]),
    ("in:anywhere bill", ["Invoice 17", "A bill of mine", "Cheap bill", "Old bill"]),
    ("in:trash", ["Old bill"]),
    ("位于:垃圾邮件", ["Cheap bill"]),
    ("after:2025-10-06 before:2025-10-08", ["Plans for Lisbon", "Grüße"]),
    ("invoice OR plans", ["Invoice 17", "Plans for Lisbon"]),
    ("nothinglikethis", []),
]


@pytest.mark.parametrize(("text", "subjects_"), CASES, ids=[text for text, _ in CASES])
def test_what_is_asked_is_found(ann: Browser, text: str, subjects_: list[str]) -> None:
    assert found(ann, text) == subjects_


def test_the_page_works_without_scripts(ann: Browser) -> None:
    inbox = ann.get("/webmail/mail/inbox").text
    form = re.search(r'<form class="search".*?</form>', inbox, re.DOTALL)
    assert form
    assert 'action="/webmail/search"' in form[0]
    assert 'name="q"' in form[0]
    assert 'name="was" value="inbox"' in form[0]
    away = ann.get("/webmail/search?q=bill&was=inbox")
    assert (away.status, away.location) == (303, "/webmail/mail/search?q=bill&was=inbox")
    page = ann.get(away.location).text
    assert '<html lang="en"' in page
    assert 'id="q" name="q" type="search" value="bill"' in page
    assert "2 conversations" in page
    assert "<mark>bill</mark>" in page
    opening = re.search(r'href="(/webmail/mail/search/t\d+\?[^"]+)"', page)
    assert opening
    whole = ann.get(html.unescape(opening[1])).text
    assert "msg__frame" in whole
    assert subjects(whole) == ["Invoice 17", "A bill of mine"]
    assert 'data-home="inbox"' in whole
    part = ann.get(html.unescape(opening[1]), HX_Request="true").text
    assert "<html" not in part
    assert "msg__frame" in part
    assert 'href="/webmail/mail/search?q=bill&amp;was=inbox"' in part


def test_chips_take_away_what_they_name(ann: Browser) -> None:
    page = search(ann, "from:bob -is:answered invoice OR plans").text
    chips = dict(re.findall(r'asked__one" href="([^"]+)"[^>]*aria-label="Search without “([^”]+)”"', page))
    labels = {html.unescape(label): html.unescape(path) for path, label in chips.items()}
    assert set(labels) == {"From: bob", "Not: Answered", "invoice OR plans"}
    assert subjects(ann.get(labels["From: bob"]).text) == ["Invoice 17", "Plans for Lisbon"]
    assert subjects(ann.get(labels["invoice OR plans"]).text) == ["Invoice 17", "A bill of mine"]


def test_where_it_is_searched_can_be_chosen(ann: Browser) -> None:
    assert found(ann, "bill", "&in=trash") == ["Old bill"]
    assert found(ann, "bill", "&in=all") == ["Invoice 17", "A bill of mine", "Cheap bill", "Old bill"]
    assert found(ann, "bill", "&in=nowhere") == ["Invoice 17", "A bill of mine"]
    page = search(ann, "bill", "&was=sent").text
    chosen = re.findall(r'<a class="chip" href="([^"]+)" data-go="list"( aria-current="true")?>([^<]+)</a>', page)
    assert [(name, bool(now)) for _, now, name in chosen] == [
        ("All folders", True),
        ("Sent", False),
        ("Junk and Trash too", False),
    ]
    assert subjects(ann.get(html.unescape(chosen[1][0])).text) == ["A bill of mine"]
    assert "Junk and Trash too" not in search(ann, "bill in:sent").text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"no end', "A quotation mark does not end"),
        ("colour:red", "There is no operator of that name"),
        ("before:soon", "“before:” does not know that value"),
        ("from:", "Nothing stands behind “from:”"),
        ("bill OR", "OR stands between two words"),
        ("bill in:nowhere", "There is no folder of that name"),
        ("x" * 1_500, "Only the first 1000 characters"),
    ],
)
def test_what_is_not_understood_is_said(ann: Browser, text: str, said: str) -> None:
    assert said in html.unescape(search(ann, text).text)


def test_nothing_found_says_what_to_try(ann: Browser) -> None:
    page = html.unescape(search(ann, "from:maria cheap").text)
    assert "Nothing matches “from:maria cheap”" in page
    assert "except Junk and Trash" in page
    assert "Search everywhere" in page
    assert "Search without “From: maria”" in page
    tips = html.unescape(search(ann, "").text)
    assert "What are you looking for?" in tips
    assert "has:attachment" in tips
    chinese = search(ann, "", Accept_Language="zh-CN").text
    assert "发件人:" in chinese


def test_what_was_typed_is_text(ann: Browser) -> None:
    for text in (
        "<script>alert(1)</script>",
        '" onfocus="x',
        "a\r\nX-A: b",
        "\x00\x01",
        "%s %(count)s",
        "in:<b>",
        "💣" * 300,
    ):
        page = search(ann, text)
        assert page.status == 200, text
        assert "<script>alert" not in page.text
        assert ' onfocus="x' not in page.text
    for more in ("&before=x", "&before=1.2", "&before=1.2.3.4"):
        assert search(ann, "bill", more).status == 422
    for more in (
        "&before=99999999999999999.1.1",
        "&only=x.y",
        "&only=" + "1." * 500,
        "&in=m999",
        "&was=../x",
        "&rows=1",
    ):
        assert search(ann, "bill", more, HX_Request="true").status == 200, more


def test_rows_alone_for_scripts(ann: Browser) -> None:
    rows = search(ann, "bill", "&rows=1", HX_Request="true").text
    assert rows.lstrip().startswith("<li")
    threads = re.findall(r'id="t(\d+)"', rows)
    assert len(threads) == 2
    one = search(ann, "bill", f"&only={threads[1]}", HX_Request="true").text
    assert re.findall(r'id="t(\d+)"', one) == [threads[1]]
    assert search(ann, "plans", f"&only={threads[1]}", HX_Request="true").text.strip() == ""


def test_pages_follow_each_other_and_a_conversation_stands_once(running: House) -> None:
    user = "many@example.test"
    running.add_account(user)
    client = running.imap(user)
    for n in range(124):
        message = letter(f"Count {n % 62}", "needle", ident=f"n{n}")
        if n >= 62:
            message["References"] = f"<n{n - 62}@example.org>"
        client.append("INBOX", "", imaplib.Time2Internaldate(NEWEST + n), message.as_bytes().replace(b"\n", b"\r\n"))
    client.logout()
    browser = Browser(running)
    browser.sign_in(user)
    path, threads = "/webmail/mail/search?q=needle", []
    for _ in range(4):
        page = browser.get(path, HX_Request="true").text
        threads += re.findall(r'id="t(\d+)"', page)
        more = re.search(r'<li class="msg-list__more"><a class="btn" href="([^"]+)"', page)
        if more is None:
            break
        path = html.unescape(more[1])
        assert "before=" in path
    assert len(threads) == len(set(threads)) == 62
    assert "62 conversations" in browser.get("/webmail/mail/search?q=needle").text


def test_acting_on_what_was_found(running: House, ann: Browser) -> None:
    put(running, letter("Act on me", "uniqueword"), age=20)
    page = search(ann, "uniqueword").text
    thread = re.findall(r'id="t(\d+)"', page)[0]
    done = ann.post("/webmail/mail/search/act", {"do": f"star:{thread}", "words": "q=uniqueword"})
    assert (done.status, done.location) == (303, "/webmail/mail/search?q=uniqueword")
    assert found(ann, "uniqueword is:starred") == ["Act on me"]
    ann.get("/webmail/mail/inbox")
    ann.post("/webmail/mail/search/act", {"do": f"archive:{thread}", "words": "q=uniqueword\r\nX-A: b"})
    assert found(ann, "uniqueword in:archive") == ["Act on me"]
    ann.get("/webmail/mail/inbox")
    ann.post("/webmail/mail/search/act", {"do": "trash", "thread": thread})
    assert found(ann, "uniqueword") == []
    assert found(ann, "uniqueword in:trash") == ["Act on me"]


def test_nobody_finds_anothers_mail(running: House, ann: Browser) -> None:
    bob = Browser(running)
    bob.sign_in(BOB)
    assert found(bob, "bill") == ["Bobs bill"]
    page = search(bob, "bill").text
    place = re.search(r'href="(/webmail/mail/search/t\d+)\?([^"]+)"', page)
    assert place
    for tail in ("", "?" + html.unescape(place[2])):
        answer = ann.get(place[1] + tail)
        assert answer.status == 404
        assert "Bobs bill" not in answer.text
    assert found(ann, "private", "&in=all") == []
    assert Browser(running).get("/webmail/mail/search?q=bill").status == 303


def test_searches_leave_room_for_pages(running: House, ann: Browser) -> None:
    answers: list[int] = []
    cookies = dict(ann.cookies)

    def ask() -> None:
        other = Browser(running, cookies=dict(cookies))
        answers.append(search(other, "a OR e OR i -zz", "&in=all", HX_Request="true").status)

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for one in threads:
        one.start()
    begun = time.monotonic()
    assert ann.get("/webmail/mail/inbox").status == 200
    assert time.monotonic() - begun < 10
    for one in threads:
        one.join()
    assert answers == [200] * 24


def test_what_the_index_does_not_know_is_found(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file lies where the index should be: nothing can be indexed. What comes, moves, is marked and goes is found all the
    same, at once; when the file is gone, the index makes itself."""
    state = tmp_path_factory.mktemp("search") / "state"
    with house(state, start=False, trouble=True) as h:
        h.run("account", "add", ANN, "--password-stdin", text=PASSWORD)
        (state / "index").write_text("in the way")
        h.start()
        ann = Browser(h)
        ann.sign_in(ANN)
        assert found(ann, "fresh") == []
        h.deliver("Subject: Fresh =?utf-8?b?5oql5ZGK?=\r\nMessage-ID: <f@example.org>\r\n\r\ncafé\r\n".encode(), ANN)
        for text in ("fresh", "fre", "报告", "cafe", "is:unread fresh", "in:inbox fresh"):
            assert len(found(ann, text)) == 1, text
        client = h.imap(ANN)
        client.select("INBOX")
        client.store("1", "+FLAGS", "\\Seen")
        assert (len(found(ann, "is:read fresh")), found(ann, "is:unread fresh")) == (1, [])
        client.copy("1", "Archive")
        client.store("1", "+FLAGS", "\\Deleted")
        client.expunge()
        assert (found(ann, "in:inbox fresh"), len(found(ann, "in:archive fresh"))) == ([], 1)
        client.select("Archive")
        client.store("1", "+FLAGS", "\\Deleted")
        client.expunge()
        client.logout()
        assert found(ann, "fresh", "&in=all") == []
        h.deliver("Subject: Later\r\nMessage-ID: <l@example.org>\r\n\r\nlasting\r\n", ANN)
        assert not h.ask("index.status")["accounts"][0]["ready"]
        (state / "index").unlink()
        h.stop()
        h.start()
        _await(lambda: _indexed(h) == (1, 0))
        assert len(found(ann, "lasting")) == 1
        for one in (state / "index").rglob("*"):
            if one.is_file():
                one.write_bytes(b"damage" + one.read_bytes()[6:])
        h.deliver("Subject: More\r\nMessage-ID: <m@example.org>\r\n\r\nlasting\r\n", ANN)
        assert len(found(ann, "lasting")) == 2
        _await(lambda: _indexed(h) == (2, 0))
        assert len(found(ann, "lasting")) == 2


def _indexed(h: House) -> tuple[int, int]:
    status = h.ask("index.status")["accounts"][0]
    return status["indexed"], status["waiting"]


def _await(done, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.6)  # a server that is asked something waits with its index
