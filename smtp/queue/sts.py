"""MTA-STS (RFC 8461): what a domain says of TLS to its mail servers, fetched over HTTPS and believed until it ends.

Promises: a policy is fetched when the domain's TXT record names one we do not have, and again before it ends; a record that
is gone, DNS that is silent and a policy host that is down take nothing away from a policy that we have (§3.1, §5.1). A policy
that cannot be fetched is asked for again after five minutes. Bounds: 60 seconds, 64 KiB, no redirects, text/plain, a
certificate for mta-sts.DOMAIN. May not: connect to mail servers.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.log import Log
from appliance.loop import Workers
from appliance.net.fetch import Fetcher, FetchError
from appliance.net.resolver import Found, Resolver
from data.clock import DAY, MINUTE, Clock
from data.ids import Millis
from data.spool.sts import Kept, StsPolicies

SECONDS = 60.0
SIZE = 64 * 1024
MAX_AGE_MOST = 31_557_600
MX_MOST = 500
AGAIN = 5 * MINUTE
_FAILED_MOST = 10_000
_MODES = ("enforce", "testing", "none")
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")
_MX = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain asks for: its mode, and the hosts that may stand in for it."""

    mode: str
    mx: tuple[str, ...]
    max_age: int

    def covers(self, host: str) -> bool:
        """Whether a host is one of the domain's (§4.1); a star stands for exactly one label."""
        name = host.rstrip(".").lower()
        return any(
            name == pattern or (pattern.startswith("*.") and name.partition(".")[2] == pattern[2:])
            for pattern in self.mx
        )


class Unfit(Exception):
    """A policy that cannot be used; the text says why."""


def ident_of(records: Iterable[bytes]) -> str | None:
    """The id in the TXT record (§3.1); None without exactly one record that can be read."""
    found = [text for record in records if (text := record.decode("ascii", "replace")).startswith("v=STSv1;")]
    if len(found) != 1:
        return None
    for part in found[0].split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name.strip() == "id":
            return value.strip() if _ID.match(value.strip()) else None
    return None


def parse(octets: bytes) -> Policy:
    """A policy (§3.2). Raises Unfit. Of a field given twice the first counts; fields nobody knows are left aside."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Unfit("it is not UTF-8") from None
    fields: dict[str, str] = {}
    hosts: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip() == "mx":
            hosts.append(value.strip().rstrip(".").lower())
        elif colon:
            fields.setdefault(name.strip(), value.strip())
    age = fields.get("max_age", "")
    if fields.get("version") != "STSv1":
        raise Unfit("its version is not STSv1")
    if fields.get("mode") not in _MODES:
        raise Unfit("its mode is unknown")
    if not age.isascii() or not age.isdigit() or len(age) > 10:
        raise Unfit("its max_age is no number")
    if len(hosts) > MX_MOST or not all(_MX.match(host) for host in hosts):
        raise Unfit("its mx is no host")
    if not hosts and fields["mode"] != "none":
        raise Unfit("it names no mx")
    return Policy(fields["mode"], tuple(hosts), min(int(age), MAX_AGE_MOST))


@dataclass(frozen=True, slots=True)
class StsParts:
    """What is worked with. `port` is where policy hosts listen (443 but in tests)."""

    resolver: Resolver
    fetcher: Fetcher
    kept: StsPolicies
    workers: Workers
    clock: Clock
    log: Log
    port: int = 443


class Sts:
    """The policies of all domains we write to."""

    def __init__(self, parts: StsParts) -> None:
        self._parts = parts
        self._failed: OrderedDict[str, float] = OrderedDict()

    async def of(self, domain: str) -> Policy | None:
        """The policy that holds for a domain now."""
        parts = self._parts
        kept = await parts.workers.blocking(parts.kept.get, domain)
        now = parts.clock.now()
        if kept is not None and not kept.fetched_at - DAY <= now < kept.ends_at:
            # over, or fetched in a time to come: by a clock that has since been set right
            kept = None
        answer = await parts.resolver.txt(f"_mta-sts.{domain}")
        ident = ident_of(answer.values) if isinstance(answer, Found) else None
        wanted = ident is not None and (kept is None or kept.ident != ident)
        if wanted or (kept is not None and _stale(kept, now)):
            fetched = await self._fetched(domain, ident or (kept.ident if kept else ""), now)
            kept = fetched or kept
        return None if kept is None else Policy(kept.mode, kept.mx, kept.max_age)

    async def _fetched(self, domain: str, ident: str, now: Millis) -> Kept | None:
        """The policy as it is now, kept; None when it cannot be had."""
        parts = self._parts
        again = self._failed.get(domain)
        if again is not None and parts.clock.monotonic() < again:
            return None
        port = "" if parts.port == 443 else f":{parts.port}"
        try:
            found = await parts.fetcher.get(
                f"https://mta-sts.{domain}{port}/.well-known/mta-sts.txt", accept="text/plain", size=SIZE, redirects=0
            )
            if found.media_type != "text/plain":
                raise Unfit("it is not text/plain")
            policy = parse(found.body)
        except (FetchError, Unfit) as error:
            why = error.why if isinstance(error, FetchError) else str(error)
            parts.log.warning("tls.failed", host=f"mta-sts.{domain}", why=why)
            self._remember(domain)
            return None
        self._failed.pop(domain, None)
        kept = Kept(ident, policy.mode, policy.mx, policy.max_age, now)
        await parts.workers.blocking(parts.kept.put, domain, kept)
        return kept

    def _remember(self, domain: str) -> None:
        self._failed.pop(domain, None)
        self._failed[domain] = self._parts.clock.monotonic() + AGAIN / 1000
        while len(self._failed) > _FAILED_MOST:
            self._failed.popitem(last=False)


def _stale(kept: Kept, now: Millis) -> bool:
    """Looked at again each day, or when half of its time is over (§5.1, §10.2): long before it ends."""
    return now - kept.fetched_at >= min(DAY, kept.max_age * 500)
