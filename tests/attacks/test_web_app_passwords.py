"""RELIABILITY N7 over the wire: app passwords on IMAP, SMTP and the pages, and the main password once two steps are on."""

from __future__ import annotations

import imaplib
import re
import smtplib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pyotp
import pytest

from tests.house import House, house
from tests.web_rig import PASSWORD, Browser

LETTER = "From: {0}\r\nTo: {0}\r\nSubject: s\r\n\r\nx\r\n"
CLEAR = "use an app password"


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account("bob")
        yield h


@pytest.fixture
def keep() -> Iterator[ExitStack]:
    """Closes the clients that are still open at the end of a test."""
    with ExitStack() as stack:
        yield stack


def reader(keep: ExitStack, running: House, user: str, password: str = PASSWORD) -> imaplib.IMAP4:
    client = running.imap(user, password)
    keep.callback(client.shutdown)
    return client


def sender(keep: ExitStack, running: House, user: str, password: str = PASSWORD) -> smtplib.SMTP:
    client = running.submission(user, password)
    keep.callback(client.close)
    return client


def signed_in(running: House, local: str, *, admin: bool = False) -> tuple[str, Browser]:
    """A new account and its owner's browser."""
    address, browser = running.add_account(local, admin=admin), Browser(running)
    assert browser.sign_in(address).status == 303
    browser.get("/webmail/security")
    return address, browser


def make(browser: Browser, label: str = "my phone", scope: str = "both", proof: str = PASSWORD) -> str:
    """Make an app password on the page; returns its secret."""
    browser.get("/webmail/security")
    answer = browser.post("/webmail/security/apps", {"label": label, "scope": scope, "proof": proof})
    assert answer.status == 200
    found = re.search(r'class="secret mono"[^>]*>([a-z2-7-]+)<', answer.text)
    assert found
    return found[1]


def idents(browser: Browser) -> list[str]:
    return re.findall(r'name="app" value="(\d+)"', browser.get("/webmail/security").text)


def enrol(browser: Browser) -> list[str]:
    """Turn two-step sign-in on; returns the recovery codes."""
    page = browser.get("/webmail/security/code").text
    found = re.search(r'enrol__key mono">([A-Z2-7 ]+)<', page)
    assert found
    answer = browser.post("/webmail/security/code", {"code": pyotp.TOTP(found[1].replace(" ", "")).now()})
    assert answer.status == 200
    return re.findall(r"<li>([a-z2-7-]+)</li>", answer.text)


def said(running: House, user: str, password: str) -> tuple[str, str]:
    """What IMAP and SMTP say to this password: "" where they let it in."""
    answers = []
    for enter, refused in ((running.imap, imaplib.IMAP4.error), (running.submission, smtplib.SMTPAuthenticationError)):
        try:
            client = enter(user, password)
            getattr(client, "logout", getattr(client, "quit", None))()
            answers.append("")
        except refused as error:
            answers.append(str(error.args[-1]))
    return answers[0], answers[1]


# --- what it is good for --------------------------------------------------------------------------------------------------


def test_N7_it_reads_and_sends_however_it_is_typed(running: House) -> None:
    address, browser = signed_in(running, "anna")
    secret = make(browser)
    assert len(secret.replace("-", "")) == 26, "128 bits in base32"
    for typed in (secret, secret.upper(), secret.replace("-", ""), secret.replace("-", " ")):
        assert said(running, address, typed) == ("", "")
    with running.submission(address, secret) as client:
        assert client.sendmail(address, [address], LETTER.format(address)) == {}
    client = running.imap(address, secret)
    assert client.select("INBOX")[1] == [b"1"]
    client.logout()
    assert said(running, address, PASSWORD) == ("", ""), "without a second factor the main password stays good"
    assert all(said(running, address, secret[:-1] + other)[0] for other in "ab" if not secret.endswith(other))
    assert all(said(running, "bob", secret)), "not at another account"


def test_N7_it_opens_no_page_and_proves_nothing_there(running: House) -> None:
    address, browser = signed_in(running, "berta", admin=True)
    secret = make(browser)
    for face in ("/webmail", "/admin"):
        stranger = Browser(running)
        assert stranger.sign_in(address, secret, face=face).status == 403
        assert stranger.get(f"{face}/security").status == 303
    browser.get("/webmail/security")
    change = {"old": secret, "new": "quite another one", "again": "quite another one"}
    assert browser.post("/webmail/security/password", change).status == 422
    assert browser.post("/webmail/security/apps", {"label": "x", "scope": "both", "proof": secret}).status == 422
    assert len(idents(browser)) == 1
    assert Browser(running).sign_in(address).status == 303, "the password is what it was"
    panel = Browser(running)
    panel.sign_in(address, face="/admin")
    panel.get("/admin/security")
    assert panel.post("/admin/security/password", change).status == 422


@pytest.mark.parametrize(("scope", "reads", "sends"), [("imap", True, False), ("smtp", False, True)])
def test_N7_it_keeps_to_its_scope(running: House, scope: str, reads: bool, sends: bool) -> None:
    address, browser = signed_in(running, f"scope-{scope}")
    secret = make(browser, scope=scope)
    imap, smtp = said(running, address, secret)
    assert (not imap, not smtp) == (reads, sends)


# --- the main password ----------------------------------------------------------------------------------------------------


def test_N7_with_two_steps_on_the_main_password_is_refused_in_clear_words(running: House, keep: ExitStack) -> None:
    address, browser = signed_in(running, "carla")
    secret = make(browser)
    before, open_smtp = reader(keep, running, address), sender(keep, running, address)
    codes = enrol(browser)
    imap, smtp = said(running, address, PASSWORD)
    assert CLEAR in imap and "AUTHENTICATIONFAILED" in imap
    assert CLEAR in smtp and smtp.startswith("b'5.7.8"), smtp
    assert said(running, address, PASSWORD) == (imap, smtp), "and again, from memory"
    wrong = said(running, address, "wrong")
    assert CLEAR not in wrong[0] + wrong[1], "who does not know the password learns nothing"
    assert said(running, address, secret) == ("", "")
    assert ended(before), "what had signed in with it is out"
    with pytest.raises(smtplib.SMTPSenderRefused):
        open_smtp.sendmail(address, ["bob@example.test"], LETTER.format(address))
    assert Browser(running).sign_in(address).location == "/webmail/login/code", "the pages ask for the code"
    browser.get("/webmail/security")
    assert browser.post("/webmail/security/code/remove", {"code": codes[0]}).status == 303
    assert said(running, address, PASSWORD) == ("", "")


# --- the end of one -------------------------------------------------------------------------------------------------------


def ended(client: imaplib.IMAP4) -> bool:
    """Was this open session shown out?"""
    try:
        client.noop()
    except (imaplib.IMAP4.abort, OSError):
        return True
    return client.state == "LOGOUT"


def test_N7_revoking_ends_what_is_signed_in_with_it(running: House, keep: ExitStack) -> None:
    address, browser = signed_in(running, "emil")
    phone, desk = make(browser, "phone"), make(browser, "desk")
    reading, sending = reader(keep, running, address, phone), sender(keep, running, address, phone)
    staying = sender(keep, running, address, desk)
    assert sending.sendmail(address, [address], LETTER.format(address)) == {}
    first, _ = idents(browser)
    assert browser.post("/webmail/security/apps/revoke", {"app": first}).status == 303
    assert ended(reading)
    with pytest.raises(smtplib.SMTPSenderRefused):
        sending.sendmail(address, [address], LETTER.format(address))
    assert all(said(running, address, phone))
    assert staying.sendmail(address, [address], LETTER.format(address)) == {}
    assert said(running, address, desk) == ("", "")


def test_N7_a_new_main_password_ends_open_mail_programs_but_not_app_passwords(running: House, keep: ExitStack) -> None:
    address, browser = signed_in(running, "fritz")
    secret, reading, sending = make(browser), reader(keep, running, address), sender(keep, running, address)
    browser.get("/webmail/security")
    change = {"old": PASSWORD, "new": "quite another one", "again": "quite another one"}
    assert browser.post("/webmail/security/password", change).status == 303
    assert ended(reading)
    with pytest.raises(smtplib.SMTPSenderRefused):
        sending.sendmail(address, [address], LETTER.format(address))
    assert said(running, address, secret) == ("", "")
    running.ask("account.suspend", address=address)
    assert all(said(running, address, secret)), "nor does it outlive a suspension"


# --- the page -------------------------------------------------------------------------------------------------------------


def test_N7_it_is_made_with_the_password_and_shown_once(running: House) -> None:
    address, browser = signed_in(running, "greta")
    for proof in ("", "wrong"):
        refused = browser.post("/webmail/security/apps", {"label": "x", "scope": "both", "proof": proof})
        assert refused.status == 422
    assert not idents(browser)
    secret = make(browser, 'Ann\'s "phone" <b>', scope="imap")
    page = browser.get("/webmail/security").text
    assert secret not in page and secret.replace("-", "") not in page
    assert "Ann&#39;s &#34;phone&#34; &lt;b&gt;" in page
    assert "never used" in page and "Reads mail (IMAP)" in page
    assert said(running, address, secret)[0] == ""
    assert "last used" in browser.get("/webmail/security").text
    for trace in (running.state.rglob("*"), [running.stderr]):
        assert not [path for path in trace if path.is_file() and secret.encode() in path.read_bytes()]


def test_N7_nobody_revokes_anothers(running: House) -> None:
    _, browser = signed_in(running, "hugo")
    make(browser)
    (ident,) = idents(browser)
    _, thief = signed_in(running, "thief")
    assert thief.post("/webmail/security/apps/revoke", {"app": ident}).status == 404
    assert idents(browser) == [ident]
    password = str(int(ident) - 1)
    assert browser.post("/webmail/security/apps/revoke", {"app": password}).status == 404, "the main password is none"
    for odd in ("", "x", "-1", "٣", "9" * 40):
        assert browser.post("/webmail/security/apps/revoke", {"app": odd}).status in {303, 404}
    assert idents(browser) == [ident]


def test_N7_there_is_an_end_to_them(running: House) -> None:
    _, browser = signed_in(running, "ilse")
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda n: post(browser, f"program {n}"), range(26)):
            assert answer in {200, 409, 422}
    assert len(idents(browser)) == 25
    assert post(browser, "one more") == 422


def post(browser: Browser, label: str) -> int:
    fields = {"label": label, "scope": "both", "proof": PASSWORD}
    return browser.post("/webmail/security/apps", fields).status


def test_the_page_says_how_to_connect(running: House) -> None:
    address, browser = signed_in(running, "jutta")
    page = browser.get("/webmail/security").text
    for needed in (running.imaps_port, running.imap_port, running.smtps_port, running.submission_port, address):
        assert str(needed) in page
    with socket.create_connection(("localhost", running.imaps_port), timeout=5):
        pass
    root, _ = signed_in(running, "karl", admin=True)
    panel = Browser(running)
    panel.sign_in(root, face="/admin")
    assert "Phones and mail programs" not in panel.get("/admin/security").text, "the panel has no mail programs"


def test_the_audit_log_names_it(running: House) -> None:
    address, browser = signed_in(running, "lena")
    make(browser, "the tablet")
    browser.post("/webmail/security/apps/revoke", {"app": idents(browser)[0]})
    root = running.add_account("auditor", admin=True)
    panel = Browser(running)
    panel.sign_in(root, face="/admin")
    page = panel.get("/admin/audit").text
    assert "made an app password for" in page and "revoked an app password of" in page and address in page
