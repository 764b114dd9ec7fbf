"""Policies of other domains about TLS (MTA-STS, RFC 8461), as they were fetched: kept until they end, whoever denies them.

Promises: rows of values; what they mean is smtp.queue.sts's. May not: fetch.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select

from data.disk import tables as t
from data.disk.db import Database, Tx
from data.ids import Millis

_b = bindparam
_p = t.sts_policy.c
_GET = select(_p.ident, _p.mode, _p.mx, _p.max_age, _p.fetched_at).where(_p.domain == _b("p_domain"))
_DROP = delete(t.sts_policy).where(_p.domain == _b("p_domain"))
_PUT = insert(t.sts_policy).values(
    domain=_b("domain"),
    ident=_b("ident"),
    mode=_b("mode"),
    mx=_b("mx"),
    max_age=_b("max_age"),
    fetched_at=_b("fetched_at"),
)
_SWEEP = delete(t.sts_policy).where(_p.fetched_at + _p.max_age * 1000 < _b("before"))


@dataclass(frozen=True, slots=True)
class Kept:
    """One policy. `max_age` in seconds; `mx` the patterns of hosts."""

    ident: str
    mode: str
    mx: tuple[str, ...]
    max_age: int
    fetched_at: Millis

    @property
    def ends_at(self) -> Millis:
        """Until when it holds."""
        return Millis(self.fetched_at + self.max_age * 1000)


class StsPolicies:
    """The policies of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, domain: str) -> Kept | None:
        """The last policy fetched from a domain, also one that has ended."""
        with self._db.read() as reader:
            row = reader.first(_GET, {"p_domain": domain})
        if row is None:
            return None
        ident, mode, mx, max_age, fetched_at = row
        return Kept(ident, mode, tuple(mx.split()), max_age, Millis(fetched_at))

    def put(self, domain: str, kept: Kept) -> None:
        """Keep a policy in place of the one before; those that ended go."""

        def op(tx: Tx) -> None:
            tx.run(_SWEEP, {"before": tx.now})
            tx.run(_DROP, {"p_domain": domain})
            row = {"domain": domain, "ident": kept.ident, "mode": kept.mode, "mx": "\n".join(kept.mx)}
            tx.run(_PUT, {**row, "max_age": kept.max_age, "fetched_at": kept.fetched_at})

        self._db.write(op)
