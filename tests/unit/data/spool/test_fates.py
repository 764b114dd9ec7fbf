"""What a sender is told of each recipient, and which sendings have trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.clock import HOUR, MINUTE
from data.ids import Millis
from data.spool.envelope import State, Verdict
from data.spool.fates import Fates

if TYPE_CHECKING:
    from tests.unit.data.spool.conftest import Bench


def test_each_recipient_stands_where_the_queue_has_it(bench: Bench) -> None:
    bench.put("bob@example.org", "eve@example.net", idempotency_key="k")
    fates = Fates(bench.db)
    assert [(one.address, one.state, one.attempts) for one in fates.of(bench.ann, "k")] == [
        ("bob@example.org", State.QUEUED, 0),
        ("eve@example.net", State.QUEUED, 0),
    ]
    later = Millis(bench.clock.now() + HOUR)
    bench.settle(bench.claimed(), Verdict.DEFERRED, "queue.connect", next_at=later)
    bench.settle(bench.claimed("example.net"), Verdict.FAILED, "queue.rcpt", remote="mx.example.net", reply="550 no")
    first, second = fates.of(bench.ann, "k")
    assert (first.state, first.next_at, first.attempts) == (State.DEFERRED, later, 1)
    assert first.reason is not None and first.reason.code == "queue.connect"
    assert (second.state, second.next_at, second.reply) == (State.FAILED, None, "mx.example.net 550 no")
    assert second.at == bench.clock.now()


def test_of_other_accounts_and_keys_nothing_is_told(bench: Bench) -> None:
    bench.put("bob@example.org", idempotency_key="k")
    fates = Fates(bench.db)
    assert fates.of(bench.bob, "k") == fates.of(bench.ann, "other") == ()
    bench.settle(bench.claimed(), Verdict.FAILED)
    assert fates.troubled(bench.bob, bench.clock.now()) == {}


def test_what_waits_too_long_or_failed_is_trouble(bench: Bench) -> None:
    fates, now = Fates(bench.db), bench.clock.now
    bench.put("bob@example.org", "eve@example.net", idempotency_key="k", not_before=Millis(now() + MINUTE))
    bench.put("x@example.com")
    assert fates.troubled(bench.ann, now()) == {}
    # its time has come, and nothing was tried for a while
    assert fates.troubled(bench.ann, Millis(now() + 3 * MINUTE)) == {"k": False}
    bench.clock.advance(2 * MINUTE)
    bench.settle(bench.claimed("example.net"), Verdict.DELIVERED, "queue.sent")
    bench.settle(bench.claimed("example.org"), Verdict.DEFERRED, next_at=Millis(now() + HOUR))
    assert fates.troubled(bench.ann, now()) == {"k": False}
    bench.clock.advance(HOUR)
    bench.settle(bench.claimed("example.org"), Verdict.FAILED)
    assert fates.troubled(bench.ann, now()) == {"k": True}
    delivered = [one for one in fates.of(bench.ann, "k") if one.state is State.DELIVERED]
    assert [one.address for one in delivered] == ["eve@example.net"]
