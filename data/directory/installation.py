"""Facts of this installation, kept by name beside the mail: what the master key answers, what was imported.

Promises: a fact is written inside somebody's transaction. The master key's answer is compared before anything is
written, so that a store is never opened with another's key. May not: hold what must be known before the database is
open, or secrets in the clear.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select

from data.disk import tables as t
from data.disk.db import Reader, Tx
from data.disk.seal import Keys
from data.errors import WrongKey
from data.ids import MailboxId

KEY_CHECK = "key.check"
_QUESTION = b"mailstead key check 1"

_b = bindparam
_GET = select(t.appliance.c.value).where(t.appliance.c.name == _b("p_name"))
_DROP = delete(t.appliance).where(t.appliance.c.name == _b("p_name"))
_PUT = insert(t.appliance).values(name=_b("p_name"), value=_b("value"))
_LIKE = select(t.appliance.c.name, t.appliance.c.value).where(t.appliance.c.name.startswith(_b("start")))


def fact(reader: Reader, name: str) -> str | None:
    """The value of a fact, or None."""
    found = reader.value(_GET, {"p_name": name})
    return None if found is None else str(found)


def put_fact_in(tx: Tx, name: str, value: str) -> None:
    """Write a fact, in place of what it was."""
    tx.run(_DROP, {"p_name": name})
    tx.run(_PUT, {"p_name": name, "value": value})


def key_answer(keys: Keys) -> str:
    """What this master key makes of a fixed question; it does not give the key away."""
    return keys.digest(_QUESTION).hex()


def require_key(reader: Reader, keys: Keys) -> None:
    """Raises WrongKey when this database was made under another master key."""
    known = fact(reader, KEY_CHECK)
    if known is not None and not hmac.compare_digest(known, key_answer(keys)):
        raise WrongKey("key check of the database differs")


def imported(reader: Reader, mailbox: MailboxId) -> set[str]:
    """The names of the files that were imported into a mailbox."""
    rows = reader.all(_LIKE, {"start": _prefix(mailbox)})
    return {name for _, value in rows for name in str(value).split("\n")}


def mark_imported_in(tx: Tx, mailbox: MailboxId, first_uid: int, names: Sequence[str]) -> None:
    """Remember files, in the transaction that imports them; `first_uid` is the UID of the first."""
    put_fact_in(tx, f"{_prefix(mailbox)}{first_uid}", "\n".join(names))


def _prefix(mailbox: MailboxId) -> str:
    return f"import.{mailbox}."
