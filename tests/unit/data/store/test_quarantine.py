"""Mail kept back: its blob is counted, it is released into INBOX or deleted, by its owner or an administrator alone."""

from __future__ import annotations

import pytest

from data.clock import DAY
from data.errors import NotFound, Refused
from data.principal import Principal, Role
from data.store.quarantine import Quarantine
from data.store.repair import Repair
from data.story import Story
from tests.unit.data.conftest import Kit

MESSAGE = b"From: x@example.org\r\nSubject: Kept\r\n\r\nBody\r\n"


@pytest.fixture
def kept(kit: Kit) -> Quarantine:
    store = kit.store
    made = Quarantine(store.db, store.messages, store.mailboxes, Story(store.db))
    for number in range(2):
        prepared = store.messages.prepare(MESSAGE.replace(b"Kept", b"Kept %d" % number))

        def op(tx, prepared=prepared, number=number):  # type: ignore[no-untyped-def]
            return made.put_in(
                tx,
                kit.ann.organisation,
                kit.ann.account,
                prepared,
                trail=f"t{number}",
                return_path="x@example.org",
                prefix=b"X: y\r\n",
                verdict="",
            )

        store.db.write(op)
    return made


def _sound(kit: Kit) -> bool:
    return list(Repair(kit.store.db, kit.store.blobs).verify()) == []


def test_what_is_kept_back_survives_a_sweep_and_counts(kit: Kit, kept: Quarantine) -> None:
    assert [one.subject for one in kept.seen_by(kit.ann)] == ["Kept 1", "Kept 0"]
    kit.store.sweep.run()
    assert _sound(kit)


def test_released_mail_lies_in_inbox_whole(kit: Kit, kept: Quarantine) -> None:
    ident = kept.seen_by(kit.ann)[0].id
    kit.store.db.write(lambda tx: kept.release_in(tx, kit.ann, ident))
    inbox = kit.store.mailboxes.get(kit.ann, kit.ann.account, "INBOX").id
    ((_, prefix, content),) = kit.store.messages.contents(kit.ann, inbox, ((1, 9),), ("prefix",))
    assert prefix + content.read(0, content.size) == b"X: y\r\n" + MESSAGE.replace(b"Kept", b"Kept 1")
    assert len(kept.seen_by(kit.ann)) == 1
    assert [hop.reason.code for hop in Story(kit.store.db).of("t1") if hop.reason] == ["quarantine.released"]
    assert _sound(kit)


def test_deleted_and_old_mail_is_gone_with_its_octets(kit: Kit, kept: Quarantine) -> None:
    ident = kept.seen_by(kit.ann)[0].id
    kit.store.db.write(lambda tx: kept.delete_in(tx, kit.ann, ident))
    kit.clock.advance(31 * DAY)
    assert kept.sweep() == 1
    assert kept.seen_by(kit.ann) == ()
    kit.store.sweep.run()
    assert _sound(kit)


def test_nobody_else_sees_it_but_an_administrator(kit: Kit, kept: Quarantine) -> None:
    ident = kept.seen_by(kit.ann)[0].id
    assert kept.seen_by(kit.bob) == ()
    with pytest.raises(Refused):
        kit.store.db.write(lambda tx: kept.release_in(tx, kit.bob, ident))
    admin = Principal(kit.bob.account, kit.bob.organisation, kit.bob.address, Role.ADMINISTRATOR)
    assert len(kept.seen_by(admin)) == 2
    kit.store.db.write(lambda tx: kept.delete_in(tx, admin, ident))
    with pytest.raises(NotFound):
        kit.store.db.write(lambda tx: kept.delete_in(tx, admin, ident))


def test_a_digest_names_each_once(kit: Kit, kept: Quarantine) -> None:
    with kit.store.db.read() as reader:
        assert [account for account, _ in kept.untold(reader)] == [kit.ann.account]
        named = kept.untold_in(reader, kit.ann.account)
    kit.store.db.write(lambda tx: kept.told_in(tx, named))
    with kit.store.db.read() as reader:
        assert kept.untold(reader) == []
