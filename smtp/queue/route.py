"""Where mail for a domain goes: a smarthost, its mail exchangers, or its own address (RFC 5321 §5.1, RFC 7505).

Promises: NXDOMAIN and a null MX are permanent; whatever nobody could say now (SERVFAIL, timeouts, DNS switched off) is
temporary. If our own name is among the exchangers, it and all that are no better are left out; if nothing is left, that
is a loop (5.4.6). Exchangers of equal preference are tried in random order.
May not: connect, or remember anything (the resolver keeps answers, smtp.queue.hosts who is down).
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from appliance.config import split_host_port
from appliance.net.resolver import Found, Mx, NoSuchName, Resolver, Temporary, known_addresses
from data.errors import Invalid
from data.reason import Reason
from smtp.queue.events import Problem
from smtp.queue.hop import Hop

SMTP_PORT = 25
EXCHANGERS_MOST = 10
ADDRESSES_MOST = 6
_ROUTES_MOST = 1000

HostPort = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """Hosts in the order they are tried; `secure`: DNS validated (DNSSEC) that they are the domain's."""

    hops: tuple[Hop, ...]
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Routes:
    """What an administrator decided: `all` takes everything; else the longest name in `table` that fits (`example.org`,
    `.example.org` for all below it, `*` for the rest).
    """

    all: HostPort | None = None
    table: Mapping[str, HostPort] = field(default_factory=dict)

    def of(self, domain: str) -> HostPort | None:
        """The host that takes the mail of a domain, if one was named."""
        if self.all is not None:
            return self.all
        if domain in self.table:
            return self.table[domain]
        rest = domain
        while "." in rest:
            rest = rest.partition(".")[2]
            if "." + rest in self.table:
                return self.table["." + rest]
        return self.table.get("*")

    def key(self, domain: str) -> str:
        """What shares connections: the named host, or the domain itself."""
        named = self.of(domain)
        return domain if named is None else f"{named[0]}:{named[1]}"


def parse_routes(text: str) -> Mapping[str, HostPort]:
    """The table out of a setting: `DOMAIN HOST:PORT` a line, # begins a comment. Raises Invalid."""
    table: dict[str, HostPort] = {}
    for number, line in enumerate(text.splitlines()[: _ROUTES_MOST + 1], 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            domain, target = words
            table[domain.lower()] = split_host_port(target)
        except ValueError:
            raise Invalid(f"route {number}", public=f"Line {number} of the routes is not DOMAIN HOST:PORT") from None
    return table


class Router:
    """Finds the way. `hostname` is our own; `port` is where exchangers listen (25 but in tests)."""

    def __init__(
        self,
        resolver: Resolver,
        hostname: str,
        routes: Callable[[], Routes],
        *,
        port: int = SMTP_PORT,
        shuffle: Callable[[list[Mx]], None] = random.shuffle,
    ) -> None:
        self._resolver = resolver
        self._hostname = hostname.lower()
        self._port = port
        self._shuffle = shuffle
        self.routes = routes

    async def find(self, domain: str) -> Plan | Problem:
        """The hosts for a domain (A-label, lower-cased, or an address literal)."""
        named = self.routes().of(domain)
        if named is not None:
            return Plan((Hop(named[0], named[1], fixed=True),))
        if domain.startswith("["):
            return self._literal(domain)
        answer = await self._resolver.mx(domain)
        if isinstance(answer, Temporary):
            return Problem(answer.reason, permanent=False)
        if isinstance(answer, Found):
            return self._exchangers(answer.values, secure=answer.secure)
        if isinstance(answer, NoSuchName):
            return Problem(Reason("queue.nodomain"), permanent=True)
        # RFC 5321 §5.1: without MX records the domain itself is the exchanger
        return Plan((Hop(domain, self._port),), secure=answer.secure)

    async def addresses(self, hop: Hop) -> tuple[str, ...] | Problem:
        """The addresses of a host; without any, permanently or not."""
        answer = await self._resolver.addresses(hop.host)
        if isinstance(answer, Found):
            return answer.values[:ADDRESSES_MOST]
        if isinstance(answer, Temporary):
            return Problem(answer.reason, permanent=False)
        return Problem(Reason("queue.nohost", {"host": hop.host}), permanent=not hop.fixed)

    def _literal(self, domain: str) -> Plan | Problem:
        found = known_addresses(domain)
        if not found or not _public(found[0]):
            return Problem(Reason("queue.literal"), permanent=True)
        return Plan((Hop(found[0], self._port),))

    def _exchangers(self, found: tuple[Mx, ...], *, secure: bool) -> Plan | Problem:
        usable = [mx for mx in found if mx.host]
        if not usable:
            # RFC 7505 §3: a single "." says that no mail is taken
            return Problem(Reason("queue.nullmx"), permanent=True)
        ours = [mx.preference for mx in usable if mx.host == self._hostname]
        better = [mx for mx in usable if not ours or mx.preference < min(ours)]
        if not better:
            return Problem(Reason("queue.loop"), permanent=True)
        hosts: list[str] = []
        for _, group in groupby(sorted(better, key=lambda mx: mx.preference), key=lambda mx: mx.preference):
            equals = list(group)
            self._shuffle(equals)
            hosts += [mx.host for mx in equals]
        unique = list(dict.fromkeys(hosts))[:EXCHANGERS_MOST]
        return Plan(tuple(Hop(host, self._port) for host in unique), secure)


def _public(address: str) -> bool:
    """Whether mail may be sent to an address that a sender wrote: never to ourselves or into the void."""
    ip = ipaddress.ip_address(address)
    return not (ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_link_local)
