"""The server ends while people send from the webmail: what was acknowledged is once in Sent and once in the queue.

Writers send again until they are answered, as a browser does whose form is sent again; the server ends at a crash point, or
by SIGKILL at any moment, and is started again. The crash points: W1 the draft is saved and the door has not taken the
message, W2 it has and Sent has no copy, W3 all is done and nobody was told; C3 to C5 lie inside what is written (C3 and C4 where a message with a file is).
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import http.client
import json
import random
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.house import House, house
from tests.web_rig import Answer, Browser

pytestmark = pytest.mark.crash

ANN, BOB = "ann@example.test", "bob@example.test"
WRITERS = 4
SECONDS = 120.0


@dataclass
class Message:
    """One message, and what its writer was told."""

    number: int
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    file: bytes = b""
    place: dict[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    sent: bool = False

    @property
    def subject(self) -> str:
        """Its name, as one that is seen again."""
        return f"crash {self.number}"

    def form(self, do: str) -> list[tuple[str, str]]:
        """What the editor sends."""
        text = {"key": self.key, "to": f"Bob <{BOB}>", "subject": self.subject, "text": f"{self.subject}\n\nno. 1\n"}
        return [("do", do), *text.items(), *self.place.items(), *(("keep", one) for one in self.keep)]


@dataclass
class Writers:
    """People at their browsers, each with a share of the messages."""

    house: House
    browser: Browser
    done: threading.Event = field(default_factory=threading.Event)
    errors: list[str] = field(default_factory=list)
    again: int = 0

    def ask(self, path: str, body: bytes | str, kind: str) -> Answer:
        """One request of a browser that is signed in; again until there is an answer."""
        browser, end = replace(self.browser, cookies=dict(self.browser.cookies)), time.monotonic() + SECONDS
        head = {"Content-Type": kind, "Origin": browser.origin, "X-CSRF-Token": browser.token, "HX-Request": "true"}
        while True:
            try:
                return browser.ask("POST", path, body, head)
            except (OSError, http.client.HTTPException, ssl.SSLError):
                self.again += 1
                assert time.monotonic() < end, "nobody answers"
                time.sleep(0.05)

    def post(self, message: Message, do: str) -> Answer:
        """A form of the editor."""
        body = urlencode([("csrf", self.browser.token), *message.form(do)])
        return self.ask("/webmail/compose", body, "application/x-www-form-urlencoded")

    def attach(self, message: Message) -> None:
        """Save the draft and its file."""
        state = json.loads(self.post(message, "save").text)
        query = urlencode({"key": message.key, "version": state["version"], "name": f"{message.number}.bin"})
        answer = self.ask(f"/webmail/upload?{query}", message.file, "application/octet-stream")
        assert answer.status == 200, answer.text
        state = json.loads(answer.text)
        message.place = {"version": str(state["version"]), "source": state["source"]}
        message.keep = tuple(str(one["number"]) for one in state["files"])

    def send(self, message: Message) -> None:
        """Until it is acknowledged; anything but that is an error."""
        answer = self.post(message, "send")
        if answer.headers.get("HX-Location") != f"/webmail/outgoing/{message.key}":
            self.errors.append(f"{message.subject}: {answer.status} {answer.text[:300]}")
        message.sent = True

    def upload(self, message: Message) -> None:
        """One attempt to save a draft with a file, whatever comes of it: a conflict is an answer, too."""
        answer = self.post(message, "save")
        if answer.status == 200:
            query = urlencode({"key": message.key, "version": json.loads(answer.text)["version"], "name": "up.bin"})
            self.ask(f"/webmail/upload?{query}", message.file, "application/octet-stream")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("send") / "state", profile="bench") as built:
        built.add_account(ANN)
        built.add_account(BOB)
        yield built


@pytest.fixture
def writers(kept: House) -> Writers:
    if kept.process is None:
        kept.start()
    browser = Browser(kept, secure=False)
    browser.sign_in(ANN)
    browser.get("/webmail/compose")
    return Writers(kept, browser)


def made(count: int, first: int, *, files: bool) -> list[Message]:
    chance = random.Random(first)
    return [
        Message(first + n, file=chance.randbytes(chance.randint(100_000, 150_000)) if files else b"")
        for n in range(count)
    ]


def mails(built: House, user: str, name: str) -> list[email.message.EmailMessage]:
    with built.imap(user) as client:
        client.select(name, readonly=True)
        _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        parts = [part[1] for part in data if isinstance(part, tuple)]
    return [email.message_from_bytes(one, policy=email.policy.default) for one in parts]  # type: ignore[misc]


def queued(built: House) -> Counter[str]:
    """How often each Message-ID waits in the queue or lies at its recipient."""
    built.ask("queue.retry", item=[])
    end = time.monotonic() + 60
    while built.ask("queue.list")["recipients"]:
        assert time.monotonic() < end, "the queue does not get empty"
        time.sleep(0.05)
    return Counter(one["Message-ID"] for one in mails(built, BOB, "INBOX"))


def judge(built: House, messages: list[Message]) -> None:
    """Everything that must hold once all were acknowledged."""
    names = {f"<{one.key}@example.test>": one for one in messages}
    sent = mails(built, ANN, "Sent")
    assert {name: n for name, n in Counter(m["Message-ID"] for m in sent).items() if name in names} == dict.fromkeys(
        names, 1
    )
    assert {name: n for name, n in queued(built).items() if name in names} == dict.fromkeys(names, 1)
    assert not [one for one in mails(built, ANN, "Drafts") if one["Message-ID"] in names]
    for mail in sent:
        if one := names.get(mail["Message-ID"]):
            files = [part.get_content() for part in mail.iter_attachments()]
            assert files == ([one.file] if one.file else []), one.subject


def survive(built: House, writers: Writers, messages: list[Message], points: list[str | None]) -> None:
    """Send them all while the server ends at one point after the other (None: by SIGKILL, a moment from now)."""
    chance = random.Random(len(messages))
    built.stop()
    with ThreadPoolExecutor(WRITERS) as pool:
        work = []
        for at, point in enumerate(points):
            built.start(env={"MAILSTEAD_CRASHPOINT": point} if point else None)
            share = messages[at * len(messages) // len(points) : (at + 1) * len(messages) // len(points)]
            work += [pool.submit(writers.send, one) for one in share]
            if point is None:
                time.sleep(chance.uniform(0.05, 0.5))
                built.kill()
            else:
                assert built.ended(60) == 77, f"{point} was not passed"
        built.start()
        for one in work:
            one.result(SECONDS)
    assert writers.errors == []
    assert writers.again > 0, "no request ever met a dead server"


def test_what_was_acknowledged_is_sent_once(kept: House, writers: Writers) -> None:
    messages = made(16, 0, files=False)
    for one in (files := made(4, 100, files=True)):
        writers.attach(one)
    every = [message for pair in zip(*[iter(messages)] * 4, files, strict=True) for message in pair]
    survive(kept, writers, every, ["W1:2", "W2:2", "W3:3", None])
    # the browser's last form comes again, long after
    for one in every[:3]:
        writers.send(one)
    judge(kept, every)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_what_was_acknowledged_is_sent_once_however_often_it_ends(kept: House, writers: Writers) -> None:
    points: list[str | None] = [f"{name}:{n}" for n in (1, 3, 6) for name in ("W1", "W2", "W3", "C5")]
    points += ["C3:1", "C4:1", *([None] * 12)]
    messages = made(len(points) * 10, 1000, files=False)
    for one in (files := made(len(points), 5000, files=True)):
        writers.attach(one)
    every = [m for n, one in enumerate(files) for m in (*messages[n * 10 : n * 10 + 10], one)]
    survive(kept, writers, every, points)
    judge(kept, every)
    assert kept.run("verify").returncode == 0


@pytest.mark.long
@pytest.mark.timeout(300)
def test_files_that_go_up_while_it_ends_are_whole_or_not_there(kept: House, writers: Writers) -> None:
    messages, chance = made(60, 9000, files=True), random.Random(5)
    with ThreadPoolExecutor(WRITERS) as pool:
        work = [pool.submit(writers.upload, one) for one in messages]
        for _ in range(4):
            time.sleep(chance.uniform(0.2, 0.8))
            kept.kill()
            kept.start()
        for one in work:
            one.result(SECONDS)
    known = {hashlib.sha256(one.file).digest() for one in messages}
    drafts = [one for one in mails(kept, ANN, "Drafts") if str(one["Subject"]).startswith("crash 9")]
    found = [part.get_content() for one in drafts for part in one.iter_attachments()]
    assert found and all(hashlib.sha256(one).digest() in known for one in found)
    kept.stop()
    kept.start()
    assert not [one for one in (Path(kept.state) / "incoming").rglob("*") if one.is_file()]
    assert kept.run("verify").returncode == 0
