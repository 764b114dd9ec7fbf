"""Mailboxes: names, the tree, renaming, subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from data.errors import Conflict, Invalid, NotFound
from data.store import names
from data.store.changes import MailboxCreated, MailboxDeleted, MailboxRenamed, Subscribed
from data.store.keys import Flag
from data.store.repair import Repair

if TYPE_CHECKING:
    from tests.unit.data.conftest import Kit


def tree(kit: Kit) -> list[str]:
    found = kit.store.mailboxes.list(kit.ann, kit.ann.account)
    return [m.name for m in found if m.name not in ("Archive", "Drafts", "Junk", "Sent", "Trash")]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a//b",
        "/a",
        "a/",
        "..",
        "a/../b",
        ".",
        "a\0b",
        "a\r\nb",
        "a%b",
        "a*",
        "\x7f",
        "x" * 1001,
        "/".join("x" * 101),
        "a\u202eb",
        "zero\u200bwidth",
        "\ud800",
        "a\u2028b",
    ],
)
def test_I5_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        names.normal(name)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("inbox", "INBOX"),
        ("Inbox/a", "INBOX/a"),
        ("Cafe\u0301", "Café"),
        ("con", "con"),
        ("收件箱", "收件箱"),
        ("a b", "a b"),
    ],
)
def test_a_name_is_kept_in_its_normal_form(given: str, kept: str) -> None:
    assert names.normal(given) == kept


def test_parents_are_made(kit: Kit) -> None:
    made = kit.store.mailboxes.create(kit.ann, kit.ann.account, "a/b/c")
    assert made.name == "a/b/c"
    assert tree(kit) == ["INBOX", "a", "a/b", "a/b/c"]
    with pytest.raises(Conflict):
        kit.store.mailboxes.create(kit.ann, kit.ann.account, "a/b")
    assert kit.store.mailboxes.create(kit.ann, kit.ann.account, "d/").name == "d"


def test_a_default_mailbox_that_comes_back_has_its_special_use(kit: Kit) -> None:
    mailboxes = kit.store.mailboxes
    mailboxes.delete(kit.ann, kit.ann.account, "Sent")
    assert mailboxes.create(kit.ann, kit.ann.account, "Sent").special_use == "\\Sent"
    mailboxes.rename(kit.ann, kit.ann.account, "Trash", "Old")
    assert mailboxes.create(kit.ann, kit.ann.account, "Trash").special_use is None  # Old has it still


def test_a_special_use_is_there_once(kit: Kit) -> None:
    with pytest.raises(Invalid):
        kit.store.mailboxes.create(kit.ann, kit.ann.account, "Sent 2", "\\Sent")
    with pytest.raises(Invalid):
        kit.store.mailboxes.create(kit.ann, kit.ann.account, "Odd", "\\Odd")


def test_uidvalidity_is_never_reused(kit: Kit) -> None:
    first = kit.store.mailboxes.create(kit.ann, kit.ann.account, "x")
    kit.store.mailboxes.delete(kit.ann, kit.ann.account, "x")
    second = kit.store.mailboxes.create(kit.ann, kit.ann.account, "x")
    assert second.uidvalidity > first.uidvalidity
    assert second.objectid != first.objectid


def test_deleting_takes_the_messages_and_leaves_what_is_below(kit: Kit) -> None:
    kit.store.mailboxes.create(kit.ann, kit.ann.account, "a/b")
    kit.add(name="a", keywords=["k"])
    kit.store.mailboxes.delete(kit.ann, kit.ann.account, "a")
    assert tree(kit) == ["INBOX", "a/b"]
    assert list(Repair(kit.db, kit.store.blobs).verify()) == []
    with pytest.raises(NotFound):
        kit.store.mailboxes.delete(kit.ann, kit.ann.account, "a")
    with pytest.raises(Invalid):
        kit.store.mailboxes.delete(kit.ann, kit.ann.account, "inbox")


def test_renaming_takes_along_what_is_below(kit: Kit) -> None:
    kit.store.mailboxes.create(kit.ann, kit.ann.account, "a/b/c")
    kit.add(name="a/b")
    before = kit.store.mailboxes.get(kit.ann, kit.ann.account, "a/b")
    kit.store.mailboxes.rename(kit.ann, kit.ann.account, "a", "x/y")
    assert tree(kit) == ["INBOX", "x", "x/y", "x/y/b", "x/y/b/c"]
    after = kit.store.mailboxes.get(kit.ann, kit.ann.account, "x/y/b")
    assert (after.id, after.uidvalidity, after.messages) == (before.id, before.uidvalidity, 1)


@pytest.mark.parametrize(("old", "new"), [("a", "a/b"), ("a", "a"), ("a", "Sent"), ("nix", "b"), ("a", "b//c")])
def test_renaming_that_cannot_be_changes_nothing(kit: Kit, old: str, new: str) -> None:
    kit.store.mailboxes.create(kit.ann, kit.ann.account, "a")
    with pytest.raises((Conflict, Invalid, NotFound)):
        kit.store.mailboxes.rename(kit.ann, kit.ann.account, old, new)
    assert tree(kit) == ["INBOX", "a"]


def test_renaming_inbox_moves_its_messages(kit: Kit) -> None:
    kit.add(flags=Flag.SEEN)
    kit.store.mailboxes.rename(kit.ann, kit.ann.account, "inbox", "old")
    assert tree(kit) == ["INBOX", "old"]
    assert kit.uids() == []
    assert kit.uids("old") == [1]


def test_subscriptions_are_kept_by_name(kit: Kit) -> None:
    boxes = kit.store.mailboxes
    boxes.create(kit.ann, kit.ann.account, "n")
    boxes.subscribe(kit.ann, kit.ann.account, "n", True)
    boxes.subscribe(kit.ann, kit.ann.account, "n", True)
    boxes.delete(kit.ann, kit.ann.account, "n")
    assert "n" in boxes.subscriptions(kit.ann, kit.ann.account)
    boxes.subscribe(kit.ann, kit.ann.account, "n", False)
    assert "n" not in boxes.subscriptions(kit.ann, kit.ann.account)
    with pytest.raises(NotFound):
        boxes.subscribe(kit.ann, kit.ann.account, "never", True)


def test_the_tree_tells_of_its_changes(kit: Kit) -> None:
    kit.changes.clear()
    boxes = kit.store.mailboxes
    made = boxes.create(kit.ann, kit.ann.account, "n")
    boxes.rename(kit.ann, kit.ann.account, "n", "m")
    boxes.subscribe(kit.ann, kit.ann.account, "m", True)
    boxes.delete(kit.ann, kit.ann.account, "m")
    kinds = [type(c) for c in kit.changes]
    assert kinds == [MailboxCreated, MailboxRenamed, Subscribed, MailboxDeleted]
    renamed = kit.changes[1]
    assert isinstance(renamed, MailboxRenamed)
    assert (renamed.mailbox, renamed.old, renamed.name) == (made.id, "n", "m")
    numbers = [c.modseq for c in kit.changes]  # type: ignore[union-attr]
    assert numbers == sorted(set(numbers))
