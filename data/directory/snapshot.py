"""The whole directory in memory, as of one commit.

Promises: a Snapshot never changes, so any thread may read it without a lock; it is loaded in one read transaction.
May not: write, or decide anything (data.directory.addresses does).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from sqlalchemy import select

from data.directory.facts import Account, Alias, AliasKind, Credential, Domain, Organisation, Status
from data.disk import tables as t
from data.disk.db import Reader
from data.ids import AccountId, AddressId, DomainId, Millis, OrganisationId
from data.principal import Role

Key = tuple[str, str]
"""(domain, folded local part)."""

_K = TypeVar("_K")
_V = TypeVar("_V")

_ORGANISATION = select(
    t.organisation.c.id, t.organisation.c.name, t.organisation.c.timezone, t.organisation.c.language
).order_by(t.organisation.c.id)
_DOMAINS = select(
    t.domain.c.id, t.domain.c.organisation_id, t.domain.c.name, t.domain.c.status, t.domain.c.catch_all
).order_by(t.domain.c.id)
_ACCOUNTS = (
    select(
        t.account.c.id,
        t.account.c.organisation_id,
        t.account.c.department_id,
        t.domain.c.name,
        t.account.c.local,
        t.account.c.local_key,
        t.account.c.name,
        t.account.c.role,
        t.account.c.status,
        t.account.c.language,
        t.account.c.quota,
        t.account.c.created_at,
    )
    .join_from(t.account, t.domain, t.account.c.domain_id == t.domain.c.id)
    .where(t.account.c.deleted_at.is_(None))
    .order_by(t.account.c.id)
)
_CREDENTIALS = select(
    t.credential.c.account_id,
    t.credential.c.id,
    t.credential.c.kind,
    t.credential.c.label,
    t.credential.c.verifier,
    t.credential.c.scopes,
    t.credential.c.expires_at,
).order_by(t.credential.c.id)
_TWO_STEP = select(t.second_factor.c.account_id).where(t.second_factor.c.confirmed_at.is_not(None))
_TARGETS = select(t.alias_target.c.alias_id, t.alias_target.c.address).order_by(t.alias_target.c.id)
_ALIASES = (
    select(
        t.alias.c.id,
        t.alias.c.organisation_id,
        t.domain.c.name,
        t.alias.c.local_key,
        t.alias.c.kind,
        t.alias.c.name,
        t.alias.c.send_as,
    )
    .join_from(t.alias, t.domain, t.alias.c.domain_id == t.domain.c.id)
    .order_by(t.alias.c.id)
)
_DELEGATES = select(t.delegate.c.account_id, t.delegate.c.address).where(t.delegate.c.capability == "send_as")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every row that resolving an address or a sign-in needs, by the key it is asked for."""

    generation: int
    organisation: Organisation | None
    domains: Mapping[str, Domain]
    accounts: Mapping[Key, Account]
    by_id: Mapping[AccountId, Account]
    aliases: Mapping[Key, Alias]
    delegates: Mapping[AccountId, tuple[str, ...]]
    credentials: Mapping[AccountId, tuple[Credential, ...]]
    two_step: frozenset[AccountId]
    administrators: tuple[Account, ...]


def load(reader: Reader, generation: int) -> Snapshot:
    """Read the directory as this transaction sees it."""
    accounts = [_account(row) for row in reader.all(_ACCOUNTS)]
    first = reader.first(_ORGANISATION)
    return Snapshot(
        generation=generation,
        organisation=Organisation(OrganisationId(first[0]), *first[1:]) if first else None,
        domains=MappingProxyType({d.name: d for d in _domains(reader)}),
        accounts=MappingProxyType({(a.domain, a.local_key): a for a in accounts}),
        by_id=MappingProxyType({a.id: a for a in accounts}),
        aliases=MappingProxyType({(a.domain, a.local_key): a for a in _aliases(reader)}),
        delegates=_grouped((AccountId(a), address) for a, address in reader.all(_DELEGATES)),
        credentials=_grouped((AccountId(row[0]), Credential(*row[1:])) for row in reader.all(_CREDENTIALS)),
        two_step=frozenset(AccountId(row[0]) for row in reader.all(_TWO_STEP)),
        administrators=tuple(a for a in accounts if a.administers),
    )


def _account(row: tuple[object, ...]) -> Account:
    ident, organisation, department, domain, local, key, name, role, status, language, quota, created = row
    return Account(
        id=AccountId(_int(ident)),
        organisation=OrganisationId(_int(organisation)),
        department=None if department is None else _int(department),
        domain=str(domain),
        local=str(local),
        local_key=str(key),
        name=str(name),
        role=Role(str(role)),
        status=Status(str(status)),
        language=str(language),
        quota=_int(quota),
        created_at=Millis(_int(created)),
    )


def _domains(reader: Reader) -> Iterable[Domain]:
    for ident, organisation, name, status, catch_all in reader.all(_DOMAINS):
        yield Domain(DomainId(ident), OrganisationId(organisation), name, Status(status), catch_all)


def _aliases(reader: Reader) -> Iterable[Alias]:
    targets = _grouped((AddressId(a), address) for a, address in reader.all(_TARGETS))
    for ident, organisation, domain, key, kind, name, send_as in reader.all(_ALIASES):
        found = targets.get(AddressId(ident), ())
        yield Alias(
            AddressId(ident), OrganisationId(organisation), domain, key, AliasKind(kind), name, bool(send_as), found
        )


def _grouped(pairs: Iterable[tuple[_K, _V]]) -> Mapping[_K, tuple[_V, ...]]:
    found: dict[_K, list[_V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return MappingProxyType({key: tuple(values) for key, values in found.items()})


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
