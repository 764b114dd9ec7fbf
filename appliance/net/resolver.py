"""Names: the one door to DNS, asked by everybody, answering in types.

Promises: an answer is Found, NoSuchName (NXDOMAIN), NoData (the name is there, the type is not) or Temporary; a broken,
slow or absent server is never taken for a missing name. A try takes at most 5 s and a question 15 s in all, with at most
100 on the wire; equal questions asked at once are asked once. Answers are kept for their TTL within bounds, negative ones
as their SOA says (RFC 2308), temporary ones not at all. Only absolute names are asked; a name that cannot exist is
NoSuchName; `localhost` and address literals are answered here (RFC 6761 §6.3).

Whether an answer was validated (DNSSEC) is the word of the server that is asked: it counts when that server is on this machine,
or when it was said to be trusted, for nobody can then have changed the word on the way.

Kinds: SystemResolver (the servers of /etc/resolv.conf, read again when it changes), HostResolver (one server), and
OffResolver (every lookup is Temporary at once). May not: raise for anything a server does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver

from appliance.config import split_host_port
from appliance.log import Log
from appliance.net.answers import (
    TTL_MOST,
    Answer,
    BytesAnswer,
    Cache,
    Found,
    Key,
    Mx,
    MxAnswer,
    NoData,
    NoSuchName,
    Raw,
    Resolver,
    Temporary,
    TextAnswer,
)
from data.clock import Clock
from data.reason import Reason

T = TypeVar("T")
Count = Callable[[str], None]

__all__ = [
    "Answer",
    "BytesAnswer",
    "Found",
    "HostResolver",
    "Mx",
    "MxAnswer",
    "NoData",
    "NoSuchName",
    "OffResolver",
    "Resolver",
    "SystemResolver",
    "Temporary",
    "TextAnswer",
    "make",
]

TRY_SECONDS: Final = 5.0
WHOLE_SECONDS: Final = 15.0
IN_FLIGHT: Final = 100
_PAYLOAD: Final = 1232
_LOOK_AGAIN: Final = 30.0


# --- asking ------------------------------------------------------------------------------------------------------------------


class _Typed(ABC):
    """The questions of Resolver, in terms of one: `_ask(name, type)` -> records as dnspython has them."""

    @abstractmethod
    async def _ask(self, name: str, rdtype: str) -> Raw: ...

    async def mx(self, domain: str) -> MxAnswer:
        answer = await self._ask(domain, "MX")
        found = _mapped(answer, lambda record: Mx(record.preference, host_text(record.exchange)))
        if isinstance(found, Found):
            return Found(tuple(sorted(found.values, key=lambda mx: mx.preference)), found.ttl, found.secure)
        return found

    async def addresses(self, host: str) -> TextAnswer:
        known = known_addresses(host)
        if known is not None:
            return Found(known, TTL_MOST)
        four, six = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"))
        return joined(_mapped(four, lambda r: str(r.address)), _mapped(six, lambda r: str(r.address)))

    async def txt(self, name: str) -> BytesAnswer:
        return _mapped(await self._ask(name, "TXT"), lambda record: b"".join(record.strings))

    async def ptr(self, address: str) -> TextAnswer:
        try:
            name = ipaddress.ip_address(address).reverse_pointer
        except ValueError:
            return NoSuchName()
        return _mapped(await self._ask(name, "PTR"), lambda record: host_text(record.target))

    async def query(self, name: str, rdtype: str) -> TextAnswer:
        return _mapped(await self._ask(name, rdtype.upper()), lambda record: str(record.to_text()))


def _mapped(answer: Raw, convert: Callable[[Any], T]) -> Answer[T]:
    if isinstance(answer, Found):
        return Found(tuple(convert(record) for record in answer.values), answer.ttl, answer.secure)
    return answer


def joined(four: TextAnswer, six: TextAnswer) -> TextAnswer:
    """One answer of an A and an AAAA answer: what was found counts, then what could not be said, then what is missing."""
    found = [answer for answer in (four, six) if isinstance(answer, Found)]
    if found:
        values = tuple(dict.fromkeys(value for answer in found for value in answer.values))
        return Found(values, min(answer.ttl for answer in found), all(answer.secure for answer in found))
    for answer in (four, six):
        if isinstance(answer, Temporary):
            return answer
    return four if isinstance(four, NoSuchName) and isinstance(six, NoSuchName) else NoData(ttl=_least_ttl(four, six))


def _least_ttl(*answers: TextAnswer) -> int:
    return min((answer.ttl for answer in answers if not isinstance(answer, Temporary)), default=0)


def known_addresses(host: str) -> tuple[str, ...] | None:
    """The addresses of what needs no server: an IP address, [1.2.3.4], [IPv6:::1] (RFC 5321 §4.1.3), localhost."""
    plain = host.rstrip(".").lower()
    if plain == "localhost" or plain.endswith(".localhost"):
        return ("127.0.0.1", "::1")
    if plain.startswith("[") and plain.endswith("]"):
        plain = plain[1:-1].removeprefix("ipv6:")
    try:
        return (str(ipaddress.ip_address(plain)),)
    except ValueError:
        return None


def host_text(name: Any) -> str:
    """A name as we write hosts: lower-case, without the final dot; the root is the empty string."""
    text = str(name.to_text(omit_final_dot=True)).lower()
    return "" if text in {".", "@"} else text


class OffResolver(_Typed):
    """No DNS: every lookup is a temporary error at once, so mail to other domains waits and says why."""

    async def _ask(self, name: str, rdtype: str) -> Raw:
        return Temporary(Reason("dns.off", {"name": name[:255]}))


class HostResolver(_Typed):
    """Asks one server, `address:port`."""

    def __init__(
        self,
        address: str,
        port: int,
        clock: Clock,
        log: Log,
        count: Count = lambda kind: None,
        *,
        trusted: bool = False,
    ) -> None:
        """`count` hears of the kind of each answer that came from a server: found, nodata, nosuchname, temporary. `trusted`:
        the way to the server is safe, though it is not on this machine."""
        self._trusted = trusted
        self._log = log
        self._count = count
        self._cache = Cache(clock)
        self._asked: dict[Key, asyncio.Task[Raw]] = {}
        self._wire = asyncio.Semaphore(IN_FLIGHT)
        self._stub = _stub([address], port)

    async def _ask(self, name: str, rdtype: str) -> Raw:
        absolute = _absolute(name)
        if absolute is None:
            return NoSuchName()
        key = (absolute.to_text().lower(), rdtype)
        kept = self._cache.get(key)
        if kept is not None:
            return kept
        task = self._asked.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._learn(key, absolute, rdtype), name=f"dns {key[0]}")
            self._asked[key] = task
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        # Whoever goes away leaves the question to the others who asked it.
        return await asyncio.shield(task)

    async def _learn(self, key: Key, name: dns.name.Name, rdtype: str) -> Raw:
        sent = False
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                async with self._wire:
                    sent = True
                    answer = await self._exchange(name, rdtype)
        except TimeoutError:
            answer = self._temporary("dns.timeout" if sent else "dns.busy", key)
        self._cache.put(key, answer)
        self._count(type(answer).__name__.lower())
        if isinstance(answer, Temporary):
            self._log.info("dns.failed", name=key[0], type=rdtype, reason=answer.reason.code)
        return answer

    async def _exchange(self, name: dns.name.Name, rdtype: str) -> Raw:
        key = (name.to_text().lower(), rdtype)
        stub = self._servers()
        if stub is None:
            return self._temporary("dns.unconfigured", key)
        try:
            answer = await stub.resolve(name, rdtype, raise_on_no_answer=False, lifetime=WHOLE_SECONDS, search=False)
        except dns.resolver.NXDOMAIN as error:
            return _no_such_name(error, trusted=self._trusted or _on_this_machine(stub))
        except dns.resolver.LifetimeTimeout:
            return self._temporary("dns.timeout", key)
        except dns.resolver.NoNameservers as error:
            return self._temporary(_why_no_server(error), key)
        except (dns.exception.DNSException, OSError, ValueError, EOFError) as error:
            self._log.failure(error, "dns.failed", name=key[0], type=rdtype)
            return self._temporary("dns.servfail", key)
        secure = bool(answer.response.flags & dns.flags.AD) and (self._trusted or _on_this_machine(stub))
        return _answered(answer, secure)

    def _servers(self) -> dns.asyncresolver.Resolver | None:
        """The stub to ask now."""
        return self._stub

    def _temporary(self, code: str, key: Key) -> Temporary:
        return Temporary(Reason(code, {"name": key[0].rstrip(".")[:255]}))

    def forget(self) -> None:
        """Drop what is kept: for an administrator who changed a record."""
        self._cache.clear()


class SystemResolver(HostResolver):
    """Asks the servers of /etc/resolv.conf; the file is looked at again every half minute."""

    def __init__(
        self,
        clock: Clock,
        log: Log,
        count: Count = lambda kind: None,
        *,
        path: str = "/etc/resolv.conf",
        trusted: bool = False,
    ) -> None:
        super().__init__("127.0.0.1", 53, clock, log, count, trusted=trusted)
        self._clock = clock
        self._path = path
        self._looked = float("-inf")
        self._stamp: tuple[int, int] | None = None
        self._current: dns.asyncresolver.Resolver | None = None

    def _servers(self) -> dns.asyncresolver.Resolver | None:
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            self._read()
        return self._current

    def _read(self) -> None:
        try:
            facts = os.stat(self._path)
            stamp = (facts.st_mtime_ns, facts.st_ino)
            if stamp != self._stamp:
                self._stamp = stamp
                configured = dns.resolver.Resolver(self._path)
                servers = [str(one) for one in configured.nameservers]
                self._current = _stub(servers, 53) if servers else None
        except (dns.exception.DNSException, OSError) as error:
            self._stamp = self._current = None
            self._log.failure(error, "dns.failed", file=self._path)


def _stub(servers: list[str], port: int) -> dns.asyncresolver.Resolver:
    stub = dns.asyncresolver.Resolver(configure=False)
    stub.nameservers = servers
    stub.port = port
    stub.timeout = TRY_SECONDS
    stub.lifetime = WHOLE_SECONDS
    stub.cache = None
    stub.use_edns(0, 0, _PAYLOAD)
    stub.flags = dns.flags.RD | dns.flags.AD  # AD in a question: say whether you validated (RFC 6840 §5.7)
    return stub


def _absolute(name: str) -> dns.name.Name | None:
    """The name to ask; None for one that no server can hold (too long, empty label, not ASCII)."""
    try:
        return dns.name.from_text(name, origin=dns.name.root) if name and name.isascii() else None
    except dns.exception.DNSException:
        return None


def _on_this_machine(stub: dns.asyncresolver.Resolver) -> bool:
    """Whether every server that may have answered is on loopback."""
    try:
        return all(ipaddress.ip_address(str(server)).is_loopback for server in stub.nameservers)
    except ValueError:
        return False


def _answered(answer: dns.resolver.Answer, secure: bool) -> Raw:
    ttl = answer.chaining_result.minimum_ttl
    if answer.rrset is None:
        return NoData(ttl, secure)
    return Found(tuple(answer.rrset), ttl, secure)


def _no_such_name(error: dns.resolver.NXDOMAIN, *, trusted: bool) -> NoSuchName:
    responses: dict[Any, Any] = error.kwargs.get("responses") or {}
    response = next(iter(responses.values()))
    try:
        ttl = response.resolve_chaining().minimum_ttl
    except dns.exception.DNSException:
        ttl = 0
    return NoSuchName(ttl, trusted and bool(response.flags & dns.flags.AD))


def _why_no_server(error: dns.resolver.NoNameservers) -> str:
    """Every server was tried and none could be used: all of them unreachable, or one that answered with an error."""
    errors = error.kwargs.get("errors") or []
    causes = [one[3] for one in errors if len(one) > 3]
    return "dns.unreachable" if causes and all(isinstance(cause, OSError) for cause in causes) else "dns.servfail"


def make(kind: str, clock: Clock, log: Log, count: Count = lambda kind: None, *, trusted: bool = False) -> Resolver:
    """The resolver the configuration asks for: `system`, `off` or `ADDRESS:PORT`. Call it on the running loop. `trusted`: its
    word that it validated an answer counts, wherever it is."""
    if kind == "off":
        return OffResolver()
    if kind == "system":
        return SystemResolver(clock, log, count, trusted=trusted)
    address, port = split_host_port(kind)
    return HostResolver(address, port, clock, log, count, trusted=trusted)
