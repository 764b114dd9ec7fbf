"""The directory's facts: frozen records of organisation, domain, account, alias, and of where an address leads.

Addresses are as data.mime.address makes them: the local part folded for comparison, the domain as A-label. Times are
milliseconds UTC, sizes octets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from data.ids import AccountId, AddressId, DomainId, Millis, OrganisationId
from data.principal import ADMINISTRATORS, Principal, Role


class Status(StrEnum):
    """What an account or a domain may do now. A suspended account still receives; nobody signs in to it."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class AliasKind(StrEnum):
    """An address that is not an account: an alias has one target, a group any number."""

    ALIAS = "alias"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Organisation:
    """The one organisation of an installation."""

    id: OrganisationId
    name: str
    timezone: str
    language: str


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain whose mail is ours; `catch_all` is the address that takes what nobody else does."""

    id: DomainId
    organisation: OrganisationId
    name: str
    status: Status
    catch_all: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """One person's mail. `local` is as written, `address` is the folded form everything is compared by."""

    id: AccountId
    organisation: OrganisationId
    department: int | None
    domain: str
    local: str
    local_key: str
    name: str
    role: Role
    status: Status
    language: str
    quota: int
    created_at: Millis

    @property
    def address(self) -> str:
        """The account's own address in its normal form."""
        return f"{self.local_key}@{self.domain}"

    @property
    def active(self) -> bool:
        """May its owner sign in?"""
        return self.status is Status.ACTIVE

    @property
    def administers(self) -> bool:
        """Does mail to postmaster reach it?"""
        return self.active and self.role in ADMINISTRATORS

    def principal(self, credential: int | None = None) -> Principal:
        """Who acts once this account has proved itself; for the login gate alone, which says by what."""
        return Principal(self.id, self.organisation, self.address, self.role, self.language, credential)


@dataclass(frozen=True, slots=True)
class Credential:
    """One way to prove an account: kind `password` (argon2id verifier) or `app` (keyed digest)."""

    id: int
    kind: str
    label: str
    verifier: str = field(repr=False)
    scopes: str
    expires_at: Millis | None


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias or a group: `targets` are addresses of ours or of others; `send_as` lets those it leads to write as it."""

    id: AddressId
    organisation: OrganisationId
    domain: str
    local_key: str
    kind: AliasKind
    name: str
    send_as: bool
    targets: tuple[str, ...]

    @property
    def address(self) -> str:
        """The alias in its normal form."""
        return f"{self.local_key}@{self.domain}"


class Where(StrEnum):
    """What a recipient turned out to be."""

    DELIVER = "deliver"
    UNKNOWN = "unknown"
    REMOTE = "remote"
    SUSPENDED = "suspended"
    LOOP = "loop"


@dataclass(frozen=True, slots=True)
class Target:
    """One account that gets the message: `address` is its own, `tag` what followed the + of the recipient."""

    account_id: AccountId
    address: str
    tag: str | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where a recipient leads: accounts of ours, and addresses elsewhere to forward to."""

    status: Where
    deliveries: tuple[Target, ...] = ()
    forwards: tuple[str, ...] = ()
