"""Deleted accounts are listed and come back, unless somebody has their address by now."""

from __future__ import annotations

import pytest

from data.directory import bin
from data.directory.directory import Directory
from data.directory.facts import Status
from data.disk.db import Database
from data.errors import Conflict, NotFound
from data.ids import AccountId, OrganisationId

VERIFIER = "verifier"
ANN = "ann@example.test"


@pytest.fixture
def gone(db: Database, directory: Directory, organisation: OrganisationId) -> AccountId:
    ident = db.write(lambda tx: directory.add_account_in(tx, ANN, name="Ann", password_verifier=VERIFIER))
    db.write(lambda tx: directory.delete_account_in(tx, ident))
    return ident


def test_a_deleted_account_is_listed_and_comes_back(db: Database, directory: Directory, gone: AccountId) -> None:
    with db.read() as reader:
        assert [(one.id, one.address, one.name) for one in bin.deleted(reader)] == [(gone, ANN, "Ann")]
        assert bin.deleted(reader, before=gone) == ()
    assert db.write(lambda tx: directory.restore_account_in(tx, gone, "another")) == ANN
    account = directory.account(ANN)
    assert (account.id, account.status) == (gone, Status.ACTIVE)
    assert [one.verifier for one in directory.credentials(gone)] == ["another"]
    with db.read() as reader:
        assert bin.deleted(reader) == ()


def test_not_when_the_address_is_somebody_elses(db: Database, directory: Directory, gone: AccountId) -> None:
    db.write(lambda tx: directory.add_account_in(tx, ANN, password_verifier=VERIFIER))
    with pytest.raises(Conflict):
        db.write(lambda tx: directory.restore_account_in(tx, gone, "another"))
    with db.read() as reader:
        assert len(bin.deleted(reader)) == 1


def test_only_what_was_deleted(db: Database, directory: Directory, organisation: OrganisationId) -> None:
    ident = db.write(lambda tx: directory.add_account_in(tx, ANN, password_verifier=VERIFIER))
    with pytest.raises(NotFound):
        db.write(lambda tx: directory.restore_account_in(tx, ident, "another"))
