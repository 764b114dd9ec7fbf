"""Lists of bad senders in DNS (RFC 5782): what to ask, and what an answer means. Off until zones are set.

Promises: a list that answers with an error (no answer at all, SERVFAIL, 127.255.255.x: "you may not ask") says nothing;
one that lists everything (its test entry for 127.0.0.1 must not be there, RFC 5782 §5) is not believed. Pure: who asks
is the caller.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.net.answers import Found, TextAnswer
from smtp.policy.verdict import Weighed

TEST_LISTED, TEST_UNLISTED = "127.0.0.2", "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Zone:
    """A list, and how many points an entry in it is worth."""

    name: str
    weight: int = 60


def zones(setting: str) -> tuple[Zone, ...]:
    """The lists out of a setting: ZONE [POINTS] a line."""
    out = []
    for line in setting.splitlines():
        words = line.partition("#")[0].split()
        if words:
            out.append(Zone(words[0].strip(".").lower(), int(words[1]) if len(words) > 1 else 60))
    return tuple(out)


def name_of(address: str, zone: Zone) -> str | None:
    """What is asked for an address (RFC 5782 §2.1, §2.4); None where nobody lists: what is not on the internet."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if address not in (TEST_LISTED, TEST_UNLISTED) and not parsed.is_global:
        return None
    if parsed.version == 4:
        labels = ".".join(reversed(str(parsed).split(".")))
    else:
        labels = ".".join(reversed(parsed.exploded.replace(":", "")))
    return f"{labels}.{zone.name}"


def is_listed(answer: TextAnswer) -> bool:
    """Whether an answer is an entry."""
    return isinstance(answer, Found) and any(_is_entry(value) for value in answer.values)


def _is_entry(value: str) -> bool:
    return value.startswith("127.") and not value.startswith("127.255.255.")


def is_sound(listed: TextAnswer, unlisted: TextAnswer) -> bool:
    """Whether the answers for a list's two test entries are those of a list that works."""
    return is_listed(listed) and not is_listed(unlisted)


def weigh(zones_listed: Iterable[Zone], address: str) -> list[Weighed]:
    """The lists that have the sender; the second one counts half, and so on."""
    ordered = sorted(zones_listed, key=lambda zone: (-zone.weight, zone.name))
    return [
        Weighed(f"dnsbl.{zone.name}", zone.weight >> number, {"address": address})
        for number, zone in enumerate(ordered)
    ]
