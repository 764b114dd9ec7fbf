"""Who may write as whom: RELIABILITY R3 against the header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp import reply
from smtp.policy.identity import fields, mailboxes, require_identity
from smtp.reply import Refused

OWN = {"ann@us.test", "sales@us.test"}


def may_use(address: str) -> bool:
    return address.lower() in OWN


def check(header: str) -> None:
    require_identity(fields(header.encode() + b"\r\n"), may_use)


ALLOWED = [
    "From: ann@us.test\r\n",
    "From: Ann <ann@us.test>\r\n",
    'FROM: "Ann, B." <Ann@US.test>\r\n',
    "From: =?utf-8?q?J=C3=BCrgen?= <ann@us.test>\r\n",
    "From: ann@us.test (Ann)\r\n",
    "From: Ann <ann@us.test>, sales@us.test\r\nSender: ann@us.test\r\n",
    'From: "ann@us.test" <ann@us.test>\r\n',
    "From:\r\n Ann\r\n <ann@us.test>\r\n",
    "From: 安 <ann@us.test>\r\n",
    "From: ann@us.test\r\nResent-From: sales@us.test\r\nTo: ceo@them.test\r\nReply-To: x@them.test\r\n",
    "From: Ann <ann@us.test>,\r\n",
    "From: Bob @ Work <ann@us.test>\r\n",
]
REFUSED = [
    "From: bob@us.test\r\n",
    "From: ann@them.test\r\n",
    "From: ann@us.test, bob@us.test\r\n",
    "From: Ann <ann@us.test>, Bob <bob@us.test>\r\n",
    "From: ann@us.test\r\nFrom: bob@us.test\r\n",
    "From: ann@us.test\r\nfrom: ann@us.test\r\n",
    "Subject: none\r\n",
    "",
    "From:\r\n",
    "From: Ann\r\n",
    "From: <>\r\n",
    "From: everybody: ann@us.test, bob@us.test;\r\n",
    "From: undisclosed:;\r\n",
    "From : bob@us.test\r\nFrom: ann@us.test\r\n",
    "From: ann@us.test\r\nFrom : bob@us.test\r\n",
    "From: ann@us.test\r\nFrom\r\n : bob@us.test\r\n",
    "From\r\n : ann@us.test\r\n",
    "From: ann@us.test\r\nSender: bob@us.test\r\n",
    "From: ann@us.test\r\nSender: ann@us.test\r\nSender: bob@us.test\r\n",
    "From: ann@us.test\r\nResent-From: bob@us.test\r\n",
    "From: ann@us.test\r\nResent-Sender: bob@us.test\r\n",
    "From: =?utf-8?q?=3Cbob=40us=2Etest=3E?= <ann@us.test>\r\n",
    "From: =?utf-8?b?Ym9iQHVzLnRlc3Q=?= <ann@us.test>\r\n",
    "From: =?utf-8?q?bob=40?= =?utf-8?q?us=2Etest?= <ann@us.test>\r\n",
    "From: =?utf-8?q?bob?= <ann@us.test> =?utf-8?q?x?=\r\n",
    "From: =?nonsense?q?bob?= <ann@us.test>\r\n",
    "From: =?utf-8?q?a=00b?= <ann@us.test>\r\n",
    'From: "bob@us.test" <ann@us.test>\r\n',
    "From: bob＠us.test <ann@us.test>\r\n",
    "From: <bob@us.test> <ann@us.test>\r\n",
    "From: <ann@us.test> <bob@us.test>\r\n",
    "From: ann@us.test <bob@us.test>\r\n",
    "From: <@us.test:bob@us.test>\r\n",
    "From: <@them.test,@us.test:ann@us.test>\r\n",
    "From: (bob@us.test) ann@us.test\r\n",
    "From: ann(\r\n )@us.test\r\n",
    "From: аnn@us.test\r\n",
    "From: ann@uѕ.test\r\n",
    'From: "ann@us.test"@them.test\r\n',
    'From: "bob@us.test\\" <ann@us.test>\r\n',
    "From: ann@us.test\\\r\n",
    "From: ann%bob@us.test\r\n",
    "From: ann @us.test\r\n",
    "From: ann@us.test;bob@us.test\r\n",
    "From: a\x00nn@us.test\r\n",
    "From: " + "ann@us.test," * 51 + "\r\n",
    "From: " + "x" * 1001 + " <ann@us.test>\r\n",
]


@pytest.mark.parametrize("header", ALLOWED)
def test_allowed(header: str) -> None:
    check(header)


@pytest.mark.parametrize("header", REFUSED)
def test_R3_refused(header: str) -> None:
    with pytest.raises(Refused) as no:
        check(header)
    assert no.value.reply.code == 550
    assert no.value.reply.enhanced == "5.7.1"


@pytest.mark.parametrize(
    "header", [" From: ann@us.test\r\n", "From: ann@us.test\r\nno field\r\n", "a b: c\r\n", ": x\r\n"]
)
def test_a_header_that_is_none(header: str) -> None:
    with pytest.raises(Refused) as no:
        check(header)
    assert no.value.reply is reply.BAD_HEADER


def test_latin1_is_not_guessed() -> None:
    with pytest.raises(Refused):
        require_identity(fields(b"From: J\xfcrgen <ann@us.test>\r\n\r\n"), may_use)


def test_fields_keep_their_octets() -> None:
    header = b"A: 1\r\nB:\r\n\t2\r\n 3\r\nA: \xff\r\n\r\n"
    assert fields(header) == [(b"a", b"A: 1\r\n"), (b"b", b"B:\r\n\t2\r\n 3\r\n"), (b"a", b"A: \xff\r\n")]


def test_bombs_are_linear() -> None:
    for text in ("(" * 200_000, '"' * 200_000, "<" * 200_000, "a@" * 100_000, "=?utf-8?q?" * 20_000, "," * 200_000):
        with pytest.raises(Refused):
            check(f"From: {text}\r\n")


@given(st.text(alphabet='ab@.<>,"\\();: \t=?', max_size=60))
def test_any_text_is_a_list_or_refused(text: str) -> None:
    try:
        found = list(mailboxes(text))
    except Refused:
        return
    assert all(path.domain and path.local for _, path in found)
