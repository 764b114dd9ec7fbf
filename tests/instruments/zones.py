"""Names for tests of checks: a dictionary of records behind the resolver's questions, and a thread that asks.

    zones = {"example.org": {"TXT": ["v=spf1 -all"], "MX": ["10 mx.example.org"]}, "broken.example": "SERVFAIL"}
    ask(zones, lambda names: spf.check(names, ...))      # in a thread, as the appliance does it

A name that is not there is NoSuchName, a type that is not there NoData; SERVFAIL is Temporary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from appliance.net.answers import Answer, Found, Mx, NoData, NoSuchName, Temporary
from data.reason import Reason
from smtp.mailauth.names import Names

T = TypeVar("T")
Zones = Mapping[str, Mapping[str, list[str]] | str]


class ZoneResolver:
    """Answers from a dictionary; `asked` holds the questions in order."""

    def __init__(self, zones: Zones) -> None:
        self._zones = {name.rstrip(".").lower(): entry for name, entry in zones.items()}
        self.asked: list[tuple[str, str]] = []

    def _entry(self, name: str, kind: str) -> Answer[str]:
        name = name.rstrip(".").lower()
        self.asked.append((name, kind))
        entry = self._zones.get(name)
        if entry is None:
            below = any(known.endswith(f".{name}") for known in self._zones)
            return NoData() if below else NoSuchName()
        if isinstance(entry, str):
            return Temporary(Reason("dns.servfail", {"name": name}))
        if "CNAME" in entry and kind != "CNAME":
            return self._entry(entry["CNAME"][0], kind)
        return Found(tuple(entry[kind]), 60) if entry.get(kind) else NoData()

    async def mx(self, domain: str) -> Answer[Mx]:
        found = self._entry(domain, "MX")
        if not isinstance(found, Found):
            return found
        pairs = (value.split() for value in found.values)
        return Found(
            tuple(sorted((Mx(int(one), host.rstrip(".")) for one, host in pairs), key=lambda m: m.preference)), 60
        )

    async def addresses(self, host: str) -> Answer[str]:
        return self._entry(host, "A")

    async def txt(self, name: str) -> Answer[bytes]:
        found = self._entry(name, "TXT")
        return Found(tuple(value.encode() for value in found.values), 60) if isinstance(found, Found) else found

    async def ptr(self, address: str) -> Answer[str]:
        raise AssertionError("checks ask by name")

    async def query(self, name: str, rdtype: str) -> Answer[str]:
        return self._entry(name, rdtype)


def ask(zones: Zones | ZoneResolver, work: Callable[[Names], T], *, seconds: float = 20.0) -> T:
    """What `work` makes of these names, in a thread beside the loop."""
    resolver: Any = zones if isinstance(zones, ZoneResolver) else ZoneResolver(zones)

    async def run() -> T:
        loop = asyncio.get_running_loop()
        names = Names(resolver, loop.time() + seconds)
        return await loop.run_in_executor(None, work, names)

    return asyncio.run(run())
