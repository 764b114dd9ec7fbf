"""The audit chain: what was edited or cut out is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update

from data.audit import START, Audit, Wanted
from data.clock import FakeClock
from data.disk import tables as t
from data.disk.db import Database
from data.disk.migrate import upgrade
from data.ids import OrganisationId

ORGANISATION = OrganisationId(1)
CLOCK = FakeClock()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "mail.db"
    upgrade(path)
    opened = Database.open(path, CLOCK)
    opened.write(lambda tx: tx.run(insert(t.organisation).values(id=1, name="Example")))
    yield opened
    opened.close()


@pytest.fixture
def audit(db: Database) -> Audit:
    log = Audit(db)
    for n in range(1, 6):
        db.write(
            lambda tx, n=n: log.record_in(
                tx, organisation=ORGANISATION, actor="console:0", action="account.add", object=f"u{n}", detail={"n": n}
            )
        )
    return log


def test_an_untouched_chain_is_whole(audit: Audit) -> None:
    assert audit.verify() == []
    assert audit.head().id == 5
    assert [entry.object for entry in audit.recent(2)] == ["u5", "u4"]
    assert [entry.object for entry in audit.recent(9, before=3)] == ["u2", "u1"]
    assert audit.recent(1)[0].detail == {"n": 5}


def test_an_empty_log_has_a_head(db: Database) -> None:
    log = Audit(db)
    assert (log.head().id, log.head().digest) == (0, START)
    assert log.verify() == []


@pytest.mark.parametrize("column", ["actor", "action", "object", "detail", "at", "digest", "previous"])
def test_an_edited_row_is_found(db: Database, audit: Audit, column: str) -> None:
    value = {"at": 1, "digest": b"x" * 32, "previous": b"x" * 32}.get(column, "other")
    db.write(lambda tx: tx.run(update(t.audit).where(t.audit.c.id == 3).values({column: value})))
    assert 3 in audit.verify()


def test_a_cut_is_found_in_the_middle_and_at_the_start(db: Database, audit: Audit) -> None:
    db.write(lambda tx: tx.run(delete(t.audit).where(t.audit.c.id == 3)))
    assert audit.verify() == [4]
    db.write(lambda tx: tx.run(delete(t.audit).where(t.audit.c.id == 1)))
    assert audit.verify() == [2, 4]


def test_a_cut_end_differs_from_the_head_kept_elsewhere(db: Database, audit: Audit) -> None:
    kept = audit.head()
    db.write(lambda tx: tx.run(delete(t.audit).where(t.audit.c.id == 5)))
    assert audit.verify() == []
    assert audit.head() != kept


def test_a_search_by_who_what_and_when(db: Database, audit: Audit) -> None:
    begun = CLOCK.now()
    CLOCK.advance(60_000)
    row = {"organisation": ORGANISATION, "actor": "root@example.test", "object": "x_1", "detail": {"name": "Ann"}}
    db.write(lambda tx: audit.record_in(tx, action="accounting", **row))  # type: ignore[arg-type]
    db.write(lambda tx: audit.record_in(tx, action="queue.drop", **row))  # type: ignore[arg-type]

    def objects(**wanted: object) -> list[str]:
        return [one.object for one in audit.search(Wanted(**wanted))]  # type: ignore[arg-type]

    assert objects(kind="account") == ["u5", "u4", "u3", "u2", "u1"], "a kind is a whole word"
    assert objects(kind="queue") == ["x_1"]
    assert (
        objects(text="U3") == ["u3"] and objects(text="ann") == ["x_1", "x_1"] and objects(text="ROOT@") == ["x_1"] * 2
    )
    assert objects(text="x!") == [] and objects(text="%") == []
    assert objects(until=begun + 1, kind="account")[0] == "u5" and objects(since=begun + 1) == ["x_1", "x_1"]
    newest = audit.search(Wanted(kind="account"), 2)
    assert [one.object for one in audit.search(Wanted(kind="account"), 2, newest[-1].id)] == ["u3", "u2"]
