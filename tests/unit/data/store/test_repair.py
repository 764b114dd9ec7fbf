"""verify finds each kind of damage, and nothing where all is well (RELIABILITY C14, C15, G8)."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text, update

from data.disk import tables as t
from data.disk.blobs import INLINE
from data.errors import Corrupt
from data.store.repair import Repair

if TYPE_CHECKING:
    from tests.unit.data.conftest import Kit

ALL = ((1, 4294967295),)


@pytest.fixture
def filled(kit: Kit) -> Kit:
    for n in range(3):
        kit.add(b"Subject: %d\r\n\r\nx\r\n" % n)
    kit.add(b"Subject: big\r\n\r\n" + os.urandom(INLINE).hex().encode() + b"\r\n")
    return kit


def codes(kit: Kit) -> set[str]:
    return {f.code for f in Repair(kit.db, kit.store.blobs).verify()}


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (update(t.mailbox).where(t.mailbox.c.messages > 0).values(messages=9), "mailbox.messages"),
        (update(t.mailbox).where(t.mailbox.c.messages > 0).values(unseen=0), "mailbox.unseen"),
        (update(t.mailbox).where(t.mailbox.c.messages > 0).values(deleted=3), "mailbox.deleted"),
        (update(t.mailbox).where(t.mailbox.c.messages > 0).values(octets=1), "mailbox.octets"),
        (update(t.mailbox).where(t.mailbox.c.messages > 0).values(uidnext=2), "mailbox.uidnext"),
        (update(t.mailbox).where(t.mailbox.c.messages > 0).values(highestmodseq=1), "mailbox.highestmodseq"),
        (update(t.counter).where(t.counter.c.account_id == 1).values(octets=5), "account.octets"),
        (update(t.counter).where(t.counter.c.account_id == 1).values(messages=5), "account.messages"),
        (update(t.counter).where(t.counter.c.account_id == 1).values(modseq=1), "account.modseq"),
        (update(t.message).where(t.message.c.id == 1).values(size=1), "message.size"),
        (update(t.message).where(t.message.c.id == 1).values(refs=2), "message.refs"),
        (update(t.blob).where(t.blob.c.id == 1).values(refs=2), "blob.refs"),
        (update(t.blob).where(t.blob.c.id == 1).values(digest=b"x" * 32), "blob.damaged"),
        (update(t.blob_data).where(t.blob_data.c.blob_id == 1).values(data=b"x" * 300), "blob.damaged"),
        (text("DELETE FROM blob_data WHERE blob_id = 1"), "blob.damaged"),
    ],
)
def test_a_row_that_does_not_agree_is_found(filled: Kit, statement: object, code: str) -> None:
    assert codes(filled) == set()
    filled.db.write(lambda tx: tx.run(statement))  # type: ignore[arg-type]
    assert codes(filled) == {code}


def test_C14_a_missing_file_is_found_and_the_message_stays_listed(filled: Kit) -> None:
    (path,) = filled.store.blobs.files()
    path.unlink()
    assert codes(filled) == {"blob.damaged"}
    assert filled.uids() == [1, 2, 3, 4]
    found = filled.store.messages.contents(filled.ann, filled.box(), ALL)
    assert [row[0] for row in found if row[4] is None] == [4]
    (row,) = filled.store.messages.rows(filled.ann, filled.box(), ((4, 4),), ("blob_id", "envelope"))
    with pytest.raises(Corrupt):
        filled.store.messages.content(row[1])
    assert b'"big"' in row[2]


def test_C15_one_flipped_byte_is_found_wherever_it_is(filled: Kit) -> None:
    (path,) = filled.store.blobs.files()
    whole = path.read_bytes()
    for at in (0, 20, len(whole) // 2, len(whole) - 1):
        bad = bytearray(whole)
        bad[at] ^= 0x40
        path.write_bytes(bytes(bad))
        assert codes(filled) == {"blob.damaged"}, at
    path.write_bytes(whole + b"more")
    assert codes(filled) == {"blob.damaged"}
    path.write_bytes(whole)
    assert codes(filled) == set()


def test_a_file_that_no_row_names_is_found_when_it_is_old(filled: Kit) -> None:
    stray = filled.store.blobs.path("ab" * 16)
    stray.write_bytes(b"x")
    assert codes(filled) == set()
    # a transaction may be about to name it
    assert filled.store.sweep.orphans() == 0
    assert stray.exists()
    old = time.time() - 7200
    os.utime(stray, (old, old))
    assert codes(filled) == {"file.unknown"}
    assert filled.store.sweep.orphans() == 1
    assert codes(filled) == set()


def test_a_search_goes_on_beside_damage(filled: Kit) -> None:
    from data.store import keys as k

    filled.db.write(lambda tx: tx.run(text("DELETE FROM blob_data WHERE blob_id = 1")))
    assert filled.store.search.find(filled.ann, filled.box(), k.Body("x")) == [2, 3]
    with filled.db.read() as reader:
        assert len(reader.all(select(t.entry.c.uid))) == 4
