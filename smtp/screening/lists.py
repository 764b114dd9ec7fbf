"""Asking lists of bad senders in DNS, as smtp.policy.dnsbl says.

Promises: all zones at once, within SECONDS; a zone's test entries are looked at once a day, and one that does not work is
left alone until then. What gives no answer says nothing.
"""

from __future__ import annotations

import asyncio

from appliance.log import Log
from appliance.net.answers import Temporary, TextAnswer
from appliance.net.resolver import Resolver
from data.clock import DAY, HOUR, Clock
from data.ids import Millis
from data.reason import Reason
from smtp.policy import dnsbl
from smtp.policy.dnsbl import TEST_LISTED, TEST_UNLISTED, Zone
from smtp.policy.verdict import Weighed

SECONDS = 4.0


class Lists:
    """Asks, and remembers which zones work; used on the loop."""

    def __init__(self, resolver: Resolver, clock: Clock, log: Log) -> None:
        self._resolver = resolver
        self._clock = clock
        self._log = log
        self._sound: dict[str, tuple[bool, Millis]] = {}

    async def ask(self, address: str, setting: str) -> list[Weighed]:
        """The lists that have an address."""
        zones = dnsbl.zones(setting)
        if not zones or not address:
            return []
        found = await asyncio.gather(*(self._listed(address, zone) for zone in zones))
        return dnsbl.weigh([zone for zone, listed in zip(zones, found, strict=True) if listed], address)

    async def _listed(self, address: str, zone: Zone) -> bool:
        name = dnsbl.name_of(address, zone)
        if name is None or not dnsbl.is_listed(await self._query(name)):
            return False
        return await self._works(zone)

    async def _works(self, zone: Zone) -> bool:
        known = self._sound.get(zone.name)
        now = self._clock.now()
        if known is not None and known[1] <= now < known[1] + (DAY if known[0] else HOUR):
            return known[0]
        names = [dnsbl.name_of(address, zone) or "" for address in (TEST_LISTED, TEST_UNLISTED)]
        listed, unlisted = await asyncio.gather(*map(self._query, names))
        sound = dnsbl.is_sound(listed, unlisted)
        if not sound:
            self._log.warning("screen", zone=zone.name, why="its test entries are not as they should be")
        self._sound[zone.name] = (sound, now)
        return sound

    async def _query(self, name: str) -> TextAnswer:
        try:
            async with asyncio.timeout(SECONDS):
                return await self._resolver.query(name, "A")
        except TimeoutError:
            return Temporary(Reason("dns.timeout", {"name": name}))
