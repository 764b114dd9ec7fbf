"""The resolver against a real DNS responder on loopback: typed answers, cache, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from appliance import log
from appliance.net import answers, resolver
from appliance.net.answers import Cache
from appliance.net.resolver import (
    Found,
    HostResolver,
    Mx,
    NoData,
    NoSuchName,
    OffResolver,
    SystemResolver,
    Temporary,
)
from data.clock import FakeClock, SystemClock
from data.reason import Reason
from tests.instruments.dnsserver import DnsServer, Entry

T = TypeVar("T")

RECORDS: dict[str, Entry] = {
    "example.org": {
        "MX": ["20 MX2.example.org.", "10 mx1.example.org."],
        "TXT": ['"v=spf1 " "-all"', '"other"'],
        "TLSA": ["3 1 1 " + "ab" * 32],
    },
    "mx1.example.org": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"]},
    "alias.example.org": {"CNAME": ["mx1.example.org."]},
    "dangling.example.org": {"CNAME": ["nowhere.example.org."]},
    "null.example.org": {"MX": ["0 ."]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["mx1.example.org."]},
    "broken.example.org": "SERVFAIL",
    "refused.example.org": "REFUSED",
    "cut.example.org": "TRUNCATE",
    "bent.example.org": "GARBAGE",
    "slow.example.org": "TIMEOUT",
    "big.example.org": {"TXT": [f'"{n:03d}{"x" * 200}"' for n in range(40)]},
    "four.example.org": {"A": ["192.0.2.9"]},
}


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer(RECORDS) as running:
        yield running


def _ask(server: DnsServer, question: Callable[[HostResolver], Awaitable[T]]) -> T:
    async def main() -> T:
        return await question(HostResolver("127.0.0.1", server.port, SystemClock(), log.get("dns")))

    return asyncio.run(main())


def test_records_are_typed(server: DnsServer) -> None:
    assert _ask(server, lambda r: r.mx("example.org")) == Found(
        (Mx(10, "mx1.example.org"), Mx(20, "mx2.example.org")), 60
    )
    for name in ("MX1.example.org.", "alias.example.org"):
        found = _ask(server, lambda r, n=name: r.addresses(n))  # type: ignore[misc]
        assert isinstance(found, Found) and found.ttl == 60 and found.values[2] == "2001:db8::1"
        assert set(found.values[:2]) == {"192.0.2.1", "192.0.2.2"}
    texts = _ask(server, lambda r: r.txt("example.org"))
    assert isinstance(texts, Found) and set(texts.values) == {b"v=spf1 -all", b"other"}
    assert _ask(server, lambda r: r.ptr("192.0.2.1")) == Found(("mx1.example.org",), 60)
    assert _ask(server, lambda r: r.query("example.org", "tlsa")) == Found(("3 1 1 " + "ab" * 32,), 60)
    assert _ask(server, lambda r: r.mx("null.example.org")) == Found((Mx(0, ""),), 60)


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_both_loops_carry_it(server: DnsServer, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    kinds: list[str] = []

    async def main() -> None:
        asking = HostResolver("127.0.0.1", server.port, SystemClock(), log.get("dns"), kinds.append)
        for name in ("example.org", "missing.example.org", "mx1.example.org", "broken.example.org", "big.example.org"):
            await asking.query(name, "TXT")

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    assert kinds == ["found", "nosuchname", "nodata", "temporary", "found"]


def test_missing_is_not_broken(server: DnsServer) -> None:
    assert _ask(server, lambda r: r.mx("missing.example.org")) == NoSuchName(30)
    assert _ask(server, lambda r: r.addresses("missing.example.org")) == NoSuchName(30)
    assert _ask(server, lambda r: r.mx("dangling.example.org")) == NoSuchName(30)
    assert _ask(server, lambda r: r.mx("mx1.example.org")) == NoData(30)
    assert _ask(server, lambda r: r.addresses("example.org")) == NoData(30)
    assert _ask(server, lambda r: r.ptr("not an address")) == NoSuchName()
    for name in ("broken", "refused"):
        assert _ask(server, lambda r, n=name: r.mx(f"{n}.example.org")) == Temporary(  # type: ignore[misc]
            Reason("dns.servfail", {"name": f"{name}.example.org"})
        )


def test_one_family_is_enough(server: DnsServer) -> None:
    assert _ask(server, lambda r: r.addresses("four.example.org")) == Found(("192.0.2.9",), 60)
    four: Found[str] = Found(("192.0.2.1",), 9)
    temporary = Temporary(Reason("dns.timeout"))
    assert resolver.joined(four, temporary) == four
    assert resolver.joined(temporary, NoSuchName()) == temporary
    assert resolver.joined(NoData(7), NoSuchName(9)) == NoData(7)


def test_a_cut_answer_is_asked_again_over_tcp(server: DnsServer) -> None:
    assert _ask(server, lambda r: r.query("cut.example.org", "A")) == Found(("127.0.0.1",), 60)
    found = _ask(server, lambda r: r.txt("big.example.org"))
    assert isinstance(found, Found) and len(found.values) == 40
    assert [transport for name, _, transport in server.asked if name == "big.example.org"] == ["udp", "tcp"]


def test_names_that_cannot_exist_are_not_asked(server: DnsServer) -> None:
    for name in ("", "a..b", "x" * 64 + ".example.org", ".".join(["a" * 60] * 5), "bücher.example.org", "\\999.org"):
        assert _ask(server, lambda r, n=name: r.mx(n)) == NoSuchName()  # type: ignore[misc]
    assert server.asked == []


def test_what_is_known_is_not_asked(server: DnsServer) -> None:
    for host, addresses in [
        ("localhost", ("127.0.0.1", "::1")),
        ("x.localhost.", ("127.0.0.1", "::1")),
        ("192.0.2.7", ("192.0.2.7",)),
        ("[192.0.2.7]", ("192.0.2.7",)),
        ("[IPv6:2001:DB8::7]", ("2001:db8::7",)),
    ]:
        found = _ask(server, lambda r, h=host: r.addresses(h))  # type: ignore[misc]
        assert isinstance(found, Found) and found.values == addresses
    assert server.asked == []


def test_slow_and_garbled_servers_are_temporary(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "TRY_SECONDS", 0.1)
    monkeypatch.setattr(resolver, "WHOLE_SECONDS", 0.5)
    for name in ("slow", "bent"):
        answer = _ask(server, lambda r, n=name: r.mx(f"{n}.example.org"))  # type: ignore[misc]
        assert answer == Temporary(Reason("dns.timeout", {"name": f"{name}.example.org"}))
    assert server.count("slow.example.org") >= 2, "a try that timed out is tried again"


def test_no_server_at_all_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "WHOLE_SECONDS", 2.0)
    with DnsServer() as gone:
        pass
    answer = _ask(gone, lambda r: r.mx("example.org"))
    assert isinstance(answer, Temporary) and answer.reason.code in {"dns.unreachable", "dns.timeout"}


def test_answers_are_kept_until_they_expire(server: DnsServer) -> None:
    async def main() -> None:
        clock = FakeClock()
        asking = HostResolver("127.0.0.1", server.port, clock, log.get("dns"))
        for _ in range(3):
            await asking.mx("Example.ORG")
            await asking.mx("missing.example.org")
            await asking.mx("broken.example.org")
        assert [server.count(n) for n in ("example.org", "missing.example.org", "broken.example.org")] == [1, 1, 3]
        clock.advance(31_000)
        await asking.mx("missing.example.org")
        await asking.mx("example.org")
        assert [server.count(n) for n in ("example.org", "missing.example.org")] == [1, 2]
        clock.advance(31_000)
        await asking.mx("example.org")
        assert server.count("example.org") == 2
        asking.forget()
        await asking.mx("example.org")
        assert server.count("example.org") == 3

    asyncio.run(main())


def test_equal_questions_are_asked_once_and_outlive_who_asked(server: DnsServer) -> None:
    server.set("late.example.org", {"MX": ["10 mx1.example.org."]}, delay=0.2)

    async def main() -> None:
        asking = HostResolver("127.0.0.1", server.port, SystemClock(), log.get("dns"))
        first = asyncio.create_task(asking.mx("late.example.org"))
        others = [asyncio.create_task(asking.mx("late.example.org")) for _ in range(20)]
        await asyncio.sleep(0.05)
        first.cancel()
        answers = await asyncio.gather(*others)
        assert all(isinstance(answer, Found) for answer in answers)
        assert server.count("late.example.org") == 1

    asyncio.run(main())


def test_a_flood_of_questions_is_bounded(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "IN_FLIGHT", 4)
    monkeypatch.setattr(resolver, "WHOLE_SECONDS", 0.5)
    server.default = "TIMEOUT"

    async def main() -> None:
        asking = HostResolver("127.0.0.1", server.port, SystemClock(), log.get("dns"))
        answers = await asyncio.gather(*(asking.mx(f"n{n}.test") for n in range(50)))
        codes = [answer.reason.code for answer in answers if isinstance(answer, Temporary)]
        assert len(codes) == 50 and codes.count("dns.busy") >= 40

    asyncio.run(main())
    assert len({name for name, _, _ in server.asked}) <= 10


def test_off_is_temporary_at_once() -> None:
    async def main() -> None:
        off = OffResolver()
        for answer in (await off.mx("example.org"), await off.txt("example.org"), await off.addresses("example.org")):
            assert answer == Temporary(Reason("dns.off", {"name": "example.org"}))
        assert await off.addresses("127.0.0.1") == Found(("127.0.0.1",), answers.TTL_MOST)

    asyncio.run(main())


def test_the_system_s_servers_are_read_and_read_again(server: DnsServer, tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"

    async def main() -> None:
        clock = FakeClock()
        asking = SystemResolver(clock, log.get("dns"), path=str(conf))
        answer = await asking.mx("example.org")
        assert answer == Temporary(Reason("dns.unconfigured", {"name": "example.org"}))
        conf.write_text("nameserver 127.0.0.1\nnameserver ::1\noptions timeout:1\n")
        assert isinstance(await asking.mx("example.org"), Temporary)
        clock.advance(31_000)
        stub = asking._servers()
        assert stub is not None and list(stub.nameservers) == ["127.0.0.1", "::1"]
        stub.port = server.port
        assert isinstance(await asking.mx("example.org"), Found)

    asyncio.run(main())


def test_the_ad_bit_is_told() -> None:
    with DnsServer(RECORDS, authenticated=True) as server:
        answer = _ask(server, lambda r: r.txt("example.org"))
    assert isinstance(answer, Found) and answer.secure


def test_the_kinds_of_the_configuration() -> None:
    async def main() -> None:
        clock, dns_log = SystemClock(), log.get("dns")
        assert isinstance(resolver.make("off", clock, dns_log), OffResolver)
        assert isinstance(resolver.make("system", clock, dns_log), SystemResolver)
        assert type(resolver.make("127.0.0.1:53", clock, dns_log)) is HostResolver

    asyncio.run(main())


def test_cache_bounds() -> None:
    clock = FakeClock()
    cache = Cache(clock, most=3)
    cache.put(("zero", "A"), Found((), 0))
    cache.put(("ages", "A"), Found((), 10_000_000))
    cache.put(("no", "A"), NoSuchName(10_000_000))
    clock.advance(4_000)
    assert cache.get(("zero", "A")) is not None, "a zero TTL is kept for the least time"
    clock.advance(2_000)
    assert cache.get(("zero", "A")) is None
    clock.advance(answers.NEGATIVE_MOST * 1000)
    assert cache.get(("no", "A")) is None and cache.get(("ages", "A")) is not None
    clock.advance(answers.TTL_MOST * 1000)
    assert cache.get(("ages", "A")) is None
    for n in range(10):
        cache.put((str(n), "A"), NoData(60))
    cache.put(("t", "A"), Temporary(Reason("dns.timeout")))
    assert len(cache) == 3 and cache.get(("9", "A")) and cache.get(("t", "A")) is None


@pytest.mark.parametrize(
    ("servers", "local"),
    [(["127.0.0.1"], True), (["::1", "127.0.0.53"], True), (["192.0.2.1"], False), (["127.0.0.1", "192.0.2.1"], False)],
)
def test_only_a_server_on_this_machine_is_believed_about_dnssec(servers: list[str], local: bool) -> None:
    """The AD bit of a server elsewhere can be set by anybody on the way (RFC 4035 §4.9.3)."""
    assert resolver._on_this_machine(resolver._stub(servers, 53)) is local


def test_the_word_of_a_server_that_is_not_trusted_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answer, from a server here, from one elsewhere, and from one elsewhere that is trusted."""
    found = []
    with DnsServer({"example.org": {"A": ["192.0.2.1"]}}, authenticated=True) as server:
        for here, trusted in ((True, False), (False, False), (False, True)):
            monkeypatch.setattr(resolver, "_on_this_machine", lambda stub, here=here: here)

            async def ask(trusted: bool = trusted) -> tuple[bool, bool]:
                one = HostResolver("127.0.0.1", server.port, FakeClock(), log.get("dns"), trusted=trusted)
                there, missing = await one.addresses("example.org"), await one.txt("nothing.example.org")
                assert isinstance(there, Found) and isinstance(missing, NoSuchName)
                return there.secure, missing.secure

            found.append(asyncio.run(ask()))
    assert found == [(True, True), (False, False), (True, True)]
