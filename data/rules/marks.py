"""What rules remember of messages and senders, for a time: who was answered (RFC 5230 §4.2), what was seen (RFC 7352).

Promises: a mark is written in the transaction of what it stands for; only digests are kept. Old marks go with new ones.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam, delete, func, insert, select

from data.clock import DAY, HOUR
from data.disk import tables as t
from data.disk.db import Reader, Tx
from data.ids import AccountId, Millis

ANSWERS_A_DAY = 100
"""Answers of one account within a day (RELIABILITY §1.5)."""
ANSWERED, SEEN = "answered", "seen"
_b = bindparam
_m = t.sieve_mark.c
_MINE = (_m.account_id == _b("account"), _m.kind == _b("p_kind"))
_ONE = select(_m.until).where(*_MINE, _m.digest == _b("p_digest"), _m.until > _b("now"))
_SINCE = select(func.count()).select_from(t.sieve_mark).where(*_MINE, _m.at > _b("since"))
_DROP = delete(t.sieve_mark).where(*_MINE, _m.digest == _b("p_digest"))
_PUT = insert(t.sieve_mark).values(
    account_id=_b("account"), kind=_b("kind"), digest=_b("digest"), at=_b("now"), until=_b("until")
)
_SWEEP = delete(t.sieve_mark).where(_m.until < _b("before"), _m.at < _b("before"))


def digest_of(*words: str) -> bytes:
    """What stands for them."""
    return hashlib.sha256("\0".join(words).encode("utf-8", "replace")).digest()[:16]


def holds(reader: Reader, account: AccountId, kind: str, digest: bytes, now: Millis) -> bool:
    """Whether there is such a mark, and its time is not over."""
    return reader.first(_ONE, {"account": account, "p_kind": kind, "p_digest": digest, "now": now}) is not None


def answers(reader: Reader, account: AccountId, now: Millis) -> int:
    """How many senders an account answered within the last day."""
    return int(reader.value(_SINCE, {"account": account, "p_kind": ANSWERED, "since": now - DAY}) or 0)


class RuleMarks:
    """Writes marks; on the writer's thread alone."""

    def __init__(self) -> None:
        self._swept = Millis(0)

    def put_in(self, tx: Tx, account: AccountId, kind: str, digest: bytes, until: Millis) -> None:
        """Set a mark, or set it anew. One of an answer is kept for a day at least, for the count."""
        if not self._swept <= tx.now < self._swept + HOUR:
            tx.run(_SWEEP, {"before": tx.now - DAY})
            self._swept = tx.now
        tx.run(_DROP, {"account": account, "p_kind": kind, "p_digest": digest})
        tx.run(_PUT, {"account": account, "kind": kind, "digest": digest, "now": tx.now, "until": until})
