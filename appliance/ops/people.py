"""Accounts, domains and aliases as an administrator changes them: each change with its audit row, in one transaction.

Promises: an account comes with its default mailboxes or not at all. `actor` is who asked (`console:0`, an address).
May not: print, or ask anybody anything; panel, API and command line call the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from data.audit import Audit
from data.clock import Clock
from data.directory import dkim
from data.directory.addresses import is_known, required
from data.directory.credentials import hash_password
from data.directory.directory import Directory
from data.directory.facts import Account, AliasKind, Status
from data.directory.people import administrators_in
from data.directory.settings import Scope, Settings, Value
from data.disk.db import Database, Tx
from data.disk.seal import Keys
from data.errors import Conflict, Invalid, NotFound
from data.ids import AccountId
from data.principal import Role
from data.store.changes import AccessEnded
from data.store.quota import Usage, usage
from data.store.store import Store

T = TypeVar("T")
CONSOLE: Final = "console:"
"""How an actor is called who acts on the machine itself, by the command line; what follows is the user id there."""
Guard = Callable[[], None]
"""Called inside the transaction, before anything is written: raises Changed when it is not what was seen any more."""


def unguarded() -> None:
    """Whatever is there is overwritten."""


class Changed(Conflict):
    """Somebody else changed it since it was looked at."""

    public = "Somebody else has changed it meanwhile"


class LastAdministrator(Conflict):
    """Nobody would be left who may administer this server."""

    public = "This is the last administrator: nobody else could let anybody in again"


class Office(Protocol):
    """What changing people and domains takes; the whole ground of a state directory has it, and so do the web's parts."""

    @property
    def clock(self) -> Clock: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def db(self) -> Database: ...
    @property
    def store(self) -> Store: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def audit(self) -> Audit: ...


def add_account(
    ground: Office,
    address: str,
    *,
    password: str,
    name: str = "",
    role: Role = Role.USER,
    quota: int | None = None,
    language: str | None = None,
    actor: str,
) -> AccountId:
    """A new account with INBOX, Drafts, Sent, Junk, Trash and Archive. Raises Invalid, Conflict, NotFound.

    `quota` (octets, 0 unlimited) and `language` are the organisation's where they are not given.
    """
    verifier = hash_password(password)
    organisation = ground.directory.organisation()
    everybody = Scope.organisation(organisation.id)
    octets = ground.settings.number(everybody, "account.quota") if quota is None else quota
    spoken = ground.settings.text(everybody, "account.language") if language is None else language

    def op(tx: Tx) -> AccountId:
        account = ground.directory.add_account_in(
            tx, address, name=name, role=role, password_verifier=verifier, quota=octets, language=spoken
        )
        ground.store.mailboxes.create_defaults_in(tx, account)
        _record(ground, tx, actor, "account.add", address, role=role.value)
        return account

    return _write(ground, op)


def set_password(ground: Office, address: str, password: str, actor: str) -> None:
    """Another password for an account."""
    account, verifier = ground.directory.account(address), hash_password(password)

    def op(tx: Tx) -> None:
        ground.directory.set_password_in(tx, account.id, verifier)
        tx.publish(AccessEnded(account.id))
        _record(ground, tx, actor, "account.password", account.address)

    _write(ground, op)


def set_status(ground: Office, address: str, status: Status, actor: str) -> None:
    """Suspend an account (it still receives) or let it sign in again. Raises LastAdministrator."""
    account = ground.directory.account(address)

    def op(tx: Tx) -> None:
        with _somebody_left_in(tx, account.id, actor):
            ground.directory.set_status_in(tx, account.id, status)
        if status is not Status.ACTIVE:
            tx.publish(AccessEnded(account.id))
        _record(ground, tx, actor, f"account.{status.value}", account.address)

    _write(ground, op)


def edit_account(
    ground: Office,
    account: Account,
    *,
    name: str,
    role: Role,
    quota: int,
    language: str,
    actor: str,
    guard: Guard = unguarded,
) -> tuple[str, ...]:
    """Change what an account is called and may do; returns the names of what was changed, none being nothing to do.
    Raises LastAdministrator, and Changed by the guard."""
    wanted = {"name": name, "role": role.value, "quota": quota, "language": language}
    held = {"name": account.name, "role": account.role.value, "quota": account.quota, "language": account.language}
    changed = {key: value for key, value in wanted.items() if value != held[key]}

    def op(tx: Tx) -> None:
        guard()
        directory = ground.directory
        if "name" in changed:
            directory.set_name_in(tx, account.id, name)
        if "role" in changed:
            with _somebody_left_in(tx, account.id, actor):
                directory.set_role_in(tx, account.id, role)
        if "quota" in changed:
            directory.set_quota_in(tx, account.id, quota)
        if "language" in changed:
            directory.set_language_in(tx, account.id, language)
        _record(ground, tx, actor, "account.edit", account.address, **changed)

    if changed:
        _write(ground, op)
    return tuple(changed)


def restore_account(ground: Office, account: AccountId, *, password: str, actor: str) -> str:
    """Let a deleted account come back with its mail and this password; returns its address."""
    verifier = hash_password(password)

    def op(tx: Tx) -> str:
        address = ground.directory.restore_account_in(tx, account, verifier)
        _record(ground, tx, actor, "account.restore", address, account=account)
        return address

    return _write(ground, op)


def change_account(
    ground: Office,
    address: str,
    actor: str,
    *,
    name: str | None = None,
    role: Role | None = None,
    quota: int | None = None,
) -> None:
    """The name, the role or the quota (octets; 0 is unlimited) of an account; None leaves one as it is."""
    account = ground.directory.account(address)
    told = {"name": name, "role": role.value if role else None, "quota": quota}

    def op(tx: Tx) -> None:
        if name is not None:
            ground.directory.set_name_in(tx, account.id, name)
        if role is not None:
            with _somebody_left_in(tx, account.id, actor):
                ground.directory.set_role_in(tx, account.id, role)
        if quota is not None:
            ground.directory.set_quota_in(tx, account.id, quota)
        detail = {field: value for field, value in told.items() if value is not None}
        _record(ground, tx, actor, "account.change", account.address, **detail)

    _write(ground, op)


def delete_account(ground: Office, address: str, actor: str) -> None:
    """End an account; its mail stays until a purge. Raises LastAdministrator."""
    account = ground.directory.account(address)

    def op(tx: Tx) -> None:
        with _somebody_left_in(tx, account.id, actor):
            ground.directory.delete_account_in(tx, account.id)
        tx.publish(AccessEnded(account.id))
        _record(ground, tx, actor, "account.delete", account.address, account=account.id)

    _write(ground, op)


def add_domain(ground: Office, name: str, actor: str) -> None:
    """A domain whose mail becomes ours, with the keys that sign its mail."""
    pairs = dkim.new_pairs()

    def op(tx: Tx) -> None:
        domain = ground.directory.add_domain_in(tx, ground.directory.organisation().id, name)
        dkim.create_in(tx, domain, ground.keys, pairs)
        _record(ground, tx, actor, "domain.add", name)

    _write(ground, op)


def add_alias(ground: Office, address: str, targets: Sequence[str], *, group: bool, send_as: bool, actor: str) -> None:
    """An address that leads to others; with several targets, or on request, a group."""
    kind = AliasKind.GROUP if group or len(targets) > 1 else AliasKind.ALIAS

    def op(tx: Tx) -> None:
        ground.directory.add_alias_in(tx, address, targets, kind, send_as=send_as)
        _record(ground, tx, actor, "alias.add", address, kind=kind.value, targets=len(targets))

    _write(ground, op)


def set_targets(ground: Office, address: str, targets: Sequence[str], actor: str, *, guard: Guard = unguarded) -> None:
    """Where an alias (one target) or a group leads from now on."""
    kinds = [alias.kind for alias in ground.directory.aliases() if alias.address == address]
    if kinds == [AliasKind.ALIAS] and len(targets) != 1:
        raise Invalid(f"{len(targets)} targets", public="An alias has one target; make a group for several")

    def op(tx: Tx) -> None:
        guard()
        ground.directory.set_targets_in(tx, address, targets)
        _record(ground, tx, actor, "alias.edit", address, targets=len(targets))

    _write(ground, op)


def unknown(ground: Office, addresses: Sequence[str]) -> list[str]:
    """Those of our domains that are neither an account nor an alias nor a role; a catch-all does not count."""
    snapshot = ground.directory.snapshot()
    return [address for address in addresses if not is_known(snapshot, required(address))]


def delete_alias(ground: Office, address: str, actor: str) -> None:
    """Take an alias or a group away."""

    def op(tx: Tx) -> None:
        ground.directory.delete_alias_in(tx, address)
        _record(ground, tx, actor, "alias.delete", address)

    _write(ground, op)


def set_catch_all(ground: Office, domain: str, address: str | None, actor: str, *, guard: Guard = unguarded) -> None:
    """Who gets the mail for unknown local parts of a domain; None refuses it again. Raises Invalid, NotFound."""
    if address is not None and unknown(ground, [address]):
        # unknown names would lead to an unknown name
        raise NotFound(address, public=f"There is no {address}")

    def op(tx: Tx) -> None:
        guard()
        ground.directory.set_catch_all_in(tx, domain, address)
        _record(ground, tx, actor, "domain.catch-all", domain, address=address or "")

    _write(ground, op)


def change_setting(
    ground: Office,
    name: str,
    value: Value | None,
    actor: str,
    *,
    address: str | None = None,
    locked: bool = False,
    guard: Guard = unguarded,
) -> None:
    """Set a setting of the organisation, or of the account at `address`; None lets the wider value or default hold."""
    scope = scope_of(ground, address)

    def op(tx: Tx) -> None:
        guard()
        if value is None:
            ground.settings.clear_in(tx, scope, name)
        else:
            ground.settings.set_in(tx, scope, name, value, locked=locked)
        told = "" if value is None else str(value)
        _record(ground, tx, actor, "setting", f"{scope.level} {scope.id} {name}", value=told, locked=int(locked))

    ground.db.write(op)


def scope_of(ground: Office, address: str | None) -> Scope:
    """The account's scope, or the organisation's."""
    if address:
        return Scope.account(ground.directory.account(address).id)
    return Scope.organisation(ground.directory.organisation().id)


def note(ground: Office, actor: str, action: str, object: str, **detail: str | int) -> None:
    """An audit row for what was done in many transactions, or changed nothing in the directory."""
    ground.db.write(lambda tx: _record(ground, tx, actor, action, object, **detail))


def held(ground: Office, account: Account) -> Usage:
    """What an account holds, and may hold."""
    with ground.db.read() as reader:
        return usage(reader, account.id)


@contextmanager
def _somebody_left_in(tx: Tx, account: AccountId, actor: str) -> Iterator[None]:
    """Around what may take an administrator away: afterwards there is one still, if this account was one. Whoever sits
    at the console may do without: the console can always make another."""
    before = administrators_in(tx)
    yield
    if account in before and not administrators_in(tx) and not actor.startswith(CONSOLE):
        raise LastAdministrator(f"account {account} is the last administrator")


def _write(ground: Office, op: Callable[[Tx], T]) -> T:
    """Do it, and read the directory again here, so that the event loop need not."""
    result = ground.db.write(op)
    ground.directory.refresh()
    return result


def _record(ground: Office, tx: Tx, actor: str, action: str, object: str, **detail: str | int) -> None:
    organisation = ground.directory.organisation().id
    ground.audit.record_in(tx, organisation=organisation, actor=actor, action=action, object=object, detail=detail)
