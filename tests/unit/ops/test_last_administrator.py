"""Somebody is always left who may administer: whatever two administrators do to each other at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.ops import people
from appliance.ops.state import Ground
from data.directory.facts import Account, Status
from data.principal import Role

ROOT, OTHER = "root@example.test", "other@example.test"


@pytest.fixture
def two(ground: Ground) -> Ground:
    for address in (ROOT, OTHER):
        people.add_account(ground, address, password="secret words", role=Role.ADMINISTRATOR, actor="console:0")
    return ground


def demote(ground: Ground, account: Account, actor: str) -> None:
    people.edit_account(ground, account, name="", role=Role.USER, quota=0, language="en", actor=actor)


WAYS: dict[str, Callable[[Ground, Account, str], object]] = {
    "suspend": lambda ground, one, actor: people.set_status(ground, one.address, Status.SUSPENDED, actor),
    "delete": lambda ground, one, actor: people.delete_account(ground, one.address, actor),
    "demote": demote,
    "change": lambda ground, one, actor: people.change_account(ground, one.address, actor, role=Role.USER),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_last_administrator_stays(two: Ground, way: str) -> None:
    first, second = two.directory.account(ROOT), two.directory.account(OTHER)
    WAYS[way](two, first, OTHER)
    before = two.audit.head()
    with pytest.raises(people.LastAdministrator):
        WAYS[way](two, second, ROOT)
    assert two.audit.head() == before and two.directory.account(OTHER).administers
    WAYS[way](two, second, "console:0")
    assert not two.directory.administrators(), "whoever sits at the machine may"


def test_a_guard_keeps_what_was_seen(two: Ground) -> None:
    def changed() -> None:
        raise people.Changed

    account = two.directory.account(OTHER)
    with pytest.raises(people.Changed):
        people.edit_account(
            two, account, name="X", role=account.role, quota=0, language="en", actor=ROOT, guard=changed
        )
    people.add_alias(two, "info@example.test", [OTHER], group=False, send_as=True, actor=ROOT)
    with pytest.raises(people.Changed):
        people.set_targets(two, "info@example.test", [ROOT], ROOT, guard=changed)
    with pytest.raises(people.Changed):
        people.set_catch_all(two, "example.test", ROOT, ROOT, guard=changed)
    with pytest.raises(people.Changed):
        people.change_setting(two, "account.language", "zh_CN", ROOT, guard=changed)
    assert two.directory.account(OTHER).name == ""
    assert two.directory.aliases()[0].targets == (OTHER,) and two.directory.domain("example.test").catch_all is None
