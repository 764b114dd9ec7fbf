"""The catalogue of answers."""

from __future__ import annotations

import re

import pytest

from smtp import reply
from smtp.reply import Reply

CATALOGUE = {name: value for name, value in vars(reply).items() if isinstance(value, Reply)}
# RFC 2034 §3 asks for no enhanced code in 354; RFC 5248 registers the others.
PLAIN = {"GO_AHEAD"}


@pytest.mark.parametrize("name", CATALOGUE)
def test_class_of_codes_agree(name: str) -> None:
    one = CATALOGUE[name]
    if name in PLAIN:
        assert one.enhanced == ""
        return
    assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", one.enhanced)
    assert one.enhanced[0] == str(one.code)[0] or one.code in {252}


@pytest.mark.parametrize("name", CATALOGUE)
def test_lines_fit(name: str) -> None:
    """RFC 5321 §4.5.3.1.5: 512 octets with the CR LF; one line, printable."""
    wire = CATALOGUE[name].wire
    assert len(wire) <= 512
    assert wire.endswith(b"\r\n")
    assert wire[:-2].decode("ascii").isprintable()


@pytest.mark.parametrize("name", CATALOGUE)
def test_421_closes(name: str) -> None:
    """RFC 5321 §3.8: 421 is said when the connection ends."""
    if CATALOGUE[name].code in {421, 221}:
        assert CATALOGUE[name].closes


def test_several_lines() -> None:
    assert reply.several(250, ["one", "two", "three"]) == b"250-one\r\n250-two\r\n250 three\r\n"
    assert reply.several(250, ["one"]) == b"250 one\r\n"


def test_functions() -> None:
    assert reply.greeting("mail.example.test").wire == b"220 mail.example.test ESMTP ready\r\n"
    assert reply.taken("0123456789").wire == b"250 2.0.0 Accepted as 0123456789\r\n"
    assert reply.chunk_taken(7).wire == b"250 2.6.0 7 octets received\r\n"
    assert reply.challenge(b"") == b"334 \r\n"
    assert reply.OK.accepted and not reply.OK.permanent
    assert not reply.TRY_LATER.accepted and not reply.TRY_LATER.permanent
    assert reply.RELAY_DENIED.permanent
