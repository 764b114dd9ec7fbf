"""Accounts that were deleted: their mail stays until a purge, and until then they can come back.

Promises: an account comes back under its old address, or not at all when that is somebody else's by now (Conflict). It
has one password then, the one it is given. May not: purge.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, null, select, update

from data.directory import rows
from data.disk import tables as t
from data.disk.db import Reader, Tx
from data.errors import NotFound
from data.ids import AccountId, Millis

_b = bindparam
_a = t.account.c
_COLUMNS = (_a.id, t.domain.c.name, _a.local, _a.name, _a.deleted_at, t.counter.c.octets, t.counter.c.messages)
_FROM = t.account.join(t.domain, _a.domain_id == t.domain.c.id).join(t.counter, t.counter.c.account_id == _a.id)
_LIST = (
    select(*_COLUMNS)
    .select_from(_FROM)
    .where(_a.deleted_at.is_not(None), _a.id < _b("before"))
    .order_by(_a.id.desc())
    .limit(_b("most"))
)
_ONE = select(*_COLUMNS).select_from(_FROM).where(_a.deleted_at.is_not(None), _a.id == _b("account"))
_BACK = (
    update(t.account)
    .where(_a.id == _b("p_account"))
    .values(status="active", deleted_at=null(), local_key=_b("new_key"))
)
_END = 2**62


@dataclass(frozen=True, slots=True)
class Deleted:
    """A deleted account. `address` is the one it had; `octets` what its mail still takes."""

    id: AccountId
    address: str
    name: str
    deleted_at: Millis
    octets: int
    messages: int


def deleted(reader: Reader, most: int = 50, before: int = _END) -> tuple[Deleted, ...]:
    """Deleted accounts with an id below `before`, newest first."""
    return tuple(_deleted(row) for row in reader.all(_LIST, {"before": before, "most": most}))


def deleted_one(reader: Reader, account: AccountId) -> Deleted:
    """One deleted account; NotFound."""
    row = reader.first(_ONE, {"account": account})
    if row is None:
        raise NotFound(f"account {account} is not deleted", public="There is no such account")
    return _deleted(row)


def restore_in(tx: Tx, account: AccountId, verifier: str) -> str:
    """Let an account come back, active, with this password alone; returns its address. NotFound, Conflict."""
    found = deleted_one(tx, account)
    parts = rows.free_in(tx, found.address)
    tx.run(_BACK, {"p_account": account, "new_key": parts.key})
    rows.add_credential_in(tx, account, kind="password", verifier=verifier)
    return parts.key_address


def _deleted(row: tuple[object, ...]) -> Deleted:
    ident, domain, local, name, at, octets, messages = row
    return Deleted(
        AccountId(_int(ident)), f"{local}@{domain}", str(name), Millis(_int(at)), _int(octets), _int(messages)
    )


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
