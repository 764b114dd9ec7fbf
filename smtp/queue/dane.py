"""TLSA records and what they ask of a host (RFC 6698, RFC 7671, RFC 7672): pure.

Promises: only usages 2 (an authority of the domain's own) and 3 (this very certificate) count for mail (RFC 7672 §3.1.3);
usage 3 looks at nothing but the match, usage 2 also at names, times and signatures. What is malformed or unknown is unusable.
May not: ask DNS, or judge whether the answer was validated (smtp.queue.tlspolicy does).
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from appliance.net.chain import CHAIN_MOST, fault, key_info

AUTHORITY = 2
CERTIFICATE = 3
RECORDS_MOST = 50

_MATCHINGS: Mapping[int, Callable[[bytes], bytes]] = {
    0: lambda data: data,
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}
_LENGTHS = {1: 32, 2: 64}


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One usable record."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def matches(self, certificate: bytes) -> bool:
        """Whether it means this certificate."""
        selected = certificate if self.selector == 0 else key_info(certificate)
        return selected is not None and _MATCHINGS[self.matching](selected) == self.data


def parse(texts: Iterable[str]) -> tuple[Tlsa, ...]:
    """The usable ones of records in presentation form."""
    return tuple(one for text in list(texts)[:RECORDS_MOST] if (one := _parsed(text)) is not None)


def _parsed(text: str) -> Tlsa | None:
    words = text.split()
    try:
        usage, selector, matching = (int(word) for word in words[:3])
        data = bytes.fromhex("".join(words[3:]))
    except ValueError:
        return None
    known = usage in (AUTHORITY, CERTIFICATE) and selector in (0, 1) and matching in _MATCHINGS
    fits = bool(data) and _LENGTHS.get(matching, len(data)) == len(data)
    return Tlsa(usage, selector, matching, data) if known and fits else None


def wrong(records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now: datetime.datetime) -> str | None:
    """Why a host that showed `chain` is not the one that the records mean; None when it is. `names` are those it may have
    (RFC 7672 §3.2.2: the host, and the domain the mail is for)."""
    if not chain:
        return "it showed no certificate"
    if any(one.usage == CERTIFICATE and one.matches(chain[0]) for one in records):
        return None
    why = "its certificate is not the one that DNS names"
    for one in records:
        if one.usage == AUTHORITY:
            for number, certificate in enumerate(chain[:CHAIN_MOST]):
                if one.matches(certificate):
                    found = fault(chain, number, names, now)
                    if found is None:
                        return None
                    why = found
    return why
