"""Bring a database to the schema of this version, by Alembic revisions in order.

Promises: all or nothing: the revisions and their stamp are one transaction (crash point C20); before a populated SQLite
database is changed, a copy of it is written beside it (`mail.db.before-REVISION`). A database of a newer version is
refused and not touched. Foreign keys are off while tables are altered, for a batch alter with them on deletes child
rows, and are checked before the commit. Imported only where a schema may have to change: Alembic is large.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, text

from data.disk.db import make_engine
from data.disk.files import fsync_directory
from data.disk.tables import metadata
from data.errors import Invalid

_SCRIPTS = Path(__file__).parent / "revisions"


def upgrade(where: str | Path) -> tuple[str, ...]:
    """Run what is missing on a SQLite path or `postgresql://` URL; returns the revisions that ran.

    Raises Invalid, and changes nothing, when the database was made by a newer version.
    """
    engine = make_engine(where)
    try:
        missing = _missing(engine)
        if missing and _populated(engine) and engine.dialect.name == "sqlite":
            snapshot(Path(where), Path(f"{where}.before-{missing[0]}"))
        if missing:
            _run(engine)
        return missing
    finally:
        engine.dispose()


def head() -> str:
    """The revision of this version."""
    found = _scripts().get_current_head()
    assert found is not None
    return found


def snapshot(source: Path, target: Path) -> None:
    """A complete, fsynced copy of a SQLite database, made while it may be in use (VACUUM INTO)."""
    target.unlink(missing_ok=True)
    connection = sqlite3.connect(source)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("VACUUM INTO ?", (str(target),))
    finally:
        connection.close()
    target.chmod(0o600)
    fsync_directory(target.parent)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def _missing(engine: Engine) -> tuple[str, ...]:
    """Revisions still to run, first one first."""
    scripts = _scripts()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    try:
        walk = list(scripts.iterate_revisions("head", current or "base"))
    except (CommandError, RevisionError) as error:
        raise Invalid(repr(error), public="This mail store was made by a newer version of Mailstead") from None
    return tuple(script.revision for script in reversed(walk))


def _populated(engine: Engine) -> bool:
    with engine.connect() as connection:
        return inspect(connection).has_table("account")


def _run(engine: Engine) -> None:
    """All missing revisions in one transaction."""
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "BEGIN")
        try:
            _migrate(connection)
            if sqlite:
                _check_foreign_keys(connection)
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _migrate(connection: Connection) -> None:
    scripts = _scripts()

    def wanted(revision: Any, context: Any) -> Any:
        return scripts._upgrade_revs("head", revision)

    with EnvironmentContext(_config(), scripts, fn=wanted) as environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
        environment.run_migrations()


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.execute(text("PRAGMA foreign_key_check")).fetchall()
    if broken:
        raise Invalid(f"foreign keys after migration: {broken[:5]}", public="The mail store could not be upgraded")
