"""When to try again, when to warn and when to give up: pure arithmetic on wall-clock times.

RFC 5321 §4.5.4.1 asks for at least 30 minutes between attempts in the long run and for four to five days before giving
up. Here: 1 minute (a greylisting server lets the second attempt in), 5, 15, 30 and 60 minutes, then every 2 hours give
or take 20 %. A message is given up when it is 5 days old AND was tried at least 12 times, so that a clock that jumps
ahead expires nothing; a time that lies more than 4 hours ahead is pulled in, so that a clock that jumped back stalls
nothing. Times are milliseconds since the epoch; `draw` is a random number in [0, 1).
"""

from __future__ import annotations

from data.clock import DAY, HOUR, MINUTE
from data.ids import Millis

STEPS = (1 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 60 * MINUTE)
"""The wait after the first, second, ... failed attempt."""
LATER = 2 * HOUR
JITTER = 0.2
WARN_AGE = 4 * HOUR
WARN_ATTEMPTS = 5
GIVE_UP_AGE = 5 * DAY
GIVE_UP_ATTEMPTS = 12
FAR = 4 * HOUR
NAMES_AT_MOST = 20 * MINUTE
"""The longest wait while names cannot be looked up: asking again is cheap, and mail leaves soon after DNS returns."""


def wait(attempts: int, draw: float) -> int:
    """Milliseconds to wait after `attempts` (at least 1) failed attempts."""
    if attempts <= len(STEPS):
        return STEPS[max(attempts, 1) - 1]
    return round(LATER * (1 - JITTER + 2 * JITTER * draw))


def next_at(now: Millis, attempts: int, draw: float, *, at_most: int | None = None) -> Millis:
    """When to try again after `attempts` failed attempts; `at_most` caps the wait."""
    step = wait(attempts, draw)
    return Millis(now + (step if at_most is None else min(step, at_most)))


def gives_up(created: Millis, now: Millis, attempts: int) -> bool:
    """Whether a message that failed temporarily `attempts` times is returned to its sender now."""
    return now - created >= GIVE_UP_AGE and attempts >= GIVE_UP_ATTEMPTS


def gives_up_at(created: Millis) -> Millis:
    """The earliest moment at which it is given up, for Will-Retry-Until (RFC 3464 §2.3.9)."""
    return Millis(created + GIVE_UP_AGE)


def warns(created: Millis, now: Millis, attempts: int, warned: Millis | None) -> bool:
    """Whether the sender is told now, once, that the message is late; a clock that jumped ahead is no reason."""
    return warned is None and now - created >= WARN_AGE and attempts >= WARN_ATTEMPTS


def pulled_in(due: Millis, now: Millis) -> Millis:
    """A retry that lies further ahead than any wait can be was written by a clock that has since gone back."""
    return now if due > now + FAR else due
