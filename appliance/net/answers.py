"""What DNS says, in types, and how long it is believed.

Promises: an answer is Found, NoSuchName, NoData or Temporary, never None or an exception; the cache keeps answers for
their TTL within bounds, negative ones for at most a quarter of an hour, temporary ones not at all, and its size is
bounded. Pure: no socket, the clock injected.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from data.clock import Clock
from data.reason import Reason

T = TypeVar("T")

TTL_LEAST: Final = 5
TTL_MOST: Final = 86_400
NEGATIVE_MOST: Final = 900
CACHE_ENTRIES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """At least one record. `ttl` in seconds; `secure` when the server says it validated the answer (the AD bit)."""

    values: tuple[T, ...]
    ttl: int
    secure: bool = False


@dataclass(frozen=True, slots=True)
class NoSuchName:
    """NXDOMAIN: nothing of any type has this name."""

    ttl: int = 0
    secure: bool = False


@dataclass(frozen=True, slots=True)
class NoData:
    """The name exists, but has no record of this type."""

    ttl: int = 0
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Temporary:
    """Nobody could say now. Reasons: dns.timeout, dns.servfail, dns.unreachable, dns.busy, dns.off, dns.unconfigured."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Mx:
    """A mail exchanger; `host` is empty for the null MX (RFC 7505)."""

    preference: int
    host: str


Answer = Found[T] | NoSuchName | NoData | Temporary
MxAnswer = Answer[Mx]
TextAnswer = Answer[str]
BytesAnswer = Answer[bytes]


class Resolver(Protocol):
    """What everybody asks. Names are A-labels, with or without the final dot; hosts in answers are lower-case without."""

    async def mx(self, domain: str) -> MxAnswer:
        """Mail exchangers, by preference."""
        ...

    async def addresses(self, host: str) -> TextAnswer:
        """IPv4 addresses, then IPv6 addresses; a literal is its own answer."""
        ...

    async def txt(self, name: str) -> BytesAnswer:
        """TXT records, the strings of each joined (RFC 7208 §3.3)."""
        ...

    async def ptr(self, address: str) -> TextAnswer:
        """The names of an IP address."""
        ...

    async def query(self, name: str, rdtype: str) -> TextAnswer:
        """Records of any type in presentation form."""
        ...


# --- the cache ----------------------------------------------------------------------------------------------------------

Key = tuple[str, str]
Raw = Found[Any] | NoSuchName | NoData | Temporary


class Cache:
    """Answers until they expire, the least recently used dropped beyond `most`. Pure: the clock is injected."""

    def __init__(self, clock: Clock, most: int = CACHE_ENTRIES) -> None:
        self._clock = clock
        self._most = most
        self._entries: OrderedDict[Key, tuple[float, Raw]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Raw | None:
        """The answer kept for `key`, if it is still good."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock.monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: Key, answer: Raw) -> None:
        """Keep an answer for its TTL, within the bounds; a temporary one is not kept."""
        if isinstance(answer, Temporary):
            return
        most = TTL_MOST if isinstance(answer, Found) else NEGATIVE_MOST
        ttl = min(max(answer.ttl, TTL_LEAST), most)
        self._entries[key] = (self._clock.monotonic() + ttl, answer)
        self._entries.move_to_end(key)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything (the administrator changed something and does not want to wait)."""
        self._entries.clear()
