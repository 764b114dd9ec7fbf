"""Is a database at the schema of this version? Answered without Alembic, for every start asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Select, column, inspect, select, table

from data.disk.db import make_engine

_VERSIONS = Path(__file__).parent / "revisions" / "versions"
_STAMP: Select[Any] = select(column("version_num")).select_from(table("alembic_version"))


def newest() -> str:
    """The last revision of this version; a file is named r<REVISION>_<words>.py."""
    return max(path.name[1:].split("_", 1)[0] for path in _VERSIONS.glob("r*.py"))


def is_current(where: str | Path) -> bool:
    """Does the SQLite file or `postgresql://` URL carry the stamp of the newest revision?"""
    engine = make_engine(where)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return False
            return connection.execute(_STAMP).scalar() == newest()
    finally:
        engine.dispose()
