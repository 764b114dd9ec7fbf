"""One message on the web, as bytes: its frame (W1), remote pictures, parts and their names (W3, W4), header, moving."""

from __future__ import annotations

import base64
import html
import re
import secrets
from collections.abc import Iterator

import pytest

from appliance.web import frame
from tests.house import House, house
from tests.web_rig import Answer, Browser

ANN, BOB = "ann@example.test", "bob@example.test"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63f8cf50ff1f00050201ff5e2b8e440000000049454e44ae426082"
)
SCRIPT = b"<script>window.ran = 1</script>"
ACTIVE = {
    "a.svg": ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg">' + SCRIPT + b"</svg>"),
    "a.html": ("text/html", b"<!doctype html>" + SCRIPT),
    "a.xhtml": ("application/xhtml+xml", b'<html xmlns="http://www.w3.org/1999/xhtml">' + SCRIPT + b"</html>"),
    "a.xml": ("text/xml", b'<?xml-stylesheet href="x.xsl"?><a/>'),
    "a.pdf": ("application/pdf", b"%PDF-1.7"),
    "a.mht": ("message/rfc822", b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + SCRIPT),
    "a.svgz": ("image/svg+xml", b"\x1f\x8b\x08\x00"),
    "a.js": ("text/javascript", b"window.ran = 1"),
    "gif.html": ("image/png", b"<!doctype html>" + SCRIPT),
}


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


@pytest.fixture(scope="module")
def bob(running: House) -> Browser:
    browser = Browser(running)
    browser.sign_in(BOB)
    return browser


def put(running: House, ann: Browser, raw: bytes) -> tuple[str, Answer]:
    """A message in the inbox, as octets; its place and the page on which it is open."""
    subject = f"S{secrets.token_hex(6)}"
    client = running.imap(ANN)
    assert client.append("INBOX", "", "", f"Subject: {subject}\r\n".encode() + raw)[0] == "OK"
    client.logout()
    listing = ann.get("/webmail/mail/inbox").text
    found = re.search(rf'href="(/webmail/mail/inbox/t\d+)"[^>]*>(?:<span[^>]*>[^<]*</span>)?{subject}<', listing)
    assert found, listing[:3000]
    page = ann.get(found[1])
    place = re.search(r"/webmail/body/(\d+/\d+)", page.text)
    assert place
    return place[1], page


def mixed(*parts: bytes) -> bytes:
    head = b'From: "Bob" <bob@example.org>\r\nTo: ann@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'
    return (
        head
        + b"".join(b"--b\r\n" + part + b"\r\n" for part in (b"Content-Type: text/plain\r\n\r\nText.", *parts))
        + b"--b--\r\n"
    )


def rich(body: str) -> bytes:
    return (
        b"From: Bob <bob@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        + body.encode()
    )


def test_W1_the_text_is_read_in_the_frame_alone(running: House, ann: Browser) -> None:
    place, page = put(running, ann, rich("<p>Hello</p><script>window.ran=1</script>"))
    frames = re.findall(r"<iframe[^>]*>", page.text)
    assert frames and all(f'sandbox="{frame.SANDBOX}"' in one and "srcdoc" not in one for one in frames)
    assert "allow-scripts" not in page.text
    body = ann.get(f"/webmail/body/{place}")
    assert body.headers["Content-Security-Policy"] == frame.CSP
    assert "<p>Hello</p>" in body.text and "<script" not in body.text


@pytest.mark.parametrize("name", ACTIVE)
def test_W3_what_may_be_active_is_a_download_and_nothing_else(running: House, ann: Browser, name: str) -> None:
    kind, data = ACTIVE[name]
    part = f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'.encode()
    if not kind.startswith("message/"):
        part, data_sent = part + b"Content-Transfer-Encoding: base64\r\n", base64.b64encode(data)
    else:
        data_sent = data
    _, page = put(running, ann, mixed(part + b"\r\n" + data_sent))
    link = re.search(r'href="(/webmail/part/[\d/]+)"', page.text)
    assert link, page.text[-3000:]
    for path in (link[1], link[1] + "?show=1"):
        answer = ann.get(path)
        assert answer.status == 200 and answer.body.strip() == data.strip()
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_W3_a_picture_is_typed_by_its_octets(running: House, ann: Browser) -> None:
    part = b'Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="p.html"\r\n\r\n'
    _, page = put(running, ann, mixed(part + base64.b64encode(PNG)))
    link = re.search(r'href="(/webmail/part/[\d/]+)"', page.text)
    assert link
    shown = ann.get(link[1] + "?show=1")
    assert shown.headers["Content-Type"] == "image/png" and shown.body == PNG
    assert (
        "sandbox" in shown.headers["Content-Security-Policy"] and shown.headers["X-Content-Type-Options"] == "nosniff"
    )
    assert ann.get(link[1]).headers["Content-Disposition"].startswith("attachment;")


NAMES = {
    'filename="../../etc/passwd"': "passwd",
    'filename="..\\\\..\\\\boot.ini"': "boot.ini",
    "filename*=UTF-8''a.exe%00.pdf": "a.exe .pdf",
    "filename*=UTF-8''x%E2%80%AEfdp.exe": "xfdp.exe",
    "filename*=UTF-8''a%0D%0ABcc%3A%20x.txt": "a Bcc_ x.txt",
    'filename="say \\"hi\\"; now.txt"': "say _hi_; now.txt",
    "filename*0=long; filename*1=er.txt": "longer.txt",
    f'filename="{"n" * 300}.pdf"': "n" * 116 + ".pdf",
    "filename*=UTF-8''%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E.png": "_img src=x onerror=alert(1)_.png",
    'filename=".."': "attachment-octet-stream",
}


@pytest.mark.parametrize("given", NAMES)
def test_W4_a_name_is_only_a_name(running: House, ann: Browser, given: str) -> None:
    part = f"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; {given}\r\n\r\ndata".encode()
    _, page = put(running, ann, mixed(part))
    shown = re.search(r'<span class="file__name">([^<]*)</span>', page.text)
    link = re.search(r'href="(/webmail/part/[\d/]+)"', page.text)
    assert shown and link
    assert html.unescape(shown[1]) == NAMES[given]
    told = ann.get(link[1]).headers["Content-Disposition"]
    assert "\r" not in told and "\n" not in told and "/" not in told and "\\" not in told
    assert re.fullmatch(r"attachment; filename=\"[A-Za-z0-9._ -]{1,100}\"; filename\*=UTF-8''[A-Za-z0-9._~%-]+", told)


def test_W4_a_name_written_backwards_is_told(running: House, ann: Browser) -> None:
    part = b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename*=UTF-8''x%E2%80%AEfdp.exe\r\n\r\ndata"
    _, page = put(running, ann, mixed(part))
    assert "wrote this name backwards" in page.text


def test_N12_a_name_that_poses_as_an_address_is_told(running: House, ann: Browser) -> None:
    raw = b'From: "ceo@example.test" <evil@example.org>\r\nContent-Type: text/plain\r\n\r\nText.\r\n'
    _, page = put(running, ann, raw)
    assert "The name shows another address" in page.text and "Sender not checked" in page.text


def test_W2_remote_pictures_wait_for_the_reader_and_come_through_us(running: House, ann: Browser, bob: Browser) -> None:
    place, page = put(
        running, ann, rich('<p>x</p><img src="http://127.0.0.1:9/track.png"><img src="http://127.0.0.1:9/2.gif">')
    )
    assert "Show images" in page.text
    blocked = ann.get(f"/webmail/body/{place}")
    assert (
        'data-blocked="2"' in blocked.text
        and "127.0.0.1" not in blocked.text
        and "/webmail/remote/" not in blocked.text
    )
    shown = ann.get(f"/webmail/body/{place}?remote=1")
    links = re.findall(r'src="(/webmail/remote/[^"]+)"', shown.text)
    assert len(links) == 2 and "127.0.0.1" not in shown.text and "data-blocked" not in shown.text
    # a link that leads there from outside the frame shows no picture
    assert "/webmail/remote/" not in ann.get(f"/webmail/body/{place}?remote=1", Sec_Fetch_Dest="document").text
    # an address of this machine is not fetched, and a token is worth nothing to anybody else or when it is changed
    assert ann.get(links[0]).status == 404
    assert bob.get(links[0]).status == 404
    head, _, tail = links[0].rpartition("/")
    assert ann.get(f"{head}1/{tail}").status == 404
    assert ann.get(links[0][:-1] + ("A" if links[0][-1] != "A" else "B")).status == 404
    assert ann.get("/webmail/remote/").status == 404


def test_the_header_is_shown_as_text(running: House, ann: Browser, bob: Browser) -> None:
    raw = b"From: =?utf-8?q?J=C3=B6rg?= <j@example.org>\r\nX-Evil: <script>alert(1)</script>\r\nX-Long: a\r\n  b\r\n\r\nText.\r\n"
    place, _ = put(running, ann, raw)
    page = ann.get(f"/webmail/headers/{place}")
    assert page.status == 200 and "Jörg" in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text and "<script>alert" not in page.text
    assert bob.get(f"/webmail/headers/{place}").status == 404
    assert ann.get(f"/webmail/source/{place}").body.endswith(raw)


def test_a_conversation_is_moved_to_a_folder(running: House, ann: Browser) -> None:
    client = running.imap(ANN)
    client.create("Projects")
    client.logout()
    _, page = put(running, ann, b"From: bob@example.org\r\n\r\nText.\r\n")
    found = re.search(r'href="(/webmail/move/inbox\?thread=(\d+))"', page.text)
    assert found
    choice = ann.get(found[1])
    target = re.search(r'name="to" value="(\d+)"><svg(?:(?!</svg>).)*</svg>Projects', choice.text)
    assert target, choice.text
    act, fields = "/webmail/mail/inbox/act", {"do": "move", "thread": found[2]}
    assert ann.post(act, fields).location == f"/webmail/move/inbox?thread={found[2]}"
    assert ann.post(act, {**fields, "to": "x"}).status == 422
    assert ann.post(act, {**fields, "to": target[1]}).location == "/webmail/mail/inbox"
    client = running.imap(ANN)
    assert client.select("Projects")[1] == [b"1"]
    client.logout()
    assert ann.get(found[1]).status == 404
    assert ann.get("/webmail/move/inbox?thread=x").status == 422


def test_answers_are_offered_and_a_draft_goes_on(running: House, ann: Browser) -> None:
    place, page = put(running, ann, b"From: bob@example.org\r\nTo: ann@example.test, cy@example.org\r\n\r\nText.\r\n")
    for how in ("reply", "all", "forward"):
        assert f'href="/webmail/compose/{how}/{place}"' in page.text
        assert ann.get(f"/webmail/compose/{how}/{place}").status == 200
