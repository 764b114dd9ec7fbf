"""Items and recipients through every state, on real rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from data.clock import HOUR, MINUTE
from data.disk import tables as t
from data.disk.db import Tx
from data.errors import Conflict, Invalid, NotFound
from data.ids import AccountId, ItemId, Millis
from data.reason import Reason
from data.spool.envelope import NEVER_DUE, NewRecipient, Outcome, State, Verdict, wants
from data.store.changes import QueueChanged
from data.store.repair import Repair

if TYPE_CHECKING:
    from tests.unit.data.spool.conftest import Bench


def refs(bench: Bench) -> list[int]:
    with bench.db.read() as reader:
        return [row[0] for row in reader.all(select(t.blob.c.refs).order_by(t.blob.c.id))]


def test_put_is_seen_and_told(bench: Bench) -> None:
    """A committed item is waiting, refers to its blob and wakes the queue."""
    item = bench.put("bob@Example.org", "carol@example.net")
    first, second = bench.spool.waiting()
    assert (first.item, first.address, first.domain, first.state) == (
        item,
        "bob@Example.org",
        "example.org",
        State.QUEUED,
    )
    assert second.domain == "example.net"
    assert refs(bench) == [1]
    assert QueueChanged(bench.clock.now()) in bench.changes
    assert set(bench.spool.due()) == {("example.org", bench.ann), ("example.net", bench.ann)}
    assert bench.spool.next_due() == bench.clock.now()


def test_idempotency_key(bench: Bench) -> None:
    """The same key of the same account is the same item, of another account another."""
    first = bench.put("b@example.org", idempotency_key="k")
    assert bench.put("b@example.org", idempotency_key="k") == first
    assert bench.put("b@example.org", idempotency_key="k", account=bench.bob) != first
    assert bench.put("b@example.org", idempotency_key="k", account=None) != first
    assert bench.put("b@example.org", idempotency_key=None) != first
    assert len(bench.spool.waiting()) == 4
    assert bench.db.write(lambda tx: bench.spool.find_in(tx, bench.ann, "k")) == first
    assert bench.db.write(lambda tx: bench.spool.find_in(tx, bench.ann, "other")) is None


def test_no_recipients(bench: Bench) -> None:
    """An item for nobody is refused."""
    with pytest.raises(Invalid):
        bench.put()


def test_scheduled_and_held(bench: Bench) -> None:
    """not_before is a time, hold a person's decision; neither is claimed before."""
    later = Millis(bench.clock.now() + HOUR)
    bench.put("b@example.org", not_before=later)
    held = bench.put("c@example.org", hold=Reason("approval", {"by": "boss"}))
    assert bench.claim() is None
    assert bench.states() == [State.QUEUED, State.FROZEN]
    assert bench.spool.waiting()[1].reason == Reason("approval", {"by": "boss"})
    assert bench.spool.next_due() == later
    assert QueueChanged(later) in bench.changes
    bench.clock.advance(HOUR)
    assert bench.claimed().recipients[0].address == "b@example.org"
    assert bench.db.write(lambda tx: bench.spool.release_in(tx, held)) == 1
    assert bench.claimed(lease="l2").recipients[0].address == "c@example.org"


def test_delivered_by_the_same_transaction(bench: Bench) -> None:
    """A local recipient that is delivered at once is done; with nobody else, so is the item."""
    bench.put(NewRecipient("bob@example.test", delivered=True), "c@example.org")
    assert [one.address for one in bench.spool.waiting()] == ["c@example.org"]
    bench.changes.clear()
    bench.put(NewRecipient("bob@example.test", delivered=True))
    assert not [change for change in bench.changes if isinstance(change, QueueChanged)]
    assert bench.spool.counts() == {State.DELIVERED: 2, State.QUEUED: 1}


def test_a_lease_is_one_holders(bench: Bench) -> None:
    """Claimed recipients are nobody else's; others of the item stay free."""
    bench.put("b@example.org", "c@example.org", "d@example.net")
    work = bench.claimed()
    assert [one.address for one in work.recipients] == ["b@example.org", "c@example.org"]
    assert (work.item.return_path, work.item.account, work.item.trail) == ("ann@example.test", bench.ann, "t1")
    assert bench.claim(lease="l2") is None
    other = bench.claimed("example.net", "l3")
    assert [one.address for one in other.recipients] == ["d@example.net"]


def test_domains_that_go_the_same_way_are_one_lease(bench: Bench) -> None:
    """Behind a smarthost an item with recipients everywhere is one transaction."""
    bench.put("b@example.org", "c@example.net", "d@example.com")
    work = bench.claim(takes=lambda domain: domain != "example.com")
    assert work is not None
    assert [one.domain for one in work.recipients] == ["example.org", "example.net"]


def test_a_lease_covers_at_most_a_hundred(bench: Bench) -> None:
    """The rest is the next lease's."""
    bench.put(*(f"u{n}@example.org" for n in range(130)))
    assert len(bench.claimed().recipients) == 100
    assert len(bench.claimed(lease="l2").recipients) == 30


def test_settling(bench: Bench) -> None:
    """Delivered, deferred and failed in one attempt; only the deferred one waits on, and the story knows all."""
    bench.put("b@example.org", "c@example.org", "d@example.org")
    work = bench.claimed()
    again = Millis(bench.clock.now() + 5 * MINUTE)
    one, two, three = work.recipients
    outcomes = [
        Outcome(one, Verdict.DELIVERED, Reason("queue.sent"), "250 ok", "mx.example.org"),
        Outcome(two, Verdict.DEFERRED, Reason("queue.rcpt"), "450 later", "mx.example.org", next_at=again),
        Outcome(three, Verdict.FAILED, Reason("queue.rcpt"), "550 no", "mx.example.org"),
    ]

    def op(tx: Tx) -> None:
        bench.spool.settle_in(tx, work, outcomes)
        bench.spool.bounced_in(tx, [three.id])

    bench.db.write(op)
    (waits,) = bench.spool.waiting()
    assert (waits.address, waits.attempts, waits.next_at, waits.reply) == ("c@example.org", 1, again, "450 later")
    assert bench.spool.counts() == {State.DELIVERED: 1, State.DEFERRED: 1, State.BOUNCED: 1}
    hops = bench.story.of("t1")
    assert [(hop.event, hop.recipient) for hop in hops] == [
        ("delivered", "b@example.org"),
        ("deferred", "c@example.org"),
        ("failed", "d@example.org"),
    ]
    assert hops[2].reason == Reason("queue.rcpt", {"remote": "mx.example.org", "reply": "550 no"})
    assert bench.claim() is None
    bench.clock.advance(5 * MINUTE)
    assert [r.attempts for r in bench.claimed(lease="l2").recipients] == [1]


def test_settling_needs_the_lease(bench: Bench) -> None:
    """A holder whose lease was taken away changes nothing, not even half."""
    bench.put("b@example.org", "c@example.org")
    work = bench.claimed()
    bench.spool.recover()
    with pytest.raises(Conflict):
        bench.settle(work, Verdict.DELIVERED)
    assert bench.states() == [State.DEFERRED, State.DEFERRED]
    assert bench.story.of("t1") == ()
    # another holder has it now: it is not the first one's to end, though somebody is sending
    bench.claimed(lease="l2")
    with pytest.raises(Conflict):
        bench.settle(work, Verdict.DELIVERED)
    assert bench.states() == [State.SENDING, State.SENDING]


def test_only_the_failed_bounce(bench: Bench) -> None:
    """A notification for somebody who was delivered is a mistake that undoes the transaction."""
    bench.put("b@example.org")
    work = bench.claimed()

    def op(tx: Tx) -> None:
        outcomes = [Outcome(work.recipients[0], Verdict.DELIVERED, Reason("queue.sent"))]
        bench.spool.settle_in(tx, work, outcomes)
        bench.spool.bounced_in(tx, [work.recipients[0].id])

    with pytest.raises(Conflict):
        bench.db.write(op)
    assert bench.states() == [State.SENDING]


def test_signature_is_kept(bench: Bench) -> None:
    """What was signed once is what every attempt sends."""
    bench.put("b@example.org", prefix=b"Received: x\r\n")
    work = bench.claimed()
    assert (work.item.prefix, work.item.prefix_done) == (b"Received: x\r\n", False)
    assert work.item.total == len(b"Received: x\r\n") + work.item.size
    signed = b"DKIM-Signature: y\r\nReceived: x\r\n"
    for made in (signed, b"DKIM-Signature: of another slot\r\n"):
        kept, _ = bench.db.write(lambda tx, made=made: bench.spool.ready_in(tx, work.item, made, None))
        assert (kept.prefix, kept.blob) == (signed, work.item.blob)
    bench.settle(work, Verdict.DEFERRED, next_at=bench.clock.now())
    again = bench.claimed(lease="l2").item
    assert (again.prefix, again.prefix_done) == (b"DKIM-Signature: y\r\nReceived: x\r\n", True)


def test_a_message_that_was_made_anew_takes_the_place_of_the_first(bench: Bench) -> None:
    """Its blob is counted, the first one's no more; whoever comes second keeps what came first."""
    bench.put("b@example.org")
    item = bench.claimed().item
    first, second = (
        bench.store.messages.prepare(b"Subject: y\r\n\r\n" + body) for body in (b"made\r\n", b"late one\r\n")
    )
    kept, used = bench.db.write(lambda tx: bench.spool.ready_in(tx, item, b"A: b\r\n", first))
    assert used and kept.blob != item.blob and (kept.size, kept.prefix) == (first.size, b"A: b\r\n")
    assert bench.store.messages.content(kept.blob).read(0, 100) == b"Subject: y\r\n\r\nmade\r\n"
    late, used = bench.db.write(lambda tx: bench.spool.ready_in(tx, item, b"C: d\r\n", second))
    assert not used and late == kept
    assert not list(Repair(bench.db, bench.store.blobs).verify())


def test_C9_C10_recovery(bench: Bench) -> None:
    """What was on the wire when the process ended is deferred, due at once, counted once; recovering again does nothing."""
    bench.put("b@example.org", "c@example.net")
    bench.claimed()
    assert bench.spool.recover() == 1
    assert bench.spool.recover() == 0
    first = bench.spool.waiting()[0]
    assert (first.state, first.attempts, first.next_at) == (State.DEFERRED, 1, bench.clock.now())
    assert first.reason == Reason("queue.interrupted")
    assert bench.claim(lease="l2") is not None


def test_recovery_wakes_what_waited_for_names(bench: Bench) -> None:
    """After a restart the resolver may be another; other causes keep their time."""
    for domain, code in (("example.org", "dns.off"), ("example.net", "queue.rcpt")):
        bench.put(f"b@{domain}")
        bench.settle(bench.claimed(domain), Verdict.DEFERRED, code, next_at=Millis(bench.clock.now() + HOUR))
    bench.spool.recover()
    assert bench.spool.due() == [("example.org", bench.ann)]


def test_give_back(bench: Bench) -> None:
    """An attempt that our own stop broke off counts nothing and is due at once."""
    bench.put("b@example.org")
    work = bench.claimed()
    assert bench.db.write(lambda tx: bench.spool.give_back_in(tx, work)) == 1
    assert [r.attempts for r in bench.claimed(lease="l2").recipients] == [0]


def test_clock_jump_back(bench: Bench) -> None:
    """Retries that an older clock put far ahead become due; a sending scheduled for then stays."""
    bench.put("b@example.org")
    bench.settle(bench.claimed(), Verdict.DEFERRED, next_at=Millis(bench.clock.now() + HOUR))
    bench.put("c@example.net", not_before=Millis(bench.clock.now() + 10 * HOUR))
    assert bench.spool.pull_in() == 0
    bench.clock.jump(-24 * HOUR)
    assert bench.spool.pull_in() == 1
    assert bench.spool.due() == [("example.org", bench.ann)]


def test_lost_leases_end(bench: Bench) -> None:
    """A holder that is never heard of again loses its lease after hours, without a restart."""
    bench.put("b@example.org")
    bench.claimed()
    assert bench.spool.pull_in() == 0
    bench.clock.advance(7 * HOUR)
    assert bench.spool.pull_in() == 1
    assert bench.claim(lease="l2") is not None


def test_a_host_that_answers_again_wakes_its_mail(bench: Bench) -> None:
    """What could not be brought is due; what was refused for a while keeps its time."""
    for user, code in (("b", "queue.connect"), ("c", "queue.resting"), ("d", "queue.rcpt")):
        bench.put(f"{user}@example.org")
        bench.settle(bench.claimed(), Verdict.DEFERRED, code, next_at=Millis(bench.clock.now() + HOUR))
    assert bench.db.write(lambda tx: bench.spool.again_for_host_in(tx, "example.org")) == 2
    assert bench.db.write(lambda tx: bench.spool.again_for_host_in(tx, "example.net")) == 0
    bench.put("e@example.net")
    bench.settle(bench.claimed("example.net"), Verdict.DEFERRED, "queue.lost", next_at=Millis(bench.clock.now() + HOUR))
    assert bench.db.write(lambda tx: bench.spool.again_for_host_in(tx, None)) == 1


def test_hold_release_retry(bench: Bench) -> None:
    """By hand: frozen is not due, released is, a retry does not wait for its time."""
    item = bench.put("b@example.org")
    write = bench.db.write
    assert write(lambda tx: bench.spool.hold_in(tx, item, Reason("admin.hold"))) == 1
    assert bench.states() == [State.FROZEN]
    assert bench.spool.waiting()[0].next_at is None
    assert bench.spool.due() == []
    assert bench.spool.next_due() is None
    assert write(lambda tx: bench.spool.release_in(tx, item)) == 1
    bench.settle(bench.claimed(), Verdict.DEFERRED, next_at=Millis(bench.clock.now() + HOUR))
    assert bench.claim() is None
    assert write(lambda tx: bench.spool.retry_in(tx, item)) == 1
    assert write(bench.spool.retry_all_in) == 0
    assert bench.claim() is not None
    assert [hop.event for hop in bench.story.of("t1")] == ["held", "released", "deferred"]


def test_hold_while_on_the_wire(bench: Bench) -> None:
    """The attempt ends first; what it deferred is frozen then, what it delivered is delivered."""
    item = bench.put("b@example.org", "c@example.org")
    work = bench.claimed()
    assert bench.db.write(lambda tx: bench.spool.hold_in(tx, item, Reason("admin.hold"))) == 0
    outcomes = [
        Outcome(work.recipients[0], Verdict.DELIVERED, Reason("queue.sent")),
        Outcome(work.recipients[1], Verdict.DEFERRED, Reason("queue.lost"), next_at=bench.clock.now()),
    ]
    bench.db.write(lambda tx: bench.spool.settle_in(tx, work, outcomes))
    assert bench.states() == [State.FROZEN]


def test_cancel_is_for_the_sender_before_anything_was_tried(bench: Bench) -> None:
    """Undo: all of it or nothing; never somebody else's."""
    item = bench.put("b@example.org", "c@example.net", not_before=Millis(bench.clock.now() + MINUTE))
    with pytest.raises(NotFound):
        bench.db.write(lambda tx: bench.spool.cancel_in(tx, item, bench.bob))
    assert bench.db.write(lambda tx: bench.spool.cancel_in(tx, item, bench.ann)) == 2
    assert bench.spool.waiting() == ()
    assert bench.spool.counts() == {State.CANCELLED: 2}
    tried = bench.put("b@example.org", "c@example.net")
    work = bench.claimed()
    with pytest.raises(Conflict):
        bench.db.write(lambda tx: bench.spool.cancel_in(tx, tried, bench.ann))
    bench.settle(work, Verdict.DEFERRED, next_at=bench.clock.now())
    with pytest.raises(Conflict):
        bench.db.write(lambda tx: bench.spool.cancel_in(tx, tried, bench.ann))
    assert bench.states() == [State.DEFERRED, State.QUEUED]


def test_drop_is_the_administrators(bench: Bench) -> None:
    """Not while it is on the wire; with a story row that says who."""
    item = bench.put("b@example.org")
    work = bench.claimed()
    with pytest.raises(Conflict):
        bench.db.write(lambda tx: bench.spool.drop_in(tx, item, "root@example.test"))
    bench.settle(work, Verdict.DEFERRED, next_at=bench.clock.now())
    assert bench.db.write(lambda tx: bench.spool.drop_in(tx, item, "root@example.test")) == 1
    assert bench.story.of("t1")[-1].reason == Reason("queue.dropped", {"by": "root@example.test"})
    with pytest.raises(NotFound):
        bench.db.write(lambda tx: bench.spool.drop_in(tx, ItemId(99), "root@example.test"))


def test_purge_lets_go_of_octets(bench: Bench) -> None:
    """An hour after its end an item and its blob go; one with a key stays a day; what waits stays."""
    bench.put("b@example.org")
    bench.put("c@example.org", idempotency_key="k")
    bench.put("d@example.net")
    for lease in ("l1", "l2"):
        bench.settle(bench.claimed(lease=lease), Verdict.DELIVERED)
    assert bench.spool.purge() == 0
    bench.clock.advance(HOUR + 1)
    assert bench.spool.purge() == 1
    assert refs(bench) == [0, 1, 1]
    assert bench.put("c@example.org", idempotency_key="k") == 2
    bench.clock.advance(24 * HOUR)
    assert bench.spool.purge() == 1
    assert len(bench.spool.waiting()) == 1
    bench.store.sweep.run()
    assert refs(bench) == [1]


def test_waiting_pages(bench: Bench) -> None:
    """A long queue is listed in pages."""
    bench.put(*(f"u{n}@example.org" for n in range(5)))
    first = bench.spool.waiting(most=3)
    rest = bench.spool.waiting(most=3, after=first[-1].id)
    assert [one.address for one in (*first, *rest)] == [f"u{n}@example.org" for n in range(5)]


def test_due_is_by_domain_and_account(bench: Bench) -> None:
    """Fairness needs both; the longest wait comes first."""
    bench.put("b@example.net", account=bench.bob)
    bench.clock.advance(1)
    bench.put("b@example.org")
    bench.put("c@example.org", account=None)
    assert bench.spool.due()[0] == ("example.net", bench.bob)
    assert set(bench.spool.due()[1:]) == {("example.org", None), ("example.org", bench.ann)}
    taken = bench.db.write(lambda tx: bench.spool.claim_in(tx, "example.org", None, "l", lambda name: True))
    assert taken is not None
    assert taken.item.account is None


@pytest.mark.parametrize(
    ("notify", "wanted"),
    [
        (None, {"FAILURE", "DELAY"}),
        ("NEVER", set()),
        ("SUCCESS", {"SUCCESS"}),
        ("FAILURE,DELAY", {"FAILURE", "DELAY"}),
        ("SUCCESS,FAILURE", {"SUCCESS", "FAILURE"}),
    ],
)
def test_notify(notify: str | None, wanted: set[str]) -> None:
    """RFC 3461 §4.1."""
    assert {what for what in ("SUCCESS", "FAILURE", "DELAY") if wants(notify, what)} == wanted


def test_never_due_is_beyond_any_clock() -> None:
    """And fits every database's integer."""
    assert 2**50 < NEVER_DUE < 2**63
    assert AccountId(1)
