"""Passwords are checked right, and alike for everybody."""

from __future__ import annotations

import pytest

from data.directory import credentials as c
from data.errors import Invalid


def test_round_trip_and_parameters() -> None:
    verifier = c.hash_password("pässwörd 1")
    assert verifier.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert c.verify(verifier, "pässwörd 1")
    assert not c.verify(verifier, "pässwörd 2")
    assert not c.outdated(verifier)
    assert c.outdated("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")


def test_spellings_of_one_password_are_one() -> None:
    verifier = c.hash_password("caf\u00e9 au\u00a0lait")
    assert c.verify(verifier, "cafe\u0301 au lait")


@pytest.mark.parametrize("bad", ["", "a\nb", "a\0b", "x" * 1025])
def test_unusable_passwords(bad: str) -> None:
    with pytest.raises(Invalid):
        c.hash_password(bad)
    assert not c.verify(c.hash_password("x"), bad)


@pytest.mark.parametrize("damaged", ["", "x", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$!!$!!"])
def test_a_damaged_verifier_fits_nothing(damaged: str) -> None:
    assert not c.verify(damaged, "")
    assert not c.verify(damaged, "x")


def test_the_dummy_has_the_same_cost_and_fits_nothing() -> None:
    assert not c.outdated(c.DUMMY_VERIFIER)
    assert not c.verify(c.DUMMY_VERIFIER, "")


def test_app_passwords() -> None:
    one, two = c.new_app_password(), c.new_app_password()
    assert one != two
    assert len(one.replace("-", "")) * 5 >= 128
    digest = c.app_digest(b"k" * 32, one)
    assert c.verify_app(b"k" * 32, digest, one.upper().replace("-", " "))
    assert not c.verify_app(b"k" * 32, digest, two)
    assert not c.verify_app(b"l" * 32, digest, one)
