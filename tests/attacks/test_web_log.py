"""RELIABILITY N15 over the whole way of a message: nothing that strangers write breaks the log or the panel's view of it,
and nothing secret is in it: no password, token, cookie, body, app password or code of a second factor.
"""

from __future__ import annotations

import contextlib
import html
import imaplib
import re
import smtplib
from collections.abc import Iterator

import pyotp
import pytest

from tests.house import House, house
from tests.web_rig import Browser

ANN, ROOT = "ann@example.test", "root@example.test"
EVIL = "\x1b[31m<script>alert(1)</script>\x07 level=error verb=forged"
LINE = re.compile(r"ts=\d{4}-\d\d-\d\dT[\d:.]+Z level=\w+ ")
CANARIES = {name: f"canary-{name}-5b1f" for name in ("password", "wrong", "body", "attachment", "query", "typed")}


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    # what the server logs at its most talkative is what must hold
    with house(env={"MAILSTEAD_LOG_LEVEL": "debug"}) as h:
        h.add_account(ANN, CANARIES["password"])
        h.add_account(ROOT, CANARIES["password"], admin=True)
        yield h


def letter(subject: str, name: str, sender: str = f"{EVIL} <someone@example.org>") -> bytes:
    """A message with hostile words in every field that somebody might log or show."""
    return (
        f"From: {sender}\r\nTo: {ANN}\r\nSubject: {subject}\r\nMessage-ID: <{EVIL}@example.org>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain\r\n\r\n{CANARIES['body']}\r\n"
        f'--b\r\nContent-Type: text/plain; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\n'
        f"{CANARIES['attachment']}\r\n--b--\r\n"
    ).encode("utf-8", "replace")


def speak(running: House, *lines: bytes) -> None:
    """Lines to the MX as they are, with no client's manners."""
    sock = running.connect(running.smtp_port)
    with sock, sock.makefile("rb") as stream:
        stream.readline()
        for line in lines:
            sock.sendall(line + b"\r\n")
            with contextlib.suppress(OSError):
                while (got := stream.readline())[3:4] == b"-":
                    pass
                if not got:
                    return


def whole_flow(running: House) -> list[str]:
    """Everything a stranger and a user do, as badly as they can; returns the secrets that came up on the way."""
    evil = EVIL.encode()
    speak(running, b"EHLO " + evil, b"HELO " + evil + b".example.org", b"MAIL FROM:<" + evil + b"@example.org>")
    speak(running, b"EHLO a.example.org", b"MAIL FROM:<a@example.org>", b"RCPT TO:<" + evil + b"@example.test>", evil)
    quoted = b'RCPT TO:<"<script>alert(1)</script> verb=forged"@example.test>'
    speak(running, b"EHLO a.example.org", b"MAIL FROM:<a@example.org>", quoted)
    for subject in (EVIL, "=?utf-8?q?a=0D=0Ats=3D2026_level=3Derror_verb=3Dforged?="):
        running.deliver(letter(subject, f"a{EVIL}.exe"), ANN)
    for user, password in ((EVIL, CANARIES["wrong"]), (ANN, CANARIES["wrong"]), (CANARIES["typed"], "x")):
        with contextlib.suppress(smtplib.SMTPException):
            running.submission(user.replace("\r\n", ""), password)
        with contextlib.suppress(imaplib.IMAP4.error):
            running.imap(user.replace("\r\n", ""), password)
    ann = Browser(running, headers={"User-Agent": f"UA {EVIL}"})
    ann.sign_in(f"ann\r\nts=2026 level=info verb=forged {EVIL}@example.test", CANARIES["wrong"])
    ann.sign_in(ANN, CANARIES["password"])
    ann.ask("POST", "/webmail/logout", "csrf=no", {"Content-Type": "application/x-www-form-urlencoded"})
    secrets = [*reads_and_writes(running, ann), *second_factor(ann), *ann.cookies.values()]
    other = Browser(running)
    other.sign_in(ANN, CANARIES["password"])
    other.get("/webmail/login/code")
    assert other.post("/webmail/login/code", {"code": "918273"}).status == 403
    assert other.post("/webmail/login/code", {"code": secrets[3]}).status == 303
    return [*secrets, "918273", *other.cookies.values()]


def reads_and_writes(running: House, ann: Browser) -> list[str]:
    page = ann.get("/webmail/mail/inbox").text
    thread = page.split('href="/webmail/mail/inbox/t', 1)[1].split('"', 1)[0]
    page = ann.get(f"/webmail/mail/inbox/t{thread}").text
    for link in re.findall(r'(?:src|href)="(/webmail/(?:body|part|source)/[^"]+)"', page):
        assert ann.get(html.unescape(link)).status == 200
    ann.get(f"/webmail/search?q={CANARIES['query']}")
    ann.get(f"/webmail/mail/nothing%0d%0averb=forged?token={CANARIES['query']}")
    ann.get("/webmail/security")
    token = ann.token
    fields = {"label": "a phone", "scope": "both", "proof": CANARIES["password"]}
    made = re.search(r'secret mono"[^>]*>([^<]+)<', ann.post("/webmail/security/apps", fields).text)
    assert made
    client = running.imap(ANN, made[1])
    client.select("INBOX")
    client.fetch("1:*", "(BODY[])")
    client.search(None, "TEXT", CANARIES["query"])
    client.append("Drafts", None, None, letter("mine", "b.txt"))
    client.logout()
    with running.submission(ANN, made[1]) as sender:
        sender.sendmail(ANN, [ROOT], letter("to root", "c.txt", ANN))
    return [made[1], token]


def second_factor(ann: Browser) -> list[str]:
    page = ann.get("/webmail/security/code").text
    found = re.search(r'enrol__key mono">([A-Z2-7 ]+)<', page)
    assert found
    secret = found[1].replace(" ", "")
    answer = ann.post("/webmail/security/code", {"code": pyotp.TOTP(secret).now()})
    codes = re.findall(r"<li>([a-z2-7-]+)</li>", answer.text)
    assert len(codes) == 10
    return [secret, *codes]


@pytest.fixture(scope="module")
def secrets(running: House) -> list[str]:
    found = whole_flow(running)
    # lines come in order, from a thread of their own: this is the last
    running.await_log("method=POST path=/webmail/login/code status=303")
    return found


def test_N15_no_secret_is_in_the_log(running: House, secrets: list[str]) -> None:
    log = running.log()
    assert len(log) > 5_000
    for name, canary in CANARIES.items():
        assert canary not in log, name
    assert len(secrets) > 12
    for secret in secrets:
        assert secret not in log and secret.replace("-", "") not in log, secret


def test_N15_nothing_typed_breaks_a_line(running: House, secrets: list[str]) -> None:
    lines = [line for line in running.log().split("\n") if line]
    assert sum("<script>alert(1)</script>" in line for line in lines) >= 2, "the control: hostile words are in the log"
    assert not [line for line in lines if not LINE.match(line)]
    assert not [line for line in lines if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line)]
    assert not [
        line for line in lines if re.search(r"(^|[^\\\"\w])(verb|level)=(forged|error\b.*forged)", unquoted(line))
    ]


def unquoted(line: str) -> str:
    """A line of the log without what stands in quotes."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)


def test_N15_the_viewers_show_it_as_text(running: House, secrets: list[str]) -> None:
    panel = Browser(running)
    panel.sign_in(ROOT, CANARIES["password"], face="/admin")
    shown = ""
    for path in (
        "/admin/",
        "/admin/log",
        "/admin/audit",
        "/admin/queue",
        "/admin/accounts",
        f"/admin/log?q={EVIL[5:30]}",
    ):
        answer = panel.get(path.replace(" ", "%20").replace("<", "%3C").replace(">", "%3E"))
        assert answer.status == 200, path
        text = answer.text
        assert "<script>alert" not in text and "\x1b" not in text and "\x07" not in text, path
        shown += text
        for story in set(re.findall(r'href="(/admin/log/[^"]+)"', text)):
            page = panel.get(html.unescape(story)).text
            assert "<script>alert" not in page and "\x1b" not in page, story
            shown += page
    assert "someone@example.org" in shown, "the control: the log shows that message"
    assert not [canary for canary in CANARIES.values() if canary in shown]
