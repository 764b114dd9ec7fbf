"""Questions about everybody at once, answered by the database: who administers, and when somebody was here last.

May not: change anything, or be asked on the event loop.
"""

from __future__ import annotations

from sqlalchemy import bindparam, func, or_, select

from data.disk import tables as t
from data.disk.db import Reader
from data.ids import AccountId, Millis
from data.principal import ADMINISTRATORS

_a = t.account.c
_ADMINISTRATORS = select(_a.id).where(
    _a.status == "active", _a.deleted_at.is_(None), or_(*(_a.role == role.value for role in sorted(ADMINISTRATORS)))
)
_USED = (
    select(t.credential.c.account_id, func.max(t.credential.c.last_used_at))
    .where(t.credential.c.last_used_at.is_not(None))
    .group_by(t.credential.c.account_id)
)
_SEEN = (
    select(t.web_session.c.account_id, func.max(t.web_session.c.seen_at))
    .where(t.web_session.c.stage == bindparam("stage"))
    .group_by(t.web_session.c.account_id)
)
_HELD = select(t.counter.c.account_id, t.counter.c.octets, t.counter.c.messages)


def administrators_in(reader: Reader) -> frozenset[AccountId]:
    """The accounts that may administer and may sign in, as the transaction sees them."""
    return frozenset(AccountId(row[0]) for row in reader.all(_ADMINISTRATORS))


def last_here(reader: Reader) -> dict[AccountId, Millis]:
    """When each account proved itself last, by a mail program or a browser; without those nothing is known of."""
    found = {AccountId(account): Millis(at) for account, at in reader.all(_USED)}
    for account, at in reader.all(_SEEN, {"stage": "full"}):
        found[AccountId(account)] = Millis(max(at, found.get(AccountId(account), 0)))
    return found


def holdings(reader: Reader) -> dict[AccountId, tuple[int, int]]:
    """(octets, messages) of every account, deleted ones too."""
    return {AccountId(account): (octets, messages) for account, octets, messages in reader.all(_HELD)}
