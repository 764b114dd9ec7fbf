"""Which conversation a message belongs to (THREADID, RFC 8474 §5.2).

A message joins the thread of the first message of its own account that it refers to, or that referred to it before
it came; else it begins a thread. Message-IDs are kept as the first 16 octets of their SHA-256.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam, insert, select

from data.disk import tables as t
from data.disk.db import Tx
from data.ids import AccountId

_FIND = select(t.thread_ref.c.thread_id).where(
    t.thread_ref.c.account_id == bindparam("account"), t.thread_ref.c.digest == bindparam("p_digest")
)
_ADD = insert(t.thread_ref).values(
    account_id=bindparam("account"), digest=bindparam("digest"), thread_id=bindparam("thread")
)
_NEW = (
    insert(t.thread)
    .values(account_id=bindparam("account"), base_subject=bindparam("base"), created_at=bindparam("now"))
    .returning(t.thread.c.id)
)


def thread_in(tx: Tx, account: AccountId, message_id: str | None, references: tuple[str, ...], base: str) -> int:
    """The thread for a message with these Message-IDs; new references lead to it from now on."""
    ids = [message_id] if message_id else []
    ids += [r for r in reversed(references) if r != message_id]
    digests = list(dict.fromkeys(_digest(i) for i in ids))
    found: int | None = None
    missing = []
    for digest in digests:
        thread = tx.value(_FIND, {"account": account, "p_digest": digest})
        if thread is None:
            missing.append(digest)
        elif found is None:
            found = int(thread)
    if found is None:
        found = int(tx.value(_NEW, {"account": account, "base": base, "now": tx.now}))
    for digest in missing:
        tx.run(_ADD, {"account": account, "digest": digest, "thread": found})
    return found


def _digest(message_id: str) -> bytes:
    return hashlib.sha256(message_id.encode("utf-8", "surrogateescape")).digest()[:16]
