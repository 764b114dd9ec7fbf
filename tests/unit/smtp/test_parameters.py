"""Parameters of MAIL and RCPT."""

from __future__ import annotations

import pytest

from smtp import reply
from smtp.reply import Refused
from smtp.transaction.parameters import (
    MailParameters,
    RcptParameters,
    mail_parameters,
    rcpt_parameters,
    unxtext,
)

MAIL = [
    ("", MailParameters()),
    (" SIZE=1234", MailParameters(size=1234)),
    (" size=0 body=8bitmime", MailParameters(size=0, body="8BITMIME")),
    (" BODY=7BIT SMTPUTF8", MailParameters(smtputf8=True)),
    (" REQUIRETLS", MailParameters(requiretls=True)),
    (" RET=hdrs ENVID=QQ314159", MailParameters(ret="HDRS", envid="QQ314159")),
    (" ENVID=a+2Bb+3Dc", MailParameters(envid="a+2Bb+3Dc")),
    (" AUTH=<> SIZE=5", MailParameters(size=5)),
    (" AUTH=ann+40example.test", MailParameters()),
]
RCPT = [
    ("", RcptParameters()),
    (" NOTIFY=NEVER", RcptParameters(notify="NEVER")),
    (" notify=success,Failure", RcptParameters(notify="SUCCESS,FAILURE")),
    (" ORCPT=rfc822;Ann+2Bx@Example.test", RcptParameters(orcpt="rfc822;Ann+2Bx@Example.test")),
    (" ORCPT=UTF-8;ü@example.test", RcptParameters(orcpt="utf-8;ü@example.test")),
    (r" ORCPT=utf-8;\x{FC}@example.test", RcptParameters(orcpt=r"utf-8;\x{FC}@example.test")),
]
BAD_MAIL = [
    "SIZE", "SIZE=", "SIZE=x", "SIZE=-1", "SIZE=" + "1" * 21, "SIZE=1 SIZE=2", "BODY=BINARYMIME", "BODY", "SMTPUTF8=1",
    "RET=SOME", "RET", "ENVID=", "ENVID=a+2", "ENVID=a+0Ab", "ENVID=" + "x" * 101, "AUTH=a b=c", "AUTH=a=b",
]  # fmt: skip
BAD_RCPT = [
    "NOTIFY=", "NOTIFY", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=OFTEN", "ORCPT=ann@example.test",
    "ORCPT=rfc822;", "ORCPT=rfc822;a+zz", "ORCPT=rfc822;a+0D+0A", "ORCPT=;x", "ORCPT=rfc822;" + "x" * 501,
    r"ORCPT=utf-8;\x{110000}", r"ORCPT=utf-8;\x{D800}", "NOTIFY=NEVER NOTIFY=NEVER",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MAIL)
def test_mail(text: str, expected: MailParameters) -> None:
    assert mail_parameters(text) == expected


@pytest.mark.parametrize(("text", "expected"), RCPT)
def test_rcpt(text: str, expected: RcptParameters) -> None:
    assert rcpt_parameters(text) == expected


@pytest.mark.parametrize("text", BAD_MAIL)
def test_bad_mail(text: str) -> None:
    with pytest.raises(Refused) as no:
        mail_parameters(text)
    assert no.value.reply in (reply.PARAMETER_BAD, reply.PARAMETER_UNKNOWN)


@pytest.mark.parametrize("text", BAD_RCPT)
def test_bad_rcpt(text: str) -> None:
    with pytest.raises(Refused) as no:
        rcpt_parameters(text)
    assert no.value.reply is reply.PARAMETER_BAD


def test_unknown() -> None:
    for read, text in ((mail_parameters, "XFOO=1"), (rcpt_parameters, "SIZE=1"), (mail_parameters, "NOTIFY=NEVER")):
        with pytest.raises(Refused) as no:
            read(text)
        assert no.value.reply is reply.PARAMETER_UNKNOWN


def test_xtext() -> None:
    assert unxtext("a+2Bb") == "a+b"
    assert unxtext("a=b") is None
    assert unxtext("a b") is None
    assert unxtext("a+FFb") is None
