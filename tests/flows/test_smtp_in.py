"""Mail in: what is delivered to whom, once, with which trace, and what is answered while something is wrong."""

from __future__ import annotations

import re
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.ops import people
from appliance.ops.state import Ground
from data.directory.facts import Status
from data.errors import DiskFull, Unavailable
from tests.smtp_rig import Rig, message, rig


def addresses(ground: Ground) -> None:
    people.add_alias(ground, "sales@example.test", ["bob@example.test"], group=False, send_as=True, actor="test")
    people.add_alias(
        ground,
        "team@example.test",
        ["ann@example.test", "sales@example.test", "far@elsewhere.example"],
        group=True,
        send_as=False,
        actor="test",
    )
    people.add_alias(ground, "a1@example.test", ["a2@example.test"], group=False, send_as=False, actor="test")
    people.add_alias(ground, "a2@example.test", ["a1@example.test"], group=False, send_as=False, actor="test")
    people.set_status(ground, "eve@example.test", Status.SUSPENDED, "test")


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path, prepare=addresses) as made:
        yield made


def counts(one: Rig) -> tuple[int, int, int]:
    return len(one.inbox("ann")), len(one.inbox("bob")), len(one.inbox("eve"))


def deliver(one: Rig, *to: str, sent: bytes | None = None, sender: str = "x@example.org") -> bytes:
    with one.client() as client:
        client.ehlo()
        return client.mail(sent or message(), to=to, sender=sender)


def test_trace_fields_stand_above_the_message_and_it_is_not_touched(one: Rig) -> None:
    sent = message(body="Line one.\r\n\r\n.dot\r\n  spaces  \r\n", X_Odd="  two  spaces ")
    assert deliver(one, "Ann+tag@EXAMPLE.test", sent=sent).startswith(b"250 2.0.0")
    (found,) = one.inbox()
    head, found_again, rest = found.partition(sent)
    assert found_again == sent and rest == b""
    assert head.startswith(
        b"Return-Path: <x@example.org>\r\nDelivered-To: ann@example.test\r\n"
        b"Authentication-Results: mail.example.test;\r\n\tspf=temperror"
    )
    assert b"\r\nReceived: from client." in head
    assert b"for <Ann+tag@example.test>;" in head
    assert re.search(rb"\d\d:\d\d:\d\d [+-]\d{4}\r\n$", head)


def test_the_null_sender(one: Rig) -> None:
    assert deliver(one, "ann@example.test", sender="").startswith(b"250")
    assert one.inbox()[0].startswith(b"Return-Path: <>\r\n")


def test_several_recipients_are_not_named_to_each_other(one: Rig) -> None:
    assert deliver(one, "ann@example.test", "bob@example.test").startswith(b"250")
    for found in (*one.inbox("ann"), *one.inbox("bob")):
        assert b"for <" not in found
    assert b"bob@" not in one.inbox("ann")[0]


def test_an_account_gets_one_copy_by_however_many_names(one: Rig) -> None:
    names = ("bob@example.test", "sales@example.test", "BOB+x@example.test", "team@example.test")
    assert deliver(one, *names).startswith(b"250")
    assert counts(one) == (1, 1, 0)


def test_a_group_reaches_members_here_and_elsewhere(one: Rig) -> None:
    assert deliver(one, "team@example.test").startswith(b"250")
    assert counts(one) == (1, 1, 0)
    (waiting,) = one.spooled()
    assert (waiting.address, waiting.return_path, waiting.account) == ("far@elsewhere.example", "x@example.org", None)
    with one.ground.db.read() as reader:
        from sqlalchemy import select

        from data.disk import tables as t

        prefix, orcpt = reader.all(
            select(t.spool_item.c.prefix, t.spool_rcpt.c.orcpt).select_from(t.spool_item.join(t.spool_rcpt))
        )[0]
    assert prefix.startswith(b"Delivered-To: team@example.test\r\nAuthentication-Results: mail.example.test;")
    assert b"\r\nReceived: from client.example.org" in prefix
    assert orcpt == "rfc822;team@example.test"


def test_a_forward_that_comes_back_is_a_loop(one: Rig) -> None:
    sent = b"Delivered-To: team@example.test\r\n" + message()
    assert deliver(one, "team@example.test", sent=sent).startswith(b"554 5.4.6")
    assert deliver(one, "team@example.test", "ann@example.test", sent=sent).startswith(b"250")
    assert counts(one) == (1, 0, 0)
    assert one.spooled() == ()


def test_aliases_in_a_circle(one: Rig) -> None:
    assert deliver(one, "a1@example.test").startswith(b"550 5.4.6")


def test_a_suspended_account_still_receives(one: Rig) -> None:
    assert deliver(one, "eve@example.test").startswith(b"250")
    assert counts(one) == (0, 0, 1)


@pytest.mark.parametrize("name", ["postmaster", "Postmaster", "postmaster@example.test", "abuse@example.test"])
def test_who_runs_the_place_is_reached(one: Rig, name: str) -> None:
    assert deliver(one, name).startswith(b"250")
    assert counts(one) == (1, 0, 0)


def test_a_catch_all_takes_unknown_names(one: Rig) -> None:
    assert deliver(one, "whoever@example.test").startswith(b"550 5.1.1")
    people.set_catch_all(one.ground, "example.test", "bob@example.test", "test")
    assert deliver(one, "whoever@example.test").startswith(b"250")
    assert counts(one) == (0, 1, 0)


def test_a_retransmission_is_stored_once(one: Rig) -> None:
    """The 250 was lost, the sender tries again: same message, same network, stored once; a change of body is news."""
    sent = message()
    for _ in range(3):
        assert deliver(one, "ann@example.test", "team@example.test", sent=sent).startswith(b"250")
    assert counts(one) == (1, 1, 0)
    assert len(one.spooled()) == 1
    assert deliver(one, "eve@example.test", sent=sent).startswith(b"250")
    assert deliver(one, "ann@example.test", sent=sent, sender="y@example.org").startswith(b"250")
    assert deliver(one, "ann@example.test", sent=sent + b"P.S.\r\n").startswith(b"250")
    assert counts(one) == (3, 1, 1)
    with one.ground.db.read() as reader:
        from sqlalchemy import select

        from data.disk import tables as t

        told = [
            event for (event,) in reader.all(select(t.story.c.event).where(t.story.c.reason == "delivery.repeated"))
        ]
    assert told == ["discarded"] * 4


def test_who_heard_the_250_and_sends_the_same_again_means_it(one: Rig) -> None:
    """A client that goes on had its answer; one whose next command was on its way before it may not have had it."""
    sent = message()
    with one.client() as client:
        client.ehlo()
        for _ in range(3):
            assert client.mail(sent, to=("ann@example.test",), sender="x@example.org").startswith(b"250")
        assert client.cmd("QUIT").startswith(b"221")
    assert counts(one) == (3, 0, 0)
    assert deliver(one, "ann@example.test", sent=sent).startswith(b"250")
    assert deliver(one, "ann@example.test", sent=sent).startswith(b"250")
    assert counts(one) == (4, 0, 0)


def test_a_full_mailbox_is_said_at_rcpt(one: Rig) -> None:
    bob = one.ground.directory.account("bob@example.test").id
    one.ground.db.write(lambda tx: one.ground.directory.set_quota_in(tx, bob, 2000))
    with one.client() as client:
        client.ehlo()
        client.cmd("MAIL FROM:<x@example.org> SIZE=3000")
        assert client.cmd("RCPT TO:<bob@example.test>").startswith(b"452 4.2.2")
        assert client.cmd("RCPT TO:<ann@example.test>").startswith(b"250")
    answers = [deliver(one, "bob@example.test")[:9] for _ in range(8)]
    assert answers[0] == b"250 2.0.0"
    assert answers[-1] == b"452 4.2.2"
    assert deliver(one, "team@example.test").startswith(b"250")


@pytest.mark.parametrize(
    ("error", "expected"),
    [(DiskFull("no"), b"452 4.3.1"), (Unavailable("no"), b"451 4.3.0"), (ValueError("secret"), b"451 4.3.0")],
)
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_failure_of_ours_is_temporary_and_nothing_is_half_done(
    one: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: bytes, size: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    sent = message(body=("x" * 78 + "\r\n") * (size // 80 + 1))
    with one.client() as client:
        client.ehlo()
        with monkeypatch.context() as patch:
            patch.setattr(one.ground.store.messages, "append_in", fail)
            answer = client.mail(sent)
            assert answer.startswith(expected)
            assert b"secret" not in answer
        assert client.mail(sent).startswith(b"250")
    assert counts(one) == (1, 0, 0)


def test_a_failure_of_the_store_while_the_message_comes(one: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told at the final dot; what came is forgotten, and the session goes on."""
    from data.store.intake import Intake

    feed = Intake.feed
    calls = iter(range(100))

    def fail(self: Intake, data: bytes) -> None:
        if next(calls) == 2:
            raise DiskFull("no")
        feed(self, data)

    sent = message(body=("x" * 78 + "\r\n") * 10_000)
    with one.client() as client:
        client.ehlo()
        with monkeypatch.context() as patch:
            patch.setattr(Intake, "feed", fail)
            assert client.mail(sent).startswith(b"452 4.3.1")
        assert client.mail(sent).startswith(b"250")
    assert one.inbox()[0].endswith(sent)
    assert not list((one.ground.state / "blobs" / "tmp").glob("*"))


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000, 3_000_000])
@pytest.mark.parametrize("bdat", [False, True])
def test_sizes_around_every_border(one: Rig, size: int, bdat: bool) -> None:
    body = (b".23456789abcdef" * 5 + b"\r\n") * (size // 77) + b"." * (size % 77) + b"\r\n"
    sent = message() + body
    with one.client() as client:
        client.ehlo()
        if bdat:
            client.cmd("MAIL FROM:<x@example.org>")
            client.cmd("RCPT TO:<ann@example.test>")
            half = len(sent) // 2
            client.send(b"BDAT %d\r\n" % half + sent[:half] + b"BDAT %d LAST\r\n" % (len(sent) - half) + sent[half:])
            assert [answer[:3] for answer in client.replies(2)] == [b"250", b"250"]
        else:
            assert client.mail(sent).startswith(b"250")
    head, found, rest = one.inbox()[0].partition(sent)
    assert found == sent and rest == b""
    trace = rb"Return-Path: .*\r\nDelivered-To: .*\r\nAuthentication-Results: .*\r\n(?:\t.*\r\n)+Received: .*\r\n(?:\t.*\r\n)+"
    assert re.fullmatch(trace, head), "trace only"
    assert not list((one.ground.state / "blobs" / "tmp").glob("*"))


def test_a_client_that_goes_away_leaves_nothing(one: Rig) -> None:
    for octets in (b"Subject: x\r\n\r\nhalf", b"Subject: x\r\n\r\n" + b"y" * 300_000):
        client = one.client()
        client.ehlo()
        client.cmd("MAIL FROM:<x@example.org>")
        client.cmd("RCPT TO:<ann@example.test>")
        client.cmd("DATA")
        client.send(octets)
        client.sock.close()
    assert deliver(one, "bob@example.test").startswith(b"250")
    assert counts(one) == (0, 1, 0)
    one.run(_quiet(one))
    assert not list((one.ground.state / "blobs" / "tmp").glob("*"))


async def _quiet(one: Rig) -> None:
    """Until every connection is over."""
    import asyncio

    while one.listeners["mx"]._open:
        await asyncio.sleep(0.01)


def test_a_client_that_closes_its_side_still_gets_its_answers(one: Rig) -> None:
    import socket

    with one.client() as client:
        client.send(
            b"EHLO a\r\nMAIL FROM:<x@example.org>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\n"
            + message()
            + b".\r\nNOOP\r\n"
        )
        client.sock.shutdown(socket.SHUT_WR)
        said = client.rest()
    assert [line[:3] for line in said.splitlines() if line[3:4] == b" "] == [b"250"] * 3 + [b"354", b"250", b"250"]
    assert counts(one) == (1, 0, 0)


def test_the_story_is_written_with_the_delivery(one: Rig) -> None:
    answer = deliver(one, "team@example.test")
    trail = answer.split()[-1].decode()
    hops = one.ground.story.of(trail)
    assert sorted((hop.event, hop.recipient) for hop in hops if hop.event == "delivered") == [
        ("delivered", "ann@example.test"),
        ("delivered", "bob@example.test"),
    ]


def test_smtplib(one: Rig) -> None:
    with smtplib.SMTP("127.0.0.1", one.ports["mx"], local_hostname="client.example.org") as client:
        refused = client.sendmail(
            "x@example.org",
            ["ann@example.test", "nobody@example.test"],
            "Subject: from smtplib\r\n\r\n.one\r\ntwo\r\n",
            mail_options=["BODY=8BITMIME"],
        )
    assert list(refused) == ["nobody@example.test"]
    assert refused["nobody@example.test"][0] == 550
    assert one.inbox()[0].endswith(b"\r\nSubject: from smtplib\r\n\r\n.one\r\ntwo\r\n")


@pytest.mark.interop
@pytest.mark.parametrize("options", [[], ["--tls"], ["--pipeline"], ["--tls", "--pipeline"]], ids=" ".join)
def test_swaks(one: Rig, program: Callable[[str], str], options: list[str]) -> None:
    done = subprocess.run(
        [
            program("swaks"),
            *("--server", f"127.0.0.1:{one.ports['mx']}", "--helo", "client.example.org"),
            *("--from", "x@example.org", "--to", "ann@example.test,bob@example.test"),
            *("--header", "Subject: from swaks", "--body", "Hello.", *options),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(one) == (1, 1, 0)
    assert b"Subject: from swaks" in one.inbox()[0]
    assert (b"with ESMTPS\r\n" in one.inbox()[0]) is ("--tls" in options)
