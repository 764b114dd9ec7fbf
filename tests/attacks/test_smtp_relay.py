"""R1, R2, A4: nobody gets mail through us to elsewhere, in whatever form they ask and from wherever."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from appliance.ops import people
from appliance.ops.state import Ground
from smtp.policy.limits import Limits
from tests.smtp_rig import Rig, message, rig

REFUSAL = re.compile(rb"55[0-9] 5\.(7\.1|1\.\d) ")
FORMS = [
    "<x@ext.org>",
    "<x%ext.org@example.test>",
    "<@example.test:x@ext.org>",
    "<@example.test,@ext.org:x@ext.org>",
    "<@ext.org:ann@example.test>",
    '<"x@ext.org"@example.test>',
    "<ext.org!x@example.test>",
    "<x@ext.org@example.test>",
    "<x@[127.0.0.1]>",
    "<ann@[127.0.0.1]>",
    "<ann@[IPv6:::1]>",
    "<ann@127.0.0.1>",
    "<x@example.test.>",
    "<ann@example.test.>",
    "<ann@example.test@ext.org>",
    "<ann@example.test%ext.org>",
    "<ann@sub.example.test>",
    "<ann@xexample.test>",
    '<"x@ext.org">',
    "<x>",
    "<@ext.org>",
    "<ann@>",
    "x@ext.org",
    "<ann@exаmple.test>",
    "<ann@ｅxample.test.ext.org>",
    "<аnn@example.test>",
    "<ann@xn--exmple-4ve.test>",
    "<ann\\@ext.org@example.test>",
    "<ann,x@ext.org>",
    "<ann@example.test>,<x@ext.org>",
    "<ann@example.test>x@ext.org",
    "<|/bin/sh@example.test>",
    "<x:y@example.test>",
]
SENDERS = ["someone@example.org", "ann@example.test", "", "x@ext.org"]


def catch_all(ground: Ground) -> None:
    people.set_catch_all(ground, "example.test", "eve@example.test", "test")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("relay"), limits=Limits(errors=0, unknown=0, disk_floor=0)) as made:
        yield made


@pytest.mark.parametrize("sender", SENDERS)
def test_R1_no_form_relays(one: Rig, sender: str) -> None:
    """Every form is refused, whoever the sender says it is."""
    with one.client() as client:
        client.ehlo()
        assert client.cmd(f"MAIL FROM:<{sender}> SMTPUTF8").startswith(b"250")
        for form in FORMS:
            answer = client.cmd(f"RCPT TO:{form}")
            assert REFUSAL.match(answer), (form, answer)
        assert client.cmd("DATA").startswith(b"554 5.5.1")
    assert one.spooled() == ()
    assert one.everything() == []


def test_R1_a_catch_all_does_not_take_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A catch-all takes unknown names, not instructions to relay."""
    bounds = Limits(errors=0, unknown=0, disk_floor=0)
    with rig(tmp_path_factory.mktemp("all"), limits=bounds, prepare=catch_all) as made, made.client() as client:
        client.ehlo()
        client.cmd("MAIL FROM:<a@ext.org>")
        for form in (
            "<x%ext.org@example.test>",
            '<"x@ext.org"@example.test>',
            "<ext.org!x@example.test>",
            "<x@ext.org>",
        ):
            assert REFUSAL.match(client.cmd(f"RCPT TO:{form}")), form
        assert client.cmd("RCPT TO:<whoever@example.test>").startswith(b"250")


def test_R1_a_local_sender_to_our_own_people_is_judged_elsewhere(one: Rig) -> None:
    """MAIL FROM one of ours, from outside, to one of ours: SPF and DMARC judge that, not the envelope alone."""
    before = len(one.inbox("bob"))
    with one.client() as client:
        client.ehlo()
        assert client.mail(message(), to=["bob@example.test"], sender="ann@example.test").startswith(b"250")
    assert len(one.inbox("bob")) == before + 1


@pytest.mark.parametrize(
    "claim",
    [
        "XCLIENT ADDR=127.0.0.1 NAME=localhost LOGIN=ann",
        "XFORWARD ADDR=127.0.0.1",
        "PROXY TCP4 127.0.0.1 127.0.0.1 4711 25",
        "MAIL FROM:<ann@example.test> AUTH=ann@example.test",
    ],
)
def test_R2_no_trust_by_address_or_claim(one: Rig, claim: str) -> None:
    """We are spoken to from 127.0.0.1 all the time: it gives no right, nor does what is said about it."""
    with one.client() as client:
        client.ehlo()
        client.cmd(claim)
        if not claim.startswith("MAIL"):
            client.cmd("MAIL FROM:<ann@example.test>")
        assert REFUSAL.match(client.cmd("RCPT TO:<x@ext.org>"))
    assert one.spooled() == ()


def test_R2_a_proxy_header_before_the_greeting_is_no_command(one: Rig) -> None:
    with one.client(greet=False) as client:
        client.send(b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 25\r\n")
        assert client.reply().startswith(b"220")
        assert client.reply().startswith(b"500 5.5.1")
    with one.client(greet=False) as client:
        client.send(b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x10\x00\0\x19")
        assert client.reply().startswith(b"220")
        assert client.rest().startswith(b"500 5.5.")


def test_R2_submission_without_a_sign_in_takes_nothing(one: Rig) -> None:
    with one.client("submission") as client:
        client.ehlo()
        assert client.cmd("MAIL FROM:<ann@example.test>").startswith(b"530 5.7.0")
        client.starttls()
        client.ehlo()
        assert client.cmd("MAIL FROM:<ann@example.test>").startswith(b"530 5.7.0")
        assert client.cmd("RCPT TO:<x@ext.org>").startswith(b"503")


def test_A4_unknown_recipients_end_the_session_and_stay_remembered(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ten unknown names: 421, and the network has used its guesses up; who is known is still served."""
    with rig(tmp_path_factory.mktemp("guess")) as made:
        with made.client() as client:
            client.ehlo()
            client.cmd("MAIL FROM:<a@ext.org>")
            answers = [client.cmd(f"RCPT TO:<nobody{n}@example.test>")[:9] for n in range(10)]
            assert answers == [b"550 5.1.1"] * 9 + [b"421 4.7.0"]
            assert client.rest() == b""
        with made.client() as client:
            client.ehlo()
            client.cmd("MAIL FROM:<a@ext.org>")
            assert client.cmd("RCPT TO:<ann@example.test>").startswith(b"250")
            assert client.cmd("RCPT TO:<nobody@example.test>").startswith(b"421 4.7.0")


def test_A4_vrfy_and_expn_tell_nothing(one: Rig) -> None:
    with one.client() as client:
        client.ehlo()
        for verb in ("VRFY", "EXPN"):
            answers = {client.cmd(f"{verb} {name}") for name in ("ann", "nobody", "ann@example.test", "", "<ann>")}
            assert len(answers) == 1
