"""The directory's front: questions answered from memory, writes that make the memory stale.

Promises: thread-safe; a question costs microseconds and may be asked on the event loop (the first one after a change
reads the directory again: `refresh` does that ahead, off the loop). Whoever was told that a write was committed sees
it in the next answer. May not: know protocols, hash passwords or sign anybody in.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from data.clock import Clock
from data.directory import addresses, bin, rows
from data.directory.credentials import PASSWORD
from data.directory.facts import (
    Account,
    Alias,
    AliasKind,
    Credential,
    Domain,
    Organisation,
    Resolution,
    Status,
)
from data.directory.snapshot import Snapshot, load
from data.disk.db import Database, Tx
from data.errors import NotFound
from data.ids import AccountId, AddressId, DomainId, OrganisationId
from data.mime.address import NormalAddress
from data.principal import Principal, Role


class Directory:
    """Organisation, domains, accounts and addresses of one database."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._guard = threading.Lock()
        self._generation = 1
        self._kept: Snapshot | None = None

    # --- the memory -------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The directory as of the last commit that touched it."""
        kept = self._kept
        if kept is not None and kept.generation == self._generation:
            return kept
        return self.refresh()

    def refresh(self) -> Snapshot:
        """Read the directory again if it changed; tens of milliseconds for thousands of accounts, so off the loop."""
        with self._guard:
            kept, generation = self._kept, self._generation
            if kept is not None and kept.generation == generation:
                return kept
            with self._db.read() as reader:
                kept = load(reader, generation)
            self._kept = kept
            return kept

    def stale_after(self, tx: Tx) -> None:
        """The transaction changes the directory: what is in memory ends with its commit."""
        tx.after_commit(self._mark_stale)

    def _mark_stale(self) -> None:
        # only the writer thread counts up, so the number needs no lock
        self._generation += 1

    # --- questions --------------------------------------------------------------------------------------------------

    def organisation(self) -> Organisation:
        """The organisation of this installation; NotFound before `init`."""
        found = self.snapshot().organisation
        if found is None:
            raise NotFound("no organisation row", public="This appliance has not been set up")
        return found

    def domains(self) -> tuple[Domain, ...]:
        """Our domains, oldest first."""
        return tuple(self.snapshot().domains.values())

    def domain(self, name: str) -> Domain:
        """The domain of that name, in Unicode or A-labels; NotFound."""
        plain = rows.domain_name(name)
        found = self.snapshot().domains.get(plain)
        if found is None:
            raise NotFound(plain, public=f"{plain} is not one of our domains")
        return found

    def is_local(self, domain: str) -> bool:
        """Is this A-label, lower-cased name one of our domains?"""
        return domain in self.snapshot().domains

    def accounts(self) -> tuple[Account, ...]:
        """Every account that is not deleted, oldest first."""
        return tuple(self.snapshot().accounts.values())

    def account(self, address: str) -> Account:
        """The account of an address, or of a bare local part while there is one domain; NotFound."""
        found = self.login_candidates(address)
        if found is None:
            raise NotFound(address, public="There is no such account")
        return found

    def account_by_id(self, account: AccountId) -> Account:
        """The account of that id; NotFound when it is deleted."""
        found = self.snapshot().by_id.get(account)
        if found is None:
            raise NotFound(f"account {account}", public="There is no such account")
        return found

    def aliases(self) -> tuple[Alias, ...]:
        """Every alias and group, oldest first."""
        return tuple(self.snapshot().aliases.values())

    def administrators(self) -> tuple[Account, ...]:
        """Who reads postmaster's mail: active accounts in an administrator's role."""
        return self.snapshot().administrators

    def credentials(self, account: AccountId) -> tuple[Credential, ...]:
        """The ways to prove an account."""
        return self.snapshot().credentials.get(account, ())

    def two_step(self, account: AccountId) -> bool:
        """Does its sign-in at the pages take a second factor, which other protocols cannot ask for?"""
        return account in self.snapshot().two_step

    def still_proves(self, principal: Principal) -> bool:
        """Is what the principal signed in with still good: not revoked, not changed, not refused since?"""
        if principal.credential is None:
            return True
        held = {one.id: one for one in self.credentials(principal.account)}.get(principal.credential)
        return held is not None and not (held.kind == PASSWORD and self.two_step(principal.account))

    def used(self, credential: int) -> None:
        """Note that somebody signed in with it now; blocks."""
        self._db.write(lambda tx: rows.used_in(tx, credential))

    def resolve(self, address: NormalAddress) -> Resolution:
        """Where a recipient leads (RFC 5321 §3.6.2); the question RCPT asks."""
        return addresses.resolve(self.snapshot(), address)

    def postmaster(self) -> Resolution:
        """Who reads what is sent to <postmaster> without a domain (RFC 5321 §4.1.1.3)."""
        return addresses.postmaster(self.snapshot())

    def may_use(self, account: AccountId, address: str) -> bool:
        """May the account put this address into MAIL FROM, From or Sender?"""
        return addresses.may_use(self.snapshot(), account, address)

    def login_candidates(self, identity: str) -> Account | None:
        """The account somebody who types `identity` means; suspended ones too, the gate refuses them in its time."""
        return addresses.login_candidate(self.snapshot(), identity)

    # --- writes, inside the caller's transaction ---------------------------------------------------------------------

    def add_organisation_in(self, tx: Tx, name: str, *, timezone: str = "UTC", language: str = "en") -> OrganisationId:
        """The organisation of a new installation."""
        self.stale_after(tx)
        return rows.add_organisation_in(tx, name, timezone=timezone, language=language)

    def add_domain_in(self, tx: Tx, organisation: OrganisationId, name: str) -> DomainId:
        """A domain whose mail becomes ours; Invalid, Conflict."""
        self.stale_after(tx)
        return rows.add_domain_in(tx, organisation, name)

    def set_catch_all_in(self, tx: Tx, domain: str, address: str | None) -> None:
        """Who gets the mail for unknown local parts of a domain; None refuses it again."""
        self.stale_after(tx)
        rows.set_catch_all_in(tx, domain, address)

    def set_domain_status_in(self, tx: Tx, domain: str, status: Status) -> None:
        """Take a domain out of service or back into it."""
        self.stale_after(tx)
        rows.set_domain_status_in(tx, domain, status)

    def add_account_in(
        self,
        tx: Tx,
        address: str,
        *,
        name: str = "",
        role: Role = Role.USER,
        password_verifier: str,
        language: str = "en",
        quota: int = 0,
    ) -> AccountId:
        """An account with counters and password, without mailboxes; Invalid, Conflict, NotFound (the domain)."""
        self.stale_after(tx)
        return rows.add_account_in(
            tx, address, name=name, role=role, password_verifier=password_verifier, language=language, quota=quota
        )

    def set_status_in(self, tx: Tx, account: AccountId, status: Status) -> None:
        """Suspend an account or let it sign in again."""
        self.stale_after(tx)
        rows.set_status_in(tx, account, status)

    def set_password_in(self, tx: Tx, account: AccountId, verifier: str) -> None:
        """Replace the password; app passwords stay."""
        self.stale_after(tx)
        rows.set_password_in(tx, account, verifier)

    def set_role_in(self, tx: Tx, account: AccountId, role: Role) -> None:
        """What the account may administer."""
        self.stale_after(tx)
        rows.set_role_in(tx, account, role)

    def set_quota_in(self, tx: Tx, account: AccountId, octets: int) -> None:
        """How much the account may hold; 0 is unlimited."""
        self.stale_after(tx)
        rows.set_quota_in(tx, account, octets)

    def set_name_in(self, tx: Tx, account: AccountId, name: str) -> None:
        """The person's name."""
        self.stale_after(tx)
        rows.set_name_in(tx, account, name)

    def set_language_in(self, tx: Tx, account: AccountId, language: str) -> None:
        """The language of notices to the person."""
        self.stale_after(tx)
        rows.set_language_in(tx, account, language)

    def delete_account_in(self, tx: Tx, account: AccountId) -> None:
        """End an account; its mail stays until a purge."""
        self.stale_after(tx)
        rows.delete_account_in(tx, account)

    def restore_account_in(self, tx: Tx, account: AccountId, verifier: str) -> str:
        """Let a deleted account come back under its old address, which is returned; NotFound, Conflict."""
        self.stale_after(tx)
        return bin.restore_in(tx, account, verifier)

    def add_credential_in(
        self, tx: Tx, account: AccountId, *, kind: str, verifier: str, label: str = "", scopes: str = ""
    ) -> int:
        """One more way to prove the account."""
        self.stale_after(tx)
        return rows.add_credential_in(tx, account, kind=kind, verifier=verifier, label=label, scopes=scopes)

    def drop_credential_in(self, tx: Tx, account: AccountId, credential: int) -> None:
        """Take one way to prove the account away."""
        self.stale_after(tx)
        rows.drop_credential_in(tx, account, credential)

    def add_alias_in(
        self,
        tx: Tx,
        address: str,
        targets: Sequence[str],
        kind: AliasKind = AliasKind.ALIAS,
        *,
        name: str = "",
        send_as: bool = True,
    ) -> AddressId:
        """An alias (one target) or a group (any number); Invalid, Conflict, NotFound (the domain)."""
        self.stale_after(tx)
        return rows.add_alias_in(tx, address, targets, kind=AliasKind(kind), name=name, send_as=send_as)

    def set_targets_in(self, tx: Tx, address: str, targets: Sequence[str]) -> None:
        """Replace where a group leads."""
        self.stale_after(tx)
        rows.set_targets_in(tx, address, targets)

    def delete_alias_in(self, tx: Tx, address: str) -> None:
        """Take an alias or a group away."""
        self.stale_after(tx)
        rows.delete_alias_in(tx, address)

    def add_delegate_in(self, tx: Tx, account: AccountId, address: str) -> None:
        """Let an account write as somebody else's address."""
        self.stale_after(tx)
        rows.add_delegate_in(tx, account, address)

    def delete_delegate_in(self, tx: Tx, account: AccountId, address: str) -> None:
        """Take a delegation back."""
        self.stale_after(tx)
        rows.delete_delegate_in(tx, account, address)
