"""S1, S2, S3: where a message ends, we and everybody else agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smtp.queue.stuffing import Stuffer
from tests.smtp_rig import Client, Rig, message, rig

ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r.\n", b"\n.\r", b"\r\n.\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
    b"\r\n.\r\r\n", b"\r\r\n.\r\n", b"\n\r\n.\n\r\n",
]  # fmt: skip
SECOND = (
    b"MAIL FROM:<admin@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
    b"From: admin@example.test\r\nSubject: smuggled\r\n\r\nsecond\r\n.\r\n"
)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("smuggling")) as made:
        yield made


def ready(one: Rig, listener: str) -> tuple[Client, str]:
    """A client at the point where it may send a message."""
    if listener == "mx":
        client, sender = one.client(), "x@example.org"
        client.ehlo()
    else:
        client, sender = one.signed_in("ann", listener), "ann@example.test"
    assert client.cmd(f"MAIL FROM:<{sender}>").startswith(b"250")
    assert client.cmd("RCPT TO:<eve@example.test>").startswith(b"250")
    return client, sender


@pytest.mark.parametrize("listener", ["mx", "submission", "submissions"])
@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_S1_never_two_messages(one: Rig, listener: str, end: bytes) -> None:
    before = len(one.everything())
    client, sender = ready(one, listener)
    with client:
        assert client.cmd("DATA").startswith(b"354")
        client.send(f"From: {sender}\r\nSubject: first\r\n\r\nfirst".encode() + end + SECOND)
        said = client.rest()
    assert said.startswith(b"550 5.5.2"), said
    assert said.count(b"\r\n") == 1
    assert len(one.everything()) == before


@pytest.mark.parametrize("stride", [1, 7])
def test_S1_in_small_segments(one: Rig, stride: int) -> None:
    before = len(one.everything())
    client, _ = ready(one, "mx")
    with client:
        assert client.cmd("DATA").startswith(b"354")
        octets = b"Subject: first\r\n\r\nfirst\r\n.\n" + SECOND
        for at in range(0, 40, stride):
            client.send(octets[at : at + stride])
        assert client.rest().startswith(b"550 5.5.2")
    assert len(one.everything()) == before


@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n"])
def test_S1_bdat_has_the_same_rule(one: Rig, octets: bytes) -> None:
    before = len(one.everything())
    client, _ = ready(one, "mx")
    with client:
        client.send(b"BDAT %d LAST\r\n" % len(octets) + octets)
        assert client.rest().startswith(b"550 5.5.2")
    assert len(one.everything()) == before


def test_S1_dots_come_through_unchanged(one: Rig) -> None:
    body = ".\r\n..\r\n. \r\n.a\r\na.\r\n.\r\n"
    before = len(one.inbox("eve"))
    client, _ = ready(one, "mx")
    with client:
        client.cmd("RSET")
        assert client.mail(message(body=body), to=["eve@example.test"]).startswith(b"250")
    found = one.inbox("eve")
    assert len(found) == before + 1
    assert found[-1].endswith(("\r\n\r\n" + body).encode())


@pytest.mark.parametrize("octets", [b"x\ny", b"x\ry", b"x\n.\ny", b"a\0b"])
def test_S2_what_our_own_people_send_holds_no_bare_line_end(one: Rig, octets: bytes) -> None:
    """587, and the same door without SMTP (webmail, robots): refused before it rests anywhere."""
    from smtp.reply import Refused
    from smtp.submission import SubmitRecipient, SubmitRequest, Via

    content = b"From: ann@example.test\r\n\r\n" + octets + b"\r\n"
    with one.signed_in() as client:
        client.cmd("MAIL FROM:<ann@example.test>")
        client.cmd("RCPT TO:<x@sink.example>")
        assert client.cmd("DATA").startswith(b"354")
        client.send(content + b".\r\n")
        assert client.rest().startswith(b"550 5.5.2")
    request = SubmitRequest(
        principal=one.principal(),
        return_path="ann@example.test",
        recipients=(SubmitRecipient("x@sink.example"),),
        content=content,
        via=Via("HTTPS"),
    )
    with pytest.raises(Refused) as no:
        one.run(one.submission.submit(request))
    assert no.value.reply.code == 550
    assert one.spooled() == ()


def test_S2_every_dot_at_the_start_of_a_line_is_stuffed_on_its_way_out(one: Rig) -> None:
    """What the queue would put on the wire for a message that rests here."""
    body = ".\r\n.\r\n..\r\nMAIL FROM:<a@b.test>\r\n"
    with one.signed_in() as client:
        sent = message(body=body, sender="ann@example.test")
        assert client.mail(sent, to=["eve@example.test"], sender="ann@example.test").startswith(b"250")
    stuffer = Stuffer()
    wire = stuffer.feed(one.inbox("eve")[-1]) + stuffer.finish()
    assert b"\r\n.\r\n" not in wire[:-5]
    assert wire.count(b"\r\n..") == 3


def test_S3_a_chunk_that_is_shorter_than_it_said_waits_for_the_rest(one: Rig) -> None:
    before = len(one.inbox("eve"))
    client, _ = ready(one, "mx")
    with client:
        client.send(b"BDAT 40 LAST\r\nSubject: short\r\n\r\n")
        client.send(b"QUIT\r\nMAIL FROM:<a@b.test>\r\n"[: 40 - 18])
        assert client.reply().startswith(b"250 2.0.0")
    assert len(one.inbox("eve")) == before + 1
    assert one.inbox("eve")[-1].endswith(b"\r\n\r\nQUIT\r\nMAIL FROM:<a@b.t\r\n")


def test_S3_commands_after_the_last_chunk_are_commands(one: Rig) -> None:
    client, _ = ready(one, "mx")
    with client:
        client.send(b"BDAT 16 LAST\r\nSubject: a\r\n\r\n\r\nNOOP\r\nBDAT 4 LAST\r\nQUITNOOP\r\n")
        answers = client.replies(4)
    assert [answer[:9] for answer in answers] == [b"250 2.0.0", b"250 2.0.0", b"503 5.5.1", b"250 2.0.0"]


def test_S3_bdat_without_recipients_reads_its_octets(one: Rig) -> None:
    with one.client() as client:
        client.ehlo()
        body = b"RCPT TO:<ann@example.test>\r\n"
        client.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<nobody@example.test>\r\nBDAT %d LAST\r\n" % len(body) + body)
        assert [answer[:3] for answer in client.replies(3)] == [b"250", b"550", b"554"]
        assert client.cmd("DATA").startswith(b"554 5.5.1")


def test_S3_data_without_recipients_pipelined_with_a_body(one: Rig) -> None:
    before = len(one.everything())
    with one.client() as client:
        client.ehlo()
        client.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n" + SECOND)
        said = client.rest()
    assert [line[:3] for line in said.splitlines()] == [b"250", b"550", b"503"]
    assert len(one.everything()) == before
