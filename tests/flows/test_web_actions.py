"""What is done to conversations over HTTP, and that undoing it restores exactly that: places, flags, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.house import House, house
from tests.mail_rig import fill, held, letter
from tests.web_rig import Browser

ANN, BOB = "ann@example.test", "bob@example.test"
INBOX = "/webmail/mail/inbox"


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        for user in (ANN, BOB):
            h.add_account(user)
        fill(h, ANN, 5, flags="")
        client = h.imap(ANN)
        client.create("Projects")
        client.select("INBOX")
        client.store("1", "+FLAGS", "(\\Seen \\Flagged $Label1)")
        client.store("2", "+FLAGS", "(\\Answered)")
        client.logout()
        yield h


@pytest.fixture(scope="module")
def ann(running: House) -> Browser:
    browser = Browser(running)
    browser.sign_in(ANN)
    browser.get(INBOX)
    return browser


def threads(page: str) -> list[str]:
    return re.findall(r'id="t(\d+)"', page)


def ask(browser: Browser, path: str, fields: list[tuple[str, str]]) -> dict[str, object]:
    """As a script of ours asks."""
    from urllib.parse import urlencode

    head = {"Content-Type": "application/x-www-form-urlencoded", "Origin": browser.origin, "HX-Request": "true"}
    answer = browser.ask("POST", path, urlencode([("csrf", browser.token), *fields]), head)
    assert answer.status == 200, answer.text
    told: dict[str, object] = json.loads(answer.text)
    return told


def folder(browser: Browser, name: str) -> str:
    """The number of a mailbox, as the page of moving gives it."""
    some = threads(browser.get(INBOX).text)[0]
    found = re.search(
        rf'name="to" value="(\d+)">(?:(?!</svg>).)*</svg>{name}<',
        browser.get(f"/webmail/move/inbox?thread={some}").text,
    )
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("do", "box"), [("archive", "Archive"), ("trash", "Trash"), ("junk", "Junk"), ("move", "Projects")]
)
def test_what_was_moved_comes_back_as_it_was(running: House, ann: Browser, do: str, box: str) -> None:
    before, away = held(running, ANN), held(running, ANN, box)
    rows = threads(ann.get(INBOX).text)
    fields = [("do", do), *[("thread", one) for one in rows[1:]], ("to", folder(ann, "Projects"))]
    told = ask(ann, f"{INBOX}/act", fields)
    assert str(told["text"]).startswith("4 conversations ")
    assert sorted(map(str, told["threads"])) == sorted(rows[1:])  # type: ignore[call-overload]
    assert told["counts"]["inbox"]["messages"] == 1  # type: ignore[index]
    assert len(held(running, ANN)) == 1
    assert len(held(running, ANN, box)) == 4
    told = ask(ann, "/webmail/undo", [("done", str(told["done"]))])
    assert (told["text"], told["done"]) == ("Undone.", 0)
    assert held(running, ANN) == before
    assert held(running, ANN, box) == away
    assert threads(ann.get(INBOX).text) == rows


@pytest.mark.parametrize("do", ["read", "unread", "star", "unstar"])
def test_only_flags_that_changed_change_back(running: House, ann: Browser, do: str) -> None:
    before = held(running, ANN)
    rows = threads(ann.get(INBOX).text)
    told = ask(ann, f"{INBOX}/act", [("do", do), *[("thread", one) for one in rows]])
    assert held(running, ANN) != before
    ask(ann, "/webmail/undo", [("done", str(told["done"]))])
    assert held(running, ANN) == before


def test_an_undo_is_there_once_and_for_its_session_alone(running: House, ann: Browser) -> None:
    rows = threads(ann.get(INBOX).text)
    told = ask(ann, f"{INBOX}/act", [("do", f"archive:{rows[0]}")])
    bob, other = Browser(running), Browser(running)
    bob.sign_in(BOB)
    other.sign_in(ANN)
    for stranger in (bob, other):
        stranger.get(INBOX)
        assert stranger.post("/webmail/undo", {"done": str(told["done"])}).status == 409
    assert len(held(running, ANN)) == 4
    ann.get(INBOX)
    assert ann.post("/webmail/undo", {"done": str(told["done"])}).location == INBOX
    assert len(held(running, ANN)) == 5
    for number in (str(told["done"]), "", "x", "9" * 30):
        answer = ann.post("/webmail/undo", {"done": number})
        assert answer.status == 409
        assert "can no longer be undone" in answer.text


def test_what_somebody_else_did_meanwhile_stays(running: House, ann: Browser) -> None:
    rows = threads(ann.get(INBOX).text)
    told = ask(ann, f"{INBOX}/act", [("do", "archive"), ("thread", rows[0]), ("thread", rows[1])])
    client = running.imap(ANN)
    client.select("Archive")
    client.store("1", "+FLAGS", "(\\Flagged)")
    client.uid("MOVE", "*", "Projects")
    client.logout()
    ask(ann, "/webmail/undo", [("done", str(told["done"]))])
    assert len(held(running, ANN)) == 4
    assert len(held(running, ANN, "Projects")) == 1
    assert held(running, ANN, "Archive") == {}
    client = running.imap(ANN)
    client.select("Projects")
    client.uid("MOVE", "1:*", "INBOX")
    client.logout()


def test_what_becomes_read_by_itself_pushes_no_undo_away(running: House, ann: Browser) -> None:
    rows = threads(ann.get(INBOX).text)
    told = ask(ann, f"{INBOX}/act", [("do", f"archive:{rows[0]}")])
    before = held(running, ANN)
    for _ in range(12):
        assert ask(ann, f"{INBOX}/act", [("do", f"read:{rows[1]}"), ("quiet", "1")])["done"] == 0
        ask(ann, f"{INBOX}/act", [("do", f"unread:{rows[1]}"), ("quiet", "1")])
    assert held(running, ANN) == before
    ask(ann, "/webmail/undo", [("done", str(told["done"]))])
    assert len(held(running, ANN)) == len(before) + 1


def test_nothing_done_is_nothing_to_undo(ann: Browser) -> None:
    assert ask(ann, f"{INBOX}/act", [("do", "archive:999999")])["done"] == 0
    rows = threads(ann.get(INBOX).text)
    assert ask(ann, f"{INBOX}/act", [("do", f"inbox:{rows[0]}")])["done"] == 0


def test_without_scripts_the_next_page_says_it_once(running: House, ann: Browser) -> None:
    rows = threads(ann.get(INBOX).text)
    assert ann.post(f"{INBOX}/act", {"do": f"archive:{rows[0]}"}).location == INBOX
    page = ann.get(INBOX)
    found = re.search(r'1 conversation archived<form.*?name="done" value="(\d+)"', page.text, re.DOTALL)
    assert found
    assert "toast__action" not in ann.get(INBOX).text
    assert ann.post("/webmail/undo", {"done": found[1]}).location == INBOX
    page = ann.get(INBOX)
    assert "Undone." in page.text and threads(page.text) == rows


def test_stars_are_one_list_and_act_where_they_lie(running: House, ann: Browser) -> None:
    client = running.imap(ANN)
    client.append("Projects", "(\\Flagged)", "", letter(77, "Far away"))
    client.logout()
    page = ann.get("/webmail/mail/starred").text
    assert "Far away" in page and "Subject 000" in page
    where = re.search(r'href="(/webmail/mail/starred/t(\d+))"[^>]*>(?:<span[^>]*>[^<]*</span>)?Far away', page)
    assert where
    assert "msg__frame" in ann.get(where[1], HX_Request="true").text
    told = ask(ann, "/webmail/mail/starred/act", [("do", f"trash:{where[2]}")])
    assert "Far away" in held(running, ANN, "Trash")
    assert "Far away" not in ann.get("/webmail/mail/starred").text
    ask(ann, "/webmail/undo", [("done", str(told["done"]))])
    assert "\\Flagged" in held(running, ANN, "Projects")["Far away"]
    ask(ann, "/webmail/mail/starred/act", [("do", f"unstar:{where[2]}")])
    assert "Far away" not in ann.get("/webmail/mail/starred").text
    assert ann.get("/webmail/mail/starred/t999999").status == 404


def test_a_list_in_parts(ann: Browser) -> None:
    rows = threads(ann.get(INBOX).text)
    part = ann.get(f"{INBOX}?rows=1", HX_Request="true").text
    assert threads(part) == rows and "<section" not in part
    one = ann.get(f"{INBOX}?rows=1&only={rows[2]}.{rows[0]}.999999", HX_Request="true").text
    assert threads(one) == [rows[0], rows[2]]
    whole = ann.get(INBOX, HX_Request="true").text
    assert "<title>" in whole and 'id="listing"' in whole and "<html" not in whole
    assert threads(ann.get(f"{INBOX}?date=1999-01-01").text) == []
    assert threads(ann.get(f"{INBOX}?date=2999-01-01").text) == rows
    for date in ("x", "9999-12-31", "0001-01-01"):
        assert ann.get(f"{INBOX}?date={date}").status == 200


def test_single_keys_are_a_setting(ann: Browser) -> None:
    assert 'data-keys="on"' in ann.get(INBOX).text
    page = ann.get("/webmail/keys").text
    assert "<html" in page and "Archive" in page
    assert ann.post("/webmail/keys", {"on": "0"}).location == "/webmail/keys"
    assert 'data-keys="off"' in ann.get(INBOX).text
    assert 'data-keys="off"' in ann.get("/webmail/compose").text
    ann.post("/webmail/keys", {"on": "1"})
    assert 'data-keys="on"' in ann.get(INBOX).text
