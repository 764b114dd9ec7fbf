"""N13: what rules send ends. Forwards that point at each other, absences that meet, refusals of refusals; in one house, and
between two.
"""

from __future__ import annotations

import email
import itertools
from collections.abc import Iterator
from email.message import Message

import pytest

from tests.house import House, house
from tests.interop.outside import until
from tests.sieve_client import put_script

FORWARD = 'redirect "{}";'
AWAY = 'require "vacation"; vacation "I am away.";'
REFUSE = 'require "reject"; reject "No.";'
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[House]:
    """One house."""
    with house() as built:
        yield built


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[House, House]]:
    """Two houses, each the way out of the other."""
    with house(start=False) as one, house(start=False, domain="example.net") as two:
        one.env["MAILSTEAD_ROUTE_ALL"] = f"127.0.0.1:{two.smtp_port}"
        two.env["MAILSTEAD_ROUTE_ALL"] = f"127.0.0.1:{one.smtp_port}"
        one.start()
        two.start()
        yield one, two


def _mail(server: House, who: str, mailbox: str = "INBOX") -> list[Message]:
    with server.imap(who) as client:
        client.select(mailbox)
        found = client.search(None, "ALL")[1][0].split()
        return [email.message_from_bytes(client.fetch(one, "(BODY.PEEK[])")[1][0][1]) for one in found]  # type: ignore[index]


def _idle(*servers: House) -> None:
    """Wait until nothing is in any queue; looked at twice, for what is on its way from one to the other."""

    def empty() -> bool:
        return all(not server.ask("queue.list")["recipients"] for server in (*servers, *servers))

    until(empty, "empty queues")


def _person(server: House) -> str:
    return server.add_account(f"person{next(_numbers)}")


def _send(server: House, to: str, subject: str, sender: str) -> None:
    server.deliver(
        f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nx\r\n", to, sender=sender
    )


def _subjects(server: House, who: str) -> list[str]:
    return [str(one["Subject"]) for one in _mail(server, who)]


def test_N13_two_in_one_house_forward_to_each_other(server: House) -> None:
    ann, ben = _person(server), _person(server)
    put_script(server, ann, FORWARD.format(ben))
    put_script(server, ben, FORWARD.format(ann))
    _send(server, ann, "circle", "dora@example.org")
    _idle(server)
    assert _subjects(server, ann) + _subjects(server, ben) == ["circle"], (
        "kept once, by whoever would have sent it back"
    )


def test_N13_three_in_one_house(server: House) -> None:
    people = [_person(server) for _ in range(3)]
    for who, onward in zip(people, [*people[1:], people[0]], strict=True):
        put_script(server, who, FORWARD.format(onward))
    _send(server, people[0], "round", "dora@example.org")
    _idle(server)
    assert [subject for who in people for subject in _subjects(server, who)] == ["round"]


@pytest.mark.long
def test_N13_forwards_between_two_houses(pair: tuple[House, House]) -> None:
    one, two = pair
    ann, carl = _person(one), _person(two)
    put_script(one, ann, FORWARD.format(carl))
    put_script(two, carl, FORWARD.format(ann))
    _send(one, ann, "across", f"nobody{next(_numbers)}@example.test")
    _idle(one, two)
    (kept,) = [*_mail(one, ann), *_mail(two, carl)]
    assert kept["Subject"] == "across"
    assert len(kept.get_all("Received", [])) <= 4


@pytest.mark.long
def test_N13_a_copy_is_kept_and_comes_back_to_nobody(pair: tuple[House, House]) -> None:
    one, two = pair
    ann, carl = _person(one), _person(two)
    copy = 'require "copy"; redirect :copy "{}";'
    put_script(one, ann, copy.format(carl))
    put_script(two, carl, copy.format(ann))
    _send(one, ann, "copies", f"nobody{next(_numbers)}@example.test")
    _idle(one, two)
    assert (_subjects(one, ann), _subjects(two, carl)) == (["copies"], ["copies"])


@pytest.mark.long
def test_N13_two_absences_meet(pair: tuple[House, House]) -> None:
    one, two = pair
    ann, carl = _person(one), _person(two)
    put_script(one, ann, AWAY)
    put_script(two, carl, AWAY)
    with one.submission(ann) as client:
        client.sendmail(ann, [carl], f"From: {ann}\r\nTo: {carl}\r\nSubject: hello\r\n\r\nx\r\n")
    _idle(one, two)
    assert _subjects(two, carl) == ["hello"]
    (answer,) = _mail(one, ann)
    assert answer["Subject"] == "Auto: hello"
    assert answer["Return-Path"] == "<>"
    assert answer["Auto-Submitted"] == "auto-replied"


def test_N13_two_absences_meet_in_one_house(server: House) -> None:
    ann, ben = _person(server), _person(server)
    put_script(server, ann, AWAY)
    put_script(server, ben, AWAY)
    with server.submission(ann) as client:
        client.sendmail(ann, [ben], f"From: {ann}\r\nTo: {ben}\r\nSubject: hello\r\n\r\nx\r\n")
    _idle(server)
    assert _subjects(server, ben) == ["hello"]
    assert _subjects(server, ann) == ["Auto: hello"]


@pytest.mark.long
def test_N13_an_absence_meets_a_refusal(pair: tuple[House, House]) -> None:
    """The answer is refused; nobody is told, for it came from nobody."""
    one, two = pair
    ann, carl = _person(one), _person(two)
    put_script(one, ann, REFUSE)
    put_script(two, carl, AWAY)
    with one.submission(ann) as client:
        client.sendmail(ann, [carl], f"From: {ann}\r\nTo: {carl}\r\nSubject: hello\r\n\r\nx\r\n")
    _idle(one, two)
    assert _subjects(two, carl) == ["hello"]
    assert _mail(one, ann) == []


def test_N13_a_refusal_is_told_once(server: House) -> None:
    """A colleague refuses: the sender, who refuses everything as well, is told nothing that comes back."""
    ann, ben, eve = _person(server), _person(server), _person(server)
    put_script(server, ann, REFUSE)
    for sender in (ben, eve):
        if sender == eve:
            put_script(server, eve, REFUSE)
        with server.submission(sender) as client:
            client.sendmail(sender, [ann], f"From: {sender}\r\nTo: {ann}\r\nSubject: hello\r\n\r\nx\r\n")
    _idle(server)
    assert _mail(server, ann) == []
    (notice,) = _mail(server, ben)
    assert notice.get_content_type() == "multipart/report"
    text = notice.get_payload(0).get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert "does not want the message" in text
    assert "550 5.7.1 No." in text
    assert _mail(server, eve) == []


@pytest.mark.long
def test_N13_a_bounce_is_not_forwarded_for_ever(pair: tuple[House, House]) -> None:
    """The way on does not exist: its notification goes to the sender, and the notification of that to nobody."""
    one, two = pair
    ann, carl = _person(one), _person(two)
    put_script(one, ann, FORWARD.format("nobody-at-all@example.net"))
    put_script(two, carl, FORWARD.format("nobody-at-all@example.test"))
    with two.submission(carl) as client:
        client.sendmail(carl, [ann], f"From: {carl}\r\nTo: {ann}\r\nSubject: lost\r\n\r\nx\r\n")
    _idle(one, two)
    kept = [*_mail(one, ann), *_mail(two, carl)]
    assert kept == [], "the notification of a notification is nobody's"
