"""Submission: what our own people send, through 587, 465 and the door itself."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.ops import people
from appliance.ops.state import Ground
from data.ids import Millis
from data.reason import Reason
from data.spool.envelope import State
from smtp import reply
from smtp.policy.limits import Limits
from smtp.reply import Refused
from smtp.submission import SubmitRecipient, SubmitRequest, Submitted, Via
from tests.smtp_rig import PASSWORD, Rig, message, rig


def addresses(ground: Ground) -> None:
    people.add_alias(
        ground,
        "team@example.test",
        ["bob@example.test", "eve@example.test", "far@elsewhere.example"],
        group=True,
        send_as=False,
        actor="test",
    )


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path, prepare=addresses) as made:
        yield made


def written(**fields: str) -> bytes:
    return message(sender="Ann <ann@example.test>", **fields)


def request(one: Rig, *to: str, content: bytes | None = None) -> SubmitRequest:
    return SubmitRequest(
        principal=one.principal(),
        return_path="ann@example.test",
        recipients=tuple(SubmitRecipient(name) for name in to),
        content=content or written(),
        via=Via("HTTPS"),
    )


def submit(one: Rig, asked: SubmitRequest) -> Submitted:
    done = one.run(one.submission.submit(asked))
    assert isinstance(done, Submitted)
    return done


def refused(one: Rig, asked: SubmitRequest) -> reply.Reply:
    with pytest.raises(Refused) as no:
        submit(one, asked)
    return no.value.reply


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_colleagues_get_it_at_once_and_others_through_the_spool(one: Rig, listener: str) -> None:
    sent = written()
    with one.signed_in("ann", listener) as client:
        to = ["bob@example.test", "Far.Away@Sub.Elsewhere.EXAMPLE", "team@example.test"]
        assert client.mail(sent, to=to, sender="Ann@example.test").startswith(b"250 2.0.0 Accepted as ")
    assert len(one.inbox("bob")) == len(one.inbox("eve")) == 1
    found = one.inbox("bob")[0]
    assert found.endswith(sent)
    head = found[: -len(sent)]
    assert head.startswith(
        b"Return-Path: <Ann@example.test>\r\nDelivered-To: bob@example.test\r\nReceived: by mail.example.test"
    )
    assert b"with ESMTPSA\r\n" in head and b"(TLSv1.3 " in head
    assert b"127.0.0.1" not in head and b"client.example.org" not in head
    waiting = {(row.address, row.state) for row in one.spooled()}
    assert waiting == {
        ("Far.Away@sub.elsewhere.example", State.QUEUED),
        ("far@elsewhere.example", State.QUEUED),
    }


def test_missing_fields_are_added_and_bcc_goes(one: Rig) -> None:
    sent = b"Return-Path: <liar@example.org>\r\nFrom: ann@example.test\r\nBcc: eve@example.test\r\nResent-Bcc: eve@example.test\r\n\r\nx\r\n"
    with one.signed_in() as client:
        to = ["bob@example.test", "eve@example.test"]
        assert client.mail(sent, to=to, sender="ann@example.test").startswith(b"250")
    for who in ("bob", "eve"):
        (found,) = one.inbox(who)
        assert b"Bcc" not in found and b"liar" not in found
        assert found.count(b"\r\nDate: ") == found.count(b"\r\nMessage-ID: <") == 1
        assert found.endswith(b"\r\nFrom: ann@example.test\r\n\r\nx\r\n")
        assert found.startswith(b"Return-Path: <ann@example.test>\r\n")


def test_a_large_message_is_fixed_as_well(one: Rig) -> None:
    body = ("y" * 78 + "\r\n").encode() * 20_000
    sent = b"From: ann@example.test\r\nBcc: eve@example.test\r\nSubject: large\r\n\r\n" + body
    with one.signed_in() as client:
        assert client.mail(sent, to=["bob@example.test"], sender="ann@example.test").startswith(b"250")
    (found,) = one.inbox("bob")
    assert found.endswith(b"From: ann@example.test\r\nSubject: large\r\n\r\n" + body)
    assert b"\r\nMessage-ID: <" in found and b"Bcc" not in found


def test_a_header_that_is_too_large_to_look_at(one: Rig) -> None:
    fill = ("X-Fill: " + "y" * 70 + "\r\n").encode() * 1500
    with one.signed_in() as client:
        sent = b"From: ann@example.test\r\n" + fill + b"\r\nx\r\n"
        assert client.mail(sent, to=["bob@example.test"], sender="ann@example.test").startswith(b"552 5.3.4")
        assert client.cmd("NOOP").startswith(b"250")


def test_dsn_parameters_are_kept_and_success_is_told_by_the_queue(one: Rig) -> None:
    with one.signed_in() as client:
        assert client.cmd("MAIL FROM:<ann@example.test> RET=HDRS ENVID=id+2B7").startswith(b"250")
        for one_to in (
            "RCPT TO:<x@elsewhere.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@elsewhere.example",
            "RCPT TO:<bob@example.test> NOTIFY=SUCCESS",
            "RCPT TO:<eve@example.test> NOTIFY=NEVER",
        ):
            assert client.cmd(one_to).startswith(b"250")
        assert client.cmd("DATA").startswith(b"354")
        client.send(written() + b".\r\n")
        assert client.reply().startswith(b"250")
    with one.ground.db.read() as reader:
        from sqlalchemy import select

        from data.disk import tables as t

        item = reader.all(select(t.spool_item.c.ret, t.spool_item.c.envid))
        rows = reader.all(
            select(t.spool_rcpt.c.address, t.spool_rcpt.c.notify, t.spool_rcpt.c.orcpt, t.spool_rcpt.c.state)
        )
    assert item == [("HDRS", "id+2B7")]
    assert rows == [
        ("x@elsewhere.example", "SUCCESS,DELAY", "rfc822;x+2By@elsewhere.example", "queued"),
        ("bob@example.test", "SUCCESS", None, "queued"),
        ("eve@example.test", "NEVER", None, "delivered"),
    ]
    assert (len(one.inbox("bob")), len(one.inbox("eve"))) == (0, 1)


def test_requiretls_goes_along(one: Rig) -> None:
    with one.signed_in() as client:
        assert client.cmd("MAIL FROM:<ann@example.test> REQUIRETLS").startswith(b"250")
        client.cmd("RCPT TO:<x@elsewhere.example>")
        client.cmd("DATA")
        client.send(written() + b".\r\n")
        assert client.reply().startswith(b"250")
    with one.ground.db.read() as reader:
        from sqlalchemy import select

        from data.disk import tables as t

        assert reader.all(select(t.spool_item.c.requiretls)) == [(1,)]


def test_held_and_later_mail_waits_for_colleagues_too(one: Rig) -> None:
    later = Millis(one.ground.clock.now() + 3_600_000)
    first = submit(one, replace(request(one, "bob@example.test", "team@example.test"), not_before=later))
    second = submit(one, replace(request(one, "eve@example.test"), hold=Reason("hold.approval")))
    assert first.item != second.item
    assert len(one.inbox("bob")) == len(one.inbox("eve")) == 0
    assert {(row.address, row.state) for row in one.spooled()} == {
        ("bob@example.test", State.QUEUED),
        ("team@example.test", State.QUEUED),
        ("eve@example.test", State.FROZEN),
    }


def test_the_same_key_is_the_same_sending(one: Rig) -> None:
    asked = replace(request(one, "bob@example.test", "x@elsewhere.example"), idempotency_key="draft-1")
    first, again = submit(one, asked), submit(one, asked)
    assert (first.item, first.again, again.item, again.again) == (first.item, False, first.item, True)
    assert len(one.inbox("bob")) == len(one.spooled()) == 1
    other = submit(
        one,
        replace(
            asked,
            principal=one.principal("bob"),
            return_path="bob@example.test",
            content=message(sender="bob@example.test"),
        ),
    )
    assert other.item != first.item


def test_the_door_looks_for_itself(one: Rig) -> None:
    """Whatever a face forgot, the door refuses; nothing of it rests anywhere."""
    fine = request(one, "bob@example.test")
    store = one.ground.store.messages
    assert refused(one, replace(fine, recipients=())) is reply.NO_RECIPIENTS
    assert refused(one, replace(fine, return_path="bob@example.test")) is reply.NOT_YOUR_RETURN_PATH
    assert refused(one, replace(fine, content=message(sender="bob@example.test"))) is reply.NOT_YOUR_FROM
    assert refused(one, replace(fine, content=b"From: ann@example.test\r\n\r\nbare\nline\r\n")) is reply.BAD_LINE_ENDS
    assert refused(one, request(one, "nobody@example.test")) is reply.USER_UNKNOWN
    assert refused(one, request(one, "x@[127.0.0.1]")) is reply.RELAY_DENIED
    assert refused(one, request(one, "x%y.test@example.test")) is reply.RELAY_DENIED
    assert refused(one, request(one, "no address")) is reply.BAD_RECIPIENT
    assert refused(one, request(one, "ü@elsewhere.example")) is reply.RECIPIENT_NEEDS_UTF8
    unchecked = store.prepare(b"From: ann@example.test\r\nBcc: eve@example.test\r\n\r\nx\r\n")
    assert refused(one, replace(fine, content=unchecked)) is reply.BAD_HEADER
    foreign = store.prepare(message(sender="bob@example.test"))
    assert refused(one, replace(fine, content=foreign)) is reply.NOT_YOUR_FROM
    assert one.everything() == [] and one.spooled() == ()


def test_smtputf8_addresses(one: Rig) -> None:
    asked = replace(request(one, "użytkownik@bücher.example"), smtputf8=True)
    submit(one, asked)
    (row,) = one.spooled()
    assert (row.address, row.domain) == ("użytkownik@xn--bcher-kva.example", "xn--bcher-kva.example")


def test_an_account_sends_to_so_many_and_no_more(tmp_path: Path) -> None:
    with rig(tmp_path, outflow=3) as made:
        to = [f"x{n}@elsewhere.example" for n in range(4)]
        assert refused(made, request(made, *to)) is reply.TOO_MANY_TODAY
        submit(made, request(made, *to[:3]))
        with made.signed_in() as client:
            assert client.mail(written(), to=to[:1], sender="ann@example.test").startswith(b"450 4.7.1")
        bob = replace(
            request(made, to[0]),
            principal=made.principal("bob"),
            return_path="bob@example.test",
            content=message(sender="bob@example.test"),
        )
        submit(made, bob)


def test_the_story_of_a_submission(one: Rig) -> None:
    done = submit(one, request(one, "bob@example.test"))
    hops = [(hop.event, hop.sender, hop.recipient) for hop in one.ground.story.of(done.trail)]
    assert hops == [
        ("submitted", "ann@example.test", "bob@example.test"),
        ("delivered", "ann@example.test", "bob@example.test"),
    ]


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_smtplib(one: Rig) -> None:
    with smtplib.SMTP("127.0.0.1", one.ports["submission"], local_hostname="client.example.org") as client:
        client.starttls(context=trusting())
        client.login("ann", PASSWORD)
        assert client.sendmail("ann@example.test", ["bob@example.test"], written()) == {}
    with smtplib.SMTP_SSL("127.0.0.1", one.ports["submissions"], context=trusting()) as tls:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            tls.login("ann@example.test", "wrong")
        tls.login("ann@example.test", PASSWORD)
        assert tls.sendmail("ann@example.test", ["bob@example.test"], written()) == {}
    assert len(one.inbox("bob")) == 2


@pytest.mark.interop
@pytest.mark.parametrize("kind", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_swaks(one: Rig, program: Callable[[str], str], kind: str, listener: str) -> None:
    done = subprocess.run(
        [
            program("swaks"),
            *(
                "--server",
                f"127.0.0.1:{one.ports[listener]}",
                "--tls" if listener == "submission" else "--tls-on-connect",
            ),
            *("--auth", kind, "--auth-user", "ann@example.test", "--auth-password", PASSWORD),
            *("--from", "ann@example.test", "--to", "bob@example.test", "--header", "Subject: from swaks"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"Subject: from swaks" in one.inbox("bob")[0]


@pytest.mark.interop
def test_curl(one: Rig, program: Callable[[str], str], tmp_path: Path) -> None:
    letter = tmp_path / "letter"
    letter.write_bytes(written(subject="from curl"))
    for url in (f"smtp://127.0.0.1:{one.ports['submission']}", f"smtps://127.0.0.1:{one.ports['submissions']}"):
        done = subprocess.run(
            [
                program("curl"),
                *("-sS", "--insecure", "--ssl-reqd", "--url", url, "--user", f"ann@example.test:{PASSWORD}"),
                *("--mail-from", "ann@example.test", "--mail-rcpt", "bob@example.test", "--upload-file", str(letter)),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert len(one.inbox("bob")) == 2


def test_a_drain_ends_the_idle_and_lets_a_message_finish(tmp_path: Path) -> None:
    """TERM: idle sessions get 421, who is in DATA may finish, nobody new is let in."""
    with rig(tmp_path, limits=Limits(disk_floor=0)) as made:
        idle, busy = made.client(), made.client()
        with idle, busy:
            idle.ehlo()
            busy.ehlo()
            busy.cmd("MAIL FROM:<x@example.org>")
            busy.cmd("RCPT TO:<ann@example.test>")
            assert busy.cmd("DATA").startswith(b"354")
            busy.send(b"Subject: last\r\n\r\n")
            import asyncio

            draining = asyncio.run_coroutine_threadsafe(made.listeners["mx"].drain(made.loop.time() + 10), made.loop)
            assert idle.rest().startswith(b"421 4.3.2")
            with pytest.raises(OSError):
                made.client()
            busy.send(b"words\r\n.\r\n")
            assert busy.reply().startswith(b"250 2.0.0")
            assert busy.rest().startswith(b"421 4.3.2")
            draining.result(10)
        assert len(made.inbox()) == 1


def test_a_drain_does_not_wait_for_ever(tmp_path: Path) -> None:
    with rig(tmp_path) as made, made.client() as client:
        client.ehlo()
        client.cmd("MAIL FROM:<x@example.org>")
        client.cmd("RCPT TO:<ann@example.test>")
        client.cmd("DATA")
        made.run(made.listeners["mx"].drain(made.loop.time() + 0.2))
        made.run(made.listeners["mx"].stop())
        assert client.rest() == b""
        assert made.inbox() == []
