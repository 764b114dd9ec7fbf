"""Live mail as a browser hears it: over real HTTP, each promise of webmail/events.py and of the streams below it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from appliance.web.native import Flow
from appliance.web.streams import PER_ACCOUNT, WAITING_MOST, Stream, Streams, event
from data.ids import AccountId
from tests.house import House, house
from tests.web_rig import Browser

ANN, BOB, EVE = "ann@example.test", "bob@example.test", "eve@example.test"
PEOPLE = ("sam@example.test", "kim@example.test", "lee@example.test", "max@example.test")


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        for who in (ANN, BOB, EVE, *PEOPLE):
            h.add_account(who)
        yield h


@dataclass
class Heard:
    """One event."""

    name: str
    data: Any
    id: str


@dataclass
class Ear:
    """An open stream."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    seen: list[Heard] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.response.status

    def next(self) -> Heard | None:
        """The next event; None when the stream ended. Comments are passed over."""
        found: dict[str, str] = {}
        while True:
            line = self.response.readline()
            if not line:
                return None
            text = line.decode().rstrip("\n")
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                found[name] = value
            elif not text and "event" in found:
                heard = Heard(found["event"], json.loads(found["data"]), found.get("id", ""))
                self.seen.append(heard)
                return heard
            elif not text:
                found = {}

    def mail(self, box: str = "inbox") -> tuple[dict[str, Any], str]:
        """What the next event that touches a mailbox says of it, and its id."""
        while (heard := self.next()) is not None:
            if heard.name == "mail" and box in heard.data["boxes"]:
                return heard.data["boxes"][box], heard.id
        raise AssertionError(f"the stream ended; heard {self.seen}")

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def listen(browser: Browser, since: str = "", last: str = "") -> Ear:
    """Open the stream."""
    assert not browser.secure
    connection = http.client.HTTPConnection("localhost", browser.port, timeout=15)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    head = {"Cookie": cookies, "Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    connection.request("GET", f"/webmail/events?since={since}", headers=head)
    return Ear(connection, connection.getresponse())


def answer(browser: Browser) -> int:
    """What asking for a stream gives."""
    ear = listen(browser)
    ear.close()
    return ear.status


def signed_in(running: House, who: str) -> Browser:
    browser = Browser(running, secure=False)
    assert browser.sign_in(who).status == 303
    return browser


@contextlib.contextmanager
def ear_of(running: House, who: str, since: str = "") -> Iterator[tuple[Browser, Ear]]:
    browser = signed_in(running, who)
    ear = listen(browser, since)
    try:
        yield browser, ear
    finally:
        ear.close()


def put(running: House, who: str, subject: str, box: str = "INBOX", count: int = 1) -> None:
    """Messages in a mailbox, by IMAP."""
    client = running.imap(who)
    for number in range(count):
        text = f"From: Bob <{BOB}>\r\nTo: {who}\r\nSubject: {subject} {number}\r\nMessage-ID: <{time.monotonic_ns()}@x>\r\n\r\nHi\r\n"
        assert client.append(box, "", "", text.encode())[0] == "OK"
    client.logout()


def rows(browser: Browser, box: str = "inbox") -> list[int]:
    """The conversations of a list, newest first."""
    return [int(one) for one in re.findall(r'id="t(\d+)"', browser.get(f"/webmail/mail/{box}").text)]


def test_a_delivery_is_told_with_its_conversation_and_the_counts(running: House) -> None:
    with ear_of(running, ANN) as (browser, ear):
        assert ear.status == 200
        assert ear.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert "default-src 'none'" in ear.response.headers["Content-Security-Policy"]
        hello = ear.next()
        assert hello is not None and hello.name == "hello" and hello.id.isdigit()
        running.deliver(f"Subject: Live\r\nFrom: {BOB}\r\n\r\nHi\r\n", ANN)
        told, ident = ear.mail()
        assert told["new"] == 1 and told["threads"] == rows(browser)[:1] and told["gone"] == [] and not told["many"]
        assert (told["messages"], told["unread"], told["count"], told["bright"]) == (1, 1, 1, True)
        assert int(ident) > int(hello.id)


def test_flags_and_moves_are_told(running: House) -> None:
    put(running, ANN, "Moved")
    with ear_of(running, ANN) as (browser, ear):
        thread = rows(browser)[0]
        browser.get("/webmail/mail/inbox")
        browser.post("/webmail/mail/inbox/act", {"do": f"star:{thread}"})
        told, _ = ear.mail()
        assert told["threads"] == [thread]
        browser.post("/webmail/mail/inbox/act", {"do": f"unstar:{thread}"})
        told, _ = ear.mail()
        assert told["threads"] == [thread] and told["new"] == 0
        browser.post("/webmail/mail/inbox/act", {"do": f"archive:{thread}"})
        told, _ = ear.mail("archive")
        assert told["threads"] == [thread]
        left = [one.data["boxes"]["inbox"] for one in ear.seen if one.name == "mail" and "inbox" in one.data["boxes"]]
        assert len(left[-1]["gone"] or ear.mail()[0]["gone"]) == 1


def test_many_deliveries_are_few_events(running: House) -> None:
    with ear_of(running, PEOPLE[0]) as (_, ear):
        assert ear.next() is not None
        begun = time.monotonic()
        put(running, PEOPLE[0], "Flood", count=300)
        while True:
            told, _ = ear.mail()
            if told["messages"] == 300:
                break
        took = time.monotonic() - begun
        events = [one for one in ear.seen if one.name == "mail"]
        assert len(events) <= took / 0.1 + 2
        assert sum(one.data["boxes"]["inbox"]["new"] for one in events) == 300


def test_a_folder_that_is_made_and_a_name_that_goes(running: House) -> None:
    with ear_of(running, PEOPLE[1]) as (_, ear):
        assert ear.next() is not None
        client = running.imap(PEOPLE[1])
        client.create("Work")
        heard = ear.next()
        while heard is not None and not heard.data["tree"]:
            heard = ear.next()
        assert heard is not None
        client.logout()


def test_what_was_missed_is_told_by_the_last_id(running: House) -> None:
    with ear_of(running, ANN) as (browser, ear):
        hello = ear.next()
        assert hello is not None
        ear.close()
        put(running, ANN, "Missed")
        again = listen(browser, last=hello.id)
        told, ident = again.mail()
        assert told["new"] == 1 and told["threads"] == rows(browser)[:1]
        again.close()
        # the page's own number does the same, and the header counts more than it
        fresh = listen(browser, since=hello.id, last=ident)
        heard = fresh.next()
        assert heard is not None and (heard.name, heard.id) == ("hello", ident)
        fresh.close()


def test_who_missed_too_much_or_comes_from_elsewhere_begins_anew(running: House) -> None:
    browser = signed_in(running, PEOPLE[0])
    for since, name in (("1", "reload"), ("999999", "reload"), ("x", "hello"), ("9" * 30, "hello")):
        if since == "1":
            client = running.imap(PEOPLE[0])
            client.select("INBOX")
            for number in range(260):
                client.store(str(number % 300 + 1), "+FLAGS", f"k{number % 50}")
            client.logout()
        ear = listen(browser, since=since)
        heard = ear.next()
        assert heard is not None and heard.name == name and heard.id.isdigit(), since
        ear.close()


def ends(ear: Ear) -> list[str]:
    """Read to the end; the names of what was heard."""
    names = []
    while (heard := ear.next()) is not None:
        names.append(heard.name)
    return names


def test_signing_out_ends_the_stream_at_once_and_no_other(running: House) -> None:
    with ear_of(running, BOB) as (browser, ear), ear_of(running, BOB) as (_, other):
        assert ear.next() is not None and other.next() is not None
        browser.get("/webmail/mail/inbox")
        begun = time.monotonic()
        browser.post("/webmail/logout")
        assert ends(ear) == ["end"]
        assert time.monotonic() - begun < 10
        put(running, BOB, "Still there")
        assert other.mail()[0]["new"] == 1
        assert answer(browser) == 401


@pytest.mark.parametrize(("who", "command"), [(PEOPLE[2], "account.suspend"), (PEOPLE[3], "account.delete")])
def test_losing_access_ends_the_stream_at_once(running: House, who: str, command: str) -> None:
    with ear_of(running, who) as (_, ear):
        assert ear.next() is not None
        begun = time.monotonic()
        running.ask(command, address=who)
        assert ends(ear) == ["end"]
        assert time.monotonic() - begun < 15


def test_another_password_ends_the_streams_of_every_other_browser(running: House) -> None:
    with ear_of(running, PEOPLE[1]) as (_, ear):
        assert ear.next() is not None
        running.ask("account.passwd", address=PEOPLE[1], password="another secret")
        assert ends(ear)[-1:] == ["end"]


def test_an_account_has_24_streams(running: House) -> None:
    browser = signed_in(running, EVE)
    ears = [listen(browser) for _ in range(PER_ACCOUNT)]
    assert {ear.status for ear in ears} == {200}
    assert answer(browser) == 429
    ears[0].close()
    put(running, EVE, "One left")
    assert ears[1].mail()[0]["new"] == 1
    put(running, EVE, "And another")
    ears[1].mail()
    assert answer(browser) == 200
    for ear in ears:
        ear.close()


def test_nothing_is_told_to_another_account(running: House) -> None:
    with ear_of(running, ANN) as (_, ann), ear_of(running, BOB) as (_, bob):
        assert ann.next() is not None and bob.next() is not None
        put(running, ANN, "Hers")
        ann.mail()
        put(running, BOB, "His")
        told, _ = bob.mail()
        assert told["new"] == 1
        assert [one.name for one in bob.seen if one.name == "mail"] == ["mail"]
        assert len(json.dumps([one.data for one in bob.seen])) < 400


def test_nobody_listens_without_a_session(running: House) -> None:
    assert answer(Browser(running, secure=False)) == 401


# --- a reader that takes nothing -------------------------------------------------------------------------------------------


class Wire:
    """The end of a stream where nobody reads: what was written to it, and whether it was cut."""

    def __init__(self) -> None:
        self.written = 0
        self.cut = False
        self.channel = self

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def abort(self) -> None:
        self.cut = True


class Line:
    """A call as a stream needs it."""

    gone = False

    def __init__(self) -> None:
        self.request = Wire()


def test_F2_a_reader_that_takes_nothing_is_cut_when_64_kib_wait() -> None:
    streams, account = Streams(None), AccountId(1)  # type: ignore[arg-type]
    slow, quick = (Stream(Line(), Flow(), account, 0, 0.0, 0.0) for _ in range(2))  # type: ignore[arg-type]
    streams._open[account] += [slow, quick]
    slow.flow.pauseProducing()
    data = event("mail", "x" * 1000, "1")
    for _ in range(WAITING_MOST // len(data) + 1):
        streams.send(account, data)
    assert slow.call.request.cut and slow.call.request.written <= WAITING_MOST
    assert not quick.call.request.cut and len(streams) == 1
