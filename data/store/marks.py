"""The marks that tell a retransmission from a new message, for a day (RELIABILITY: idempotent delivery).

A sender that did not hear our 250 sends again. The same message, from the same return-path, for the same recipient, out
of the same network, with the same octets is then answered 250 and not stored a second time. The digest of the octets is
part of the mark, so that nobody can take somebody else's Message-ID in advance. Once the sender went on talking, it has
heard: what it sends afterwards is meant, even if it says the same again (an alarm, say), and the mark goes.

May not: know what a delivery is; the caller names destination and network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import BigInteger, LargeBinary, bindparam, delete, insert, select

from data.clock import DAY, HOUR
from data.disk import tables as t
from data.disk.db import Tx
from data.ids import Millis

LIFE = DAY
_MOST_HEARD = 10_000
_m = t.delivery_mark.c
_PUT = insert(t.delivery_mark).from_select(
    ["digest", "at"],
    select(bindparam("digest", type_=LargeBinary), bindparam("at", type_=BigInteger)).where(
        ~select(_m.at).where(_m.digest == bindparam("digest", type_=LargeBinary)).exists()
    ),
)
_DROP = delete(t.delivery_mark).where(_m.digest == bindparam("p_digest"))
_SWEEP = delete(t.delivery_mark).where(t.delivery_mark.c.at < bindparam("before"))


class Marks:
    """Set and asked for on the writer's thread alone; `heard` may be called from anywhere."""

    def __init__(self) -> None:
        self._swept = Millis(0)
        self._heard: set[bytes] = set()

    def heard(self, digests: Iterable[bytes]) -> None:
        """The client went on after our 250, so it had it: what it sends from now on is new, even the same again.

        These marks go before the next one is asked for; a crash in between leaves them for their day.
        """
        if len(self._heard) < _MOST_HEARD:
            self._heard.update(digests)

    def seen_in(self, tx: Tx, digest: bytes) -> bool:
        """Was this delivered within a day (at most an hour more, until the next sweep)? If not, it is marked now."""
        self._sweep_in(tx)
        self.forget_in(tx)
        return tx.run(_PUT, {"digest": digest, "at": tx.now}) == 0

    def forget_in(self, tx: Tx) -> None:
        """Let go of what was heard; what is rolled back is tried again with the next."""
        if self._heard:
            gone = self._heard.copy()
            tx.many(_DROP, [{"p_digest": digest} for digest in gone])
            tx.after_commit(lambda: self._heard.difference_update(gone))

    def _sweep_in(self, tx: Tx) -> None:
        if not self._swept <= tx.now < self._swept + HOUR:
            tx.run(_SWEEP, {"before": tx.now - LIFE})
            self._swept = tx.now


def mark(return_path: str, message_id: str | None, destination: str, network: str, body: bytes) -> bytes:
    """The mark of one message for one destination; `body` is the keyed digest of its octets."""
    facts = "\0".join((return_path, message_id or "", destination, network))
    return hashlib.sha256(facts.encode("utf-8", "surrogatepass") + b"\0" + body).digest()[:16]
