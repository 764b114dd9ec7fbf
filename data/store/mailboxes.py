"""Mailboxes: names, hierarchy, special uses, subscriptions, and the numbers that IMAP hangs on them.

Promises: UIDVALIDITY is never given twice in an account, even after a mailbox of the same name was deleted; every
change of the tree takes a MODSEQ and leaves a row in the change log. Rights are checked here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update

from data.disk import tables as t
from data.disk.db import Database, Reader, Tx
from data.errors import Conflict, Invalid, NotFound
from data.ids import AccountId, MailboxId
from data.principal import Principal
from data.store import names, rights
from data.store.changes import MailboxCreated, MailboxDeleted, MailboxRenamed, Subscribed
from data.store.expunge import expunge_in
from data.store.modseq import next_modseq, record_change
from data.store.moving import move_in

DEFAULTS: tuple[tuple[str, str | None], ...] = (
    ("INBOX", None),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
)
_USUAL = {name: use for name, use in DEFAULTS if use is not None}
SPECIAL_USES = frozenset({"\\Drafts", "\\Sent", "\\Junk", "\\Trash", "\\Archive"})


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox as its row stood when it was read."""

    id: MailboxId
    account: AccountId
    name: str
    special_use: str | None
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    messages: int
    unseen: int
    deleted: int
    octets: int
    recent_from: int

    @property
    def objectid(self) -> str:
        """MAILBOXID (RFC 8474 §4): never reused."""
        return f"m{self.id}"


_m = t.mailbox.c
COLUMNS = (
    _m.id,
    _m.account_id,
    _m.name,
    _m.special_use,
    _m.uidvalidity,
    _m.uidnext,
    _m.highestmodseq,
    _m.messages,
    _m.unseen,
    _m.deleted,
    _m.octets,
    _m.recent_from,
)
_LIST = select(*COLUMNS).where(_m.account_id == bindparam("account")).order_by(_m.name)
_BY_NAME = select(*COLUMNS).where(_m.account_id == bindparam("account"), _m.name == bindparam("p_name"))
_BY_ID = select(*COLUMNS).where(_m.id == bindparam("mailbox"))
_SPECIAL = select(_m.id).where(_m.account_id == bindparam("account"), _m.special_use == bindparam("use"))
_UIDVALIDITY = (
    update(t.counter)
    .where(t.counter.c.account_id == bindparam("account"))
    .values(uidvalidity=t.counter.c.uidvalidity + 1)
    .returning(t.counter.c.uidvalidity)
)
_INSERT = (
    insert(t.mailbox)
    .values(
        account_id=bindparam("account"),
        name=bindparam("name"),
        special_use=bindparam("special_use"),
        uidvalidity=bindparam("uidvalidity"),
        highestmodseq=bindparam("modseq"),
        created_at=bindparam("now"),
    )
    .returning(_m.id)
)
_RENAME = update(t.mailbox).where(_m.id == bindparam("mailbox")).values(name=bindparam("new_name"))
_SUBSCRIPTIONS = select(t.subscription.c.name).where(t.subscription.c.account_id == bindparam("account"))
_SUBSCRIBE = insert(t.subscription).values(account_id=bindparam("account"), name=bindparam("name"))
_UNSUBSCRIBE = delete(t.subscription).where(
    t.subscription.c.account_id == bindparam("account"), t.subscription.c.name == bindparam("p_name")
)
_DROP_KEYWORDS = delete(t.keyword).where(t.keyword.c.mailbox_id == bindparam("mailbox"))
_DROP_RIGHTS = delete(t.mailbox_right).where(t.mailbox_right.c.mailbox_id == bindparam("mailbox"))
_DROP_STATES = delete(t.reader_state).where(t.reader_state.c.mailbox_id == bindparam("mailbox"))
_DROP_MAILBOX = delete(t.mailbox).where(_m.id == bindparam("mailbox"))


class Mailboxes:
    """The mailboxes of every account."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # --- reading ----------------------------------------------------------------------------------------------------

    def list(self, principal: Principal, account: AccountId) -> tuple[Mailbox, ...]:
        """All mailboxes of an account that the principal may look up; INBOX first, then by name."""
        with self._db.read() as reader:
            found = (Mailbox(*row) for row in reader.all(_LIST, {"account": account}))
            seen = [m for m in found if rights.LOOKUP in rights.of_mailbox(reader, principal, m.id, m.account)]
        return tuple(sorted(seen, key=lambda m: (m.name != names.INBOX, m.name)))

    def get(self, principal: Principal, account: AccountId, name: str) -> Mailbox:
        """The mailbox of that name; raises NotFound."""
        with self._db.read() as reader:
            found = self.get_in(reader, account, name)
            rights.require(reader, principal, found.id, rights.LOOKUP)
        return found

    def get_id(self, principal: Principal, mailbox: MailboxId) -> Mailbox:
        """The mailbox of that id; raises NotFound."""
        with self._db.read() as reader:
            rights.require(reader, principal, mailbox, rights.LOOKUP)
            row = reader.first(_BY_ID, {"mailbox": mailbox})
        assert row is not None
        return Mailbox(*row)

    def get_in(self, reader: Reader, account: AccountId, name: str) -> Mailbox:
        """The mailbox of that name, without asking for rights; raises NotFound."""
        row = reader.first(_BY_NAME, {"account": account, "p_name": names.lookup(name)})
        if row is None:
            raise NotFound(f"account {account} has no such mailbox", public="There is no such mailbox")
        return Mailbox(*row)

    def rights(self, principal: Principal, mailbox: MailboxId) -> frozenset[str]:
        """The RFC 4314 rights of the principal in a mailbox; empty when it may not be looked up."""
        with self._db.read() as reader:
            row = reader.first(_BY_ID, {"mailbox": mailbox})
            if row is None:
                return frozenset()
            return rights.of_mailbox(reader, principal, mailbox, AccountId(row[1]))

    def find_special_in(self, reader: Reader, account: AccountId, special_use: str) -> MailboxId | None:
        """The mailbox of an account with a special use (RFC 6154)."""
        found = reader.value(_SPECIAL, {"account": account, "use": special_use})
        return None if found is None else MailboxId(found)

    def inbox_in(self, reader: Reader, account: AccountId) -> MailboxId:
        """The INBOX of an account; every account has one."""
        return self.get_in(reader, account, names.INBOX).id

    # --- the tree ---------------------------------------------------------------------------------------------------

    def create(self, principal: Principal, account: AccountId, name: str, special_use: str | None = None) -> Mailbox:
        """Make a mailbox and what is missing above it; raises Conflict or Invalid (RFC 9051 §6.3.4)."""
        rights.require_account(principal, account)
        return self._db.write(lambda tx: self.create_in(tx, account, name, special_use))

    def create_in(self, tx: Tx, account: AccountId, name: str, special_use: str | None = None) -> Mailbox:
        """The same inside a transaction. A default mailbox that was deleted gets its special use back with its name."""
        name = names.normal(name.removesuffix(names.SEPARATOR))
        if special_use is not None and special_use not in SPECIAL_USES:
            raise Invalid(public="That special use is not supported")
        if special_use is not None and self.find_special_in(tx, account, special_use) is not None:
            raise Invalid(public="Another mailbox has that special use already")
        if tx.first(_BY_NAME, {"account": account, "p_name": name}) is not None:
            raise Conflict(f"account {account} has that mailbox", public="A mailbox of that name exists already")
        for parent in names.parents(name):
            if tx.first(_BY_NAME, {"account": account, "p_name": parent}) is None:
                self._insert_in(tx, account, parent, None)
        if special_use is None and (usual := _USUAL.get(name)) and self.find_special_in(tx, account, usual) is None:
            # RFC 6154 §2: which mailbox has a special use is the server's to say
            special_use = usual
        return self._insert_in(tx, account, name, special_use)

    def create_defaults_in(self, tx: Tx, account: AccountId) -> None:
        """The mailboxes an account starts with, subscribed."""
        for name, special_use in DEFAULTS:
            self._insert_in(tx, account, name, special_use)
            tx.run(_SUBSCRIBE, {"account": account, "name": name})

    def _insert_in(self, tx: Tx, account: AccountId, name: str, special_use: str | None) -> Mailbox:
        modseq = next_modseq(tx, account)
        row = {
            "account": account,
            "name": name,
            "special_use": special_use,
            "uidvalidity": tx.value(_UIDVALIDITY, {"account": account}),
            "modseq": modseq,
            "now": tx.now,
        }
        mailbox = MailboxId(tx.value(_INSERT, row))
        record_change(tx, account, modseq, mailbox, "created", detail=name)
        tx.publish(MailboxCreated(account, mailbox, modseq, name))
        made = tx.first(_BY_ID, {"mailbox": mailbox})
        assert made is not None
        return Mailbox(*made)

    def delete(self, principal: Principal, account: AccountId, name: str) -> None:
        """Delete a mailbox with all in it; what lies below it stays (RFC 9051 §6.3.5)."""
        rights.require_account(principal, account)
        self._db.write(lambda tx: self.delete_in(tx, account, name))

    def delete_in(self, tx: Tx, account: AccountId, name: str) -> None:
        """The same inside a transaction."""
        mailbox = self.get_in(tx, account, name)
        if mailbox.name == names.INBOX:
            raise Invalid(public="INBOX cannot be deleted")
        expunge_in(tx, account, mailbox.id, None, only_deleted=False)
        for statement in (_DROP_KEYWORDS, _DROP_RIGHTS, _DROP_STATES, _DROP_MAILBOX):
            tx.run(statement, {"mailbox": mailbox.id})
        modseq = next_modseq(tx, account)
        record_change(tx, account, modseq, mailbox.id, "deleted", detail=mailbox.name)
        tx.publish(MailboxDeleted(account, mailbox.id, modseq, mailbox.name))

    def rename(self, principal: Principal, account: AccountId, old: str, new: str) -> None:
        """Rename a mailbox and what lies below it; INBOX gives up its messages instead (RFC 9051 §6.3.6)."""
        rights.require_account(principal, account)
        self._db.write(lambda tx: self.rename_in(tx, account, old, new))

    def rename_in(self, tx: Tx, account: AccountId, old: str, new: str) -> None:
        """The same inside a transaction."""
        source = self.get_in(tx, account, old)
        target = names.normal(new.removesuffix(names.SEPARATOR))
        if source.name == names.INBOX:
            made = self.create_in(tx, account, target)
            move_in(tx, account, source.id, None, made.id)
            return
        if target == source.name or target.startswith(source.name + names.SEPARATOR):
            raise Invalid(public="A mailbox cannot be moved into itself")
        below = [m for m in self._all_in(tx, account) if m.name.startswith(source.name + names.SEPARATOR)]
        moves = [(m, target + m.name[len(source.name) :]) for m in (source, *below)]
        if any(tx.first(_BY_NAME, {"account": account, "p_name": name}) for _, name in moves):
            raise Conflict("rename target exists", public="A mailbox of that name exists already")
        for parent in names.parents(target):
            if tx.first(_BY_NAME, {"account": account, "p_name": parent}) is None:
                self._insert_in(tx, account, parent, None)
        for mailbox, name in moves:
            self._rename_one_in(tx, mailbox, names.normal(name))

    def _rename_one_in(self, tx: Tx, mailbox: Mailbox, name: str) -> None:
        modseq = next_modseq(tx, mailbox.account)
        tx.run(_RENAME, {"mailbox": mailbox.id, "new_name": name})
        record_change(tx, mailbox.account, modseq, mailbox.id, "renamed", detail=name)
        tx.publish(MailboxRenamed(mailbox.account, mailbox.id, modseq, name, mailbox.name))

    def _all_in(self, reader: Reader, account: AccountId) -> Iterable[Mailbox]:
        return [Mailbox(*row) for row in reader.all(_LIST, {"account": account})]

    # --- subscriptions ----------------------------------------------------------------------------------------------

    def subscriptions(self, principal: Principal, account: AccountId) -> frozenset[str]:
        """Subscribed names, whether a mailbox of that name exists or not (RFC 9051 §6.3.7)."""
        rights.require_account(principal, account)
        with self._db.read() as reader:
            return frozenset(name for (name,) in reader.all(_SUBSCRIPTIONS, {"account": account}))

    def subscribe(self, principal: Principal, account: AccountId, name: str, on: bool) -> None:
        """Subscribe to a name or not; doing it twice is the same as once. Raises NotFound for a name never seen."""
        rights.require_account(principal, account)
        self._db.write(lambda tx: self._subscribe_in(tx, account, name, on))

    def _subscribe_in(self, tx: Tx, account: AccountId, name: str, on: bool) -> None:
        name = names.normal(name)
        known = {n for (n,) in tx.all(_SUBSCRIPTIONS, {"account": account})}
        if on == (name in known):
            return
        if on:
            self.get_in(tx, account, name)
            tx.run(_SUBSCRIBE, {"account": account, "name": name})
        else:
            tx.run(_UNSUBSCRIBE, {"account": account, "p_name": name})
        modseq = next_modseq(tx, account)
        record_change(tx, account, modseq, MailboxId(0), "subscribed", detail=f"{'+' if on else '-'}{name}")
        tx.publish(Subscribed(account, modseq, name, on))
