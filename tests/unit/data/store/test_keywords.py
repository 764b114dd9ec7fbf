"""The bound on the keywords of a mailbox: no way in goes around it, and at the bound everything else still works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from data.errors import Invalid
from data.store.entries import MAX_KEYWORDS
from data.store.keys import Flag

if TYPE_CHECKING:
    from tests.unit.data.conftest import Kit

ALL = ((1, 4294967295),)
FULL = tuple(f"k{n}" for n in range(MAX_KEYWORDS))


def test_append_is_held_to_the_bound(kit: Kit) -> None:
    """It must be: whatever came in, a client has to be able to mark the message as read afterwards."""
    with pytest.raises(Invalid):
        kit.add(keywords=(*FULL, "one-more"))
    assert kit.uids() == []
    kit.add(keywords=FULL)
    with pytest.raises(Invalid):
        kit.add(keywords=("one-more",))
    assert kit.uids() == [1]


def test_a_full_mailbox_keeps_its_flags_and_known_keywords(kit: Kit) -> None:
    kit.add(keywords=FULL)
    store, box = kit.store.flags.store, kit.box()
    assert store(kit.ann, box, ALL, "+", Flag.SEEN).changed[0][1] == Flag.SEEN
    assert store(kit.ann, box, ALL, "-", Flag(0), FULL[1:]).changed[0][2] == "k0"
    assert store(kit.ann, box, ALL, "+", Flag(0), ("K7",)).changed[0][2] == "k0 k7"
    with pytest.raises(Invalid):
        store(kit.ann, box, ALL, "+", Flag(0), ("one-more",))


def test_copies_and_moves_are_held_to_the_bound(kit: Kit) -> None:
    kit.add(keywords=FULL, name="Archive")
    uid = kit.add(keywords=("one-more",))
    for carry in (kit.store.messages.copy, kit.store.messages.move):
        with pytest.raises(Invalid):
            carry(kit.ann, kit.box(), ((uid, uid),), kit.box("Archive"))
    assert (kit.uids(), kit.uids("Archive")) == ([uid], [1])
