"""The rows of the directory, and the memory that answers for them."""

from __future__ import annotations

import threading

import pytest

from data.directory.directory import Directory
from data.directory.facts import Status
from data.disk.db import Database
from data.errors import Conflict, Invalid, NotFound
from data.ids import OrganisationId
from data.principal import Role


def test_unset_installation_says_so(directory: Directory) -> None:
    with pytest.raises(NotFound):
        directory.organisation()
    assert directory.domains() == ()


def test_domains_are_a_labels_and_taken_once(db: Database, directory: Directory, organisation: OrganisationId) -> None:
    db.write(lambda tx: directory.add_domain_in(tx, organisation, "BÜCHER.test"))
    assert directory.domain("bücher.TEST").name == "xn--bcher-kva.test"
    assert directory.is_local("xn--bcher-kva.test")
    for name in ("example.test", "Example.TEST"):
        with pytest.raises(Conflict):
            db.write(lambda tx, name=name: directory.add_domain_in(tx, organisation, name))
    for name in ("", "no spaces.test", "[127.0.0.1]", "a..test", "x" * 64 + ".test"):
        with pytest.raises(Invalid):
            db.write(lambda tx, name=name: directory.add_domain_in(tx, organisation, name))


def test_an_address_belongs_to_one(people, directory: Directory) -> None:
    people.account("ann@example.test", name="Ann  Lee", role=Role.ADMINISTRATOR, quota=1000)
    people.alias("info@example.test", "ann@example.test")
    for taken in ("ANN@example.test", "info@example.test"):
        with pytest.raises(Conflict):
            people.account(taken)
        with pytest.raises(Conflict):
            people.alias(taken, "ann@example.test")
    for bad in ("ann+x@example.test", "ann", "", "a\nb@example.test", "@example.test"):
        with pytest.raises(Invalid):
            people.account(bad)
    with pytest.raises(NotFound):
        people.account("ann@elsewhere.test")
    account = directory.account("ann@example.test")
    assert (account.name, account.role, account.quota) == ("Ann Lee", Role.ADMINISTRATOR, 1000)
    assert account.principal().address == "ann@example.test"
    assert [c.kind for c in directory.credentials(account.id)] == ["password"]


def test_alias_has_one_target_a_group_any(people, db: Database, directory: Directory) -> None:
    with pytest.raises(Invalid):
        people.alias("self@example.test", "Self@example.test")
    with pytest.raises(Invalid):
        db.write(lambda tx: directory.add_alias_in(tx, "two@example.test", ["a@else.test", "b@else.test"]))
    with pytest.raises(Invalid):
        db.write(lambda tx: directory.add_alias_in(tx, "none@example.test", [], "group"))  # type: ignore[arg-type]
    people.alias("team@example.test", "a@else.test", "b@else.test", "A@else.test")
    assert directory.aliases()[0].targets == ("a@else.test", "b@else.test")
    db.write(lambda tx: directory.set_targets_in(tx, "team@example.test", ["c@else.test"]))
    assert directory.aliases()[0].targets == ("c@else.test",)
    db.write(lambda tx: directory.delete_alias_in(tx, "team@example.test"))
    assert directory.aliases() == ()
    with pytest.raises(NotFound):
        db.write(lambda tx: directory.delete_alias_in(tx, "team@example.test"))


def test_a_deleted_account_frees_its_address(people, db: Database, directory: Directory, clock) -> None:
    first = people.account("ann@example.test")
    db.write(lambda tx: directory.delete_account_in(tx, first))
    with pytest.raises(NotFound):
        directory.account_by_id(first)
    assert directory.credentials(first) == ()
    clock.advance(5_000)
    second = people.account("ann@example.test")
    assert second != first
    with pytest.raises(NotFound):
        db.write(lambda tx: directory.set_status_in(tx, first, Status.ACTIVE))


def test_password_replaces_and_app_passwords_stay(people, db: Database, directory: Directory) -> None:
    ann = people.account("ann@example.test")
    app = db.write(lambda tx: directory.add_credential_in(tx, ann, kind="app", verifier="d", label="phone"))
    db.write(lambda tx: directory.set_password_in(tx, ann, "new"))
    assert {(c.kind, c.verifier) for c in directory.credentials(ann)} == {("app", "d"), ("password", "new")}
    assert "new" not in repr(directory.credentials(ann))
    db.write(lambda tx: directory.drop_credential_in(tx, ann, app))
    with pytest.raises(NotFound):
        db.write(lambda tx: directory.drop_credential_in(tx, ann, app))


def test_a_failed_write_leaves_the_memory_alone(people, db: Database, directory: Directory) -> None:
    before = directory.snapshot()

    def op(tx) -> None:  # type: ignore[no-untyped-def]
        directory.add_account_in(tx, "ann@example.test", password_verifier="x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        db.write(op)
    assert directory.snapshot() is before


def test_whoever_wrote_sees_it_and_so_does_every_thread(people, directory: Directory) -> None:
    seen: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(len(directory.accounts()))

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n in range(20):
            people.account(f"u{n}@example.test")
            assert len(directory.accounts()) == n + 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert seen
