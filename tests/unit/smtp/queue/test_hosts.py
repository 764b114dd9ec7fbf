"""Hosts that are down rest; one probe looks; who comes back is free at once."""

from __future__ import annotations

from data.clock import HOUR, FakeClock
from smtp.queue import hosts
from smtp.queue.hosts import Hosts


def test_a_dead_host_rests_longer_each_time() -> None:
    """1, 5, 15, 30, 30 minutes."""
    clock = FakeClock()
    memory = Hosts(clock)
    assert memory.may_try("mx")
    for minutes in (1, 5, 15, 30, 30):
        memory.failed("mx")
        clock.advance(minutes * 60_000 - 1)
        assert not memory.may_try("mx")
        clock.advance(1)
        assert memory.may_try("mx")


def test_one_probe_at_a_time() -> None:
    """Whoever is let through first is the probe; the others wait for what it finds."""
    clock = FakeClock()
    memory = Hosts(clock)
    memory.failed("mx")
    clock.advance(60_000)
    assert memory.may_try("mx")
    assert not memory.may_try("mx")
    assert memory.worked("mx")
    assert memory.may_try("mx")
    assert memory.may_try("mx")
    assert not memory.worked("mx")


def test_a_lost_probe_does_not_block_for_ever() -> None:
    """Its task may have been cancelled."""
    clock = FakeClock()
    memory = Hosts(clock)
    memory.failed("mx")
    clock.advance(60_000)
    assert memory.may_try("mx")
    clock.advance(HOUR)
    assert memory.may_try("mx")


def test_a_probe_that_could_not_find_out_lets_the_next_one_try() -> None:
    """DNS failed, say: that tells nothing about the host."""
    clock = FakeClock()
    memory = Hosts(clock)
    memory.unclear("mx")
    memory.failed("mx")
    clock.advance(60_000)
    assert memory.may_try("mx")
    memory.unclear("mx")
    assert memory.may_try("mx")
    assert not memory.may_try("mx")


def test_wall_clock_does_not_matter() -> None:
    """Rest is measured by what never goes back."""
    clock = FakeClock()
    memory = Hosts(clock)
    memory.failed("mx")
    clock.jump(-1000 * HOUR)
    clock.advance(60_000)
    assert memory.may_try("mx")


def test_memory_is_bounded() -> None:
    """The oldest failure is forgotten first."""
    memory = Hosts(FakeClock())
    for number in range(hosts.KEPT_MOST + 10):
        memory.failed(f"mx{number}")
    assert len(memory) == hosts.KEPT_MOST
    assert memory.may_try("mx0")
    assert not memory.may_try(f"mx{hosts.KEPT_MOST}")
