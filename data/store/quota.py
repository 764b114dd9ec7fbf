"""How much an account holds and may hold (RFC 9208).

Usage is kept in the counter row that every change moves; the limit is the account's own or, where that is 0, none.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from data.disk import tables as t
from data.disk.db import Reader
from data.errors import NotFound, OverQuota
from data.ids import AccountId

_GET = (
    select(t.counter.c.octets, t.counter.c.messages, t.account.c.quota)
    .select_from(t.counter.join(t.account, t.account.c.id == t.counter.c.account_id))
    .where(t.counter.c.account_id == bindparam("account"))
)
_NEAR = (
    select(t.counter.c.account_id, t.counter.c.octets, t.counter.c.messages, t.account.c.quota)
    .select_from(t.counter.join(t.account, t.account.c.id == t.counter.c.account_id))
    .where(
        t.account.c.deleted_at.is_(None),
        t.account.c.quota > 0,
        t.counter.c.octets * 100 >= t.account.c.quota * bindparam("percent"),
    )
    .order_by(t.counter.c.account_id)
    .limit(bindparam("most"))
)
_ALL = select(func.coalesce(func.sum(t.counter.c.octets), 0), func.coalesce(func.sum(t.counter.c.messages), 0))


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account holds, and its limit in octets (0: none)."""

    octets: int
    messages: int
    limit: int

    def takes(self, octets: int) -> bool:
        """Whether there is room for so many octets more."""
        return not self.limit or self.octets + octets <= self.limit


def usage(reader: Reader, account: AccountId) -> Usage:
    """The usage of an account; raises NotFound."""
    row = reader.first(_GET, {"account": account})
    if row is None:
        raise NotFound(f"account {account} has no counters")
    return Usage(*row)


def near(reader: Reader, percent: int, most: int = 20) -> list[tuple[AccountId, Usage]]:
    """The accounts that hold at least so many hundredths of what they may."""
    rows = reader.all(_NEAR, {"percent": percent, "most": most})
    return [(AccountId(account), Usage(octets, messages, limit)) for account, octets, messages, limit in rows]


def in_all(reader: Reader) -> Usage:
    """What all accounts hold together, deleted ones too, whose mail is kept."""
    row = reader.first(_ALL)
    return Usage(int(row[0]), int(row[1]), 0) if row else Usage(0, 0, 0)


def require_room(reader: Reader, account: AccountId, octets: int) -> None:
    """Raises OverQuota when so many octets more do not fit."""
    held = usage(reader, account)
    if not held.takes(octets):
        raise OverQuota(f"account {account} holds {held.octets} of {held.limit}, {octets} more asked")
