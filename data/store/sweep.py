"""What nobody names any more goes: message rows without a mailbox, blobs without a row, files without a blob.

Promises: small steps, so that the writer is never held for long; a crash between any two of them leaves only something
that the next sweep removes (RELIABILITY crash points C4, C5, C12, C13). Files are unlinked before their rows are
deleted, so that no file is ever forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import bindparam, delete, insert, select

from data.disk import tables as t
from data.disk.blobs import Blobs
from data.disk.db import Database, Tx
from data.ids import BlobId

_BATCH = 200
_KEEP_MARKS = 86_400_000

_DEAD = (
    select(t.message.c.id, t.message.c.account_id, t.message.c.blob_id)
    .where(t.message.c.refs == 0)
    .limit(bindparam("most"))
)
_DELETE = delete(t.message).where(t.message.c.id == bindparam("p_id"), t.message.c.refs == 0)
_TODO = insert(t.index_todo).values(
    account_id=bindparam("account"), message_id=bindparam("message"), what=bindparam("what")
)
_OLD_MARKS = delete(t.delivery_mark).where(t.delivery_mark.c.at < bindparam("before"))


class Sweep:
    """Removes what is left over; run now and then in the background, off the loop."""

    def __init__(self, db: Database, blobs: Blobs) -> None:
        self._db = db
        self._blobs = blobs

    def run(self) -> int:
        """Sweep everything that is due. Returns how many messages and blobs went."""
        self._db.write(lambda tx: tx.run(_OLD_MARKS, {"before": tx.now - _KEEP_MARKS}))
        return self._until_done(self._messages) + self._until_done(self._dead_blobs)

    def orphans(self) -> int:
        """Unlink blob files that no row names and that are older than an hour."""
        with self._db.read() as reader:
            return self._blobs.sweep_orphans(reader)

    @staticmethod
    def _until_done(step: Callable[[], int]) -> int:
        total = 0
        while True:
            gone = step()
            total += gone
            if gone < _BATCH:
                return total

    def _messages(self) -> int:
        return self._db.write(self._messages_in)

    def _messages_in(self, tx: Tx) -> int:
        dead = tx.all(_DEAD, {"most": _BATCH})
        for message, account, blob in dead:
            tx.run(_DELETE, {"p_id": message})
            self._blobs.refer_in(tx, BlobId(blob), -1)
            tx.run(_TODO, {"account": account, "message": message, "what": "remove"})
        return len(dead)

    def _dead_blobs(self) -> int:
        with self._db.read() as reader:
            dead = self._blobs.unreferenced(reader, _BATCH)
        self._blobs.unlink(dead)
        if dead:
            self._db.write(lambda tx: self._blobs.erase_in(tx, dead))
        return len(dead)
