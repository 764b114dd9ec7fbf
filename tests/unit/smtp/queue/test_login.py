"""Signing in at a smarthost: the exchanges, and when they are not begun at all."""

from __future__ import annotations

import base64

import pytest

from smtp.queue.dialogue import Dialogue
from smtp.queue.events import Broken, Ready, Stage, Tls, UpgradeTls, Write
from smtp.queue.hop import Login
from smtp.queue.login import LoginWords, Plain, Scram, Unlikely, choose

USER = Login("user", "pencil")


def test_scram_as_in_rfc_7677() -> None:
    """The example of RFC 7677 §3."""
    scram = Scram(USER, nonce="rOprNGfwEbeRWgbNEkqO")
    assert scram.begin() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert scram.answer(first) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert not scram.accepted()
    assert scram.answer(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""
    assert scram.accepted()


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        b"r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999",
        b"r=abcd,s=***,i=4096",
        b"m=x,r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"\xff",
        b"",
    ],
)
def test_scram_servers_that_lie(challenge: bytes) -> None:
    with pytest.raises(Unlikely):
        Scram(USER, nonce="abc").answer(challenge)


def test_scram_needs_the_servers_proof() -> None:
    scram = Scram(USER, nonce="abc")
    scram.answer(b"r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    with pytest.raises(Unlikely):
        scram.answer(b"v=AAAA")
    assert not scram.accepted()


@pytest.mark.parametrize(
    ("offered", "made"),
    [("PLAIN LOGIN SCRAM-SHA-256", Scram), ("login plain", Plain), ("LOGIN", LoginWords), ("GSSAPI", None), ("", None)],
)
def test_the_best_is_taken(offered: str, made: type | None) -> None:
    found = choose(offered, USER)
    assert found is None if made is None else isinstance(found, made)


# --- in a session -----------------------------------------------------------------------------------------------------


def opened(tls: Tls = Tls.REQUIRED, *, verified: bool = True, offers: bytes = b"AUTH PLAIN LOGIN") -> Dialogue:
    """A dialogue up to the EHLO under TLS, answered."""
    one = Dialogue("us", tls=tls, login=USER)
    one.feed(b"220 mx\r\n")
    events = one.feed(b"250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
    assert events == [Write(b"STARTTLS\r\n")]
    assert one.feed(b"220 go\r\n") == [UpgradeTls()]
    assert one.tls_started(verified=verified) == [Write(b"EHLO us\r\n")]
    one.said = one.feed(b"250-mx\r\n250 " + offers + b"\r\n")  # type: ignore[attr-defined]
    return one


def test_plain() -> None:
    one = opened()
    assert one.said == [Write(b"AUTH PLAIN " + base64.b64encode(b"\0user\0pencil") + b"\r\n")]  # type: ignore[attr-defined]
    assert one.stage is Stage.AUTH
    assert one.feed(b"235 ok\r\n") == [Ready()]


def test_login() -> None:
    one = opened(offers=b"AUTH LOGIN")
    assert one.said == [Write(b"AUTH LOGIN\r\n")]  # type: ignore[attr-defined]
    assert one.feed(b"334 VXNlcm5hbWU6\r\n") == [Write(base64.b64encode(b"user") + b"\r\n")]
    assert one.feed(b"334 UGFzc3dvcmQ6\r\n") == [Write(base64.b64encode(b"pencil") + b"\r\n")]
    assert one.feed(b"235 ok\r\n") == [Ready()]


def broken(events: list[object]) -> tuple[str, bool]:
    found = [one for one in events if isinstance(one, Broken)]
    assert len(found) == 1 and not any(isinstance(one, Write) for one in events)
    return found[0].problem.reason.code, found[0].problem.permanent


def test_no_password_without_a_proven_name() -> None:
    """T4: neither in the clear nor to whoever answers."""
    assert broken(opened(verified=False).said) == ("queue.auth.insecure", False)  # type: ignore[attr-defined]
    plain = Dialogue("us", tls=Tls.OFFERED, login=USER)
    plain.feed(b"220 mx\r\n")
    assert broken(list(plain.feed(b"250-mx\r\n250 AUTH PLAIN\r\n"))) == ("queue.auth.insecure", False)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"535 5.7.8 no\r\n", "queue.auth.refused"),
        (b"454 later\r\n", "queue.auth.refused"),
        (b"334 AAAA\r\n", "queue.auth.unproven"),
        (b"334 ***\r\n", "queue.auth.unproven"),
    ],
)
def test_a_refusal_returns_nobodys_mail(answer: bytes, code: str) -> None:
    assert broken(list(opened().feed(answer))) == (code, False)


def test_no_common_mechanism() -> None:
    assert broken(opened(offers=b"AUTH GSSAPI").said) == ("queue.auth.mechanism", False)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([b"250 mx\r\n"], "queue.tls.missing"),
        ([b"502 what\r\n", b"250 mx\r\n"], "queue.tls.missing"),
        ([b"250-mx\r\n250 STARTTLS\r\n", b"454 not now\r\n"], "queue.tls.refused"),
    ],
)
def test_required_tls(lines: list[bytes], code: str) -> None:
    """A host that has to encrypt and does not is left before the envelope."""
    one = Dialogue("us", tls=Tls.REQUIRED)
    one.feed(b"220 mx\r\n")
    for line in lines[:-1]:
        one.feed(line)
    assert broken(list(one.feed(lines[-1]))) == (code, False)


def test_tls_first() -> None:
    """The greeting comes under TLS; STARTTLS is not asked for again."""
    one = Dialogue("us", tls=Tls.FIRST)
    assert one.tls_started(verified=True) == []
    assert one.feed(b"220 mx\r\n") == [Write(b"EHLO us\r\n")]
    assert one.feed(b"250-mx\r\n250 STARTTLS\r\n") == [Ready()]
    assert one.secure and one.verified
