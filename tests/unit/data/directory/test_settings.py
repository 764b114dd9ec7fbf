"""Settings: organisation, department, account, and the locks between them."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from data.directory.directory import Directory
from data.directory.settings import SETTINGS, Scope, Settings
from data.disk import tables as t
from data.disk.db import Database
from data.errors import Invalid, NotFound, Refused
from data.ids import OrganisationId


@pytest.fixture
def settings(db: Database, directory: Directory) -> Settings:
    return Settings(db, directory)


def test_default_then_nearest(people, db: Database, settings: Settings, organisation: OrganisationId) -> None:
    ann = people.account("ann@example.test")
    everybody, mine = Scope.organisation(organisation), Scope.account(ann)
    assert settings.setting(mine, "account.language") == "en"
    db.write(lambda tx: settings.set_in(tx, everybody, "account.language", "zh_CN"))
    assert settings.setting(mine, "account.language") == "zh_CN"
    db.write(lambda tx: settings.set_in(tx, mine, "account.language", "en"))
    assert settings.setting(mine, "account.language") == "en"
    assert settings.setting(everybody, "account.language") == "zh_CN"
    db.write(lambda tx: settings.clear_in(tx, mine, "account.language"))
    assert settings.setting(mine, "account.language") == "zh_CN"


def test_a_lock_above_holds(people, db: Database, settings: Settings, organisation: OrganisationId) -> None:
    ann = people.account("ann@example.test")
    everybody, mine = Scope.organisation(organisation), Scope.account(ann)
    db.write(lambda tx: settings.set_in(tx, mine, "account.language", "zh_CN"))
    db.write(lambda tx: settings.set_in(tx, everybody, "account.language", "en", locked=True))
    assert settings.setting(mine, "account.language") == "en"
    assert settings.locked_by(mine, "account.language") == everybody
    with pytest.raises(Refused):
        db.write(lambda tx: settings.set_in(tx, mine, "account.language", "zh_CN"))
    db.write(lambda tx: settings.set_in(tx, everybody, "account.language", "en"))
    assert settings.setting(mine, "account.language") == "zh_CN"


def test_departments_stand_between(db: Database, settings: Settings, organisation: OrganisationId) -> None:
    def make(tx, parent):  # type: ignore[no-untyped-def]
        above = {} if parent is None else {"parent_id": parent}
        row = insert(t.department).values(organisation_id=organisation, name="d", **above)
        return tx.once(row.returning(t.department.c.id))[0][0]

    upper = db.write(lambda tx: make(tx, None))
    lower = db.write(lambda tx: make(tx, upper))
    db.write(lambda tx: settings.set_in(tx, Scope.organisation(organisation), "account.quota", 10))
    db.write(lambda tx: settings.set_in(tx, Scope.department(upper), "account.quota", 20))
    assert settings.setting(Scope.department(lower), "account.quota") == 20
    db.write(lambda tx: settings.set_in(tx, Scope.department(lower), "account.quota", 30))
    assert settings.setting(Scope.department(lower), "account.quota") == 30
    assert settings.setting(Scope.department(upper), "account.quota") == 20


def test_only_declared_names_and_fitting_values(db: Database, settings: Settings, organisation: OrganisationId) -> None:
    everybody = Scope.organisation(organisation)
    with pytest.raises(NotFound):
        settings.setting(everybody, "account.colour")
    for name, value in (
        ("account.quota", "10"),
        ("account.quota", True),
        ("account.quota", -1),
        ("account.language", "tlh"),
    ):
        with pytest.raises(Invalid):
            db.write(lambda tx, name=name, value=value: settings.set_in(tx, everybody, name, value))
    with pytest.raises(Invalid):
        db.write(lambda tx: settings.set_in(tx, Scope.account(1), "account.quota", 1))  # type: ignore[arg-type]
    assert all(declared.doc for declared in SETTINGS.values())
