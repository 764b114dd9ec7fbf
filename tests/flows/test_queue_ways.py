"""Mail that goes by a smarthost with a password, is sent on under a rewritten sender, or fails with nobody to tell."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.net.tls import verifying_context
from appliance.ops import routes as commands
from data.audit import Audit
from data.clock import DAY, HOUR, FakeClock
from data.directory.smarthosts import Smarthosts
from data.errors import Corrupt, Invalid, NotFound
from data.spool.envelope import NewRecipient, State
from smtp.queue.hop import Login
from smtp.queue.policy import QueuePolicy
from smtp.queue.route import Routes
from tests.instruments.outbound import Ground, Outbound, outbound
from tests.instruments.sinkmx import SinkMx


@pytest.fixture
def sink() -> Iterator[SinkMx]:
    with SinkMx() as built:
        yield built


def play(tmp_path: Path, sink: SinkMx, scene: Any, **options: Any) -> None:
    async def inside() -> None:
        async with outbound(tmp_path, routes=Routes(all=("127.0.0.1", sink.port)), **options) as out:
            await scene(out)

    asyncio.run(inside())


# --- a smarthost ------------------------------------------------------------------------------------------------------


def by_smarthost(tmp_path: Path, password: str, *, trusted: bool = True) -> tuple[SinkMx, tuple[Any, ...]]:
    """One message over a host that asks for a password; what came, and what waits."""
    with SinkMx(tls=True, accounts={"house": "right"}) as sink:
        authority = tmp_path / "authority.pem"
        authority.write_text(sink.certificate)

        async def login(host: str, port: int) -> Login | None:
            return Login("house", password) if (host, port) == ("127.0.0.1", sink.port) else None

        async def scene(out: Outbound) -> None:
            out.put("bob@example.org")
            await out.idle()
            waiting.extend(out.waiting())

        waiting: list[Any] = []
        context = verifying_context(authority) if trusted else verifying_context()
        play(tmp_path, sink, scene, login=login, proving=lambda: context)
    return sink, tuple(waiting)


def test_a_smarthost_with_a_password(tmp_path: Path) -> None:
    sink, waiting = by_smarthost(tmp_path, "right")
    assert not waiting
    assert [one.tls for one in sink.messages] == [True]


@pytest.mark.parametrize(
    ("password", "trusted", "code"),
    [("wrong", True, "queue.auth.refused"), ("right", False, "queue.tls.certificate")],
)
def test_a_smarthost_that_does_not_take_us_makes_mail_wait(
    tmp_path: Path, password: str, trusted: bool, code: str
) -> None:
    """Nothing bounces for a typing mistake of the administrator, and an impostor hears no password."""
    sink, waiting = by_smarthost(tmp_path, password, trusted=trusted)
    assert not sink.messages
    assert [(one.state, one.reason.code) for one in waiting] == [(State.DEFERRED, code)]


class Office(Ground):
    """What a command of the console works on."""

    @property
    def audit(self) -> Audit:
        return Audit(self.db)


def test_routes_are_added_listed_and_deleted(tmp_path: Path) -> None:
    ground = Office(tmp_path, FakeClock())
    ground.open()

    def do(command: str, **args: Any) -> Any:
        return commands.COMMANDS[command](ground, args, lambda *_: None, "console")  # type: ignore[arg-type]

    smarthosts = Smarthosts(ground.db, ground.keys)
    do("route.add", domain="*", target="smart.example.net:587", user="house", password="secret")
    do("route.add", domain=".Example.org", target="mx.example.org:25", user=None, password=None)
    do("route.add", domain="example.com", target="smart.example.net:587", user=None, password=None)
    routes = QueuePolicy(None, ground.settings, ground.directory).routes()
    assert routes.of("a.example.org") == ("mx.example.org", 25)
    assert routes.of("example.net") == ("smart.example.net", 587)
    assert [(r["domain"], r["user"]) for r in do("route.list")["routes"]] == [
        ("*", "house"), (".example.org", ""), ("example.com", "house"),
    ]  # fmt: skip
    assert smarthosts.login("smart.example.net", 587) == ("house", "secret")
    assert "secret" not in str(do("route.list"))
    # the login lives as long as a route leads there
    do("route.delete", domain="example.com")
    assert smarthosts.login("smart.example.net", 587) == ("house", "secret")
    do("route.add", domain="*", target="other.example.net:465", user="me", password="too")
    assert smarthosts.login("smart.example.net", 587) is None
    do("route.delete", domain="*")
    assert smarthosts.names() == {}
    for bad, error in (
        ({"domain": "x", "target": "nohost"}, Invalid),
        ({"domain": "a b", "target": "h.example:25"}, Invalid),
        ({"domain": "x", "target": "h.example:25", "user": "u", "password": ""}, Invalid),
    ):
        with pytest.raises(error):
            do("route.add", **{"user": None, "password": None, **bad})
    with pytest.raises(NotFound):
        do("route.delete", domain="*")
    assert [r["domain"] for r in do("route.list")["routes"]] == [".example.org"]
    ground.close()


def test_a_password_opens_for_its_host_only(tmp_path: Path) -> None:
    ground = Ground(tmp_path, FakeClock()).open()
    smarthosts = Smarthosts(ground.db, ground.keys)
    ground.db.write(lambda tx: smarthosts.put_in(tx, "a.example", 25, "u", "p"))
    from sqlalchemy import update

    from data.disk import tables as t

    ground.db.write(lambda tx: tx.run(update(t.smarthost).values(host="b.example"), {}))
    with pytest.raises(Corrupt):
        smarthosts.login("b.example", 25)
    ground.close()


# --- sent on ----------------------------------------------------------------------------------------------------------


def test_a_forward_leaves_under_an_address_of_ours_and_its_bounce_comes_back(tmp_path: Path, sink: SinkMx) -> None:
    """SRS there and back; the bounce goes to the original sender, and nobody else gets a relay."""

    async def scene(out: Outbound) -> None:
        out.put("far@example.org", account=None, return_path="zoe@example.net")
        out.put("far@example.org", account=None, return_path="ann@example.test", message_id="<2@example.test>")
        out.put("far@example.org", message_id="<3@example.test>")
        await out.idle()
        senders = {one.message_id: one.sender for one in sink.messages}
        assert senders["<2@example.test>"] == senders["<3@example.test>"] == "ann@example.test"
        rewritten = senders["<1@example.test>"]
        assert rewritten.startswith("SRS0=") and rewritten.endswith("=example.net=zoe@example.test")
        sink.clear()
        # as it comes back: to the rewritten address, once as a notification, once as somebody's mail, once forged
        out.put(rewritten, account=None, return_path="", message_id="<4@example.test>")
        out.put(rewritten, account=None, return_path="eve@example.test", message_id="<5@example.test>")
        forged = rewritten.replace("=zoe@", "=victim@")
        out.put(forged, account=None, return_path="", message_id="<6@example.test>")
        await out.idle()
        assert [(one.message_id, one.sender, one.recipients) for one in sink.messages] == [
            ("<4@example.test>", "", ["zoe@example.net"])
        ]

    play(tmp_path, sink, scene)


# --- nobody to tell ---------------------------------------------------------------------------------------------------


def summaries(out: Outbound) -> list[str]:
    found = [email.message_from_bytes(octets, policy=email.policy.default) for octets in out.inbox("ann")]
    return [str(one.get_content()) for one in found if one["Auto-Submitted"] == "auto-generated"]


def test_null_sender_failures_are_told_to_postmaster_once_a_day(tmp_path: Path, sink: SinkMx) -> None:
    async def scene(out: Outbound) -> None:
        from data.principal import Role

        ann = out.account("ann")
        out.db.write(lambda tx: out.directory.set_role_in(tx, ann, Role.ADMINISTRATOR))
        out.put(NewRecipient("reject1@example.org", notify="NEVER"), account=None, return_path="")
        await out.idle()
        tell = out.queue._parts.tell_postmaster
        assert not tell()
        await out.later(20 * HOUR)
        out.put("reject2@example.org", account=None, return_path="", message_id="<2@example.test>")
        await out.idle()
        assert not tell()
        await out.later(4 * HOUR)
        assert tell() and not tell()
        await out.idle()
        (words,) = summaries(out)
        assert "reject1@example.org" in words and "reject2@example.org" in words
        assert "550 5.1.1 no such user here" in words and "There is no such address at example.org." in words
        # a day with nothing to tell is silent
        await out.later(2 * DAY)
        assert not tell()
        # a sender who can be written to is, and postmaster is not bothered
        out.put("reject3@example.org", message_id="<3@example.test>")
        await out.idle()
        await out.later(2 * DAY)
        assert not tell() and len(summaries(out)) == 1

    play(tmp_path, sink, scene)
