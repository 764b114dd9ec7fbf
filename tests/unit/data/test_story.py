"""The hops of one message are told in order, with their reasons."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import insert

from data.clock import FakeClock
from data.disk import tables as t
from data.disk.db import Database
from data.disk.migrate import upgrade
from data.ids import OrganisationId
from data.reason import Reason
from data.story import Sought, Story


def test_hops_join_by_trail(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    upgrade(path)
    clock = FakeClock()
    db = Database.open(path, clock)
    db.write(lambda tx: tx.run(insert(t.organisation).values(id=1, name="Example")))
    story = Story(db)

    def tell(trail: str, event: str, reason: Reason | None = None) -> None:
        db.write(
            lambda tx: story.record_in(
                tx, organisation=OrganisationId(1), account=None, trail=trail, event=event, reason=reason
            )
        )
        clock.advance(10)

    tell("t1", "received")
    tell("t2", "received")
    tell("t1", "deferred", Reason("queue.dns.timeout", {"host": "mx.example.org"}))
    hops = story.of("t1")
    assert [hop.event for hop in hops] == ["received", "deferred"]
    assert hops[0].reason is None and hops[1].reason == Reason("queue.dns.timeout", {"host": "mx.example.org"})
    assert hops[0].at < hops[1].at
    assert [hop.event for hop in story.recent(2)] == ["deferred", "received"]
    assert len(story.recent(9, before=hops[1].id)) == 2
    db.close()


def test_search_and_flow(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    upgrade(path)
    clock = FakeClock()
    db = Database.open(path, clock)
    db.write(lambda tx: tx.run(insert(t.organisation).values(id=1, name="Example")))
    story, begun = Story(db), clock.now()

    def tell(trail: str, event: str, sender: str, recipient: str, reason: Reason | None = None) -> None:
        db.write(
            lambda tx: story.record_in(
                tx,
                organisation=OrganisationId(1),
                account=None,
                trail=trail,
                event=event,
                sender=sender,
                recipient=recipient,
                reason=reason,
            )
        )
        clock.advance(60_000)

    tell("t1", "delivered", "Max_M@example.org", "ann@example.test")
    tell("t2", "delivered", "ann@example.test", "far@example.org", Reason("queue.sent", {"remote": "mx"}))
    tell("t3", "failed", "maxim@example.org", "bob@example.test")
    assert [hop.trail for hop in story.search(Sought("ANN@"))] == ["t2", "t1"]
    assert [hop.trail for hop in story.search(Sought("t3"))] == ["t3"]
    assert [hop.trail for hop in story.search(Sought("x_m"))] == ["t1"], "an underscore is an underscore"
    assert story.search(Sought("%")) == () and story.search(Sought("t")) and not story.search(Sought("nobody"))
    first = story.search(Sought("example"), 1)
    assert [hop.trail for hop in story.search(Sought("example"), 5, first[0].id)] == ["t2", "t1"]
    assert [hop.trail for hop in story.search(Sought(outcome="sent"))] == ["t2"]
    assert [hop.trail for hop in story.search(Sought("ann@", outcome="stored"))] == ["t1"]
    assert [hop.trail for hop in story.search(Sought(outcome="failed"))] == ["t3"]
    assert story.search(Sought(outcome="held")) == ()
    at = {hop.trail: hop.at for hop in story.search(Sought())}
    assert [hop.trail for hop in story.search(Sought(since=at["t2"], until=at["t3"]))] == ["t2"]
    assert sorted(story.flow(begun, 60_000)) == [
        (0, "delivered", False, 1),
        (1, "delivered", True, 1),
        (2, "failed", False, 1),
    ]
    db.close()
