"""Copying and moving messages between mailboxes (RFC 9051 §6.4.7, §6.4.8).

Promises: one transaction, so that a message that moves is in exactly one mailbox at any time (crash point C18); flags,
keywords and INTERNALDATE travel with it; the octets are never copied. Copying into another account gives that account
a message of its own over the same blob.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select

from data.disk import tables as t
from data.disk.blobs import Blobs
from data.disk.db import Tx
from data.ids import AccountId, BlobId, MailboxId
from data.store.changes import Added
from data.store.entries import (
    Entry,
    deleted,
    entries,
    insert_entries,
    refer,
    register_keywords,
    spell,
    unseen,
)
from data.store.expunge import remove_in
from data.store.keys import Ranges
from data.store.learning import teach_in
from data.store.modseq import count, next_modseq, record_change, sequence_set


@dataclass(frozen=True, slots=True)
class Copied:
    """COPYUID (RFC 4315 §3): source and target UIDs in the same order."""

    uidvalidity: int
    source: tuple[int, ...]
    target: tuple[int, ...]


_OWNER = select(t.mailbox.c.account_id, t.mailbox.c.uidvalidity).where(t.mailbox.c.id == bindparam("mailbox"))
_COLUMNS = [c for c in t.message.c if c.name not in ("id", "account_id", "thread_id", "refs", "created_at")]
_MESSAGE = select(*_COLUMNS).where(t.message.c.id == bindparam("p_id"))
_CLONE = (
    insert(t.message)
    .values(
        {c.name: bindparam(c.name) for c in _COLUMNS}
        | {n: bindparam(n) for n in ("account_id", "thread_id", "refs", "created_at")}
    )
    .returning(t.message.c.id)
)
_THREAD = (
    insert(t.thread)
    .values(account_id=bindparam("account"), base_subject=bindparam("base"), created_at=bindparam("now"))
    .returning(t.thread.c.id)
)


def copy_in(
    tx: Tx, account: AccountId, source: MailboxId, ranges: Ranges | None, target: MailboxId
) -> tuple[Copied, list[Entry]]:
    """Copy; returns what COPYUID says and the entries that were copied."""
    found = entries(tx, source, ranges)
    owner, uidvalidity = tx.first(_OWNER, {"mailbox": target}) or (0, 0)
    if not found:
        return Copied(uidvalidity, (), ()), []
    to = AccountId(owner)
    octets = sum(e.size for e in found)
    modseq = next_modseq(tx, to, octets=octets, messages=len(found))
    uidnext, uidvalidity = count(
        tx,
        target,
        modseq,
        uids=len(found),
        messages=len(found),
        unseen=sum(unseen(e.flags) for e in found),
        deleted=sum(deleted(e.flags) for e in found),
        octets=octets,
    )
    made = _renumber(tx, target, found, uidnext - len(found), modseq)
    if to == account:
        refer(tx, (e.message for e in made), 1)
    else:
        made = [e._replace(message=_clone(tx, e.message, to)) for e in made]
    insert_entries(tx, target, made)
    if to == account and ranges is not None:
        teach_in(tx, account, source, target, [e.message for e in found])
    uids = [e.uid for e in made]
    record_change(tx, to, modseq, target, "added", sequence_set(uids))
    tx.publish(Added(to, target, modseq, tuple((e.uid, e.flags, e.keywords) for e in made)))
    return Copied(uidvalidity, tuple(e.uid for e in found), tuple(uids)), found


def move_in(tx: Tx, account: AccountId, source: MailboxId, ranges: Ranges | None, target: MailboxId) -> Copied:
    """Copy and take away, in one."""
    copied, found = copy_in(tx, account, source, ranges, target)
    if found:
        remove_in(tx, account, source, found)
    return copied


def _renumber(tx: Tx, target: MailboxId, found: list[Entry], first_uid: int, modseq: int) -> list[Entry]:
    """The entries as the target has them: new UIDs, one MODSEQ, keywords spelled as they are known there."""
    used = {k for e in found if e.keywords for k in e.keywords.split(" ")}
    known = register_keywords(tx, target, sorted(used)) if used else {}
    return [
        e._replace(uid=first_uid + n, modseq=modseq, keywords=spell(known, e.keywords.split(" ")) if e.keywords else "")
        for n, e in enumerate(found)
    ]


def _clone(tx: Tx, message: int, account: AccountId) -> int:
    """A message of another account over the same blob, in a thread of its own."""
    row = tx.first(_MESSAGE, {"p_id": message})
    assert row is not None
    values = dict(zip((c.name for c in _COLUMNS), row, strict=True))
    thread = tx.value(_THREAD, {"account": account, "base": values["base_subject"], "now": tx.now})
    values |= {"account_id": account, "thread_id": thread, "refs": 1, "created_at": tx.now}
    Blobs.refer_in(tx, BlobId(values["blob_id"]), 1)
    return int(tx.value(_CLONE, values))
