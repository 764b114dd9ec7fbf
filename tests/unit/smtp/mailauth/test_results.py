"""Authentication-Results: ours holds nothing of a stranger's making, and what claims to be ours goes (N11)."""

from __future__ import annotations

import pytest

from data.mime.headers import split
from smtp import reply
from smtp.mailauth.facts import Action, Arc, Authentication, Dkim, Dmarc, Spf, Verdict
from smtp.mailauth.results import stripped, written
from smtp.policy.incoming import admitted, cut
from smtp.reply import Refused

HOST = "mail.example.test"


def test_all_that_was_found() -> None:
    found = Authentication(
        Spf(Verdict.PASS, "example.org"),
        (
            Dkim(Verdict.PASS, "example.org", "s1", "rsa-sha256", "abcdef12"),
            Dkim(Verdict.FAIL, "example.net", "s2", "ed25519-sha256", "ab/+==12", "body was changed"),
        ),
        Arc(Verdict.PASS, "lists.example", 2),
        Dmarc(Verdict.PASS, "example.org", Action.REJECT, "example.org"),
    )
    assert written(found, HOST) == (
        b"Authentication-Results: mail.example.test;\r\n"
        b"\tspf=pass smtp.mailfrom=example.org;\r\n"
        b"\tdkim=pass header.d=example.org header.s=s1 header.a=rsa-sha256 header.b=abcdef12;\r\n"
        b'\tdkim=fail reason="body was changed" header.d=example.net header.s=s2 header.a=ed25519-sha256'
        b' header.b="ab/+==12";\r\n'
        b"\tarc=pass header.d=lists.example;\r\n"
        b"\tdmarc=pass header.from=example.org policy.dmarc=reject\r\n"
    )
    assert written(Authentication(), HOST).endswith(b"\tspf=none;\r\n\tdkim=none;\r\n\tdmarc=none\r\n")


@pytest.mark.parametrize(
    "evil", ['x"; dmarc=pass', "x\r\nX-Evil: 1", "x; dmarc=pass", "a b", "ü.example", "a" * 300, "<x>"]
)
def test_what_a_stranger_says_is_left_out(evil: str) -> None:
    found = Authentication(
        Spf(Verdict.FAIL, evil),
        (Dkim(Verdict.FAIL, evil, evil, evil, evil),),
        Arc(Verdict.FAIL, evil),
        Dmarc(Verdict.FAIL, evil),
    )
    field = written(found, HOST)
    assert b"pass" not in field and b"evil" not in field.lower()
    assert [name for name, _ in split(field)] == [b"Authentication-Results"]


FORGED = [
    b"mail.example.test; dmarc=pass",
    b" MAIL.Example.TEST ; dmarc=pass",
    b"mail.example.test 1; dmarc=pass",
    b"mail.example.test.; dmarc=pass",
    b"\r\n mail.example.test;\r\n dmarc=pass",
    b"\r\n\t(a comment)\r\n mail.example.test (another; one); dmarc=pass",
    b"(a (nested) \\) one) mail.example.test; dmarc=pass",
    b'"mail.example.test"; dmarc=pass',
    b'"mail\\.example.test"; dmarc=pass',
    b'(")" mail.example.test; dmarc=pass',
    b"=?utf-8?q?mail.example.test?=; dmarc=pass",
    b"mail.example.test",
    b"",
    b"; dmarc=pass",
    b"one two mail.example.test; dmarc=pass",
    b"mail.example.test\x00; dmarc=pass",
    b"mail.example.t\xc3\xa9st; dmarc=pass",
]


@pytest.mark.parametrize(
    "name", [b"Authentication-Results:", b"AUTHENTICATION-results :", b"Authentication-Results\r\n :"]
)
@pytest.mark.parametrize("value", FORGED)
def test_N11_forged_results_with_our_name_are_taken_out(name: bytes, value: bytes) -> None:
    before, after = b"X-Before: 1\r\n fold\r\n", b"From: a@example.org\r\n\r\n"
    assert stripped(before + name + value + b"\r\n" + after, HOST) == before + after


@pytest.mark.parametrize(
    "kept",
    [
        b"Authentication-Results: mx.example.org; dmarc=pass\r\n",
        b"Authentication-Results: mx.example.org 1;\r\n\tdmarc=pass (for mail.example.test)\r\n",
        b"Authentication-Results: notmail.example.test; spf=pass\r\n",
        b"X-Authentication-Results: mail.example.test; dmarc=pass\r\n",
        b"ARC-Authentication-Results: i=1; mail.example.test; dmarc=pass\r\n",
        b"Subject: a\r\n Authentication-Results: mail.example.test; in a fold\r\n",
    ],
)
def test_everything_else_stays(kept: bytes) -> None:
    header = kept + b"From: a@example.org\r\n\r\n"
    assert stripped(header, HOST) == header


def test_many_fields_cost_little() -> None:
    header = b"Authentication-Results: " + b"(" * 200_000 + b"\r\nFrom: a@example.org\r\n\r\n"
    assert stripped(header, HOST) == b"From: a@example.org\r\n\r\n"
    assert stripped(b"Authentication-Results: x\r\n" * 9000, HOST) == b"Authentication-Results: x\r\n" * 9000


@pytest.mark.parametrize(
    ("header", "good"),
    [
        (b"From: a@example.org\r\n\r\n", True),
        (b"from : a@example.org\r\n\r\n", True),
        (b"Subject: x\r\n\r\n", False),
        (b"From: a@example.org\r\nFROM: b@example.org\r\n\r\n", False),
        (b"From: a@example.org\r\nFrom : b@example.org\r\n\r\n", False),
        (b"From: a@example.org\r\nFrom\r\n : b@example.org\r\n\r\n", False),
        (b"X-From: a@example.org\r\n From: b@example.org\r\n\r\n", False),
        (b"\r\n", False),
    ],
)
def test_N11_exactly_one_from(header: bytes, good: bool) -> None:
    if good:
        assert admitted(header, HOST) == header
        return
    with pytest.raises(Refused) as refused:
        admitted(header, HOST)
    assert refused.value.reply is reply.ONE_FROM
    assert admitted(header, HOST, strict=False) == header


def test_where_the_body_begins() -> None:
    assert [cut(one) for one in (b"\r\nbody", b"A: b\r\n\r\nbody", b"A: b\r\n", b"")] == [2, 8, 6, 0]
