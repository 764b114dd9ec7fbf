"""How much an account holds and may hold (RFC 9208).

Usage is kept in the counter row that every change moves; the limit is the account's own or, where that is 0, none.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from data.disk import tables as t
from data.disk.db import Reader
from data.errors import NotFound, OverQuota
from data.ids import AccountId

_GET = (
    select(t.counter.c.octets, t.counter.c.messages, t.account.c.quota)
    .select_from(t.counter.join(t.account, t.account.c.id == t.counter.c.account_id))
    .where(t.counter.c.account_id == bindparam("account"))
)


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


def require_room(reader: Reader, account: AccountId, octets: int) -> None:
    """Raises OverQuota when so many octets more do not fit."""
    held = usage(reader, account)
    if not held.takes(octets):
        raise OverQuota(f"account {account} holds {held.octets} of {held.limit}, {octets} more asked")
