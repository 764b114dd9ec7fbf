"""The queue and names: a real DNS responder says where mail goes, says nothing, or is gone for hours (RELIABILITY G16)."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from appliance.log import get
from appliance.net.resolver import HostResolver, OffResolver
from data.clock import HOUR, MINUTE, FakeClock
from data.reason import Reason
from data.spool.envelope import State
from smtp.queue.route import Routes
from tests.instruments.dnsserver import DnsServer
from tests.instruments.outbound import Outbound, outbound
from tests.instruments.sinkmx import SinkMx

HERE = {"A": ["127.0.0.1"]}
RECORDS: dict[str, Any] = {
    "example.org": {"MX": ["10 mx.example.org."]},
    "mx.example.org": HERE,
    "implicit.example.org": HERE,
    "null.example.org": {"MX": ["0 ."]},
    "loop.example.org": {"MX": ["10 mail.example.test."]},
    "backup.example.org": {"MX": ["5 mx.example.org.", "10 mail.example.test.", "20 dead.example.org."]},
    "second.example.org": {"MX": ["5 dead.example.org.", "10 mx.example.org."]},
    "nohost.example.org": {"MX": ["5 missing.example.org."]},
    "half.example.org": {"MX": ["5 missing.example.org.", "10 mx.example.org."]},
    "dead.example.org": {"A": ["127.0.0.9"]},
    "text.example.org": {"TXT": ['"no mail here"']},
    "broken.example.org": "SERVFAIL",
    "refused.example.org": "REFUSED",
    "bent.example.org": "GARBAGE",
}


@pytest.fixture
def sink() -> Iterator[SinkMx]:
    with SinkMx() as built:
        yield built


@pytest.fixture
def names() -> Iterator[DnsServer]:
    with DnsServer(RECORDS) as server:
        yield server


@pytest.fixture
def play(tmp_path: Path, sink: SinkMx, names: DnsServer) -> Callable[..., None]:
    """Run a scene with a queue that asks the responder; exchangers listen where the sink does."""

    def run(scene: Callable[[Outbound], Coroutine[Any, Any, None]], **options: Any) -> None:
        async def inside() -> None:
            clock = options.pop("clock", FakeClock())
            host, _, port = names.address.partition(":")
            resolver = options.pop("resolver", None) or HostResolver(host, int(port), clock, get("dns"))
            values = {"routes": Routes(), "resolver": resolver, "port": sink.port, **options}
            async with outbound(tmp_path, clock=clock, **values) as out:
                await scene(out)

        asyncio.run(inside())

    return run


def notices(out: Outbound) -> list[email.message.EmailMessage]:
    found = (email.message_from_bytes(octets, policy=email.policy.default) for octets in out.inbox("ann"))
    return [one for one in found if one.get_content_type() == "multipart/report"]


@pytest.mark.parametrize(
    "domain", ["example.org", "implicit.example.org", "backup.example.org", "second.example.org", "half.example.org"]
)
def test_ways_that_lead_somewhere(play: Callable[..., None], sink: SinkMx, domain: str) -> None:
    """MX, implicit MX, better exchangers than ourselves, the second when the first is down or has no address."""

    async def scene(out: Outbound) -> None:
        out.put(f"bob@{domain}")
        await out.idle()
        assert [one.recipients for one in sink.messages] == [[f"bob@{domain}"]]
        assert out.waiting() == ()

    play(scene)


@pytest.mark.parametrize(
    ("domain", "code", "status"),
    [
        ("missing.example.net", "queue.nodomain", "5.1.2"),
        ("null.example.org", "queue.nullmx", "5.1.10"),
        ("loop.example.org", "queue.loop", "5.4.6"),
        ("nohost.example.org", "queue.nohost", "5.4.4"),
        ("text.example.org", "queue.nohost", "5.4.4"),
    ],
)
def test_ways_that_lead_nowhere(play: Callable[..., None], domain: str, code: str, status: str) -> None:
    """Failed at once, with a notification that carries the right status; nobody is connected to."""

    async def scene(out: Outbound) -> None:
        out.put(f"bob@{domain}")
        await out.idle()
        (notice,) = notices(out)
        assert f"Status: {status}" in notice.as_string()
        reason = out.told()[0].reason
        assert reason is not None
        assert reason.code == code

    play(scene)


@pytest.mark.parametrize(
    ("domain", "code"),
    [
        ("broken.example.org", "dns.servfail"),
        ("refused.example.org", "dns.servfail"),
        pytest.param("bent.example.org", "dns.", marks=pytest.mark.long),
    ],
)
def test_what_nobody_can_say_now_waits(play: Callable[..., None], domain: str, code: str) -> None:
    """SERVFAIL, REFUSED and garbage are not NXDOMAIN."""

    async def scene(out: Outbound) -> None:
        out.put(f"bob@{domain}")
        await out.idle(60)
        (one,) = out.waiting()
        assert one.state is State.DEFERRED
        assert one.reason is not None
        assert one.reason.code.startswith(code)
        assert notices(out) == []

    play(scene)


def test_an_exchanger_that_is_this_machine_is_a_loop(play: Callable[..., None], sink: SinkMx) -> None:
    """In production: whatever its name, a connection to ourselves carries no mail."""

    async def scene(out: Outbound) -> None:
        out.put("bob@example.org")
        await out.idle()
        (notice,) = notices(out)
        assert "Status: 5.4.6" in notice.as_string()
        assert sink.messages == []

    play(scene, own_machine_ok=False)


def test_off_waits_and_says_why(play: Callable[..., None]) -> None:
    """`dns = off`: mail to other domains waits, with the reason in every list."""

    async def scene(out: Outbound) -> None:
        out.put("bob@example.org", "carol@example.net")
        await out.idle()
        reasons = {one.domain: one.reason for one in out.waiting()}
        assert reasons["example.org"] == Reason("dns.off", {"name": "example.org"})
        assert {one.state for one in out.waiting()} == {State.DEFERRED}

    play(scene, resolver=OffResolver())


@pytest.mark.parametrize("outage", ["SERVFAIL", "REFUSED"])
def test_G16_dns_outage_of_six_hours(play: Callable[..., None], sink: SinkMx, names: DnsServer, outage: str) -> None:
    """Nothing bounces; everything is delivered within half an hour of the return."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        gone: Mapping[str, Any] = dict.fromkeys(RECORDS, outage)
        names.default = outage
        names.replace(gone)
        for number in range(20):
            out.put(f"u{number}@example.org", message_id=f"<{number}@example.test>")
        await out.idle()
        started = clock.now()
        while clock.now() - started < 6 * HOUR:
            await out.later(10 * MINUTE)
        assert len(out.waiting()) == 20
        assert {one.state for one in out.waiting()} == {State.DEFERRED}
        assert {one["Subject"] for one in notices(out)} == {"Not delivered yet: Hello"}
        names.replace(RECORDS)
        for _ in range(6):
            await out.later(5 * MINUTE)
        assert out.waiting() == ()
        assert len(sink.messages) == 20

    play(scene, clock=clock)


def test_recipients_of_one_item_go_their_own_ways(play: Callable[..., None], sink: SinkMx) -> None:
    """Delivered, failed and waiting by domain; one notification for the failed."""

    async def scene(out: Outbound) -> None:
        out.put("a@example.org", "b@missing.example.net", "c@broken.example.org", "bob@example.test")
        await out.idle()
        assert [one.recipients for one in sink.messages] == [["a@example.org"]]
        assert [one.address for one in out.waiting()] == ["c@broken.example.org"]
        assert len(notices(out)) == 1
        assert len(out.inbox("bob")) == 1

    play(scene)
