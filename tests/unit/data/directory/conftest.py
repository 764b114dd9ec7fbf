"""A directory in a fresh database, with one organisation and two domains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data.clock import FakeClock
from data.directory.directory import Directory
from data.disk.db import Database
from data.disk.migrate import upgrade
from data.ids import OrganisationId

VERIFIER = "$argon2id$v=19$m=19456,t=2,p=1$+x3CbgyFT3T4Dex6RFKwXw$/4FIXxkMBGxB8lFxWJWrQb+/c086U98+b1CM9WTP3xY"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def db(tmp_path: Path, clock: FakeClock) -> Iterator[Database]:
    path = tmp_path / "mail.db"
    upgrade(path)
    opened = Database.open(path, clock)
    yield opened
    opened.close()


@pytest.fixture
def directory(db: Database, clock: FakeClock) -> Directory:
    return Directory(db, clock)


@pytest.fixture
def organisation(db: Database, directory: Directory) -> OrganisationId:
    ident = db.write(lambda tx: directory.add_organisation_in(tx, "Example"))
    for name in ("example.test", "example.org"):
        db.write(lambda tx, name=name: directory.add_domain_in(tx, ident, name))
    return ident


class People:
    """Short words for filling a directory."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self.db, self.directory = db, directory

    def account(self, address: str, **more: object) -> int:
        return self.db.write(
            lambda tx: self.directory.add_account_in(tx, address, password_verifier=VERIFIER, **more)  # type: ignore[arg-type]
        )

    def alias(self, address: str, *targets: str, **more: object) -> None:
        kind = "alias" if len(targets) == 1 else "group"
        self.db.write(lambda tx: self.directory.add_alias_in(tx, address, targets, kind, **more))  # type: ignore[arg-type]


@pytest.fixture
def people(db: Database, directory: Directory, organisation: OrganisationId) -> People:
    return People(db, directory)
