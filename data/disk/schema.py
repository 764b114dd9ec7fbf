"""Is a database at the schema of this version, and whole? Answered without Alembic, for every start asks."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Select, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from data.disk.db import connect_sqlite, make_engine
from data.errors import Unavailable

_VERSIONS = Path(__file__).parent / "revisions" / "versions"
_STAMP: Select[Any] = select(column("version_num")).select_from(table("alembic_version"))


def newest() -> str:
    """The last revision of this version; a file is named r<REVISION>_<words>.py."""
    return max(path.name[1:].split("_", 1)[0] for path in _VERSIONS.glob("r*.py"))


def is_current(where: str | Path) -> bool:
    """Does the SQLite file or `postgresql://` URL carry the stamp of the newest revision? Raises Unavailable."""
    engine = make_engine(where)
    try:
        return _stamp(engine) == newest()
    except (DBAPIError, sqlite3.DatabaseError) as error:
        raise Unavailable(repr(error), public="This is not a database, or it cannot be read") from None
    finally:
        engine.dispose()


def _stamp(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(_STAMP).scalar()
        return found


def quick_check(where: str | Path, seconds: float) -> str:
    """What is wrong with the structure of a SQLite database, as far as `seconds` reach; empty when nothing was found."""
    if str(where).startswith("postgresql"):
        return ""
    connection = connect_sqlite(str(where))
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        # the time is up: what was looked at is whole
        found = "ok" if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT else str(error)
    except sqlite3.DatabaseError as error:
        found = str(error)
    finally:
        connection.close()
    return "" if found == "ok" else str(found)
