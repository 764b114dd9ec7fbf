"""Which hosts are down: a dead one is left alone for all mail, and looked at by one probe when its time has come.

Pure: no sockets; the clock is injected, and only its monotonic time counts. A host rests 1, 5, 15 and then 30 minutes
after each further failure. Bounded: the hosts that failed longest ago are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from data.clock import Clock

RESTS = (60.0, 300.0, 900.0, 1800.0)
"""Seconds of rest after the first, second, ... failure in a row."""
KEPT_MOST = 10_000
PROBE_SECONDS = 3600.0
"""A probe that was never heard of again blocks the next one no longer than this."""


@dataclass(slots=True)
class _Down:
    failures: int
    until: float
    probe_since: float | None = None


class Hosts:
    """The memory of one queue. Asked and told on the loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._down: OrderedDict[str, _Down] = OrderedDict()

    def may_try(self, host: str) -> bool:
        """Whether to connect now. True for a resting host makes the caller its probe: it must tell how that ended."""
        down = self._down.get(host)
        if down is None:
            return True
        now = self._clock.monotonic()
        if now < down.until or (down.probe_since is not None and now - down.probe_since < PROBE_SECONDS):
            return False
        down.probe_since = now
        return True

    def failed(self, host: str) -> None:
        """It could not be reached, or did not speak SMTP to its end."""
        known = self._down.pop(host, None)
        failures = 1 if known is None else known.failures + 1
        rest = RESTS[min(failures, len(RESTS)) - 1]
        self._down[host] = _Down(failures, self._clock.monotonic() + rest)
        while len(self._down) > KEPT_MOST:
            self._down.popitem(last=False)

    def unclear(self, host: str) -> None:
        """The probe could not find out (its name could not be looked up): the next one may try."""
        down = self._down.get(host)
        if down is not None:
            down.probe_since = None

    def worked(self, host: str) -> bool:
        """It answered; True when it had been down, so that what waits for it can be woken."""
        return self._down.pop(host, None) is not None

    def __len__(self) -> int:
        return len(self._down)
