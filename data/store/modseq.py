"""The numbers that order changes: MODSEQ of an account, and the rows of its change log (RFC 7162 §3.1).

Promises: numbers are taken by UPDATE ... RETURNING inside the transaction, never from memory; one operation takes one
MODSEQ for all the messages it changes. Highest numbers of an account rise over all of its mailboxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, insert, update

from data.disk import tables as t
from data.disk.db import Tx
from data.errors import NotFound
from data.ids import AccountId, MailboxId
from data.store.keys import Ranges

_NEXT = (
    update(t.counter)
    .where(t.counter.c.account_id == bindparam("account"))
    .values(
        modseq=t.counter.c.modseq + 1,
        octets=t.counter.c.octets + bindparam("d_octets"),
        messages=t.counter.c.messages + bindparam("d_messages"),
    )
    .returning(t.counter.c.modseq)
)
_CHANGE = insert(t.change).values(
    account_id=bindparam("account"),
    modseq=bindparam("modseq"),
    mailbox_id=bindparam("mailbox"),
    kind=bindparam("kind"),
    uids=bindparam("uids"),
    detail=bindparam("detail"),
    at=bindparam("now"),
)


def next_modseq(tx: Tx, account: AccountId, octets: int = 0, messages: int = 0) -> int:
    """Take the account's next MODSEQ and count what comes or goes (octets, messages; may be negative)."""
    return int(tx.value(_NEXT, {"account": account, "d_octets": octets, "d_messages": messages}))


def record_change(
    tx: Tx, account: AccountId, modseq: int, mailbox: MailboxId, kind: str, uids: str = "", detail: str = ""
) -> None:
    """One row of the change log."""
    row = {"account": account, "modseq": modseq, "mailbox": mailbox, "kind": kind}
    tx.run(_CHANGE, {**row, "uids": uids, "detail": detail, "now": tx.now})


def ranges_of(uids: Iterable[int]) -> Ranges:
    """Ascending UIDs as ranges: 1 2 3 7 -> ((1, 3), (7, 7))."""
    out: list[tuple[int, int]] = []
    first = last = 0
    for uid in uids:
        if uid == last + 1 and first:
            last = uid
            continue
        if first:
            out.append((first, last))
        first = last = uid
    if first:
        out.append((first, last))
    return tuple(out)


def sequence_set(uids: Sequence[int]) -> str:
    """Ascending UIDs as a sequence-set: 1 2 3 7 -> `1:3,7` (RFC 9051 §9)."""
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in ranges_of(uids))


_COUNT = (
    update(t.mailbox)
    .where(t.mailbox.c.id == bindparam("p_mailbox"))
    .values(
        highestmodseq=bindparam("new_modseq"),
        uidnext=t.mailbox.c.uidnext + bindparam("d_uids"),
        messages=t.mailbox.c.messages + bindparam("d_messages"),
        unseen=t.mailbox.c.unseen + bindparam("d_unseen"),
        deleted=t.mailbox.c.deleted + bindparam("d_deleted"),
        octets=t.mailbox.c.octets + bindparam("d_octets"),
    )
    .returning(t.mailbox.c.uidnext, t.mailbox.c.uidvalidity)
)


def count(
    tx: Tx,
    mailbox: MailboxId,
    modseq: int,
    *,
    uids: int = 0,
    messages: int = 0,
    unseen: int = 0,
    deleted: int = 0,
    octets: int = 0,
) -> tuple[int, int]:
    """Move a mailbox's numbers by what came (or went, negative). Returns (UIDNEXT afterwards, UIDVALIDITY)."""
    row = {"p_mailbox": mailbox, "new_modseq": modseq, "d_uids": uids, "d_messages": messages}
    found = tx.first(_COUNT, {**row, "d_unseen": unseen, "d_deleted": deleted, "d_octets": octets})
    if found is None:
        raise NotFound(f"mailbox {mailbox} is gone")
    return found[0], found[1]
