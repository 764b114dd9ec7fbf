"""The pure parts of the login gate: failures by network, remembered logins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.auth import REMEMBER_SECONDS, Failures, Remembered
from data.clock import MINUTE, FakeClock


def _fail(failures: Failures, network: str, *attempts: int) -> None:
    for attempt in attempts:
        failures.failed(network, attempt.to_bytes(4, "big"))


def test_the_delay_grows_from_the_sixth_distinct_failure() -> None:
    failures = Failures(FakeClock())
    delays = []
    for n in range(12):
        delays.append(failures.delay("192.0.2.1"))
        _fail(failures, "192.0.2.1", n)
    assert delays == [0, 0, 0, 0, 0, 0, 2, 4, 8, 16, 16, 16]
    assert failures.delay("192.0.2.2") == 0, "other networks do not wait"


def test_the_same_wrong_password_counts_once() -> None:
    failures = Failures(FakeClock())
    _fail(failures, "a", *[7] * 100)
    assert failures.delay("a") == 0


def test_failures_are_forgotten_after_ten_minutes() -> None:
    clock = FakeClock()
    failures = Failures(clock)
    _fail(failures, "a", *range(8))
    assert failures.delay("a") == 8
    clock.advance(10 * MINUTE - 1)
    _fail(failures, "a", 99)
    assert failures.delay("a") == 16
    clock.advance(2)
    assert failures.delay("a") == 0


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 200)), max_size=300))
def test_memory_is_bounded(attempts: list[tuple[int, int]]) -> None:
    failures = Failures(FakeClock(), networks=5, distinct=7)
    for network, attempt in attempts:
        _fail(failures, str(network), attempt)
        assert failures.delay(str(network)) <= 16
    assert len(failures._seen) <= 5
    assert all(len(seen) <= 7 for seen in failures._seen.values())


def test_logins_are_remembered_for_ten_minutes() -> None:
    clock = FakeClock()
    remembered = Remembered(clock, most=3)
    remembered.add(b"one")
    clock.advance(int(REMEMBER_SECONDS * 1000) - 1)
    assert remembered.holds(b"one") and not remembered.holds(b"two")
    clock.advance(1)
    assert not remembered.holds(b"one") and len(remembered) == 0
    for n in range(10):
        remembered.add(bytes([n]))
    assert len(remembered) == 3 and remembered.holds(bytes([9]))
