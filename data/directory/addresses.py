"""Where an address leads, and who may write as it: pure questions to a Snapshot.

Promises: an expansion ends, whatever the aliases say: an alias is followed once, and nesting deeper than DEPTH is
taken for a loop. An account is named once, however many ways lead to it. RFC 5321 §4.5.1: <postmaster> and
postmaster@ of each of our domains reach the administrators; RFC 2142 §4 asks the same of abuse@.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from data.directory.facts import Account, Domain, Resolution, Status, Target, Where
from data.directory.snapshot import Key, Snapshot
from data.errors import Invalid
from data.ids import AccountId
from data.mime.address import AddressError, NormalAddress, normal

DEPTH = 10
ROLE_ADDRESSES = frozenset({"postmaster", "abuse"})
_CATCH_ALL = ""


@dataclass(slots=True)
class _Expansion:
    """What one walk through the aliases has found so far."""

    snapshot: Snapshot
    deliveries: dict[AccountId, Target] = field(default_factory=dict)
    forwards: dict[str, None] = field(default_factory=dict)
    seen: set[Key] = field(default_factory=set)
    looped: bool = False
    suspended: bool = False

    def walk(self, address: NormalAddress, tag: str | None, depth: int) -> None:
        """Follow one address to its accounts; `tag` is what an alias on the way was written with."""
        domain = self.snapshot.domains.get(address.domain)
        if domain is None:
            self.forwards.setdefault(address.address)
        elif domain.status is not Status.ACTIVE:
            self.suspended = True
        else:
            self._walk_domain(domain, address, tag, depth)

    def _walk_domain(self, domain: Domain, address: NormalAddress, tag: str | None, depth: int) -> None:
        found = False
        if address.base_key in ROLE_ADDRESSES:
            found = self.deliver(self.snapshot.administrators, address.tag or tag)
        # an address that holds a + of its own goes before the sub-address
        if self.follow_local((domain.name, address.key), tag, depth):
            return
        if address.tag is not None and self.follow_local((domain.name, address.base_key), address.tag, depth):
            return
        if not found and domain.catch_all is not None:
            self._follow((domain.name, _CATCH_ALL), (domain.catch_all,), None, depth)

    def follow_local(self, key: Key, tag: str | None, depth: int) -> bool:
        """Deliver to the account, or follow the alias, of exactly this key; False when there is neither."""
        account = self.snapshot.accounts.get(key)
        if account is not None:
            return self.deliver((account,), tag)
        alias = self.snapshot.aliases.get(key)
        if alias is None:
            return False
        self._follow(key, alias.targets, tag, depth)
        return True

    def _follow(self, key: Key, targets: tuple[str, ...], tag: str | None, depth: int) -> None:
        if key in self.seen or depth >= DEPTH:
            self.looped = True
            return
        self.seen.add(key)
        for target in targets:
            address = parsed(target)
            if address is not None:
                self.walk(address, tag, depth + 1)

    def deliver(self, accounts: tuple[Account, ...], tag: str | None) -> bool:
        """Add accounts to the outcome; False when there were none."""
        for account in accounts:
            self.deliveries.setdefault(account.id, Target(account.id, account.address, tag))
        return bool(accounts)

    def resolution(self) -> Resolution:
        """The outcome in one word, and the recipients."""
        if self.deliveries or self.forwards:
            return Resolution(Where.DELIVER, tuple(self.deliveries.values()), tuple(self.forwards))
        if self.suspended:
            return Resolution(Where.SUSPENDED)
        return Resolution(Where.LOOP if self.looped else Where.UNKNOWN)


def parsed(address: str) -> NormalAddress | None:
    """The normal form, or None for what is no address."""
    try:
        return normal(address)
    except AddressError:
        return None


def is_known(snapshot: Snapshot, address: NormalAddress) -> bool:
    """Is it somebody else's, or one of our accounts, aliases or roles by name? A catch-all does not count."""
    if address.domain not in snapshot.domains or address.base_key in ROLE_ADDRESSES:
        return True
    keys = ((address.domain, address.key), (address.domain, address.base_key))
    return any(key in snapshot.accounts or key in snapshot.aliases for key in keys)


def required(address: str) -> NormalAddress:
    """The normal form; raises Invalid."""
    try:
        return normal(address)
    except AddressError as error:
        raise Invalid(address, public=error.public) from None


def resolve(snapshot: Snapshot, address: NormalAddress) -> Resolution:
    """Where a recipient leads; one without a domain can only be <postmaster> (RFC 5321 §4.1.1.3)."""
    if not address.domain:
        return postmaster(snapshot) if address.base_key == "postmaster" else Resolution(Where.UNKNOWN)
    if address.domain not in snapshot.domains:
        return Resolution(Where.REMOTE)
    expansion = _Expansion(snapshot)
    expansion.walk(address, None, 0)
    return expansion.resolution()


def postmaster(snapshot: Snapshot) -> Resolution:
    """Who reads what is sent to <postmaster> without a domain (RFC 5321 §4.1.1.3)."""
    expansion = _Expansion(snapshot)
    expansion.deliver(snapshot.administrators, None)
    return expansion.resolution()


def may_use(snapshot: Snapshot, account_id: AccountId, address: str) -> bool:
    """May this account write as `address`: its own (with or without a tag), an alias that leads to it, a delegation?"""
    account, wanted = snapshot.by_id.get(account_id), parsed(address)
    if account is None or wanted is None:
        return False
    names = {(wanted.domain, wanted.key), (wanted.domain, wanted.base_key)}
    if (account.domain, account.local_key) in names:
        return True
    granted = {f"{key}@{domain}" for domain, key in names}
    if granted.intersection(snapshot.delegates.get(account_id, ())):
        return True
    return any(_leads_to(snapshot, key, account) for key in names)


def _leads_to(snapshot: Snapshot, key: Key, account: Account) -> bool:
    alias = snapshot.aliases.get(key)
    if alias is None or not alias.send_as:
        return False
    expansion = _Expansion(snapshot)
    expansion.follow_local(key, None, 0)
    return account.id in expansion.deliveries


def login_candidate(snapshot: Snapshot, identity: str) -> Account | None:
    """The account that signs in under `identity`: its address, or its bare local part while there is one domain."""
    if "@" not in identity:
        if len(snapshot.domains) != 1:
            return None
        identity = f"{identity}@{next(iter(snapshot.domains))}"
    address = parsed(identity)
    return snapshot.accounts.get((address.domain, address.key)) if address is not None else None
