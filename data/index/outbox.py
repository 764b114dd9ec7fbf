"""The outbox of the index in the database, and the record of which index of an account counts.

A row of `index_todo` says that a message came or went and that the index does not know it yet: whoever searches looks at
such messages in the store. The record (name of the index, generation, version) is written in the transaction that
removes rows from the outbox, after the index was committed: an index on the disk that is not the recorded one, or is
older than it says, has lost something and is rebuilt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update

from data.disk import tables as t
from data.disk.db import Database, Reader, Tx
from data.ids import AccountId
from data.index.schema import VERSION

ADD, REMOVE = "add", "remove"
_CHUNK = 1000

_todo, _fact = t.index_todo.c, t.appliance.c
_NEXT = select(_todo.account_id).order_by(_todo.id).limit(1)
_TAKE = (
    select(_todo.id, _todo.message_id, _todo.what)
    .where(_todo.account_id == bindparam("account"))
    .order_by(_todo.id)
    .limit(bindparam("most"))
)
_PENDING = select(_todo.message_id).where(_todo.account_id == bindparam("account"), _todo.what == ADD)
_WAITING = select(_todo.account_id, func.count()).group_by(_todo.account_id)
_COUNT = select(func.count()).select_from(t.index_todo).where(_todo.account_id == bindparam("account"))
_DONE = delete(t.index_todo).where(_todo.id == bindparam("p_id"))
_PUT = insert(t.index_todo).values(
    account_id=bindparam("account"), message_id=bindparam("message"), what=bindparam("what")
)
_MESSAGES = (
    select(t.entry.c.message_id)
    .select_from(t.entry.join(t.mailbox, t.mailbox.c.id == t.entry.c.mailbox_id))
    .where(t.mailbox.c.account_id == bindparam("account"))
    .distinct()
)
_ACCOUNTS = select(t.mailbox.c.account_id).where(t.mailbox.c.messages > 0).distinct()
_RECORD = select(_fact.value).where(_fact.name == bindparam("p_name"))
_MEND = update(t.appliance).where(_fact.name == bindparam("p_name")).values(value=bindparam("new_value"))
_FIRST = insert(t.appliance).values(name=bindparam("p_name"), value=bindparam("new_value"))
_FORGET = delete(t.appliance).where(_fact.name == bindparam("p_name"))


@dataclass(frozen=True, slots=True)
class Record:
    """The index of an account that counts: it is of this name and at least at this generation."""

    name: str
    generation: int
    version: int = VERSION


def next_account(reader: Reader) -> AccountId | None:
    """Whose turn it is."""
    found = reader.value(_NEXT)
    return None if found is None else AccountId(found)


def take(reader: Reader, account: AccountId, most: int) -> list[tuple[int, int, str]]:
    """The oldest rows of an account: (row, message, what)."""
    return [(row, message, what) for row, message, what in reader.all(_TAKE, {"account": account, "most": most})]


def pending(reader: Reader, account: AccountId) -> set[int]:
    """The messages of an account that the index may not know yet."""
    return {message for (message,) in reader.all(_PENDING, {"account": account})}


def waiting(reader: Reader) -> dict[AccountId, int]:
    """How many rows wait, by account."""
    return {AccountId(account): count for account, count in reader.all(_WAITING)}


def count(reader: Reader, account: AccountId) -> int:
    """How many rows of an account wait."""
    return int(reader.value(_COUNT, {"account": account}))


def messages(reader: Reader, account: AccountId) -> set[int]:
    """Every message that is in a mailbox of the account."""
    return {message for (message,) in reader.all(_MESSAGES, {"account": account})}


def accounts(reader: Reader) -> list[AccountId]:
    """The accounts that have mail."""
    return [AccountId(account) for (account,) in reader.all(_ACCOUNTS)]


def done(db: Database, account: AccountId, rows: Sequence[int], record: Record) -> None:
    """The index has been committed with these rows in it."""

    def op(tx: Tx) -> None:
        tx.many(_DONE, [{"p_id": row} for row in rows])
        put_record_in(tx, account, record)

    db.write(op)


def put_all(db: Database, account: AccountId, messages: Sequence[int], tell: Callable[[int], None]) -> None:
    """Have these messages indexed, in this order; small transactions, so that mail is not held up."""
    for at in range(0, len(messages), _CHUNK):
        rows = [{"account": account, "message": one, "what": ADD} for one in messages[at : at + _CHUNK]]
        db.write(lambda tx, rows=rows: tx.many(_PUT, rows))  # type: ignore[misc]
        tell(at + len(rows))


def record(reader: Reader, account: AccountId) -> Record | None:
    """The record of an account's index; None when it has none, or one of another version."""
    value = reader.value(_RECORD, {"p_name": _name(account)})
    if value is None:
        return None
    name, generation, version = str(value).split(":")
    return Record(name, int(generation)) if int(version) == VERSION else None


def put_record_in(tx: Tx, account: AccountId, found: Record) -> None:
    """Write the record."""
    row = {"p_name": _name(account), "new_value": f"{found.name}:{found.generation}:{found.version}"}
    if not tx.run(_MEND, row):
        tx.run(_FIRST, row)


def forget(db: Database, account: AccountId) -> None:
    """The account has no index that counts."""
    db.write(lambda tx: tx.run(_FORGET, {"p_name": _name(account)}))


def _name(account: AccountId) -> str:
    return f"index.{account}"
