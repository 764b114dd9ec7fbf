"""Where mail goes, for every kind of answer DNS can give."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from appliance.net.resolver import (
    BytesAnswer,
    Found,
    Mx,
    MxAnswer,
    NoData,
    NoSuchName,
    OffResolver,
    Temporary,
    TextAnswer,
)
from data.errors import Invalid
from data.reason import Reason
from smtp.queue.events import Problem
from smtp.queue.hop import Hop
from smtp.queue.route import EXCHANGERS_MOST, Plan, Router, Routes, parse_routes

SERVFAIL = Temporary(Reason("dns.servfail", {"name": "x"}))


@dataclass
class Names:
    """A resolver that knows what it was given."""

    exchangers: Mapping[str, MxAnswer] = field(default_factory=dict)
    hosts: Mapping[str, TextAnswer] = field(default_factory=dict)

    async def mx(self, domain: str) -> MxAnswer:
        return self.exchangers.get(domain, NoSuchName())

    async def addresses(self, host: str) -> TextAnswer:
        return self.hosts.get(host, NoSuchName())

    async def txt(self, name: str) -> BytesAnswer:
        return NoSuchName()

    async def ptr(self, address: str) -> TextAnswer:
        return NoSuchName()

    async def query(self, name: str, rdtype: str) -> TextAnswer:
        return NoSuchName()


def mx(*records: tuple[int, str]) -> Found[Mx]:
    return Found(tuple(Mx(preference, host) for preference, host in records), 60)


def find(domain: str, answer: MxAnswer | None = None, routes: Routes | None = None) -> Plan | Problem:
    names = Names({domain: answer} if answer else {})
    router = Router(names, "mail.example.test", lambda: routes or Routes(), shuffle=lambda equals: equals.reverse())
    return asyncio.run(router.find(domain))


def hosts(plan: Plan | Problem) -> list[str]:
    assert isinstance(plan, Plan)
    return [hop.host for hop in plan.hops]


@pytest.mark.parametrize(
    ("answer", "code", "permanent"),
    [
        (NoSuchName(), "queue.nodomain", True),
        (mx((0, "")), "queue.nullmx", True),
        (SERVFAIL, "dns.servfail", False),
        (Temporary(Reason("dns.timeout")), "dns.timeout", False),
        (mx((10, "mail.example.test")), "queue.loop", True),
        (mx((10, "mail.example.test"), (10, "b.example.org"), (20, "c.example.org")), "queue.loop", True),
    ],
)
def test_no_way(answer: MxAnswer, code: str, permanent: bool) -> None:
    """NXDOMAIN, null MX and loops are final; what nobody could say now is not."""
    problem = find("example.org", answer)
    assert isinstance(problem, Problem)
    assert (problem.reason.code, problem.permanent) == (code, permanent)


def test_exchangers_by_preference_equals_shuffled() -> None:
    """RFC 5321 §5.1; twice named is tried once."""
    answer = mx((20, "c"), (10, "a"), (10, "b"), (30, "a"))
    assert hosts(find("example.org", answer)) == ["b", "a", "c"]


def test_our_own_name_cuts_the_list() -> None:
    """As a backup we hand on to better ones only, or mail would come back to us."""
    answer = mx((5, "a"), (10, "mail.example.test"), (10, "b"), (20, "c"))
    assert hosts(find("example.org", answer)) == ["a"]


def test_a_dot_among_others_is_left_out() -> None:
    """RFC 7505 §3 allows it alone only; mail still finds the real ones."""
    assert hosts(find("example.org", mx((0, ""), (10, "a")))) == ["a"]


def test_implicit_mx() -> None:
    """A name without MX records is its own exchanger."""
    assert find("example.org", NoData()) == Plan((Hop("example.org", 25),))


def test_many_exchangers_are_bounded() -> None:
    """A domain cannot make us try a thousand hosts."""
    assert len(hosts(find("example.org", mx(*((n, f"h{n}") for n in range(1000)))))) == EXCHANGERS_MOST


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Found(tuple(f"192.0.2.{n}" for n in range(20)), 60), 6),
        (NoSuchName(), ("queue.nohost", True)),
        (NoData(), ("queue.nohost", True)),
        (SERVFAIL, ("dns.servfail", False)),
    ],
)
def test_addresses(answer: TextAnswer, expected: object) -> None:
    """Some of many; a host without any is no host."""
    router = Router(Names(hosts={"mx": answer}), "mail.example.test", Routes)
    found = asyncio.run(router.addresses(Hop("mx", 25)))
    if isinstance(found, Problem):
        assert (found.reason.code, found.permanent) == expected
    else:
        assert len(found) == expected


def test_a_named_host_that_is_missing_is_temporary() -> None:
    """An administrator's typing mistake must not return everybody's mail."""
    router = Router(Names(), "mail.example.test", Routes)
    found = asyncio.run(router.addresses(Hop("smarthost.example.test", 25, fixed=True)))
    assert isinstance(found, Problem)
    assert not found.permanent


@pytest.mark.parametrize("literal", ["[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:2001:db8::1]"])
def test_literals(literal: str) -> None:
    """RFC 5321 §4.1.3."""
    assert hosts(find(literal)) == [literal[1:-1].removeprefix("IPv6:").removeprefix("ipv6:")]


@pytest.mark.parametrize(
    "literal", ["[127.0.0.1]", "[::1]", "[IPv6:::1]", "[0.0.0.0]", "[300.1.1.1]", "[x]", "[]", "["]
)
def test_literals_that_lead_nowhere(literal: str) -> None:
    """Not to ourselves, and not to what is no address."""
    problem = find(literal)
    assert isinstance(problem, Problem)
    assert problem.permanent


def test_off_defers_everything() -> None:
    """Without DNS mail waits and says why; a named route needs none."""
    router = Router(OffResolver(), "mail.example.test", lambda: Routes(table={"example.org": ("192.0.2.1", 2525)}))
    problem = asyncio.run(router.find("example.net"))
    assert isinstance(problem, Problem)
    assert (problem.reason.code, problem.permanent) == ("dns.off", False)
    assert asyncio.run(router.find("example.org")) == Plan((Hop("192.0.2.1", 2525, fixed=True),))


TABLE = parse_routes(
    """
    example.org      mx.internal:2525   # one domain
    .example.org     below.internal:25
    deep.a.example.org deep.internal:25
    *                smart.internal:587
    """
)


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("example.org", "mx.internal:2525"),
        ("a.example.org", "below.internal:25"),
        ("b.a.example.org", "below.internal:25"),
        ("deep.a.example.org", "deep.internal:25"),
        ("notexample.org", "smart.internal:587"),
        ("[192.0.2.1]", "smart.internal:587"),
    ],
)
def test_routes(domain: str, host: str) -> None:
    """The longest name that fits; the star for the rest; destinations that share a host share its key."""
    routes = Routes(table=TABLE)
    assert routes.key(domain) == host
    assert Routes(all=("sink", 26), table=TABLE).key(domain) == "sink:26"
    assert Routes().key(domain) == domain


@pytest.mark.parametrize(
    "line", ["example.org", "example.org host", "a b c", "example.org host:0", "example.org ::1:25"]
)
def test_bad_routes_are_named(line: str) -> None:
    """With the number of the line."""
    with pytest.raises(Invalid) as caught:
        parse_routes(f"# fine\n{line}\n")
    assert caught.value.public.startswith("Line 2")
