"""The marks that tell a retransmission from a new message, for a day (RELIABILITY: idempotent delivery).

A sender that did not get our 250 sends again. The same message, from the same return-path, for the same recipient, out
of the same network, with the same octets is then answered 250 and not stored a second time. The digest of the octets is
part of the mark, so that nobody can take somebody else's Message-ID in advance. May not: know what a delivery is; the
caller names destination and network.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import BigInteger, LargeBinary, bindparam, delete, insert, select

from data.clock import DAY, HOUR
from data.disk import tables as t
from data.disk.db import Tx
from data.ids import Millis

LIFE = DAY
_m = t.delivery_mark.c
_PUT = insert(t.delivery_mark).from_select(
    ["digest", "at"],
    select(bindparam("digest", type_=LargeBinary), bindparam("at", type_=BigInteger)).where(
        ~select(_m.at).where(_m.digest == bindparam("digest", type_=LargeBinary)).exists()
    ),
)
_SWEEP = delete(t.delivery_mark).where(t.delivery_mark.c.at < bindparam("before"))


class Marks:
    """Set and asked for on the writer's thread alone."""

    def __init__(self) -> None:
        self._swept = Millis(0)

    def seen_in(self, tx: Tx, digest: bytes) -> bool:
        """Was this delivered within a day (at most an hour more, until the next sweep)? If not, it is marked now."""
        self._sweep_in(tx)
        return tx.run(_PUT, {"digest": digest, "at": tx.now}) == 0

    def _sweep_in(self, tx: Tx) -> None:
        if not self._swept <= tx.now < self._swept + HOUR:
            tx.run(_SWEEP, {"before": tx.now - LIFE})
            self._swept = tx.now


def mark(return_path: str, message_id: str | None, destination: str, network: str, body: bytes) -> bytes:
    """The mark of one message for one destination; `body` is the keyed digest of its octets."""
    facts = "\0".join((return_path, message_id or "", destination, network))
    return hashlib.sha256(facts.encode("utf-8", "surrogatepass") + b"\0" + body).digest()[:16]
