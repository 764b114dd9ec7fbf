"""Writing on the web against the running appliance: drafts, files, answers, sending once, undo; W5 and W6."""

from __future__ import annotations

import email
import email.policy
import html
import json
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from urllib.parse import quote, urlencode

import pytest

from tests.house import House, house
from tests.web_rig import Answer, Browser

ANN, BOB = "ann@example.test", "bob@example.test"
HIDDEN = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')
HOSTILE = (
    '<p>Hello <b>Ann</b></p><script>window.ran=1</script><img src=x onerror="window.ran=1">'
    '<svg onload="window.ran=1"></svg></textarea><script>window.ran=1</script><style>*{color:red}</style>'
)


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(BOB)
        yield h


@pytest.fixture(scope="module")
def ann(running: House) -> Browser:
    browser = Browser(running)
    browser.sign_in(ANN)
    return browser


def fields(page: Answer) -> dict[str, str]:
    """What the editor of a page would send."""
    text = page.text
    found = {name: html.unescape(value) for name, value in HIDDEN.findall(text) if name != "csrf"}
    for name in ("to", "cc", "bcc", "subject"):
        match = re.search(rf'name="{name}" type="text"[^>]*? value="([^"]*)"', text)
        assert match, text[:3000]
        found[name] = html.unescape(match[1])
    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", text, re.DOTALL)
    assert area
    found["text"] = html.unescape(area[1])
    return found


def kept(page: Answer) -> list[str]:
    return re.findall(r'name="keep" value="(\d+)" checked', page.text)


def send(browser: Browser, given: dict[str, str], do: str, keep: list[str] | None = None, **headers: str) -> Answer:
    pairs = [("csrf", browser.token), ("do", do), *given.items(), *(("keep", one) for one in keep or ())]
    head = {"Content-Type": "application/x-www-form-urlencoded", "Origin": browser.origin}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.ask("POST", "/webmail/compose", urlencode(pairs), head)


def upload(browser: Browser, given: dict[str, str], name: str, data: bytes, kind: str = "text/plain") -> Answer:
    query = f"key={given['key']}&version={given['version']}&name={quote(name)}"
    head = {"X-CSRF-Token": browser.token, "Origin": browser.origin, "Content-Type": kind}
    return browser.ask("POST", f"/webmail/upload?{query}", data, head)


def box(running: House, name: str, user: str = ANN) -> list[EmailMessage]:
    """The messages of a mailbox, oldest first."""
    client = running.imap(user)
    try:
        client.select(name, readonly=True)
        _, found = client.search(None, "ALL")
        out = []
        for number in found[0].split():
            _, data = client.fetch(number.decode(), "(BODY.PEEK[])")
            assert isinstance(data[0], tuple)
            message = email.message_from_bytes(data[0][1], policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            out.append(message)
        return out
    finally:
        client.logout()


def arrived(running: House, subject: str, user: str = BOB, seconds: float = 60) -> EmailMessage:
    """Wait until a message lies in an inbox."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for message in box(running, "INBOX", user):
            if message["Subject"] == subject:
                return message
        time.sleep(0.3)
    raise AssertionError(f"{subject} did not arrive")


def put(running: House, message: EmailMessage, user: str = ANN) -> tuple[str, str]:
    """A message in an inbox; where it lies, as the paths of the webmail say it."""
    client = running.imap(user)
    client.append("INBOX", "", "", message.as_bytes().replace(b"\n", b"\r\n"))
    client.logout()
    browser = Browser(running)
    browser.sign_in(user)
    page = browser.get("/webmail/mail/inbox").text
    found = re.search(
        rf'href="(/webmail/mail/inbox/t\d+)"[^>]*>(?:<span[^>]*>[^<]*</span>)?{re.escape(html.escape(message["Subject"]))}<',
        page,
    )
    assert found, page[:3000]
    place = re.search(r"/webmail/body/(\d+)/(\d+)", browser.get(found[1]).text)
    assert place
    return place[1], place[2]


def hostile(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Bob <bob@example.org>", f"{ANN}, cy@example.org", subject
    message["Message-ID"] = f"<{secrets.token_hex(8)}@example.org>"
    message.set_content(HOSTILE, subtype="html")
    message.add_attachment(b"%PDF-1", maintype="application", subtype="pdf", filename="offer.pdf")
    return message


# --- drafts --------------------------------------------------------------------------------------------------------------


def test_a_draft_is_saved_replaced_and_goes_on(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose")) | {
        "to": "Bob <bob@example.test>, half@",
        "subject": "草稿",
        "text": "one",
    }
    page = send(ann, given, "save")
    assert page.status == 200 and "Draft saved" in page.text
    first = fields(page)
    assert first["key"] == given["key"] and int(first["version"]) > 0
    second = fields(send(ann, {**first, "text": "two\nlines"}, "save"))
    assert int(second["version"]) > int(first["version"])
    drafts = [one for one in box(running, "Drafts") if one["Subject"] == "草稿"]
    assert len(drafts) == 1 and drafts[0].get_content().splitlines() == ["two", "lines"]
    again = fields(ann.get(f"/webmail/compose/draft/{second['source']}"))
    assert again["text"] == "two\nlines" and again["to"] == "Bob <bob@example.test>, half@"
    assert again["key"] == given["key"] and again["version"] == second["version"]


def test_two_windows_never_overwrite_each_other(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose")) | {"subject": "Two windows", "text": "here"}
    saved = fields(send(ann, given, "save"))
    assert send(ann, {**saved, "text": "left"}, "save").status == 200
    refused = send(ann, {**saved, "text": "right"}, "save", HX_Request="true")
    assert refused.status == 409 and "another window" in refused.text
    texts = [one.get_content().strip() for one in box(running, "Drafts") if one["Subject"] == "Two windows"]
    assert texts == ["left"]


def test_what_loses_against_another_window_becomes_a_draft_of_its_own(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose")) | {"subject": "Apart", "text": "here"}
    saved = fields(send(ann, given, "save"))
    assert send(ann, {**saved, "text": "left"}, "save").status == 200
    page = send(ann, {**saved, "text": "right"}, "save")
    assert page.status == 409 and "another window" in page.text
    mine = fields(page)
    assert mine["text"] == "right" and mine["key"] != given["key"]
    assert {one.get_content().strip() for one in box(running, "Drafts") if one["Subject"] == "Apart"} == {
        "left",
        "right",
    }
    stale = {**saved, "text": "third", "to": BOB}
    page = send(ann, stale, "send")
    assert page.status == 409 and fields(page)["text"] == "third"
    assert send(ann, fields(page), "send").status == 303
    assert len([one for one in box(running, "Sent") if one["Subject"] == "Apart"]) == 1


def test_a_draft_is_discarded(running: House, ann: Browser) -> None:
    saved = fields(send(ann, fields(ann.get("/webmail/compose")) | {"subject": "Gone soon"}, "save"))
    assert send(ann, saved, "discard").location == "/webmail/mail/inbox"
    assert not [one for one in box(running, "Drafts") if one["Subject"] == "Gone soon"]


def test_files_go_up_stay_and_go(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose")) | {"subject": "With files", "text": "x"}
    state = json.loads(send(ann, given, "save", HX_Request="true").text)
    given |= {"version": str(state["version"]), "source": state["source"]}
    for name in ("one.txt", "二.bin"):
        answer = upload(ann, given, name, name.encode() * 100_000, "application/octet-stream")
        assert answer.status == 200, answer.text
        state = json.loads(answer.text)
        given |= {"version": str(state["version"]), "source": state["source"]}
    assert [one["name"] for one in state["files"]] == ["one.txt", "二.bin"]
    page = send(ann, given, "save", [str(state["files"][1]["number"])])
    assert "二.bin" in page.text and "one.txt" not in page.text
    found = next(one for one in box(running, "Drafts") if one["Subject"] == "With files")
    assert [(part.get_filename(), part.get_content()) for part in found.iter_attachments()] == [
        ("二.bin", "二.bin".encode() * 100_000)
    ]


def test_a_form_without_scripts_brings_its_files(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose")) | {"subject": "Plain form", "text": "x"}
    edge = "edge" + secrets.token_hex(8)
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**given, "csrf": ann.token, "do": "attach"}.items()
    ]
    data = b"\0\xff" * 400_000
    head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="../a.bin"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + data + f"\r\n--{edge}--\r\n".encode()
    page = ann.ask(
        "POST",
        "/webmail/compose",
        body,
        {"Content-Type": f"multipart/form-data; boundary={edge}", "Origin": ann.origin},
    )
    assert page.status == 200 and len(kept(page)) == 1 and "a.bin" in page.text
    found = next(one for one in box(running, "Drafts") if one["Subject"] == "Plain form")
    (part,) = found.iter_attachments()
    assert part.get_filename() == "a.bin" and part.get_content() == data


# --- sending -------------------------------------------------------------------------------------------------------------


def test_a_message_is_sent_once_and_lies_in_sent(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose"))
    given |= {"to": f"Bob <{BOB}>", "bcc": f"{ANN}", "subject": "Once 一次", "text": "> a\nHello\n.\n"}
    with ThreadPoolExecutor(4) as pool:
        answers = [one.result() for one in [pool.submit(send, ann, given, "send") for _ in range(4)]]
    assert {one.location for one in answers} == {f"/webmail/outgoing/{given['key']}"}
    assert "take it back" in ann.get(answers[0].location).text
    sent = [one for one in box(running, "Sent") if one["Subject"] == "Once 一次"]
    assert len(sent) == 1 and sent[0]["Bcc"] == ANN and sent[0]["From"] == ANN
    assert not [one for one in box(running, "Drafts") if one["Subject"] == "Once 一次"]
    got = arrived(running, "Once 一次")
    assert got["Bcc"] is None and got["Message-ID"] == sent[0]["Message-ID"]
    arrived(running, "Once 一次", ANN)
    assert send(ann, given, "send").location == f"/webmail/outgoing/{given['key']}"
    assert len([one for one in box(running, "INBOX", BOB) if one["Subject"] == "Once 一次"]) == 1
    assert len([one for one in box(running, "Sent") if one["Subject"] == "Once 一次"]) == 1


def test_a_sending_is_undone_and_sent_again(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose")) | {"to": BOB, "bcc": ANN, "subject": "Undone", "text": "first"}
    place = send(ann, given, "send").location
    ann.get(place)
    back = ann.post(f"{place}/undo")
    assert re.fullmatch(r"/webmail/compose/draft/\d+/\d+", back.location)
    again = fields(ann.get(back.location))
    assert (again["to"], again["bcc"], again["text"]) == (BOB, ANN, "first") and again["key"] != given["key"]
    assert not [one for one in box(running, "Sent") if one["Subject"] == "Undone"]
    assert ann.post(f"{place}/undo").status == 404
    assert send(ann, {**again, "subject": "Undone, sent"}, "send").status == 303
    arrived(running, "Undone, sent")
    assert not [one for one in box(running, "INBOX", BOB) if one["Subject"] == "Undone"]


def test_what_is_wrong_with_recipients_is_said_and_nothing_lost(running: House, ann: Browser) -> None:
    for to, said in [
        ("", "Somebody must get it"),
        ("nobody at all", "is not an e-mail address"),
        ("ghost@example.test", "cannot get mail"),
    ]:
        given = fields(ann.get("/webmail/compose")) | {"to": to, "subject": f"Bad {to}", "text": "kept"}
        page = send(ann, given, "send")
        assert page.status == 422 and said in page.text, page.text[:3000]
        shown = fields(page)
        assert shown["to"] == to and shown["text"] == "kept" and int(shown["version"]) > 0


def test_nobody_undoes_or_reads_what_another_sent(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose")) | {"to": BOB, "subject": "Mine", "text": "x"}
    place = send(ann, given, "send").location
    bob = Browser(running)
    bob.sign_in(BOB)
    bob.get("/webmail/compose")
    assert bob.get(place).status == 404
    assert bob.post(f"{place}/undo").status == 404
    saved = fields(send(ann, fields(ann.get("/webmail/compose")) | {"subject": "Private"}, "save"))
    assert bob.get(f"/webmail/compose/draft/{saved['source']}").status == 404
    assert send(bob, fields(bob.get("/webmail/compose")) | {"source": saved["source"]}, "save", ["0"]).status == 404


# --- answers -------------------------------------------------------------------------------------------------------------


def test_W6_an_answer_to_hostile_html_holds_its_text_alone(running: House, ann: Browser) -> None:
    mailbox, uid = put(running, hostile("Hostile offer"))
    for how in ("reply", "all", "forward"):
        page = ann.get(f"/webmail/compose/{how}/{mailbox}/{uid}")
        assert page.text.count("<script") == page.text.count("<script src=") and "onerror" not in page.text
        assert page.text.count("</textarea>") == 1 and "onload" not in page.text
        assert "Hello Ann" in fields(page)["text"]
    given = fields(ann.get(f"/webmail/compose/reply/{mailbox}/{uid}"))
    assert given["subject"] == "Re: Hostile offer" and given["to"] == "Bob <bob@example.org>"
    assert fields(ann.get(f"/webmail/compose/all/{mailbox}/{uid}"))["cc"] == "cy@example.org"
    assert send(ann, {**given, "to": BOB}, "send").status == 303
    got = arrived(running, "Re: Hostile offer")
    assert [part.get_content_type() for part in got.walk()] == ["text/plain"]
    assert "<script" not in got.get_content() and "> Hello Ann" in got.get_content()
    original = next(one for one in box(running, "INBOX") if one["Subject"] == "Hostile offer")
    assert got["In-Reply-To"] == original["Message-ID"] and original["Message-ID"] in got["References"]


def test_a_forward_takes_the_files_along(running: House, ann: Browser) -> None:
    mailbox, uid = put(running, hostile("Forward me"))
    page = ann.get(f"/webmail/compose/forward/{mailbox}/{uid}")
    given = fields(page)
    assert given["subject"] == "Fwd: Forward me" and "offer.pdf" in page.text
    assert send(ann, {**given, "to": BOB}, "send", kept(page)).status == 303
    got = arrived(running, "Fwd: Forward me")
    assert [(part.get_filename(), part.get_content()) for part in got.iter_attachments()] == [("offer.pdf", b"%PDF-1")]


# --- injection -----------------------------------------------------------------------------------------------------------

ENDS = [
    "\r\nBcc: evil@example.org",
    "\nBcc: evil@example.org",
    "\rBcc: evil@example.org",
    "\u2028Bcc: evil@example.org",
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["to", "cc", "bcc"])
def test_W5_a_line_end_in_an_address_field_is_refused(running: House, ann: Browser, name: str, end: str) -> None:
    given = fields(ann.get("/webmail/compose")) | {"to": BOB, "subject": "Never", "text": "x"}
    given[name] = f"{BOB}{end}"
    assert send(ann, given, "send").status == 422
    assert not [one for one in box(running, "Sent") if one["Subject"] == "Never"]


def test_W5_the_recipient_gets_the_intended_header_and_no_more(running: House, ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose")) | {"to": BOB, "text": "x"}
    given["subject"] = "Line\r\nBcc: evil@example.org\u2028X-Evil: 1\nend"
    given["references"] = "<a@b.example>\r\nBcc: <evil@example.org>"
    given["in_reply_to"] = "<a@b.example>\r\nX-Evil: 1"
    given["origin"] = "reply 1 1\r\nX-Evil: 1"
    saved = fields(send(ann, given, "save"))
    answer = upload(
        ann, saved, 'a\r\nBcc: evil@example.org\u2028;"x.txt', b"data", "text/plain\r\nX-Evil: 1".replace("\r\n", " ")
    )
    assert answer.status == 200, answer.text
    state = json.loads(answer.text)
    saved |= {"version": str(state["version"]), "source": state["source"]}
    assert send(ann, saved, "send", [str(one["number"]) for one in state["files"]]).status == 303
    got = arrived(running, "Line Bcc: evil@example.org X-Evil: 1 end")
    names = {name.lower() for name in got}
    assert names <= {
        "return-path", "received", "from", "to", "subject", "date", "message-id", "in-reply-to", "references",
        "mime-version", "content-type", "delivered-to", "authentication-results", "content-transfer-encoding",
    }, names  # fmt: skip
    assert got["Bcc"] is None and got["X-Evil"] is None
    (part,) = got.iter_attachments()
    assert {name.lower() for name in part} <= {"content-type", "content-disposition", "content-transfer-encoding"}
    shown = part.get_filename() or ""
    assert "\n" not in shown and "\r" not in shown and "\u2028" not in shown


def test_upload_needs_a_draft_and_a_token(ann: Browser) -> None:
    given = fields(ann.get("/webmail/compose"))
    assert upload(ann, given, "a.txt", b"x").status == 404
    assert upload(ann, {**given, "version": "99999"}, "a.txt", b"x").status == 404
    head = {"Origin": ann.origin, "Content-Type": "text/plain"}
    assert ann.ask("POST", f"/webmail/upload?key={given['key']}&version=1", b"x", head).status == 403
