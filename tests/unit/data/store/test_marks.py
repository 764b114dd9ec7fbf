"""Marks of deliveries: a retransmission is told from a new message for a day."""

from __future__ import annotations

import contextlib

from data.clock import DAY, HOUR, FakeClock
from data.disk.db import Database, Tx
from data.store.marks import Marks, mark


def seen(db: Database, marks: Marks, digest: bytes) -> bool:
    return db.write(lambda tx: marks.seen_in(tx, digest))


def test_a_mark_is_set_once_and_lasts_a_day(db: Database, clock: FakeClock) -> None:
    marks = Marks()
    assert [seen(db, marks, b"a" * 16) for _ in range(3)] == [False, True, True]
    assert not seen(db, marks, b"b" * 16)
    clock.advance(DAY - HOUR)
    assert seen(db, marks, b"a" * 16)
    clock.advance(2 * HOUR)
    assert not seen(db, marks, b"a" * 16)
    assert seen(db, marks, b"a" * 16)


def test_a_failed_delivery_leaves_no_mark(db: Database) -> None:
    marks = Marks()

    def fail(tx: object) -> None:
        marks.seen_in(tx, b"c" * 16)  # type: ignore[arg-type]
        raise RuntimeError("no")

    for _ in range(2):
        with contextlib.suppress(RuntimeError):
            db.write(fail)
    assert not seen(db, marks, b"c" * 16)


def test_a_clock_that_jumps_back_does_not_stop_the_sweep(db: Database, clock: FakeClock) -> None:
    marks = Marks()
    seen(db, marks, b"d" * 16)
    clock.jump(-10 * DAY)
    assert seen(db, marks, b"d" * 16)


def test_every_fact_makes_another_mark() -> None:
    facts = ("a@b.test", "<1@b.test>", "7", "192.0.2.0/24", b"digest")
    others = [
        mark(*(value if n != at else (b"x" if isinstance(value, bytes) else "x") for n, value in enumerate(facts)))  # type: ignore[arg-type]
        for at in range(len(facts))
    ]
    assert len({mark(*facts), *others, mark("a@b.test", None, "7", "192.0.2.0/24", b"digest")}) == 7


def test_a_client_that_went_on_may_send_the_same_again(db: Database) -> None:
    marks = Marks()
    assert not seen(db, marks, b"d" * 16)
    marks.heard([b"d" * 16])
    assert [seen(db, marks, b"d" * 16) for _ in range(2)] == [False, True]


def test_what_was_heard_is_forgotten_only_by_a_commit(db: Database) -> None:
    marks = Marks()
    assert not seen(db, marks, b"e" * 16)
    marks.heard([b"e" * 16])

    def fail(tx: Tx) -> None:
        marks.seen_in(tx, b"f" * 16)
        raise RuntimeError("no")

    with contextlib.suppress(RuntimeError):
        db.write(fail)
    assert [seen(db, marks, b"e" * 16) for _ in range(2)] == [False, True]
    marks.heard([b"e" * 16])
    db.write(marks.forget_in)
    assert not seen(db, marks, b"e" * 16)
