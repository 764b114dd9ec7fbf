"""The list in Debian's Chromium: pages that come and go, folders without a new page, undo without scripts, a phone's one pane."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House, house
from tests.mail_rig import fill, held, letter
from tests.web.test_keys import OPEN, count, press, ready, shows, subjects
from tests.web.test_screens import LOOKS, Screen

pytestmark = [pytest.mark.interop, pytest.mark.long]
ANN, MANY, ZOE = "ann@example.test", "many@example.test", "zoe@example.test"
MOST = 420


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        for user in (ANN, MANY, ZOE):
            h.add_account(user)
        for user in (ANN, ZOE):
            fill(h, user, 6, flags="")
            client = h.imap(user)
            client.create("Projects")
            client.logout()
        fill(h, MANY, MOST)
        yield h


@pytest.fixture
def page(enter: Any) -> Any:
    found = enter(ANN)
    found.locator("#list .msg-row").first.wait_for()
    return found


SCROLL = "([to]) => new Promise((done) => { const l = document.getElementById('list'); l.scrollTop = to; setTimeout(() => done([l.scrollTop, l.scrollHeight, l.querySelectorAll('.msg-row').length]), 60); })"


def test_at_most_300_rows_and_every_one_of_them(enter: Any) -> None:
    page = enter(MANY)
    page.locator("#list .msg-row").first.wait_for()
    seen: set[str] = set()
    at = 0
    for _ in range(600):
        top, height, _ = page.evaluate(SCROLL, [at])
        seen |= set(subjects(page))
        at += 800
        if at > height and not page.locator(".msg-list__more").count():
            break
    assert len(seen) == MOST
    page.wait_for_selector(".msg-list__space", state="attached")
    height = page.evaluate("document.getElementById('list').scrollHeight")
    assert height > MOST * 80, "there is room for the rows that were let go"
    page.evaluate("new Promise((done) => setTimeout(done, 700))")
    assert page.locator("#list .msg-row").count() <= 300
    back: set[str] = set()
    for _ in range(600):
        top, _, _ = page.evaluate(SCROLL, [max(0, at)])
        back |= set(subjects(page))
        if top == 0 and not page.locator(".msg-list__space").count():
            break
        at -= 800
    assert back == seen
    page.evaluate("new Promise((done) => setTimeout(done, 700))")
    assert page.locator("#list .msg-row").count() <= 300
    assert subjects(page)[0] == f"Subject {MOST - 1:03}"
    assert len(subjects(page)) == len(set(subjects(page)))


def test_what_is_chosen_stays_chosen_when_its_row_was_let_go(enter: Any, running: House) -> None:
    page = enter(MANY)
    page.locator("#list .msg-row").first.wait_for()
    press(page, "j", "x")
    for step in range(60):
        page.evaluate(SCROLL, [step * 1200])
    page.wait_for_selector(".msg-list__space", state="attached")
    shows(page, ".bulk__n", "1 selected")
    page.click(".bulk [value=star]")
    shows(page, ".toast span", "1 conversation starred")
    assert "\\Flagged" in held(running, MANY)[f"Subject {MOST - 1:03}"]


def test_filters_and_folders_change_without_a_new_page(page: Any) -> None:
    from playwright.sync_api import expect

    page.evaluate("window.same = true")
    page.click("#list .msg-row__link >> nth=2")
    ready(page)
    shows(page, OPEN, "Subject 003")
    page.click(".chip[href$='show=unread']")
    expect(page.locator(".chip[aria-current]")).to_have_text("Unread")
    shows(page, OPEN, "Subject 003")
    assert "Subject 003" not in subjects(page), "it was read"
    page.click(".nav__link[href$='/sent']")
    shows(page, ".list-head__title", "Sent")
    expect(page).to_have_title(re.compile("^Sent"))
    count(page, "#read .thread", 0)
    page.go_back()
    shows(page, ".list-head__title", "Inbox")
    page.click(".nav__link[href$='/inbox']")
    count(page, "#list .msg-row", 6)
    assert page.evaluate("window.same")


def test_a_conversation_is_fetched_before_it_is_opened(page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/mail/inbox/t" in request.url else None)
    with page.expect_request("**/mail/inbox/t*"):
        page.hover("#list .msg-row__link >> nth=4")
    page.wait_for_load_state("networkidle")
    page.click("#list .msg-row__link >> nth=4")
    shows(page, OPEN, "Subject 001")
    ready(page)
    path = page.url
    assert [url for url in asked if url == path] == [path]
    page.wait_for_load_state("networkidle")
    assert len(asked) == 2, "and the next one already is on its way"


def test_an_action_that_fails_is_taken_back(page: Any) -> None:
    before = subjects(page)
    page.route("**/act", lambda route: route.abort())
    press(page, "j", "e")
    shows(page, ".toast span", "That did not work. Check the connection and try again.")
    assert subjects(page) == before
    count(page, ".toast__action", 0)
    page.unroute("**/act")
    page.route("**/act", lambda route: route.fulfill(status=403, body="You may not do that"))
    press(page, "e")
    shows(page, ".toast span", "You may not do that")
    assert subjects(page) == before


def test_the_last_row_leaves_a_word(enter: Any, running: House) -> None:
    page = enter(ZOE)
    page.locator("#list .msg-row").first.wait_for()
    press(page, "*", "a", "e")
    shows(page, ".empty__title >> nth=0", "All done")
    assert held(running, ZOE) == {}
    press(page, "z")
    count(page, "#list .msg-row", 6)
    assert len(held(running, ZOE)) == 6


def test_what_changed_elsewhere_is_shown(page: Any, running: House) -> None:
    page.route("**/webmail/events*", lambda route: route.abort())  # here the test alone tells the page
    page.reload()
    page.locator("#list .msg-row__link").nth(3).focus()
    client = running.imap(ANN)
    client.append("INBOX", "", "", letter(900, "Fresh"))
    client.select("INBOX")
    client.store("1", "+FLAGS", "(\\Flagged \\Seen)")
    client.logout()
    row = page.locator(".msg-row", has_text="Subject 000")
    thread = row.get_attribute("id")[1:]
    page.evaluate(
        "([thread]) => document.dispatchEvent(new CustomEvent('mail:changed', {detail: {box: 'inbox', threads: [thread, '123456'],"
        " counts: {inbox: {messages: 7, unread: 6, count: 6, bright: true}}}}))",
        [thread],
    )
    count(page, "#list .msg-row", 7)
    assert subjects(page)[0] == "Fresh"
    shows(page, ".nav__link[data-slug=inbox] .nav__count", "6")
    shows(page, ".list-head__count", "7 messages, 6 unread")
    assert row.locator(".msg-row__star").get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.activeElement.textContent").endswith("Subject 002"), "the focus stays"
    assert page.locator("#list a[tabindex='0']").count() == 1
    client = running.imap(ANN)
    client.select("INBOX")
    client.uid("STORE", "*", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.store("1", "-FLAGS", "(\\Flagged \\Seen)")
    client.logout()
    fresh = page.locator(".msg-row", has_text="Fresh").get_attribute("id")[1:]
    page.evaluate(
        "([a, b]) => document.dispatchEvent(new CustomEvent('mail:changed', {detail: {box: 'inbox', threads: [a, b]}}))",
        [thread, fresh],
    )
    count(page, "#list .msg-row", 6)


def test_a_phone_shows_one_pane(enter: Any) -> None:
    page = enter(ANN, width=390, has_touch=True, is_mobile=True)
    page.locator("#list .msg-row").first.wait_for()
    assert not page.locator("#read").is_visible()
    page.tap("#list .msg-row__link >> nth=4")
    shows(page, OPEN, "Subject 001")
    assert not page.locator("#listing").is_visible()
    assert page.evaluate("document.activeElement.className") == "thread__subject"
    page.tap("[data-back]")
    page.locator("#listing").wait_for()
    assert not page.locator("#read").is_visible()
    assert page.evaluate("document.activeElement.textContent").endswith("Subject 001")
    page.tap("#list .msg-row__link >> nth=4")
    shows(page, OPEN, "Subject 001")
    page.go_back()
    page.locator("#listing").wait_for()
    page.tap("#list .msg-row__check >> nth=1")
    page.tap("#list .msg-row__check >> nth=2")
    shows(page, ".bulk__n", "2 selected")
    page.tap(".bulk [value=star]")
    shows(page, ".toast span", "2 conversations starred")
    page.tap(".toast__action")
    shows(page, ".toast", "Undone.")
    page.tap(".tabbar__link[href$='/sent']")
    shows(page, ".list-head__title", "Sent")


def test_without_scripts_several_are_moved_and_come_back(enter: Any, running: House) -> None:
    before = held(running, ANN)
    page = enter(ANN, scripts=False)
    assert not page.locator(".bulk").is_visible()
    for number in (1, 2):
        page.locator(".msg-row__check input").nth(number).check()
    page.click(".bulk [value=move]")
    page.wait_for_url("**/move/inbox?thread=*&thread=*")
    assert "2 conversations" in page.inner_text(".lead")
    page.click(".targets__one:has-text('Projects')")
    page.wait_for_url("**/mail/inbox")
    assert "2 conversations moved" in page.inner_text(".toasts")
    assert len(held(running, ANN, "Projects")) == 2
    page.click(".toast__action")
    page.wait_for_url("**/mail/inbox")
    assert "Undone." in page.inner_text(".toasts")
    assert held(running, ANN) == before
    page.click("#list .msg-row__link >> nth=5")
    page.click(".read__bar [value^='read:']")
    assert held(running, ANN)["Subject 000"] == ("\\Seen",)
    page.click(".read__bar [value^='unread:']")
    assert held(running, ANN) == before
    page.click("summary[aria-label='Go to a date']")
    page.fill("#jump", "2001-01-01")
    page.click(".jump__form button")
    assert page.locator("#list .msg-row").count() == 0
    page.click("text=Newest messages")
    assert page.locator("#list .msg-row").count() == 6
    page.click("summary.account")
    page.click("text=Keyboard shortcuts")
    assert page.locator(".keymap__one").count() > 30


@pytest.fixture(params=LOOKS, ids=[f"{w}-{t}-{lang}" for w, t, lang in LOOKS])
def screen(request: pytest.FixtureRequest, browser_of_list: Any, running: House) -> Iterator[Screen]:
    made = Screen(browser_of_list, running, *request.param)
    made.sign_in(ZOE)
    made.page.wait_for_selector(".msg-row")
    yield made
    made.context.close()


def test_how_it_looks(screen: Screen) -> None:
    page = screen.page
    press(page, "j", "x", "j", "x")
    screen.check("list-chosen")
    press(page, "v")
    page.locator(".targets__one").first.wait_for()
    screen.check("list-move")
    press(page, "Escape")
    press(page, "s")
    page.locator(".toast__action").wait_for()
    screen.check("list-toast")
    screen.go("/webmail/mail/starred")
    screen.check("starred")
    press(page, "?")
    page.locator(".keymap").wait_for()
    screen.check("keys-dialog")
    screen.go("/webmail/keys")
    screen.check("keys")
    screen.go("/webmail/mail/inbox?date=2001-01-01")
    page.click("summary.icon-btn")
    screen.check("list-date")
    screen.go("/webmail/mail/starred")
    press(page, "*", "a", "s")
    page.locator(".toast__action").wait_for()
    screen.check("starred-none")
