"""The second factor: each code once, five tries, recovery codes that are kept as digests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from sqlalchemy import select

from data.clock import MINUTE, SECOND, FakeClock
from data.directory.directory import Directory
from data.directory.facts import Account
from data.directory.totp import Outcome, SecondFactors
from data.disk import tables as t
from data.disk.db import Database
from data.disk.seal import Keys
from data.errors import Conflict


@pytest.fixture
def factors(db: Database, clock: FakeClock) -> SecondFactors:
    return SecondFactors(db, Keys(bytes(32)), clock)


@pytest.fixture
def ann(people, directory: Directory) -> Account:
    people.account("ann@example.test")
    return directory.account("ann@example.test")


def code(secret: str, clock: FakeClock, steps: int = 0) -> str:
    return pyotp.TOTP(secret).generate_otp(clock.now() // 30_000 + steps)


def wrong(secret: str, clock: FakeClock) -> str:
    good = {code(secret, clock, steps) for steps in range(-2, 3)}
    return next(text for text in (f"{n:06}" for n in range(10)) if text not in good)


def enrol(db: Database, factors: SecondFactors, ann: Account, clock: FakeClock) -> tuple[str, tuple[str, ...]]:
    secret = factors.begin(ann)
    codes = db.write(lambda tx: factors.confirm_in(tx, ann, code(secret, clock)))
    assert codes is not None
    clock.advance(30 * SECOND)
    return secret, codes


def check(db: Database, factors: SecondFactors, ann: Account, text: str) -> Outcome:
    return db.write(lambda tx: factors.check_in(tx, ann.id, text))


def test_it_is_in_force_when_the_first_code_was_right(db, factors: SecondFactors, ann: Account, clock) -> None:
    secret = factors.begin(ann)
    assert factors.begin(ann) == secret
    assert not factors.enrolled(ann.id)
    assert check(db, factors, ann, code(secret, clock)) is Outcome.NONE
    assert db.write(lambda tx: factors.confirm_in(tx, ann, wrong(secret, clock))) is None
    assert not factors.enrolled(ann.id)
    assert db.write(lambda tx: factors.confirm_in(tx, ann, code(secret, clock))) is not None
    assert factors.enrolled(ann.id)
    with pytest.raises(Conflict, match="removed"):
        factors.begin(ann)
    assert secret in factors.link(secret, ann.address, "mail.example.test")


def test_N6_a_secret_that_another_session_was_shown_is_never_put_into_force(db, factors, ann: Account, clock) -> None:
    seen = factors.begin(ann, 7)
    assert factors.begin(ann, 7) == seen
    fresh = factors.begin(ann, 8)
    assert fresh != seen
    assert db.write(lambda tx: factors.confirm_in(tx, ann, code(seen, clock), 7)) is None
    assert db.write(lambda tx: factors.confirm_in(tx, ann, code(fresh, clock), 7)) is None
    assert db.write(lambda tx: factors.confirm_in(tx, ann, code(seen, clock), 8)) is None
    assert db.write(lambda tx: factors.confirm_in(tx, ann, code(fresh, clock), 8)) is not None
    assert check(db, factors, ann, code(fresh, clock, 1)) is Outcome.OK


def test_N6_a_code_is_accepted_once_and_no_earlier_one_after_it(db, factors, ann: Account, clock: FakeClock) -> None:
    secret, _ = enrol(db, factors, ann, clock)
    now = code(secret, clock)
    assert check(db, factors, ann, f"{now[:3]} {now[3:]}") is Outcome.OK
    assert check(db, factors, ann, now) is Outcome.WRONG
    assert check(db, factors, ann, code(secret, clock, -1)) is Outcome.WRONG
    clock.advance(30 * SECOND)
    assert check(db, factors, ann, code(secret, clock)) is Outcome.OK


def test_N6_the_code_of_enrolment_is_spent(db, factors, ann: Account, clock: FakeClock) -> None:
    secret = factors.begin(ann)
    first = code(secret, clock)
    assert db.write(lambda tx: factors.confirm_in(tx, ann, first)) is not None
    assert check(db, factors, ann, first) is Outcome.WRONG


def test_N6_ten_at_once_with_one_code_one_is_accepted(db, factors, ann: Account, clock: FakeClock) -> None:
    secret, _ = enrol(db, factors, ann, clock)
    now = code(secret, clock)
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(lambda _: check(db, factors, ann, now), range(10)))
    assert outcomes.count(Outcome.OK) == 1


def test_N6_twenty_guesses_five_are_looked_at(db, factors, ann: Account, clock: FakeClock) -> None:
    secret, codes = enrol(db, factors, ann, clock)
    outcomes = [check(db, factors, ann, wrong(secret, clock)) for _ in range(20)]
    assert outcomes == [Outcome.WRONG] * 5 + [Outcome.PAUSED] * 15
    assert check(db, factors, ann, code(secret, clock)) is Outcome.PAUSED
    # the owner gets in all the same
    assert check(db, factors, ann, codes[0]) is Outcome.RECOVERY
    assert check(db, factors, ann, code(secret, clock)) is Outcome.OK


def test_the_pause_ends_by_itself(db, factors, ann: Account, clock: FakeClock) -> None:
    secret, _ = enrol(db, factors, ann, clock)
    for _ in range(5):
        check(db, factors, ann, wrong(secret, clock))
    clock.advance(15 * MINUTE)
    assert check(db, factors, ann, wrong(secret, clock)) is Outcome.WRONG
    assert check(db, factors, ann, code(secret, clock)) is Outcome.OK


def test_N6_recovery_codes_are_single_and_kept_as_digests(db, factors, ann: Account, clock: FakeClock) -> None:
    _, codes = enrol(db, factors, ann, clock)
    assert len(set(codes)) == 10
    with db.read() as reader:
        stored = str(reader.all(select(t.recovery_code))) + str(reader.all(select(t.second_factor)))
    assert not any(one in stored or one.replace("-", "") in stored for one in codes)
    assert check(db, factors, ann, codes[3].upper().replace("-", " ")) is Outcome.RECOVERY
    assert check(db, factors, ann, codes[3]) is Outcome.WRONG
    assert factors.left(ann.id) == 9
    fresh = db.write(lambda tx: factors.renew_codes_in(tx, ann))
    assert check(db, factors, ann, codes[4]) is Outcome.WRONG
    assert check(db, factors, ann, fresh[0]) is Outcome.RECOVERY


def test_a_code_of_somebody_else_is_nothing(db, factors, ann: Account, clock: FakeClock, people, directory) -> None:
    people.account("bob@example.test")
    bob = directory.account("bob@example.test")
    secret, codes = enrol(db, factors, ann, clock)
    enrol(db, factors, bob, clock)
    assert check(db, factors, bob, codes[0]) is Outcome.WRONG
    assert check(db, factors, bob, code(secret, clock)) is Outcome.WRONG


def test_taken_away_it_is_gone(db, factors, ann: Account, clock: FakeClock) -> None:
    secret, codes = enrol(db, factors, ann, clock)
    db.write(lambda tx: factors.remove_in(tx, ann.id))
    assert not factors.enrolled(ann.id)
    assert check(db, factors, ann, code(secret, clock)) is Outcome.NONE
    assert check(db, factors, ann, codes[0]) is Outcome.NONE


@pytest.mark.parametrize("text", ["", "000", "\0" * 6, "ⅤⅠ٣٤٥٦", "1" * 10_000, "'; drop table account; --"])
def test_hostile_codes_are_wrong(db, factors, ann: Account, clock: FakeClock, text: str) -> None:
    enrol(db, factors, ann, clock)
    assert check(db, factors, ann, text) is Outcome.WRONG
