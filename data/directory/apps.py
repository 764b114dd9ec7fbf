"""App passwords: what a phone or a mail program signs in with, one for each, in place of the account's own password.

Promises (RELIABILITY N7): 128 random bits, told once; only a keyed digest is kept. Each has a name and a scope, the
protocols it is good for; pages are in none. When one was last used is known to some minutes.
May not: decide who signs in (appliance.auth does), or end sessions (whoever takes one away does).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from data.directory import credentials
from data.directory.directory import Directory
from data.disk import tables as t
from data.disk.db import Database, Tx
from data.disk.seal import Keys
from data.errors import Conflict, NotFound
from data.ids import AccountId, Millis

MOST = 25
"""App passwords of one account: every sign-in looks at each."""

_c = t.credential.c
_LIST = (
    select(_c.id, _c.label, _c.scopes, _c.created_at, _c.last_used_at)
    .where(_c.account_id == bindparam("account"), _c.kind == credentials.APP)
    .order_by(_c.id)
)


@dataclass(frozen=True, slots=True)
class AppPassword:
    """One of them, without its secret. `scopes` are protocols as the gate names them: imap, smtp."""

    id: int
    label: str
    scopes: frozenset[str]
    created_at: Millis
    last_used_at: Millis | None


def digest_key(keys: Keys) -> bytes:
    """The key of the digests, of this installation alone."""
    return keys.digest(b"app passwords 1")


class AppPasswords:
    """The app passwords of every account."""

    def __init__(self, db: Database, directory: Directory, keys: Keys) -> None:
        self._db, self._directory, self._key = db, directory, digest_key(keys)

    def of(self, account: AccountId) -> tuple[AppPassword, ...]:
        """Those of an account, oldest first."""
        with self._db.read() as reader:
            rows = reader.all(_LIST, {"account": account})
        return tuple(
            AppPassword(int(id_), str(label), frozenset(str(scopes).split()), Millis(made), used)
            for id_, label, scopes, made, used in rows
        )

    def add_in(self, tx: Tx, account: AccountId, label: str, scopes: frozenset[str]) -> str:
        """Another one; returns its secret, which nobody can be told again. Raises Conflict when there are MOST."""
        if len(tx.all(_LIST, {"account": account})) >= MOST:
            raise Conflict(f"account {account} has {MOST} app passwords", public="There are too many app passwords")
        secret = credentials.new_app_password()
        verifier = credentials.app_digest(self._key, secret)
        words = " ".join(sorted(scopes))
        self._directory.add_credential_in(
            tx, account, kind=credentials.APP, verifier=verifier, label=label, scopes=words
        )
        return secret

    def drop_in(self, tx: Tx, account: AccountId, ident: int) -> str:
        """Take one away; returns its name. Raises NotFound, also for what is no app password of this account."""
        labels = {row[0]: str(row[1]) for row in tx.all(_LIST, {"account": account})}
        if ident not in labels:
            raise NotFound(f"app password {ident} of account {account}")
        self._directory.drop_credential_in(tx, account, ident)
        return labels[ident]
