"""The keyboard in Debian's Chromium: every key of the map, when keys rest, and that what they do is done on the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House, house
from tests.mail_rig import fill, held, letter

pytestmark = pytest.mark.interop
ANN = "ann@example.test"
COUNT = 8
STRIKE = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', how))"
FOCUSED = "#list .msg-row:focus-within .msg-row__subject"
OPEN = "#read .thread__subject"


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        fill(h, ANN, COUNT)
        client = h.imap(ANN)
        client.append("INBOX", "(\\Seen)", "", letter(100, "Two"))
        client.append("INBOX", "(\\Seen)", "", letter(101, "Re: Two", answers=100))
        client.create("Projects")
        client.logout()
        yield h


@pytest.fixture(scope="module")
def signed_in(enter: Any) -> Any:
    return enter(ANN)


@pytest.fixture
def page(signed_in: Any) -> Iterator[Any]:
    """The inbox as it is opened; nothing may be said on the console."""
    told: list[str] = []
    signed_in.on("console", lambda message: told.append(message.text))
    signed_in.on("pageerror", lambda error: told.append(str(error)))
    signed_in.goto("/webmail/mail/inbox")
    signed_in.locator("#list .msg-row").first.wait_for()
    yield signed_in
    # what is fetched ahead may have been moved a moment before: then it is not found, and nobody sees it
    assert [line for line in told if "404" not in line] == []


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def shows(page: Any, selector: str, text: str) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_text(text)


def count(page: Any, selector: str, number: int) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_count(number)


def ready(page: Any) -> None:
    page.locator("#read iframe.msg__frame[data-ready]").first.wait_for()


def subjects(page: Any) -> list[str]:
    return [re.sub(r"^Unread\.\s*", "", text) for text in page.locator("#list .msg-row__subject").all_text_contents()]


def newest(number: int = 1) -> str:
    """The subject of a plain letter, the newest first."""
    return f"Subject {COUNT - number:03}"


def test_going_through_the_list(page: Any) -> None:
    press(page, "j")
    shows(page, FOCUSED, "Two")
    press(page, "j", "ArrowDown")
    shows(page, FOCUSED, newest(2))
    press(page, "k")
    shows(page, FOCUSED, newest())
    press(page, "ArrowUp", "k")
    shows(page, FOCUSED, "Two")
    count(page, "#read .thread", 0)


@pytest.mark.parametrize("key", ["Enter", "o"])
def test_opening_going_on_and_back(page: Any, key: str) -> None:
    press(page, "j", "j", key)
    shows(page, OPEN, newest())
    ready(page)
    assert page.locator("#read .read__scroll").evaluate("one => one === document.activeElement")
    assert page.title().startswith(newest())
    press(page, "j")
    shows(page, OPEN, newest(2))
    shows(page, FOCUSED, newest(2))
    press(page, "k", "k")
    shows(page, OPEN, "Two")
    assert re.search(r"/mail/inbox/t\d+$", page.url)
    press(page, "u" if key == "o" else "Escape")
    count(page, "#read .thread", 0)
    shows(page, FOCUSED, "Two")
    assert page.url.endswith("/mail/inbox")
    press(page, "Enter")
    shows(page, OPEN, "Two")
    page.go_back()
    count(page, "#read .thread", 0)
    shows(page, FOCUSED, "Two")
    page.go_forward()
    shows(page, OPEN, "Two")


def test_keys_go_on_inside_the_frame_of_a_message(page: Any) -> None:
    press(page, "j", "j", "j", "Enter")  # a message of HTML
    ready(page)
    page.frame_locator("#read iframe.msg__frame").locator("p").first.click()
    assert page.evaluate("document.activeElement.className").startswith("msg__frame")
    press(page, "j")
    shows(page, OPEN, newest(3))
    shows(page, FOCUSED, newest(3))


MOVES = [("e", "Archive"), ("#", "Trash"), ("Delete", "Trash"), ("!", "Junk")]


@pytest.mark.parametrize(("key", "box"), MOVES)
def test_one_goes_and_comes_back(running: House, page: Any, key: str, box: str) -> None:
    before, rows = held(running, ANN), subjects(page)
    press(page, "j", "j", key)
    page.locator(".toast__action").wait_for()
    assert newest() not in subjects(page)
    shows(page, FOCUSED, newest(2))
    assert held(running, ANN, box).keys() == {newest()}
    assert newest() not in held(running, ANN)
    press(page, "z")
    shows(page, ".toast", "Undone.")
    count(page, ".toast__action", 0)
    shows(page, FOCUSED, newest())
    assert subjects(page) == rows
    assert held(running, ANN) == before
    assert held(running, ANN, box) == {}


def test_what_is_open_goes_and_the_next_one_opens(running: House, page: Any) -> None:
    press(page, "j", "j", "Enter")
    shows(page, OPEN, newest())
    press(page, "e")
    shows(page, OPEN, newest(2))
    page.locator(".toast__action").click()
    shows(page, ".toast", "Undone.")
    press(page, "]")
    shows(page, OPEN, newest(3))
    press(page, "z")
    shows(page, ".toast", "Undone.")
    shows(page, FOCUSED, newest(2))
    press(page, "k")
    shows(page, OPEN, newest())
    press(page, "[")
    shows(page, OPEN, "Two")
    page.locator(".toast__action").wait_for()
    press(page, "z")
    shows(page, ".toast", "Undone.")
    assert held(running, ANN, "Archive") == {}


def test_several_at_once(running: House, page: Any) -> None:
    before = held(running, ANN)
    press(page, "j", "j", "x", "Shift+J", "Shift+J")
    shows(page, ".bulk__n", "3 selected")
    press(page, "Shift+K", "x")
    shows(page, ".bulk__n", "2 selected")
    press(page, "e")
    shows(page, ".toast span", "2 conversations archived")
    assert len(held(running, ANN, "Archive")) == 2
    press(page, "z")
    shows(page, ".toast", "Undone.")
    assert held(running, ANN) == before
    press(page, "*", "a")
    shows(page, ".bulk__n", f"{COUNT + 1} selected")
    press(page, "*", "n")
    count(page, ".msg-row__check input:checked", 0)
    press(page, "x", "Escape")
    count(page, ".msg-row__check input:checked", 0)


def test_stars_and_read_marks(running: House, page: Any) -> None:
    press(page, "j", "j", "s")
    shows(page, ".toast span", "1 conversation starred")
    assert "\\Flagged" in held(running, ANN)[newest()]
    press(page, "s")
    shows(page, ".toast span", "Star removed from 1 conversation")
    press(page, "Shift+U")
    shows(page, ".toast span", "1 conversation marked as unread")
    count(page, ".msg-row--unread", 1)
    shows(page, ".nav__link[data-slug=inbox] .nav__count", "1")
    assert held(running, ANN)[newest()] == ()
    press(page, "Shift+I")
    count(page, ".msg-row--unread", 0)
    shows(page, ".toast span", "1 conversation marked as read")
    assert held(running, ANN)[newest()] == ("\\Seen",)


def test_moving_by_the_dialog(running: House, page: Any) -> None:
    before = held(running, ANN)
    press(page, "j", "j", "x", "j", "x", "v")
    page.locator(".targets__one").first.wait_for()
    assert page.locator("#dialog").get_attribute("role") == "dialog"
    press(page, "j", "p")  # in the dialog a letter goes to a folder
    assert page.evaluate("document.activeElement.textContent").strip() == "Projects"
    press(page, "Escape")
    count(page, "#dialog[open]", 0)
    shows(page, FOCUSED, newest(2))
    press(page, "v")
    page.locator(".targets__one", has_text="Projects").click()
    shows(page, ".toast span", "2 conversations moved")
    assert held(running, ANN, "Projects").keys() == {newest(), newest(2)}
    press(page, "z")
    shows(page, ".toast", "Undone.")
    assert held(running, ANN) == before


def test_messages_of_a_conversation(page: Any) -> None:
    press(page, "j", "Enter")
    shows(page, OPEN, "Two")
    count(page, "#read details.msg", 1)
    count(page, "#read details.msg[open]", 0)
    press(page, ";")
    count(page, "#read details.msg[open]", 1)
    press(page, ":")
    count(page, "#read details.msg[open]", 0)
    press(page, "n")
    count(page, "#read details.msg[open]", 1)
    press(page, "n")
    assert page.locator("#read section.msg").evaluate("one => one === document.activeElement")
    press(page, "p")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


PLACES = [("s", "starred"), ("t", "sent"), ("d", "drafts"), ("a", "archive"), ("j", "junk"), ("i", "inbox")]


def test_going_to_folders(page: Any) -> None:
    from playwright.sync_api import expect

    press(page, "j", "Enter")
    shows(page, OPEN, "Two")
    page.evaluate("window.same = true")
    for key, slug in PLACES:
        press(page, "g", key)
        expect(page).to_have_url(re.compile(f"/mail/{slug}$"))
        expect(page.locator(".nav__link[aria-current=page]")).to_have_attribute("data-slug", slug)
        count(page, "#read .thread", 0)
    assert page.evaluate("window.same"), "no whole page was loaded"
    count(page, "#list .msg-row", COUNT + 1)
    page.go_back()
    expect(page.locator("#listing")).to_have_attribute("data-box", "junk")


@pytest.mark.parametrize(("key", "where"), [("r", "reply"), ("a", "all"), ("f", "forward"), ("c", "compose")])
def test_writing(page: Any, key: str, where: str) -> None:
    if key != "c":
        press(page, "j", "Enter")
        ready(page)
    press(page, key)
    page.locator(".composer").wait_for()
    assert where in page.url


def test_keys_rest_while_somebody_types(page: Any) -> None:
    press(page, "j", "j")
    page.evaluate("document.querySelector('#main').insertAdjacentHTML('beforeend', '<input id=typed>')")
    page.focus("#typed")
    press(page, "e", "x", "?", "j")
    assert page.input_value("#typed") == "ex?j"
    assert len(subjects(page)) == COUNT + 1
    press(page, "Escape")
    assert page.evaluate("document.activeElement === document.body")
    page.focus("#list .msg-row__link >> nth=1")
    for how in ("isComposing: true", "keyCode: 229", "ctrlKey: true", "metaKey: true", "altKey: true", "repeat: true"):
        page.evaluate(f"() => {{ const how = {{key: 'e', bubbles: true, {how}}}; {STRIKE} }}")
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert len(subjects(page)) == COUNT + 1
    count(page, ".toast", 0)
    page.evaluate(f"() => {{ const how = {{key: 'x', bubbles: true}}; {STRIKE} }}")
    count(page, ".msg-row__check input:checked", 1)  # without all that it is heard
    press(page, "x", "g", "x", "j")  # what is no sequence does nothing
    count(page, ".msg-row__check input:checked", 0)
    assert page.url.endswith("/mail/inbox")


def test_help_and_the_switch(page: Any) -> None:
    from playwright.sync_api import expect

    press(page, "j", "?")
    dialog = page.locator("[role=dialog]", has_text="Keyboard shortcuts")
    dialog.locator(".keymap").wait_for()
    press(page, "e")
    assert len(subjects(page)) == COUNT + 1
    dialog.locator("[data-keys-switch] button").click()
    expect(dialog.locator("[data-keys-switch]")).to_contain_text("turned off")
    press(page, "Escape")
    count(page, "#dialog[open]", 0)
    shows(page, FOCUSED, "Two")
    page.reload()
    press(page, "j", "x", "?")
    count(page, "#dialog[open]", 0)
    count(page, ".msg-row__check input:checked", 0)
    press(page, "F6")
    page.goto("/webmail/keys")
    page.click("[data-keys-switch] button")
    page.goto("/webmail/mail/inbox")
    press(page, "j", "x")
    count(page, ".msg-row__check input:checked", 1)


def test_the_search_box_has_a_key(page: Any) -> None:
    press(page, "j", "/")
    assert page.evaluate("document.activeElement.id") == "q"
    press(page, "Escape")
    assert page.evaluate("document.activeElement.id") != "q"


def test_f6_goes_round(page: Any) -> None:
    press(page, "j", "Enter")
    shows(page, OPEN, "Two")
    found = []
    for _ in range(3):
        press(page, "F6")
        found.append(page.evaluate("document.activeElement.closest('.sidebar, #listing, #read').className"))
    assert found == ["sidebar", "mail__list", "read"]
    press(page, "Shift+F6")
    assert page.evaluate("document.activeElement.closest('#listing') !== null")
