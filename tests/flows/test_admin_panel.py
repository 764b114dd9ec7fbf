"""The administration panel against the running appliance: every page, every change, and the audit row it leaves."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.house import House, house
from tests.web_rig import Answer, Browser

ADMIN, ANN = "root@example.test", "ann@example.test"
LETTER = "From: {0}\r\nTo: {1}\r\nSubject: quarterly figures\r\nMessage-ID: <{2}@example.test>\r\n\r\nHello.\r\n"
PAGES = ("/", "/accounts", "/accounts?sort=last", "/accounts/new", "/accounts/bin", "/aliases", "/aliases/new", "/domains", "/domains/example.test", "/queue",
         "/log", "/audit", "/system", "/search", "/search?q=ann")  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ADMIN, admin=True)
        h.add_account(ANN)
        yield h


@pytest.fixture
def root(running: House) -> Browser:
    browser = Browser(running)
    browser.sign_in(ADMIN, face="/admin")
    return browser


def go(browser: Browser, path: str, **fields: str) -> Answer:
    """Send a form of the panel and follow where it leads."""
    answer = browser.post(f"/admin{path}", fields)
    return browser.get(answer.location) if answer.status == 303 else answer


def words(answer: Answer) -> str:
    """What a person reads on a page."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def number(browser: Browser, listing: str, text: str) -> str:
    """The number of a row of a list, by the text of its link."""
    found = re.search(rf'href="/admin{listing}/(\d+)">{re.escape(text)}<', browser.get(f"/admin{listing}").text)
    assert found, text
    return found[1]


def audited(root: Browser, text: str) -> bool:
    return text in words(root.get("/admin/audit"))


def send_out(running: House, name: str, recipient: str = "far@example.org") -> None:
    with running.submission(ANN) as client:
        client.sendmail(ANN, [recipient], LETTER.format(ANN, recipient, name))


def waiting(running: House, recipient: str) -> dict[str, object]:
    """The waiting recipient, once it was tried and put off."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for row in running.ask("queue.list")["recipients"]:
            if row["recipient"] == recipient and row["state"] == "deferred":
                return dict(row)
        time.sleep(0.05)
    raise AssertionError(f"{recipient} does not wait: {running.ask('queue.list')}")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_every_page_is_for_administrators_alone(running: House, root: Browser, path: str, language: str) -> None:
    root.headers["Accept-Language"] = language.replace("_", "-")
    answer = root.get(f"/admin{path}")
    assert answer.status == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.text)
    assert ('lang="zh-Hans"' in answer.text) == (language == "zh_CN")
    stranger = Browser(running)
    assert stranger.get(f"/admin{path}").location.startswith("/admin/login")
    ann = Browser(running)
    ann.sign_in(ANN)
    ann.cookies["__Host-admin"] = ann.cookies["__Host-mail"]
    assert ann.get(f"/admin{path}").status in {303, 403}


def test_an_account_from_its_first_day_to_the_recycle_bin_and_back(running: House, root: Browser) -> None:
    root.get("/admin/accounts/new")
    told = go(root, "/accounts/new", address="kim", name="Kim Park", role="user", quota="100", language="zh_CN")
    made = re.search(r'id="made">([^<]+)<', told.text)
    assert made and told.status == 200
    running.imap("kim@example.test", made[1]).logout()
    ident = number(root, "/accounts", "Kim Park")

    running.deliver(LETTER.format("x@example.org", "kim", "first"), "kim@example.test", sender="x@example.org")
    seen = words(root.get("/admin/log?q=kim@example"))
    assert "Stored in the inbox of kim@example.test" in seen
    assert "quarterly figures" not in seen, "no subject in a log"

    root.get(f"/admin/accounts/{ident}")
    assert "The change was saved" in words(
        go(root, f"/accounts/{ident}", name="Kim Park-Lee", role="administrator", quota="200", language="en")
    )
    again = go(root, f"/accounts/{ident}", name="Kim Park-Lee", role="administrator", quota="200", language="en")
    assert "nothing to change" in words(again)
    assert "200 MB" in words(root.get(f"/admin/accounts/{ident}"))

    kim = Browser(running)
    kim.sign_in("kim@example.test", made[1])
    assert "Suspended" in words(go(root, f"/accounts/{ident}/suspend"))
    assert kim.get("/webmail/security").status == 303, "a session ends with the suspension"
    assert "may sign in again" in words(go(root, f"/accounts/{ident}/resume"))

    assert go(root, f"/accounts/{ident}/password", password="short").status == 422
    assert go(root, f"/accounts/{ident}/password", password="a long enough one").status == 200
    running.imap("kim@example.test", "a long enough one").logout()

    assert "Delete kim@example.test?" in words(root.get(f"/admin/accounts/{ident}/delete"))
    assert "Recycle bin" in words(go(root, f"/accounts/{ident}/delete"))
    assert root.get(f"/admin/accounts/{ident}").status == 404
    back = go(root, f"/accounts/{ident}/restore")
    new = re.search(r'id="made">([^<]+)<', back.text)
    assert new
    client = running.imap("kim@example.test", new[1])
    assert client.select("INBOX")[1] == [b"1"], "the mail came back with the account"
    client.logout()
    for verb in ("added", "changed", "suspended", "deleted", "restored"):
        assert audited(root, f"{ADMIN} {verb}"), verb


def test_a_taken_address_and_a_broken_one_are_refused_at_their_field(root: Browser) -> None:
    root.get("/admin/accounts/new")
    for address, told in (
        (ANN, "already in use"),
        ("no one@example.test", "not allowed"),
        ("a@b.example", "not one of"),
    ):
        answer = go(root, "/accounts/new", address=address, quota="0")
        assert answer.status == 422 and told in words(answer), address
        assert 'aria-invalid="true"' in answer.text


def test_nobody_locks_themselves_out(running: House, root: Browser) -> None:
    ident = number(root, "/accounts", "root")
    page = root.get(f"/admin/accounts/{ident}")
    assert "/suspend" not in page.text
    for what in ("suspend", "delete"):
        assert go(root, f"/accounts/{ident}/{what}").status == 403
    assert go(root, f"/accounts/{ident}", name="", role="user", quota="0", language="en").status == 422
    assert root.get("/admin/").status == 200


def test_lists_come_in_pages_and_can_be_searched(running: House, root: Browser) -> None:
    for at in range(55):
        running.ask("alias.add", address=f"list{at:02}@example.test", targets=[ANN])
    first = root.get("/admin/aliases")
    following = re.search(r"\?after=(\d+)", first.text)
    assert following and "list00@" in first.text and "list54@" not in first.text
    second = root.get(f"/admin/aliases?after={following[1]}")
    assert "list54@" in second.text and "list00@" not in second.text
    assert "list33@" in root.get("/admin/aliases?q=list33").text
    assert "Nobody found" in words(root.get("/admin/accounts?q=nobody-of-that-name"))


def test_an_alias_and_a_group(running: House, root: Browser) -> None:
    root.get("/admin/aliases/new")
    assert go(root, "/aliases/new", address="sales", kind="alias", targets=f"{ANN}\n{ADMIN}").status == 422
    assert "was added" in words(go(root, "/aliases/new", address="sales", kind="group", targets=f"{ANN}\n{ADMIN}"))
    page = root.get("/admin/aliases?q=sales@")
    ident = re.search(r"/admin/aliases/(\d+)", page.text)[1]  # type: ignore[index]
    root.get(f"/admin/aliases/{ident}")
    assert go(root, f"/aliases/{ident}", targets="nonsense").status == 422
    assert "saved" in words(go(root, f"/aliases/{ident}", targets=ANN))
    aliases = {one["address"]: one["targets"] for one in running.ask("alias.list")["aliases"]}
    assert aliases["sales@example.test"] == [ANN]
    assert "taken away" in words(go(root, f"/aliases/{ident}/delete"))
    assert root.get(f"/admin/aliases/{ident}").status == 404
    assert audited(root, f"{ADMIN} took the address sales@example.test away")


def test_a_domain_with_the_records_to_set(running: House, root: Browser) -> None:
    root.get("/admin/domains")
    assert go(root, "/domains", domain="nodot").status == 422
    page = go(root, "/domains", domain="Second.Example")
    assert page.status == 200
    shown = words(page)
    known = next(one for one in running.ask("domain.list")["domains"] if one["domain"] == "second.example")
    for name, record in known["records"]:
        assert name in shown and record in shown
    for text in ("v=spf1 mx -all", "v=DMARC1; p=none", "mail.example.test", "_imaps._tcp.second.example"):
        assert text in shown, text
    zone = root.get("/admin/domains/second.example/zone")
    assert zone.headers.get_content_type() == "text/plain"
    assert "second.example. 3600 IN MX 10 mail.example.test." in zone.text
    assert all(len(part) <= 255 for part in re.findall(r'"([^"]*)"', zone.text))
    assert go(root, "/domains/second.example/catch-all", address="not an address@x").status == 422
    assert f"goes to {ANN}" in words(go(root, "/domains/second.example/catch-all", address=ANN))
    assert "is refused" in words(go(root, "/domains/second.example/catch-all", address=""))
    assert audited(root, f"{ADMIN} added the domain second.example")


def test_the_queue_says_why_and_obeys(running: House, root: Browser) -> None:
    send_out(running, "q1")
    row = waiting(running, "far@example.org")
    item = row["item"]
    listed = words(root.get("/admin/queue"))
    assert "far@example.org" in listed and "told not to look up other domains" in listed
    assert "message to another server waits" in words(root.get("/admin/"))
    assert words(root.get("/admin/queue?domain=example.net")).count("far@example.org") == 0
    root.get(f"/admin/queue/{item}")
    assert "It is tried now" in words(go(root, f"/queue/{item}/retry"))
    waiting(running, "far@example.org")
    assert "Held" in words(go(root, f"/queue/{item}/hold", back="list"))
    assert "1 message is held" in words(root.get("/admin/"))
    assert "released" in words(go(root, f"/queue/{item}/release", back="list"))
    waiting(running, "far@example.org")
    assert "Drop the message to far@example.org?" in words(root.get(f"/admin/queue/{item}/drop"))
    assert "dropped" in words(go(root, f"/queue/{item}/drop", sender="untold"))
    assert root.get(f"/admin/queue/{item}").status == 404
    for verb in ("had waiting mail tried again", "held", "released", "dropped"):
        assert audited(root, f"{ADMIN} {verb}"), verb
    story = re.search(r'href="(/admin/log/[^"]+)"', root.get("/admin/log?q=far@example.org").text)
    assert story
    told = words(root.get(story[1]))
    for part in (
        f"{ANN} handed the message in",
        "Not delivered to far@example.org yet",
        "Held by an administrator",
        "Taken out",
    ):
        assert part in told, part


def test_routes_are_set_checked_and_audited(running: House, root: Browser) -> None:
    root.get("/admin/system")
    assert go(root, "/system/routes", routes="nonsense").status == 422
    assert "saved" in words(go(root, "/system/routes", routes="example.net 127.0.0.1:1"))
    assert "example.net 127.0.0.1:1" in root.get("/admin/system").text
    assert go(root, "/system/routes", routes="").status == 200
    assert audited(root, f"{ADMIN} changed the setting")


def test_the_audit_log_says_whether_it_is_whole(root: Browser) -> None:
    page = words(root.get("/admin/audit"))
    assert "The chain was checked just now and is whole" in page


def test_what_is_not_there_is_not_found(root: Browser) -> None:
    root.get("/admin/")
    for path in ("/accounts/99999", "/aliases/99999", "/queue/99999", "/log/none", "/domains/other.example"):
        assert root.get(f"/admin{path}").status == 404, path
    assert go(root, "/queue/99999/retry").status == 404
    assert root.get("/admin/accounts?after=" + "9" * 40).status == 200
    assert json.dumps(root.get("/admin/search?q=" + "%25" * 50).status) == "200"
