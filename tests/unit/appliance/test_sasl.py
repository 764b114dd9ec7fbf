"""SASL PLAIN and LOGIN: what RELIABILITY T5 throws at them, and what clients say."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import sasl
from appliance.sasl import Challenge, Credentials, Login, Plain, SaslError


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


def test_plain_with_and_without_an_initial_response() -> None:
    said = b64(b"\0user@example.test\0secret word")
    assert Plain().step(said) == Credentials("user@example.test", "secret word")
    exchange = Plain()
    empty = exchange.step(None)
    assert isinstance(empty, Challenge) and empty.text == b""
    assert exchange.step(said) == Credentials("user@example.test", "secret word")


def test_plain_keeps_the_authzid() -> None:
    assert Plain().step(b64("boss\0anna\0пароль".encode())) == Credentials("anna", "пароль", "boss")


def test_login_asks_twice() -> None:
    exchange = Login()
    first = exchange.step(None)
    assert isinstance(first, Challenge) and first.text == b"VXNlcm5hbWU6"
    second = exchange.step(b64(b"user"))
    assert isinstance(second, Challenge) and second.text == b"UGFzc3dvcmQ6"
    assert exchange.step(b64(b"word")) == Credentials("user", "word")


def test_login_takes_the_name_as_initial_response() -> None:
    exchange = Login()
    assert isinstance(exchange.step(b64(b"user")), Challenge)
    assert exchange.step(b64(b"word")) == Credentials("user", "word")


def test_T5_cancel_is_told_apart() -> None:
    for exchange in (Plain(), Login()):
        exchange.step(None)
        with pytest.raises(SaslError) as caught:
            exchange.step(b"*")
        assert caught.value.cancelled
    with pytest.raises(SaslError) as caught:
        Plain().step(b"**")
    assert not caught.value.cancelled


@pytest.mark.parametrize(
    "line",
    [
        b"not base64!",
        b"AAA",
        b"AG\r\nA=",
        b" " + b64(b"\0u\0p"),
        b64(b"\0u\0p") + b"=",
        b"\xff\xfe",
        b"",
        b"=",
        b64(b"no nul at all"),
        b64(b"one\0nul"),
        b64(b"\0user\0pass\0more"),
        b64(b"\0us\0er\0pass"),
        b64(b"\0\0pass"),
        b64(b"\0user\0"),
        b64(b"\0us\xffer\0pass"),
        b64(b"\0user\0p\xed\xa0\x80"),
        b64(b"\0" + b"u" * 2000 + b"\0p"),
        b64(b"\0u\0" + b"p" * 2000),
        b64(b"z" * 2000 + b"\0u\0p"),
        b64(b"\0u\0" + b"p" * 49_000),
        b"A" * 65_536,
    ],
)
def test_T5_bad_input_is_a_typed_error(line: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        Plain().step(line)
    assert not caught.value.cancelled and caught.value.public.isprintable() and len(caught.value.public) < 60


@pytest.mark.parametrize("line", [b64(b"us\0er"), b"=", b64(b"\xff")])
def test_T5_login_refuses_the_same(line: bytes) -> None:
    exchange = Login()
    exchange.step(line)
    with pytest.raises(SaslError):
        exchange.step(b64(b"pass"))


def test_the_table_of_mechanisms() -> None:
    assert list(sasl.MECHANISMS) == ["PLAIN", "LOGIN"]
    assert isinstance(sasl.begin("plain"), Plain) and isinstance(sasl.begin("Login"), Login)
    assert sasl.begin("CRAM-MD5") is None


def test_the_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Credentials("user", "secret"))


@given(st.lists(st.binary(max_size=200), max_size=4), st.sampled_from(sorted(sasl.MECHANISMS)), st.booleans())
def test_anything_is_an_answer_or_a_sasl_error(lines: list[bytes], name: str, encode: bool) -> None:
    exchange = sasl.begin(name)
    assert exchange is not None
    for line in lines:
        try:
            said = exchange.step(b64(line) if encode else line)
        except SaslError:
            return
        if isinstance(said, Credentials):
            assert said.authcid and said.password and "\0" not in said.authcid + said.password + said.authzid
            return
