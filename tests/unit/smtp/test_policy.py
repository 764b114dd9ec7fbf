"""Stages, bounds and fix-ups."""

from __future__ import annotations

import pytest

from data.directory.facts import Resolution, Target, Where
from data.ids import AccountId, Millis
from smtp import reply
from smtp.policy import stages
from smtp.policy.fixups import fixed
from smtp.policy.identity import fields
from smtp.policy.limits import Limits
from smtp.reply import Refused, Reply
from smtp.transaction.parameters import MailParameters
from smtp.transaction.path import Path

NOW = Millis(1_767_225_600_000)


def told(call: object, *arguments: object) -> Reply:
    assert callable(call)
    with pytest.raises(Refused) as no:
        call(*arguments)
    return no.value.reply


def test_connections() -> None:
    assert stages.connection(29, 100, per_head=30, connections=1000) is None
    assert stages.connection(30, 100, per_head=30, connections=1000) is reply.TOO_MANY_CONNECTIONS
    assert stages.connection(0, 1000, per_head=30, connections=1000) is reply.FULL_HOUSE
    assert stages.connection(500, 5000, per_head=0, connections=0) is None


@pytest.mark.parametrize(
    "name", ["mail.example.test", "[192.0.2.1]", "[IPv6:2001:db8::1]", "PC_1", "münchen.test", "x"]
)
def test_hello_names(name: str) -> None:
    assert stages.hello_name(f" {name} ") == name


@pytest.mark.parametrize("name", ["", "a b", "<script>", "a;b", "x" * 256, "a\u202eb"])
def test_bad_hello_names(name: str) -> None:
    assert told(stages.hello_name, name) is reply.HELLO_NAME


def test_return_paths() -> None:
    plain = MailParameters()
    assert stages.return_path(Path("Ann.B", "Example.TEST"), plain) == "Ann.B@example.test"
    assert stages.return_path(Path("", ""), plain) == ""
    assert stages.return_path(Path("a", "[192.0.2.1]"), plain) == "a@[192.0.2.1]"
    assert stages.return_path(Path("a b", "x.test"), plain) == '"a b"@x.test'
    assert stages.return_path(Path("x" * 100, "lists.example.test"), plain).startswith("x" * 100)
    assert stages.return_path(Path("a", "Mail_1.example.test"), plain) == "a@mail_1.example.test"
    assert stages.return_path(Path("ü", "bücher.test"), MailParameters(smtputf8=True)) == "ü@xn--bcher-kva.test"
    assert told(stages.return_path, Path("ü", "x.test"), plain) is reply.SENDER_NEEDS_UTF8
    assert told(stages.return_path, Path("postmaster", ""), plain) is reply.BAD_SENDER
    assert told(stages.return_path, Path("a", "[999.1.1.1]"), plain) is reply.BAD_SENDER


def test_recipients() -> None:
    assert stages.recipient("TO:<ann@x.test> NOTIFY=NEVER") == (Path("ann", "x.test"), " NOTIFY=NEVER")
    assert told(stages.recipient, "<ann@x.test>") is reply.RCPT_SYNTAX
    assert told(stages.recipient, "TO:<>") is reply.BAD_RECIPIENT
    assert told(stages.recipient, "TO:<a@b@c.test>") is reply.BAD_RECIPIENT
    assert told(stages.recipient, "TO:<@x.test:a@y.test>") is reply.RELAY_DENIED
    assert told(stages.recipient, "TO:<a@[127.0.0.1]>") is reply.RELAY_DENIED
    assert told(stages.require_plain, Path("a%b", "x.test")) is reply.RELAY_DENIED
    assert stages.address(Path("postmaster", "")).key == "postmaster"
    assert stages.address(Path("Ann+Tag", "X.test")).base_key == "ann"
    assert told(stages.address, Path("x" * 65, "x.test")) is reply.BAD_RECIPIENT


def test_resolutions() -> None:
    ours = Resolution(Where.DELIVER, (Target(AccountId(1), "a@x.test", None),))
    stages.require_ours(ours)
    assert told(stages.require_ours, Resolution(Where.UNKNOWN)) is reply.USER_UNKNOWN
    assert told(stages.require_ours, Resolution(Where.REMOTE)) is reply.RELAY_DENIED
    assert told(stages.require_ours, Resolution(Where.SUSPENDED)) is reply.SUSPENDED
    assert told(stages.require_ours, Resolution(Where.LOOP)) is reply.ALIAS_LOOP


def test_O3_size_at_mail() -> None:
    stages.require_size(None, 10)
    stages.require_size(10, 10)
    assert told(stages.require_size, 999_999_999, 52_428_800) is reply.TOO_BIG


def test_bench_on_loopback_is_unbounded_in_number_not_in_size() -> None:
    free = Limits().unbounded()
    assert (free.errors, free.talk, free.unknown, free.sign_ins, free.per_head, free.connections) == (0,) * 6
    assert (free.message, free.header, free.recipients) == (Limits().message, Limits().header, Limits().recipients)


def test_fixups_add_what_is_missing() -> None:
    header = fixed(fields(b"From: a@x.test\r\n\r\n"), now=NOW, message_id="<1@x.test>")
    assert header == (b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@x.test>\r\nFrom: a@x.test\r\n\r\n")


def test_fixups_leave_the_rest_alone() -> None:
    given = b"Date: whenever\r\nMessage-Id: <2@y>\r\nX:  odd \r\n\t fold\r\n\r\n"
    assert fixed(fields(given), now=NOW, message_id="<1@x.test>") == given


def test_fixups_take_bcc_and_return_path_out() -> None:
    given = (
        b"Bcc: x@y.test\r\nDate: d\r\nBCC:\r\n a@b.test,\r\n c@d.test\r\nMessage-ID: <m>\r\nReturn-Path: <z@z>\r\n\r\n"
    )
    assert fixed(fields(given), now=NOW, message_id="<1@x.test>") == b"Date: d\r\nMessage-ID: <m>\r\n\r\n"


def test_fixups_name_a_sender_of_several_authors() -> None:
    """RFC 5322 §3.6.2; one author needs none, and a Sender that is there stays."""
    rest = b"Date: d\r\nMessage-ID: <m>\r\n\r\n"
    for given, added in (
        (b"From: a@x.test, b@x.test\r\n", b"Sender: <a@x.test>\r\n"),
        (b"From: a@x.test\r\n", b""),
        (b"From: a@x.test, b@x.test\r\nSender: b@x.test\r\n", b""),
    ):
        assert fixed(fields(given + rest), now=NOW, message_id="<1>", sender="a@x.test") == added + given + rest


def test_N11_fixups_take_results_out_that_claim_to_be_ours() -> None:
    given = b"Authentication-Results: mail.x.test;\r\n dmarc=pass\r\nDate: d\r\nMessage-ID: <m>\r\n\r\n"
    made = fixed(fields(given), now=NOW, message_id="<1@x.test>", hostname="mail.x.test")
    assert made == b"Date: d\r\nMessage-ID: <m>\r\n\r\n"
