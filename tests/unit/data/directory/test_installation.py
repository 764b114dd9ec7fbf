"""Facts of the installation: the key's answer, and what was imported."""

from __future__ import annotations

import pytest

from data.directory import installation
from data.disk.db import Database
from data.disk.seal import Keys
from data.errors import WrongKey
from data.ids import MailboxId


def test_another_key_is_refused(db: Database) -> None:
    ours, theirs = Keys(b"a" * 32), Keys(b"b" * 32)
    with db.read() as reader:
        installation.require_key(reader, theirs)
    db.write(lambda tx: installation.put_fact_in(tx, installation.KEY_CHECK, installation.key_answer(ours)))
    with db.read() as reader:
        installation.require_key(reader, ours)
        with pytest.raises(WrongKey):
            installation.require_key(reader, theirs)


def test_imported_names_are_kept_by_mailbox(db: Database) -> None:
    one, ten = MailboxId(1), MailboxId(10)
    db.write(lambda tx: installation.mark_imported_in(tx, one, 1, ["a", "b"]))
    db.write(lambda tx: installation.mark_imported_in(tx, one, 3, ["c"]))
    db.write(lambda tx: installation.mark_imported_in(tx, ten, 1, ["d"]))
    with db.read() as reader:
        assert installation.imported(reader, one) == {"a", "b", "c"}
        assert installation.imported(reader, ten) == {"d"}
        assert installation.imported(reader, MailboxId(2)) == set()
