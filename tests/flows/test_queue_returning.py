"""Giving a waiting message back: its sender is told once, in the same transaction, or nothing happens at all."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from appliance.i18n import Catalogue
from appliance.log import get
from appliance.maillog import MailLog
from appliance.metrics import Metrics
from data.disk.db import Tx
from data.errors import Conflict, NotFound
from data.ids import ItemId
from data.reason import Reason
from data.spool.envelope import State, Work
from smtp.queue.reporting import Reporter
from smtp.queue.returning import Returning
from smtp.queue.route import Routes
from tests.instruments.outbound import HOSTNAME, Outbound, outbound

FAR = "bob@example.org"
Scene = Callable[[Outbound, Returning], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        async def inside() -> None:
            async with outbound(tmp_path, routes=Routes()) as out:
                messages = out.store.messages
                reporter = Reporter(
                    HOSTNAME,
                    out.directory,
                    out.settings,
                    Catalogue.load(),
                    lambda work: messages.content(work.item.blob),
                )
                maillog = MailLog(get("mail"), Metrics())
                await scene(out, Returning(out.db, out.spool, messages, reporter, out.clock, maillog))

        asyncio.run(inside())

    return run


def notices(out: Outbound) -> list[email.message.EmailMessage]:
    found = (email.message_from_bytes(octets, policy=email.policy.default) for octets in out.inbox("ann"))
    return [one for one in found if one.get_content_type() == "multipart/report"]


def nothing(tx: Tx, count: int) -> None:
    """No row besides."""


@pytest.mark.parametrize("held", [False, True])
def test_its_sender_is_told_once(play: Callable[[Scene], None], held: bool) -> None:
    async def scene(out: Outbound, back: Returning) -> None:
        out.put(FAR)
        await out.idle()
        (one,) = out.waiting()
        if held:
            out.db.write(lambda tx: out.spool.hold_in(tx, one.item, Reason("queue.held")))
        seen: list[int] = []
        assert back(one.item, "root@example.test", lambda tx, count: seen.append(count)) == 1
        assert seen == [1] and FAR not in [row.address for row in out.waiting()]
        await out.idle()
        (notice,) = notices(out)
        assert "Your administrator took the message out of the queue" in notice.as_string()
        assert "Status: 5.7.0" in notice.as_string() and FAR in notice.as_string()
        assert out.states()[State.BOUNCED] == 1
        last = [hop for hop in out.told() if hop.event == "failed"]
        assert [hop.reason.code for hop in last if hop.reason] == ["queue.returned"]
        with pytest.raises(NotFound):
            back(one.item, "root@example.test", nothing)

    play(scene)


def test_what_is_on_the_wire_is_left_alone_and_a_failure_leaves_nothing(play: Callable[[Scene], None]) -> None:
    async def scene(out: Outbound, back: Returning) -> None:
        out.put(FAR)
        await out.idle()
        (one,) = out.waiting()

        def breaks(tx: Tx, count: int) -> None:
            raise NotFound("the audit row")

        with pytest.raises(NotFound, match="audit row"):
            back(one.item, "root@example.test", breaks)
        assert [row.state for row in out.waiting()] == [State.DEFERRED], "all of it or nothing"

        def lease(tx: Tx) -> Work | None:
            out.spool.retry_in(tx, one.item)
            return out.spool.claim_in(tx, "example.org", one.account, "lease", lambda domain: True)

        seen = out.spool.open_work(one.item)
        work = out.db.write(lease)
        assert work is not None
        with pytest.raises(Conflict):  # it went on the wire after somebody looked
            out.db.write(lambda tx: out.spool.give_up_in(tx, seen, Reason("queue.returned")))
        with pytest.raises(Conflict):
            back(one.item, "root@example.test", nothing)
        out.db.write(lambda tx: out.spool.give_back_in(tx, work))
        with pytest.raises(NotFound):
            back(ItemId(99), "root@example.test", nothing)
        await out.idle()
        assert notices(out) == []

    play(scene)
