"""Migrations: all or nothing, never a newer schema, a copy before, and a populated store survives."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from data.clock import FakeClock
from data.disk import migrate
from data.disk.blobs import Blobs
from data.disk.db import Database, make_engine
from data.disk.seal import Keys
from data.disk.tables import metadata
from data.errors import Invalid
from data.store.repair import Repair
from data.store.store import Store

NEXT = '''
"""A column and a table altered by copying, as a later version would."""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mailbox", sa.Column("colour", sa.Text(), nullable=False, server_default=""))
    copy = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("message", recreate=copy) as batch:
        batch.add_column(sa.Column("weight", sa.Integer(), nullable=False, server_default="7"))
    {extra}
'''


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The revisions of this version and one more, whose last line can be chosen."""

    def make(extra: str = "pass") -> None:
        scripts = tmp_path / "revisions"
        (scripts / "versions").mkdir(parents=True, exist_ok=True)
        for path in (Path(migrate.__file__).parent / "revisions" / "versions").glob("*.py"):
            (scripts / "versions" / path.name).write_text(path.read_text("utf-8"), "utf-8")
        (scripts / "versions" / "r9999_later.py").write_text(NEXT.format(head=migrate.head(), extra=extra), "utf-8")
        monkeypatch.setattr(migrate, "_SCRIPTS", scripts)

    return make


def test_a_fresh_database_has_the_schema_described(where: str) -> None:
    engine = make_engine(where)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_upgrading_twice_changes_nothing(where: str) -> None:
    assert migrate.upgrade(where) == ()


def test_a_populated_store_survives_a_table_that_is_copied(kit: Any, later: Any, keys: Keys, clock: FakeClock) -> None:
    for n in range(20):
        kit.add(b"Subject: %d\r\n\r\nx\r\n" % n)
    box = kit.box()
    before = kit.store.messages.rows(kit.ann, box, ((1, 99),), ("envelope", "preview", "size", "blob_id"))
    kit.db.close()
    later()
    assert migrate.upgrade(kit.where) == ("9999",)
    db = Database.open(kit.where, clock)
    store = Store(db, Blobs(kit.root / "blobs", keys), clock)
    assert store.messages.rows(kit.ann, box, ((1, 99),), ("envelope", "preview", "size", "blob_id")) == before
    assert list(Repair(db, store.blobs).verify()) == []
    db.close()


def test_C20_a_migration_that_fails_leaves_the_old_schema_and_a_copy(kit: Any, later: Any) -> None:
    kit.add(b"Subject: x\r\n\r\nx\r\n")
    kit.db.close()
    later('op.execute("DELETE FROM mailbox")')
    with pytest.raises(Exception, match=r"(?i)foreign|upgraded"):
        migrate.upgrade(kit.where)
    engine = make_engine(kit.where)
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() != "9999"
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.exec_driver_sql("select count(*) from mailbox").scalar() == 12
    engine.dispose()
    if kit.db.is_sqlite:
        copy = Path(f"{kit.where}.before-9999")
        assert sqlite3.connect(copy).execute("select count(*) from message").fetchone() == (1,)
        assert copy.stat().st_mode & 0o777 == 0o600


def test_a_newer_schema_is_refused_and_not_touched(where: str) -> None:
    engine = make_engine(where)
    with engine.connect() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '31337'")
    engine.dispose()
    with pytest.raises(Invalid) as caught:
        migrate.upgrade(where)
    assert "newer version" in caught.value.public
