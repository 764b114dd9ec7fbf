"""Mail to hosts that have to prove themselves: MTA-STS from a real policy host, DANE from a real responder, REQUIRETLS."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.server
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from appliance.log import get
from appliance.loop import Workers
from appliance.net.chain import key_info
from appliance.net.fetch import Fetcher
from appliance.net.resolver import HostResolver
from appliance.net.tls import verifying_context
from data.clock import DAY, HOUR, MINUTE, FakeClock
from data.spool.envelope import State
from data.spool.sts import StsPolicies
from smtp.queue.route import Routes
from smtp.queue.sts import Sts, StsParts
from smtp.queue.tlspolicy import TlsPolicy
from tests.instruments.dnsserver import DnsServer
from tests.instruments.outbound import Outbound, outbound
from tests.instruments.sinkmx import OFFERS, SinkMx, _context

ENFORCE = "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 604800\n"


def longer(value: str) -> Any:
    """A case whose parts the tables prove; left to the long run."""
    return pytest.param(value, marks=pytest.mark.long)


HERE = {"A": ["127.0.0.1"]}
RECORDS: dict[str, Any] = {
    "example.org": {"MX": ["10 mx.example.org."]},
    "mx.example.org": HERE,
    "mta-sts.example.org": HERE,
}


@dataclass
class PolicyHost:
    """https://mta-sts.example.org on loopback: answers with `text` as `kind`, and counts."""

    text: str = ENFORCE
    kind: str = "text/plain"
    status: int = 200
    asked: int = 0
    certificate: str = ""
    port: int = 0
    _server: http.server.ThreadingHTTPServer | None = field(default=None, repr=False)

    def __enter__(self) -> PolicyHost:
        host = self

        class Answering(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked += 1
                body = host.text.encode()
                self.send_response(host.status)
                self.send_header("Content-Type", host.kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", "https://mta-sts.example.org/elsewhere")
                self.end_headers()
                self.wfile.write(body if self.path == "/.well-known/mta-sts.txt" else b"")

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        context, self.certificate = _context("mta-sts.example.org")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


@dataclass
class World:
    """A sink that is mx.example.org, its names, and its policy host."""

    path: Path
    sink: SinkMx
    names: DnsServer
    host: PolicyHost
    trusted: bool = True

    def announce(self, ident: str | None) -> None:
        """Put the TXT record there, or take it away."""
        if ident is None:
            self.names.remove("_mta-sts.example.org")
        else:
            self.names.set("_mta-sts.example.org", {"TXT": [f'"v=STSv1; id={ident};"']})

    def tlsa(self, *records: str) -> None:
        self.names.set(f"_{self.sink.port}._tcp.mx.example.org", {"TLSA": list(records)})

    def right_tlsa(self) -> str:
        found = key_info(ssl.PEM_cert_to_DER_cert(self.sink.certificate))
        assert found is not None
        return f"3 1 1 {hashlib.sha256(found).hexdigest()}"

    def play(self, scene: Callable[[Outbound], Coroutine[Any, Any, None]]) -> None:
        """A queue in this world."""

        async def inside() -> None:
            clock, workers = FakeClock(), Workers(threads=2)
            address, _, port = self.names.address.partition(":")
            resolver = HostResolver(address, int(port), clock, get("dns"))
            trust = self.path / "trust.pem"
            trust.write_text((self.sink.certificate if self.trusted else "") + self.host.certificate)
            context = verifying_context(trust)
            fetcher = Fetcher(resolver, context=context, may=lambda *_: True)
            held: list[StsPolicies] = []

            class Kept:
                """The policies of the queue's own database, which is there when the first is asked for."""

                def get(self, domain: str) -> Any:
                    return held[0].get(domain)

                def put(self, domain: str, kept: Any) -> None:
                    held[0].put(domain, kept)

            parts = StsParts(resolver, fetcher, Kept(), workers, clock, get("queue"), self.host.port)  # type: ignore[arg-type]
            policy = TlsPolicy(resolver, Sts(parts), clock)
            options = {"routes": Routes(), "resolver": resolver, "port": self.sink.port, "clock": clock}
            try:
                ways = {"policy": policy, "proving": cache(lambda: context)}
                async with outbound(self.path, **options, **ways) as out:
                    held.append(StsPolicies(out.db))
                    await scene(out)
            finally:
                await asyncio.get_running_loop().run_in_executor(None, workers.close)

        asyncio.run(inside())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(SinkMx(name="mx.example.org", tls=True, offers=(*OFFERS, "REQUIRETLS")))
        names = stack.enter_context(DnsServer(RECORDS, ttl=5, negative_ttl=5))
        yield World(tmp_path, sink, names, stack.enter_context(PolicyHost()))


def why(out: Outbound) -> list[tuple[State, str]]:
    return [(one.state, one.reason.code if one.reason else "") for one in out.waiting()]


def proofs(out: Outbound, number: str = "1") -> list[Any]:
    return [
        (hop.reason.params.get("tls", "")[:3], hop.reason.params.get("proof"))  # type: ignore[index]
        for hop in out.told(number)
        if hop.event == "delivered" and hop.reason is not None
    ]


async def one(out: Outbound, **options: Any) -> None:
    out.put("bob@example.org", **options)
    await out.idle()


def test_enforce_with_a_good_certificate(world: World) -> None:
    world.announce("1")

    async def scene(out: Outbound) -> None:
        await one(out)
        assert not out.waiting() and [message.tls for message in world.sink.messages] == [True]
        assert proofs(out) == [("TLS", "mta-sts")]

    world.play(scene)


def test_without_a_policy_the_same_certificate_is_not_looked_at(world: World) -> None:
    world.trusted = False

    async def scene(out: Outbound) -> None:
        await one(out)
        assert not out.waiting() and proofs(out) == [("TLS", None)]
        assert world.host.asked == 0

    world.play(scene)


@pytest.mark.parametrize("breach", ["certificate", "host"])
def test_enforce_holds_mail_back(world: World, breach: str) -> None:
    """A certificate of nobody we know, or a host that the policy does not name: nothing is told to it, and nothing bounces."""
    world.announce("1")
    world.trusted = breach != "certificate"
    if breach == "host":
        world.host.text = ENFORCE.replace("mx.example.org", "other.example.org")

    async def scene(out: Outbound) -> None:
        await one(out)
        code = "queue.tls.certificate" if breach == "certificate" else "queue.tls.mx"
        assert why(out) == [(State.DEFERRED, code)]
        assert not world.sink.attempts
        reason = out.waiting()[0].reason
        assert reason is not None and (breach == "host" or "self" in str(reason.params["why"]))

    world.play(scene)


def test_enforce_without_starttls_holds_mail_back(tmp_path: Path) -> None:
    """The downgrade that MTA-STS is for."""
    with SinkMx(name="mx.example.org") as sink, DnsServer(RECORDS, ttl=5) as names, PolicyHost() as host:
        world = World(tmp_path, sink, names, host)
        world.announce("1")

        async def scene(out: Outbound) -> None:
            await one(out)
            assert why(out) == [(State.DEFERRED, "queue.tls.missing")] and not sink.attempts
            # its sender would rather have it arrive (RFC 8689 §3); the next one's would not
            await one(out, message_id="<2@example.test>", header=b"From: a@example.test\r\nTLS-Required: No\r\n\r\n")
            out.put("bob@example.org", message_id="<3@example.test>")
            await out.idle()
            assert len(sink.messages) == 1 and b"TLS-Required: No" in sink.messages[0].data

        world.play(scene)


@pytest.mark.parametrize("mode", ["testing", longer("none")])
def test_testing_and_none_hold_nothing_back(world: World, mode: str) -> None:
    world.announce("1")
    world.trusted = False
    world.host.text = ENFORCE.replace("enforce", mode).replace("mx.example.org", "other.example.org")

    async def scene(out: Outbound) -> None:
        await one(out)
        assert not out.waiting() and world.host.asked == 1

    world.play(scene)


def test_a_policy_outlives_its_record_and_a_new_id_changes_it(world: World) -> None:
    """Who takes the TXT record away, or breaks the policy host, takes no policy away; a new id brings the new one."""
    world.announce("1")

    async def scene(out: Outbound) -> None:
        await one(out)
        assert world.host.asked == 1 and len(world.sink.messages) == 1
        await one(out, message_id="<2@example.test>")
        assert world.host.asked == 1
        # an attacker: no record, no policy host, another certificate
        world.announce(None)
        world.host.status = 404
        world.host.text = ENFORCE.replace("enforce", "none")
        world.sink._context, _ = _context("mx.example.org")
        await out.later(10 * MINUTE)
        await one(out, message_id="<3@example.test>")
        assert why(out) == [(State.DEFERRED, "queue.tls.certificate")]
        # the domain itself: a new id, and the host is back
        world.host.status = 200
        world.announce("2")
        await out.later(HOUR)
        assert not out.waiting() and len(world.sink.messages) == 3

    world.play(scene)


def test_a_policy_is_looked_at_before_it_ends_and_then_is_over(world: World) -> None:
    world.announce("1")

    async def scene(out: Outbound) -> None:
        await one(out)
        await out.later(DAY)
        await one(out, message_id="<2@example.test>")
        assert world.host.asked == 2
        # a week without anybody there to ask: it has ended
        world.announce(None)
        world.host.status = 500
        world.sink._context, _ = _context("mx.example.org")
        await out.later(6 * DAY)
        await one(out, message_id="<3@example.test>")
        assert why(out) == [(State.DEFERRED, "queue.tls.certificate")]
        await out.later(2 * DAY)
        assert not out.waiting() and len(world.sink.messages) == 3

    world.play(scene)


@pytest.mark.parametrize("trouble", ["redirect", "page", longer("broken"), longer("large")])
def test_a_policy_that_cannot_be_had_is_none_and_is_not_asked_for_each_time(world: World, trouble: str) -> None:
    world.announce("1")
    world.trusted = False
    match trouble:
        case "redirect":
            world.host.status = 301
        case "page":
            world.host.kind = "text/html"
        case "broken":
            world.host.text = "mode: enforce"
        case _:
            world.host.text = ENFORCE + "x" * 70_000

    async def scene(out: Outbound) -> None:
        await one(out)
        await one(out, message_id="<2@example.test>")
        assert not out.waiting() and world.host.asked == 1
        await out.later(6 * MINUTE)
        await one(out, message_id="<3@example.test>")
        assert world.host.asked == 2

    world.play(scene)


# --- DANE -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "outcome"),
    [("right", "dane"), ("3 1 1 " + "00" * 32, "queue.tls.certificate"), ("1 1 1 " + "00" * 32, "dane")],
)
def test_dane(world: World, record: str, outcome: str) -> None:
    """The certificate that DNS names, though no authority knows it; another one; records that cannot be used."""
    world.trusted = False
    world.names.authenticated = True
    world.tlsa(world.right_tlsa() if record == "right" else record)

    async def scene(out: Outbound) -> None:
        await one(out)
        if outcome == "dane":
            assert not out.waiting() and proofs(out) == [("TLS", "dane")]
        else:
            assert why(out) == [(State.DEFERRED, outcome)] and not world.sink.attempts

    world.play(scene)


def test_dane_counts_only_where_dns_is_validated(world: World) -> None:
    world.tlsa("3 1 1 " + "00" * 32)

    async def scene(out: Outbound) -> None:
        await one(out)
        assert not out.waiting() and proofs(out) == [("TLS", None)]

    world.play(scene)


def test_dane_that_cannot_be_looked_up_waits_and_goes_before_sts(world: World) -> None:
    world.names.authenticated = True
    world.announce("1")
    world.names.set(f"_{world.sink.port}._tcp.mx.example.org", "SERVFAIL")

    async def scene(out: Outbound) -> None:
        await one(out)
        assert why(out) == [(State.DEFERRED, "queue.tls.tlsa")]
        world.tlsa(world.right_tlsa())
        await out.later(MINUTE)
        assert not out.waiting() and proofs(out) == [("TLS", "dane")]

    world.play(scene)


# --- REQUIRETLS -------------------------------------------------------------------------------------------------------


def test_requiretls_goes_where_it_is_promised_and_nowhere_else(world: World) -> None:
    """RFC 8689 §4.2.1: a proven host that offers it gets the parameter; without the proof the message fails with 5.7.30."""

    async def scene(out: Outbound) -> None:
        await one(out, requiretls=True)
        assert not world.sink.messages and not out.waiting()
        (notice,) = out.inbox("ann")
        assert b"5.7.30" in notice
        world.announce("1")
        await out.later(MINUTE)
        await one(out, requiretls=True, message_id="<2@example.test>")
        assert ["REQUIRETLS" in message.mail_parameters for message in world.sink.messages] == [True]

    world.play(scene)
