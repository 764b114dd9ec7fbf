"""What a host has to prove before it gets mail for a domain: by DANE, else by MTA-STS, else nothing.

Promises: DANE counts only where DNS validated the exchangers and the addresses (RFC 7672 §2.2); where it counts it goes before
MTA-STS (RFC 8461 §2). TLSA records that nobody could look up now defer (RFC 7672 §2.1.1); unusable ones ask for encryption
alone (§2.2). A host that an enforced policy does not name gets no mail. May not: connect to the host.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from appliance.net.resolver import Found, Resolver, Temporary
from data.clock import Clock
from data.reason import Reason
from smtp.queue import dane
from smtp.queue.events import Problem
from smtp.queue.hop import Hop, Level, Need
from smtp.queue.sts import Sts

FREE = Need()


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """Asked for each host before it is called."""

    resolver: Resolver
    sts: Sts
    clock: Clock

    async def __call__(self, domain: str, hop: Hop, secure: bool) -> Need | Problem:
        """What the hop has to prove for mail to `domain`; `secure`: DNS validated that it is an exchanger of it. A Problem
        when it may not be used now."""
        found = await self._dane(domain, hop) if secure else None
        return found if found is not None else await self._sts(domain, hop)

    async def _dane(self, domain: str, hop: Hop) -> Need | Problem | None:
        addresses = await self.resolver.addresses(hop.host)
        if not isinstance(addresses, Found) or not addresses.secure:
            return None
        answer = await self.resolver.query(f"_{hop.port}._tcp.{hop.host}", "TLSA")
        if isinstance(answer, Temporary):
            return Problem(Reason("queue.tls.tlsa", {"host": hop.host}), permanent=False)
        if not isinstance(answer, Found) or not answer.secure:
            return None
        records = dane.parse(answer.values)
        if not records:
            return Need(Level.ENCRYPTED, by="dane")

        def satisfied(chain: list[bytes]) -> str | None:
            now = datetime.datetime.fromtimestamp(self.clock.now() / 1000, datetime.UTC)
            return dane.wrong(records, chain, (hop.host, domain), now)

        return Need(Level.DANE, by="dane", satisfied=satisfied)

    async def _sts(self, domain: str, hop: Hop) -> Need | Problem:
        policy = await self.sts.of(domain)
        if policy is None or policy.mode != "enforce":
            return FREE
        if not policy.covers(hop.host):
            return Problem(Reason("queue.tls.mx", {"host": hop.host}), permanent=False)
        return Need(Level.PROVEN, by="mta-sts")


async def anything_goes(domain: str, hop: Hop, secure: bool) -> Need | Problem:
    """Nobody asks for anything."""
    return FREE
