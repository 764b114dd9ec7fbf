"""Messages that are being written: each save replaces the one before, and being sent takes it out of Drafts.

Promises: a save, a sending and its undoing each are one transaction, so that no crash leaves a message in two places or in
none; two windows never overwrite each other (`Conflict`): a draft's version is the UID of its last save. The same sending
filed twice is filed once. Rights are checked here. May not: write or read a message's octets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import bindparam, select

from data.disk import tables as t
from data.disk.db import Database, Reader, Tx
from data.errors import Conflict
from data.ids import AccountId, MailboxId
from data.principal import Principal
from data.store import rights
from data.store.expunge import expunge_in
from data.store.intake import Prepared
from data.store.keys import Flag
from data.store.messages import Messages
from data.store.quota import require_room

CHANGED: Final = "This draft was changed in another window"
_MOST: Final = 50

T = TypeVar("T")

_BY_ID = (
    select(t.entry.c.uid)
    .select_from(t.entry.join(t.message, t.message.c.id == t.entry.c.message_id))
    .where(t.entry.c.mailbox_id == bindparam("mailbox"), t.message.c.message_id == bindparam("id"))
    .order_by(t.entry.c.uid.desc())
    .limit(_MOST)
)
_BY_UID = select(t.entry.c.uid).where(t.entry.c.mailbox_id == bindparam("mailbox"), t.entry.c.uid == bindparam("uid"))


class Drafts:
    """The drafts of every account. `message_id` is without angle brackets, and the same in every save of a draft."""

    def __init__(self, db: Database, messages: Messages) -> None:
        self._db, self._messages = db, messages

    def find(self, principal: Principal, mailbox: MailboxId, message_id: str) -> int | None:
        """The UID of the newest message with that id in a mailbox. Raises NotFound, Refused."""
        with self._db.read() as reader:
            rights.require(reader, principal, mailbox, rights.READ)
            return next(iter(_uids(reader, mailbox, message_id)), None)

    def save(self, principal: Principal, mailbox: MailboxId, message_id: str, version: int, prepared: Prepared) -> int:
        """Keep a draft in place of its `version` (0: it is new). Returns the new version.

        Raises Conflict when it was saved, sent or deleted elsewhere meanwhile, NotFound, Refused, OverQuota; the
        prepared octets are forgotten then.
        """

        def op(tx: Tx) -> int:
            owner = self._take_out(tx, principal, mailbox, message_id, version)
            require_room(tx, owner, prepared.size)
            return self._messages.append_in(tx, mailbox, prepared, flags=Flag.DRAFT | Flag.SEEN).uid

        return self._keeping(prepared, op)

    def discard(self, principal: Principal, mailbox: MailboxId, message_id: str, version: int) -> None:
        """Forget a draft for good. Raises as `save`."""
        self._db.write(lambda tx: self._take_out(tx, principal, mailbox, message_id, version))

    def sent(
        self, principal: Principal, drafts: MailboxId, sent: MailboxId, message_id: str, prepared: Prepared
    ) -> int | None:
        """A draft was sent: it leaves Drafts, its copy lies in Sent. Returns the copy's UID; None when it lay there."""

        def op(tx: Tx) -> int | None:
            owner = rights.require(tx, principal, drafts, rights.EXPUNGE)
            rights.require(tx, principal, sent, rights.INSERT)
            _expunge(tx, owner, drafts, _uids(tx, drafts, message_id))
            if _uids(tx, sent, message_id):
                return None
            return self._messages.append_in(tx, sent, prepared, flags=Flag.SEEN).uid

        uid = self._keeping(prepared, op)
        if uid is None:
            self._messages.discard(prepared)
        return uid

    def unsent(
        self,
        principal: Principal,
        drafts: MailboxId,
        sent: MailboxId,
        message_id: str,
        prepared: Prepared,
        cancel: Callable[[Tx], object],
    ) -> int:
        """Undo a sending by `cancel`; the message is a draft again, as `prepared`. Returns its version.

        Raises what `cancel` raises; nothing happened then.
        """

        def op(tx: Tx) -> int:
            rights.require(tx, principal, drafts, rights.INSERT)
            owner = rights.require(tx, principal, sent, rights.EXPUNGE)
            cancel(tx)
            _expunge(tx, owner, sent, _uids(tx, sent, message_id))
            return self._messages.append_in(tx, drafts, prepared, flags=Flag.DRAFT | Flag.SEEN).uid

        return self._keeping(prepared, op)

    def _take_out(self, tx: Tx, principal: Principal, mailbox: MailboxId, message_id: str, version: int) -> AccountId:
        owner = rights.require(tx, principal, mailbox, rights.EXPUNGE)
        rights.require(tx, principal, mailbox, rights.INSERT)
        stored = {*_uids(tx, mailbox, message_id)}
        if version and tx.value(_BY_UID, {"mailbox": mailbox, "uid": version}) is not None:
            stored.add(version)
        if stored != ({version} if version else set()):
            raise Conflict(f"draft {message_id}: {sorted(stored)} instead of {version}", public=CHANGED)
        _expunge(tx, owner, mailbox, tuple(stored))
        return owner

    def _keeping(self, prepared: Prepared, op: Callable[[Tx], T]) -> T:
        try:
            return self._db.write(op)
        except Exception as error:
            self._messages.discard_after(error, prepared)
            raise


def _uids(reader: Reader, mailbox: MailboxId, message_id: str) -> tuple[int, ...]:
    return tuple(uid for (uid,) in reader.all(_BY_ID, {"mailbox": mailbox, "id": message_id}))


def _expunge(tx: Tx, owner: AccountId, mailbox: MailboxId, uids: tuple[int, ...]) -> None:
    if uids:
        expunge_in(tx, owner, mailbox, tuple((uid, uid) for uid in sorted(uids)), only_deleted=False)
