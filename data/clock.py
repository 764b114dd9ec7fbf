"""The single clock of the house.

Promises: whoever needs the time is given a Clock; nobody reads the wall clock on their own, so that a test can
walk through days. Wall time is milliseconds UTC; the monotonic time is seconds and only good for differences.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from data.ids import Millis

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """What time it is."""

    def now(self) -> Millis:
        """Wall time in milliseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(slots=True)
class FakeClock:
    """A clock that stands still until it is told to move; for tests."""

    wall: int = 1_767_225_600_000
    steady: float = field(default=1_000.0)

    def now(self) -> Millis:
        return Millis(self.wall)

    def monotonic(self) -> float:
        return self.steady

    def advance(self, millis: int) -> None:
        """Let time pass: both clocks move by `millis`."""
        self.wall += millis
        self.steady += millis / 1000

    def jump(self, millis: int) -> None:
        """Set the wall clock off by `millis` (may be negative), as an administrator or NTP would."""
        self.wall += millis
