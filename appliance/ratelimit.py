"""Token buckets: how much of something a peer, an account or a destination may have in a time.

Promises: pure, the clock injected; memory is bounded whatever keys a stranger invents: buckets that are full again are
forgotten, and beyond `most` keys the least recently used go (which can only be kind to them). May not: sleep, or know
what is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from data.clock import Clock


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class TokenBuckets:
    """For each key a bucket of `burst` tokens that fills at `rate` tokens a second."""

    def __init__(self, clock: Clock, *, rate: float, burst: float, most: int = 50_000) -> None:
        if rate <= 0 or burst <= 0 or most <= 0:
            raise ValueError("rate, burst and most are positive")
        self._clock = clock
        self.rate, self.burst, self.most = rate, burst, most
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, n: float = 1.0) -> bool:
        """Take `n` tokens; False (and nothing taken) when there are not so many."""
        bucket = self._filled(key)
        if bucket.tokens < n:
            return False
        bucket.tokens -= n
        return True

    def charge(self, key: Hashable, n: float = 1.0) -> None:
        """Take `n` tokens that are already spent: the bucket may go below zero, by at most one burst."""
        bucket = self._filled(key)
        bucket.tokens = max(bucket.tokens - n, -self.burst)

    def wait(self, key: Hashable, n: float = 1.0) -> float:
        """Seconds until `n` tokens are there; 0 when they are now; infinity when the bucket never holds so many."""
        if n > self.burst:
            return float("inf")
        return max(0.0, (n - self.left(key)) / self.rate)

    def left(self, key: Hashable) -> float:
        """Tokens there now; asking leaves no trace."""
        bucket = self._buckets.get(key)
        return self.burst if bucket is None else self._level(bucket)

    def forget(self, key: Hashable) -> None:
        """A full bucket again."""
        self._buckets.pop(key, None)

    def _level(self, bucket: _Bucket) -> float:
        gone = max(0.0, self._clock.monotonic() - bucket.at)
        return min(self.burst, bucket.tokens + gone * self.rate)

    def _filled(self, key: Hashable) -> _Bucket:
        now = self._clock.monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self.burst, now)
            self._shrink()
        else:
            bucket.tokens, bucket.at = self._level(bucket), now
            self._buckets.move_to_end(key)
        return bucket

    def _shrink(self) -> None:
        """Forget a few of the oldest that are full again, and whatever is beyond the bound."""
        for _ in range(2):
            key, bucket = next(iter(self._buckets.items()))
            if len(self._buckets) <= self.most and (len(self._buckets) < 3 or self._level(bucket) < self.burst):
                return
            del self._buckets[key]


class Gauge:
    """How many of something each key has at this moment: connections of an address, say. Bounded by what exists."""

    def __init__(self, most: int) -> None:
        """At most `most` for one key; 0 is no limit."""
        self.most = most
        self.total = 0
        self._held: dict[Hashable, int] = {}

    def enter(self, key: Hashable) -> bool:
        """One more for `key`; False (and not counted) when it has its most."""
        held = self._held.get(key, 0)
        if self.most and held >= self.most:
            return False
        self._held[key] = held + 1
        self.total += 1
        return True

    def leave(self, key: Hashable) -> None:
        """One that entered is gone."""
        held = self._held.get(key, 0)
        if held <= 0:
            return
        self.total -= 1
        if held == 1:
            del self._held[key]
        else:
            self._held[key] = held - 1

    def held(self, key: Hashable) -> int:
        """How many `key` has now."""
        return self._held.get(key, 0)
