"""Token buckets: exact, bounded, never sleeping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ratelimit import Gauge, TokenBuckets
from data.clock import FakeClock


def test_a_burst_then_the_rate() -> None:
    clock = FakeClock()
    buckets = TokenBuckets(clock, rate=2, burst=3)
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b"), "keys are apart"
    assert buckets.wait("a") == pytest.approx(0.5)
    clock.advance(500)
    assert buckets.take("a") and not buckets.take("a")
    clock.advance(60_000)
    assert buckets.left("a") == 3


def test_charge_may_go_below_zero_by_one_burst() -> None:
    clock = FakeClock()
    buckets = TokenBuckets(clock, rate=1, burst=2)
    buckets.charge("a", 100)
    assert buckets.left("a") == -2 and buckets.wait("a", 1) == pytest.approx(3)
    assert buckets.wait("a", 3) == float("inf")
    buckets.forget("a")
    assert buckets.left("a") == 2


def test_memory_is_bounded() -> None:
    clock = FakeClock()
    buckets = TokenBuckets(clock, rate=1, burst=1, most=100)
    for n in range(10_000):
        buckets.take(n)
    assert len(buckets) == 100
    clock.advance(5_000)
    for n in range(200):
        buckets.take(f"later {n}")
        clock.advance(2_000)
    assert len(buckets) < 10, "what is full again is forgotten"


def test_asking_leaves_no_trace() -> None:
    buckets = TokenBuckets(FakeClock(), rate=1, burst=1)
    buckets.left("a")
    buckets.wait("a")
    assert len(buckets) == 0


def test_a_clock_that_stands_gives_nothing() -> None:
    clock = FakeClock()
    buckets = TokenBuckets(clock, rate=1000, burst=1)
    assert buckets.take("a") and not buckets.take("a")
    clock.jump(10**9)
    assert not buckets.take("a"), "the wall clock does not count"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3000)), max_size=60))
def test_never_more_than_burst_and_rate_allow(steps: list[tuple[str, int]]) -> None:
    clock = FakeClock()
    buckets = TokenBuckets(clock, rate=1, burst=2, most=2)
    single = TokenBuckets(clock, rate=1, burst=2)
    begun, got = clock.monotonic(), 0
    for key, pause in steps:
        clock.advance(pause)
        buckets.take(key)
        got += single.take("x")
        assert len(buckets) <= 2
        assert got <= 2 + (clock.monotonic() - begun) + 1e-6


@pytest.mark.parametrize(
    "wrong", [{"rate": 0, "burst": 1}, {"rate": 1, "burst": 0}, {"rate": 1, "burst": 1, "most": 0}]
)
def test_senseless_bounds_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        TokenBuckets(FakeClock(), **wrong)


def test_gauge_counts_what_is_there() -> None:
    gauge = Gauge(2)
    assert [gauge.enter("a") for _ in range(3)] == [True, True, False]
    assert gauge.enter("b") and (gauge.held("a"), gauge.total) == (2, 3)
    gauge.leave("a")
    gauge.leave("nobody")
    assert gauge.enter("a") and gauge.total == 3
    for key in ("a", "a", "b", "b"):
        gauge.leave(key)
    assert gauge.total == 0 and gauge.held("a") == 0
    free = Gauge(0)
    assert all(free.enter("a") for _ in range(1000))
