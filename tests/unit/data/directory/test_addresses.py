"""Where addresses lead, and who may write as them."""

from __future__ import annotations

import pytest

from data.directory.directory import Directory
from data.directory.facts import Status, Where
from data.disk.db import Database
from data.mime.address import NormalAddress, normal
from data.principal import Role


def reached(directory: Directory, address: str) -> tuple[str, list[str], list[str]]:
    found = directory.resolve(normal(address))
    return found.status.value, sorted(t.address for t in found.deliveries), sorted(found.forwards)


def test_account_in_any_case_and_with_a_tag(people, directory: Directory) -> None:
    people.account("Ann.Lee@example.test")
    assert reached(directory, "ANN.lee@EXAMPLE.test") == ("deliver", ["ann.lee@example.test"], [])
    found = directory.resolve(normal("ann.lee+Shop@example.test"))
    assert found.status is Where.DELIVER
    assert found.deliveries[0].tag == "shop"
    assert directory.resolve(normal("ann.lee@example.test")).deliveries[0].tag is None
    assert directory.account("ann.lee@example.test").local == "Ann.Lee"


def test_unknown_remote_and_other_domain(people, directory: Directory) -> None:
    people.account("ann@example.test")
    assert reached(directory, "bob@example.test") == ("unknown", [], [])
    assert reached(directory, "ann@example.org") == ("unknown", [], [])
    assert reached(directory, "ann@elsewhere.test") == ("remote", [], [])


def test_suspended_account_receives_and_deleted_does_not(people, db: Database, directory: Directory) -> None:
    ann = people.account("ann@example.test")
    db.write(lambda tx: directory.set_status_in(tx, ann, Status.SUSPENDED))
    assert reached(directory, "ann@example.test")[0] == "deliver"
    assert not directory.account("ann@example.test").active
    db.write(lambda tx: directory.delete_account_in(tx, ann))
    assert reached(directory, "ann@example.test")[0] == "unknown"


def test_suspended_domain_defers(people, db: Database, directory: Directory) -> None:
    people.account("ann@example.test")
    db.write(lambda tx: directory.set_domain_status_in(tx, "example.test", Status.SUSPENDED))
    assert reached(directory, "ann@example.test") == ("suspended", [], [])


def test_groups_nest_and_name_an_account_once(people, directory: Directory) -> None:
    for name in ("ann", "bob"):
        people.account(f"{name}@example.test")
    people.alias("left@example.test", "ann@example.test", "bob@example.test")
    people.alias("right@example.test", "bob@example.test", "Eve@else.test")
    people.alias("all@example.test", "left@example.test", "right@example.test", "gone@example.test")
    assert reached(directory, "all@example.test") == (
        "deliver",
        ["ann@example.test", "bob@example.test"],
        ["eve@else.test"],
    )


def test_groups_of_groups_are_walked_once(people, directory: Directory) -> None:
    """Twenty groups that hold each other: each is opened once, not once for every way that leads to it."""
    names = [f"g{n}@example.test" for n in range(20)]
    people.account("ann@example.test")
    for name in names:
        people.alias(name, *(other for other in names if other != name), "ann@example.test")
    assert reached(directory, names[0]) == ("deliver", ["ann@example.test"], [])


def test_loops_end(people, directory: Directory) -> None:
    people.alias("a@example.test", "b@example.test")
    people.alias("b@example.test", "a@example.test")
    assert reached(directory, "a@example.test") == ("loop", [], [])
    people.account("ann@example.test")
    people.alias("c@example.test", "c1@example.test", "ann@example.test")
    people.alias("c1@example.test", "c@example.test")
    assert reached(directory, "c@example.test") == ("deliver", ["ann@example.test"], [])


@pytest.mark.parametrize(("links", "status"), [(10, "deliver"), (11, "loop")])
def test_depth_is_bounded(people, directory: Directory, links: int, status: str) -> None:
    people.account("end@example.test")
    for n in range(1, links):
        people.alias(f"n{n}@example.test", f"n{n + 1}@example.test")
    people.alias(f"n{links}@example.test", "end@example.test")
    assert reached(directory, "n1@example.test")[0] == status


def test_catch_all(people, db: Database, directory: Directory) -> None:
    people.account("ann@example.test")
    db.write(lambda tx: directory.set_catch_all_in(tx, "example.test", "ann@example.test"))
    assert reached(directory, "who.ever@example.test") == ("deliver", ["ann@example.test"], [])
    assert reached(directory, "who.ever@example.org")[0] == "unknown"
    # one that leads to nobody does not run for ever
    db.write(lambda tx: directory.set_catch_all_in(tx, "example.test", "nobody@example.test"))
    assert reached(directory, "who.ever@example.test")[0] == "loop"
    db.write(lambda tx: directory.set_catch_all_in(tx, "example.test", None))
    assert reached(directory, "who.ever@example.test")[0] == "unknown"


@pytest.mark.parametrize("address", ["postmaster@example.test", "Abuse@example.org", "abuse+x@example.test"])
def test_role_addresses_reach_every_active_administrator(
    people, db: Database, directory: Directory, address: str
) -> None:
    people.account("user@example.test")
    people.account("ann@example.test", role=Role.ADMINISTRATOR)
    people.account("bob@example.org", role=Role.OWNER)
    gone = people.account("carl@example.org", role=Role.ADMINISTRATOR)
    db.write(lambda tx: directory.set_status_in(tx, gone, Status.SUSPENDED))
    assert reached(directory, address) == ("deliver", ["ann@example.test", "bob@example.org"], [])
    bare = directory.resolve(NormalAddress("Postmaster", "", "postmaster", "postmaster", None))
    assert {t.address for t in bare.deliveries} == {"ann@example.test", "bob@example.org"}
    assert directory.postmaster() == bare
    assert directory.resolve(NormalAddress("ann", "", "ann", "ann", None)).status is Where.UNKNOWN


def test_an_account_named_postmaster_reads_as_well(people, directory: Directory) -> None:
    people.account("ann@example.test", role=Role.ADMINISTRATOR)
    people.account("postmaster@example.test")
    assert reached(directory, "postmaster@example.test")[1] == ["ann@example.test", "postmaster@example.test"]


def test_may_use(people, db: Database, directory: Directory) -> None:
    ann = people.account("ann@example.test")
    bob = people.account("bob@example.test")
    people.alias("info@example.test", "team@example.test")
    people.alias("team@example.test", "ann@example.test", "eve@else.test")
    people.alias("silent@example.test", "ann@example.test", send_as=False)
    allowed = [
        "ann@example.test",
        "Ann+x@EXAMPLE.test",
        "info@example.test",
        "info+7@example.test",
        "team@example.test",
    ]
    refused = [
        "bob@example.test",
        "silent@example.test",
        "eve@else.test",
        "ann@example.org",
        "",
        "ann",
        "ann@",
        "a b@c",
    ]
    assert all(directory.may_use(ann, a) for a in allowed)
    assert not any(directory.may_use(ann, a) for a in refused)
    assert not directory.may_use(bob, "info@example.test")
    db.write(lambda tx: directory.add_delegate_in(tx, bob, "Ann@example.test"))
    assert directory.may_use(bob, "ann@example.test")
    db.write(lambda tx: directory.delete_delegate_in(tx, bob, "ann@example.test"))
    assert not directory.may_use(bob, "ann@example.test")


def test_login_by_local_part_only_while_there_is_one_domain(db: Database, directory: Directory) -> None:
    ident = db.write(lambda tx: directory.add_organisation_in(tx, "Example"))
    db.write(lambda tx: directory.add_domain_in(tx, ident, "example.test"))
    db.write(lambda tx: directory.add_account_in(tx, "ann@example.test", password_verifier="x"))
    for identity in ("ann", "ANN", "ann@example.test", "Ann@Example.TEST"):
        found = directory.login_candidates(identity)
        assert found is not None and found.address == "ann@example.test"
    for identity in ("bob", "ann+tag", "ann@example.org", "", "@", "ann@", "a\0nn", "ann\n"):
        assert directory.login_candidates(identity) is None
    db.write(lambda tx: directory.add_domain_in(tx, ident, "example.org"))
    assert directory.login_candidates("ann") is None
    assert directory.login_candidates("ann@example.test") is not None
