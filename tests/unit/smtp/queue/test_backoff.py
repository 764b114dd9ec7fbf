"""The schedule of retries, exactly as promised, and its safety against clocks that jump."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.clock import DAY, HOUR, MINUTE, FakeClock
from data.ids import Millis
from smtp.queue import backoff

NOW = Millis(1_767_225_600_000)


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [(0, 1), (1, 1), (2, 5), (3, 15), (4, 30), (5, 60), (6, 120), (7, 120), (60, 120)],
)
def test_schedule(attempts: int, minutes: int) -> None:
    """1, 5, 15, 30, 60 minutes, then two hours (at the middle of the jitter)."""
    assert backoff.next_at(NOW, attempts, 0.5) == NOW + minutes * MINUTE


@given(attempts=st.integers(6, 10_000), draw=st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_a_fifth(attempts: int, draw: float) -> None:
    """The late steps lie within 2 h +-20 %, and no step reaches the limit from which times are pulled in."""
    step = backoff.wait(attempts, draw)
    assert 96 * MINUTE <= step <= 144 * MINUTE
    assert step < backoff.FAR


@pytest.mark.parametrize("attempts", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("draw", [0.0, 0.99])
def test_early_steps_have_no_jitter(attempts: int, draw: float) -> None:
    """A greylisting server names a time; a minute is a minute."""
    assert backoff.wait(attempts, draw) == backoff.wait(attempts, 0.5)


def test_at_most_caps_only_the_long_waits() -> None:
    """While names cannot be looked up the wait stays at 20 minutes."""
    waits = [backoff.next_at(NOW, n, 0.5, at_most=backoff.NAMES_AT_MOST) - NOW for n in range(1, 8)]
    assert waits == [m * MINUTE for m in (1, 5, 15, 20, 20, 20, 20)]


@pytest.mark.parametrize(
    ("age", "attempts", "gone"),
    [
        (5 * DAY - 1, 200, False),
        (5 * DAY, 11, False),
        (5 * DAY, 12, True),
        (4000 * DAY, 11, False),
        (-1 * DAY, 60, False),
    ],
)
def test_giving_up_needs_age_and_attempts(age: int, attempts: int, gone: bool) -> None:
    """Neither five days alone nor twelve attempts alone return a message."""
    assert backoff.gives_up(Millis(NOW - age), NOW, attempts) is gone


def test_warning_comes_once_after_four_hours() -> None:
    """Before: no; then: yes; then never again; and not because a clock jumped."""
    assert not backoff.warns(Millis(NOW - 4 * HOUR + 1), NOW, 9, None)
    assert backoff.warns(Millis(NOW - 4 * HOUR), NOW, 7, None)
    assert not backoff.warns(Millis(NOW - 4000 * DAY), NOW, 4, None)
    assert not backoff.warns(Millis(NOW - 9 * HOUR), NOW, 9, Millis(NOW - 5 * HOUR))


def test_clock_jump_ahead_expires_nothing() -> None:
    """A year's jump after the third attempt: the message is tried on until its twelfth, not returned."""
    clock = FakeClock()
    created, attempts = clock.now(), 3
    clock.jump(365 * DAY)
    tries = 0
    while not backoff.gives_up(created, clock.now(), attempts):
        clock.advance(backoff.wait(attempts, 0.0))
        attempts += 1
        tries += 1
    assert tries == 9


def test_clock_jump_back_stalls_nothing() -> None:
    """What was written for a later time than any wait allows is due now; honest times stay."""
    clock = FakeClock()
    due = backoff.next_at(clock.now(), 9, 0.999)
    assert backoff.pulled_in(due, clock.now()) == due
    clock.jump(-365 * DAY)
    assert backoff.pulled_in(due, clock.now()) == clock.now()


def test_five_days_hold_enough_attempts() -> None:
    """By the schedule alone a message is tried far more often than twelve times before its fifth day."""
    at, attempts = 0, 0
    while at < backoff.GIVE_UP_AGE:
        attempts += 1
        at += backoff.wait(attempts, 0.999)
    assert attempts > 50
