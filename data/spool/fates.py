"""What became of a message for each of its recipients, for whoever sent it under a key.

Promises: a sender is told of their own sendings alone; a finished one is told of as long as its item is kept
(`oversight.KEEP_KEYED`). May not: change anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, bindparam, or_, select

from data.disk import tables as t
from data.disk.db import Database
from data.ids import AccountId, Millis
from data.reason import Reason
from data.spool.envelope import State
from data.spool.statements import JOINED, OPEN

LATE: Final = 60_000
"""How long (milliseconds) after its time a recipient that was never tried counts as waiting."""
TOLD_MOST: Final = 500

_b = bindparam
_i, _r = t.spool_item.c, t.spool_rcpt.c
_OF = (
    select(
        _r.address, _r.domain, _r.state, _r.attempts, _r.next_at, _r.attempted_at, _r.done_at, _r.remote, _r.reply,
        _r.reason, _r.reason_params,
    )
    .select_from(JOINED)
    .where(_i.account_id == _b("account"), _i.idempotency_key == _b("key"))
    .order_by(_r.id)
    .limit(TOLD_MOST)
)  # fmt: skip
_WAITING = and_(
    OPEN,
    or_(
        _r.state == State.DEFERRED.value,
        _r.state == State.FROZEN.value,
        and_(_r.state == State.QUEUED.value, _r.next_at < _b("late")),
    ),
)
_FAILED = or_(_r.state == State.FAILED.value, _r.state == State.EXPIRED.value, _r.state == State.BOUNCED.value)
_TROUBLED = (
    select(_i.idempotency_key, _r.done_at)
    .select_from(JOINED)
    .where(_i.account_id == _b("account"), _i.idempotency_key.is_not(None), or_(_WAITING, _FAILED))
    .order_by(_r.id.desc())
    .limit(TOLD_MOST)
)


@dataclass(frozen=True, slots=True)
class Fate:
    """Where one recipient stands. `next_at` is None where nothing is tried any more, or not until somebody lets it."""

    address: str
    domain: str
    state: State
    attempts: int
    next_at: Millis | None
    at: Millis | None
    reply: str
    reason: Reason | None


class Fates:
    """The sendings of one database, as their senders see them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, account: AccountId, key: str) -> tuple[Fate, ...]:
        """Every recipient of what an account sent under a key; none when that is forgotten, or was never sent."""
        with self._db.read() as reader:
            rows = reader.all(_OF, {"account": account, "key": key})
        found = []
        for address, domain, state, attempts, next_at, tried, done, remote, reply, code, params in rows:
            known, waits = State(state), done is None and state != State.FROZEN.value
            said = " ".join(filter(None, (remote, reply)))
            found.append(
                Fate(
                    address, domain, known, attempts, Millis(next_at) if waits else None, done or tried, said,
                    Reason.decode(code, params) if code else None,
                )
            )  # fmt: skip
        return tuple(found)

    def troubled(self, account: AccountId, now: Millis) -> dict[str, bool]:
        """The keys of an account's sendings that wait, or failed (True) for somebody."""
        found: dict[str, bool] = {}
        with self._db.read() as reader:
            for key, done in reader.all(_TROUBLED, {"account": account, "late": now - LATE}):
                found[key] = found.get(key, False) or done is not None
        return found
