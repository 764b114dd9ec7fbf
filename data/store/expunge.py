"""Taking messages out of a mailbox for good (RFC 9051 §6.4.3).

Promises: rows, counters, usage and the change log move in one transaction; the message itself goes later, when the
sweep finds that no mailbox holds it any more (crash points C12, C13).
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete

from data.disk import tables as t
from data.disk.db import Tx
from data.ids import AccountId, MailboxId
from data.store.changes import Expunged
from data.store.entries import Entry, deleted, entries, refer, unseen
from data.store.keys import Flag, Ranges
from data.store.modseq import count, next_modseq, record_change, sequence_set

_DELETE = delete(t.entry).where(t.entry.c.mailbox_id == bindparam("mailbox"), t.entry.c.uid == bindparam("p_uid"))
_DELETE_ALL = delete(t.entry).where(t.entry.c.mailbox_id == bindparam("mailbox"))


def expunge_in(
    tx: Tx, account: AccountId, mailbox: MailboxId, ranges: Ranges | None, *, only_deleted: bool = True
) -> tuple[int, ...]:
    """Expunge within ranges (None: everywhere) what has \\Deleted, or all of it. Returns the UIDs, ascending."""
    found = entries(tx, mailbox, ranges)
    gone = [e for e in found if e.flags & Flag.DELETED] if only_deleted else found
    if gone:
        remove_in(tx, account, mailbox, gone, everything=ranges is None and len(gone) == len(found))
    return tuple(e.uid for e in gone)


def remove_in(tx: Tx, account: AccountId, mailbox: MailboxId, gone: list[Entry], *, everything: bool = False) -> None:
    """Take these entries out of their mailbox."""
    octets = sum(e.size for e in gone)
    modseq = next_modseq(tx, account, octets=-octets, messages=-len(gone))
    if everything:
        tx.run(_DELETE_ALL, {"mailbox": mailbox})
    else:
        tx.many(_DELETE, [{"mailbox": mailbox, "p_uid": e.uid} for e in gone])
    refer(tx, (e.message for e in gone), -1)
    count(
        tx,
        mailbox,
        modseq,
        messages=-len(gone),
        unseen=-sum(unseen(e.flags) for e in gone),
        deleted=-sum(deleted(e.flags) for e in gone),
        octets=-octets,
    )
    uids = [e.uid for e in gone]
    record_change(tx, account, modseq, mailbox, "expunged", sequence_set(uids))
    tx.publish(Expunged(account, mailbox, modseq, tuple(uids)))
