"""The database door: group commit, savepoints, snapshots, publication."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select

from data.clock import FakeClock
from data.disk import tables as t
from data.disk.db import Database, Tx
from data.disk.migrate import upgrade
from data.errors import DiskFull, Invalid, Unavailable

_PUT = insert(t.appliance).values(name=bindparam("name"), value=bindparam("value"))
_GET = select(t.appliance.c.value).where(t.appliance.c.name == bindparam("p_name"))
_ALL = select(t.appliance.c.name).order_by(t.appliance.c.name)


def put(name: str, value: str = "v") -> object:
    return lambda tx: tx.run(_PUT, {"name": name, "value": value})


def names(db: Database) -> list[str]:
    with db.read() as reader:
        return [n for (n,) in reader.all(_ALL)]


def test_what_was_written_is_there_after_reopening(where: str, clock: FakeClock) -> None:
    db = Database.open(where, clock)
    db.write(put("a", "1"))
    db.close()
    again = Database.open(where, clock)
    with again.read() as reader:
        assert reader.value(_GET, {"p_name": "a"}) == "1"
        assert reader.value(_GET, {"p_name": "b"}) is None
        assert reader.first(_GET, {"p_name": "b"}) is None
        assert list(reader.each(_ALL)) == [("a",)]
    again.close()


def test_one_that_fails_in_a_group_undoes_itself_alone(db: Database) -> None:
    gate = threading.Event()
    first = db.submit(lambda tx: gate.wait(10))

    def fails(tx: Tx) -> None:
        tx.run(_PUT, {"name": "half", "value": ""})
        raise Invalid("no")

    jobs = [db.submit(put("one")), db.submit(fails), db.submit(put("two")), db.submit(put("one"))]
    gate.set()
    assert first.result(10)
    assert jobs[0].result(10) == 1
    assert jobs[2].result(10) == 1
    with pytest.raises(Invalid):
        jobs[1].result(10)
    with pytest.raises(Exception, match=r"(?i)unique"):
        jobs[3].result(10)
    assert names(db) == ["one", "two"]


def test_one_that_fails_alone_leaves_nothing_and_the_writer_lives(db: Database) -> None:
    def fails(tx: Tx) -> None:
        tx.run(_PUT, {"name": "half", "value": ""})
        raise KeyError("x")

    with pytest.raises(KeyError):
        db.write(fails)
    db.write(put("whole"))
    assert names(db) == ["whole"]


def test_a_read_sees_one_snapshot(db: Database) -> None:
    db.write(put("a"))
    with db.read() as reader:
        assert len(reader.all(_ALL)) == 1
        db.write(put("b"))
        assert len(reader.all(_ALL)) == 1
        with db.read() as inner:
            assert len(inner.all(_ALL)) == 1
    assert names(db) == ["a", "b"]


def test_changes_are_told_after_commit_in_order_and_before_the_caller(db: Database) -> None:
    told: list[object] = []

    def publish(changes: tuple[object, ...]) -> None:
        assert set(names(db)) >= set(changes)
        told.extend(changes)

    db.publish = publish

    def op(name: str) -> object:
        def run(tx: Tx) -> str:
            tx.run(_PUT, {"name": name, "value": ""})
            tx.publish(name)
            tx.after_commit(lambda: told.append(f"hook {name}"))
            return name

        return run

    db.write(op("a"))
    assert told == ["hook a", "a"]
    db.write(op("b"))
    assert told == ["hook a", "a", "hook b", "b"]

    def fails(tx: Tx) -> None:
        tx.publish("never")
        raise Invalid("no")

    with pytest.raises(Invalid):
        db.write(fails)
    assert "never" not in told


def test_many_threads_write_and_each_hears_of_its_own(db: Database) -> None:
    def work(n: int) -> None:
        for i in range(20):
            assert db.write(lambda tx, name=f"{n}-{i}": (tx.run(_PUT, {"name": name, "value": ""}), name)[1]) == (
                f"{n}-{i}"
            )

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(db)) == 160


def test_a_closed_database_refuses(where: str, clock: FakeClock) -> None:
    db = Database.open(where, clock)
    db.close()
    with pytest.raises(Unavailable):
        db.write(put("a"))


def failing(code: int) -> object:
    def op(tx: Tx) -> None:
        tx.run(_PUT, {"name": "half", "value": ""})
        error = sqlite3.OperationalError("the disk says no")
        error.sqlite_errorcode = code
        raise error

    return op


def test_after_an_error_of_the_disk_nothing_is_written_any_more(where: str, clock: FakeClock) -> None:
    """RELIABILITY §1.2 step 7: a second fsync may lie. What waited is refused, and whoever runs the process is told."""
    db = Database.open(where, clock)
    told: list[str] = []
    db.on_fatal = told.append
    with pytest.raises(Unavailable):
        db.write(failing(sqlite3.SQLITE_IOERR_FSYNC))
    assert len(told) == 1
    with pytest.raises(Unavailable):
        db.write(put("later"))
    db.close()
    again = Database.open(where, clock)
    assert names(again) == []
    again.close()


def test_a_full_disk_ends_the_group_and_the_writer_lives(db: Database) -> None:
    told: list[str] = []
    db.on_fatal = told.append
    begun, gate = threading.Event(), threading.Event()
    first = db.submit(lambda tx: (begun.set(), gate.wait(10))[1])
    assert begun.wait(10)
    jobs = [db.submit(put("one")), db.submit(failing(sqlite3.SQLITE_FULL)), db.submit(put("two"))]
    gate.set()
    assert first.result(10)
    for job in jobs:
        with pytest.raises(DiskFull):
            job.result(10)
    assert told == []
    db.write(put("three"))
    assert names(db) == ["three"]


def test_sqlite_is_durable_and_strict(tmp_path: Path, clock: FakeClock) -> None:
    upgrade(tmp_path / "mail.db")
    db = Database.open(tmp_path / "mail.db", clock)

    def pragmas(tx: Tx) -> dict[str, object]:
        cursor = tx._cursor
        names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "cell_size_check")
        return {n: cursor.execute(f"PRAGMA {n}").fetchone()[0] for n in names}

    assert db.write(pragmas) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
    }
    db.close()


def test_a_null_that_stands_in_the_statement_is_a_value(db: Database) -> None:
    def op(tx: Tx) -> None:
        tx.run(insert(t.organisation).values(name="x"))
        tx.run(insert(t.domain).values(organisation_id=1, name="a.test", catch_all=None))
        tx.run(insert(t.domain).values(organisation_id=1, name=bindparam("name"), catch_all=None), {"name": "b.test"})

    db.write(op)
    with db.read() as reader:
        assert reader.once(select(t.domain.c.name, t.domain.c.catch_all).order_by(t.domain.c.name)) == [
            ("a.test", None),
            ("b.test", None),
        ]
