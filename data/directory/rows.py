"""Writes to the directory, each inside somebody's transaction.

Promises: a bad name raises Invalid, a taken one Conflict, a missing one NotFound, and then nothing was written. May
not: commit, make mailboxes (the store does) or write audit rows (whoever decided does).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select, update

from data.directory.addresses import required
from data.directory.facts import AliasKind, Status
from data.disk import tables as t
from data.disk.db import Reader, Tx
from data.errors import Conflict, Invalid, NotFound
from data.ids import AccountId, AddressId, DomainId, OrganisationId
from data.mime.address import AddressError, NormalAddress, domain_to_ascii
from data.principal import Role

MAX_TARGETS = 1000
MAX_NAME = 200

_b = bindparam
_NEW_ORGANISATION = (
    insert(t.organisation)
    .values(name=_b("name"), timezone=_b("timezone"), language=_b("language"), created_at=_b("now"))
    .returning(t.organisation.c.id)
)
_DOMAIN = select(t.domain.c.id, t.domain.c.organisation_id).where(t.domain.c.name == _b("name"))
_NEW_DOMAIN = (
    insert(t.domain)
    .values(organisation_id=_b("organisation"), name=_b("name"), created_at=_b("now"))
    .returning(t.domain.c.id)
)
_CATCH_ALL = update(t.domain).where(t.domain.c.id == _b("p_id")).values(catch_all=_b("address"))
_DOMAIN_STATUS = update(t.domain).where(t.domain.c.id == _b("p_id")).values(status=_b("new_status"))
_ACCOUNT_OF = select(t.account.c.id).where(
    t.account.c.domain_id == _b("domain"), t.account.c.local_key == _b("key"), t.account.c.deleted_at.is_(None)
)
_ALIAS_OF = select(t.alias.c.id).where(t.alias.c.domain_id == _b("domain"), t.alias.c.local_key == _b("key"))
_NEW_ACCOUNT = (
    insert(t.account)
    .values(
        organisation_id=_b("organisation"),
        domain_id=_b("domain"),
        local=_b("local"),
        local_key=_b("key"),
        name=_b("name"),
        role=_b("role"),
        language=_b("language"),
        quota=_b("quota"),
        created_at=_b("now"),
    )
    .returning(t.account.c.id)
)
_NEW_COUNTER = insert(t.counter).values(account_id=_b("account"), uidvalidity=_b("uidvalidity"))
_NEW_CREDENTIAL = (
    insert(t.credential)
    .values(
        organisation_id=_b("organisation"),
        account_id=_b("account"),
        kind=_b("kind"),
        label=_b("label"),
        verifier=_b("verifier"),
        scopes=_b("scopes"),
        created_at=_b("now"),
    )
    .returning(t.credential.c.id)
)
_DROP_CREDENTIAL = delete(t.credential).where(
    t.credential.c.id == _b("p_id"), t.credential.c.account_id == _b("account")
)
_USED = update(t.credential).where(t.credential.c.id == _b("p_id")).values(last_used_at=_b("now"))
_DROP_PASSWORDS = delete(t.credential).where(
    t.credential.c.account_id == _b("account"), t.credential.c.kind == "password"
)
_DROP_CREDENTIALS = delete(t.credential).where(t.credential.c.account_id == _b("account"))
_ACCOUNT_ORGANISATION = select(t.account.c.organisation_id).where(
    t.account.c.id == _b("account"), t.account.c.deleted_at.is_(None)
)
_STATUS = update(t.account).where(t.account.c.id == _b("account")).values(status=_b("new_status"))
_ROLE = update(t.account).where(t.account.c.id == _b("account")).values(role=_b("new_role"))
_QUOTA = update(t.account).where(t.account.c.id == _b("account")).values(quota=_b("new_quota"))
_LANGUAGE = update(t.account).where(t.account.c.id == _b("account")).values(language=_b("new_language"))
_NAME = update(t.account).where(t.account.c.id == _b("account")).values(name=_b("new_name"))
_END = (
    update(t.account)
    .where(t.account.c.id == _b("account"))
    .values(status="deleted", deleted_at=_b("now"), local_key=t.account.c.local_key + _b("suffix"))
)
_NEW_ALIAS = (
    insert(t.alias)
    .values(
        organisation_id=_b("organisation"),
        domain_id=_b("domain"),
        local=_b("local"),
        local_key=_b("key"),
        kind=_b("kind"),
        name=_b("name"),
        send_as=_b("send_as"),
        created_at=_b("now"),
    )
    .returning(t.alias.c.id)
)
_NEW_TARGET = insert(t.alias_target).values(
    organisation_id=_b("organisation"), alias_id=_b("alias"), address=_b("address")
)
_DROP_TARGETS = delete(t.alias_target).where(t.alias_target.c.alias_id == _b("alias"))
_DROP_ALIAS = delete(t.alias).where(t.alias.c.id == _b("alias"))
_DELEGATE = select(t.delegate.c.id).where(
    t.delegate.c.account_id == _b("account"), t.delegate.c.address == _b("address")
)
_NEW_DELEGATE = insert(t.delegate).values(
    organisation_id=_b("organisation"), account_id=_b("account"), address=_b("address")
)
_DROP_DELEGATE = delete(t.delegate).where(
    t.delegate.c.account_id == _b("account"), t.delegate.c.address == _b("address")
)


def add_organisation_in(tx: Tx, name: str, *, timezone: str = "UTC", language: str = "en") -> OrganisationId:
    """The organisation of a new installation."""
    row = {"name": _label(name), "timezone": timezone, "language": language, "now": tx.now}
    return OrganisationId(tx.value(_NEW_ORGANISATION, row))


def add_domain_in(tx: Tx, organisation: OrganisationId, name: str) -> DomainId:
    """A domain whose mail becomes ours; written in Unicode or as A-labels."""
    plain = domain_name(name)
    if tx.value(_DOMAIN, {"name": plain}) is not None:
        raise Conflict(plain, public=f"{plain} is already one of our domains")
    return DomainId(tx.value(_NEW_DOMAIN, {"organisation": organisation, "name": plain, "now": tx.now}))


def set_catch_all_in(tx: Tx, domain: str, address: str | None) -> None:
    """Who gets the mail for unknown local parts of a domain; None refuses it again."""
    ident, _ = _domain_in(tx, domain_name(domain))
    tx.run(_CATCH_ALL, {"p_id": ident, "address": None if address is None else required(address).key_address})


def set_domain_status_in(tx: Tx, domain: str, status: Status) -> None:
    """Take a domain out of service (its mail is deferred by those who send it) or back into it."""
    ident, _ = _domain_in(tx, domain_name(domain))
    tx.run(_DOMAIN_STATUS, {"p_id": ident, "new_status": status.value})


def add_account_in(
    tx: Tx, address: str, *, name: str, role: Role, password_verifier: str, language: str = "en", quota: int = 0
) -> AccountId:
    """An account with its counters and its password; the caller makes its mailboxes in the same transaction."""
    parts, domain, organisation = _free_in(tx, address)
    row = {
        "organisation": organisation,
        "domain": domain,
        "local": parts.local,
        "key": parts.key,
        "name": _label(name),
        "role": role.value,
        "language": language,
        "quota": quota,
        "now": tx.now,
    }
    account = AccountId(tx.value(_NEW_ACCOUNT, row))
    # UIDVALIDITY begins at the time, so that an address used again never repeats one (RFC 9051 §2.3.1.1)
    tx.run(_NEW_COUNTER, {"account": account, "uidvalidity": tx.now // 1000})
    add_credential_in(tx, account, kind="password", verifier=password_verifier)
    return account


def add_credential_in(
    tx: Tx, account: AccountId, *, kind: str, verifier: str, label: str = "", scopes: str = ""
) -> int:
    """One more way to prove the account; returns the credential's id."""
    row = {
        "organisation": _organisation_in(tx, account),
        "account": account,
        "kind": kind,
        "label": _label(label),
        "verifier": verifier,
        "scopes": scopes,
        "now": tx.now,
    }
    return int(tx.value(_NEW_CREDENTIAL, row))


def drop_credential_in(tx: Tx, account: AccountId, credential: int) -> None:
    """Take one way to prove the account away."""
    if not tx.run(_DROP_CREDENTIAL, {"p_id": credential, "account": account}):
        raise NotFound(f"credential {credential} of account {account}")


def used_in(tx: Tx, credential: int) -> None:
    """Note that somebody signed in with it; one that is gone is no matter."""
    tx.run(_USED, {"p_id": credential, "now": tx.now})


def set_password_in(tx: Tx, account: AccountId, verifier: str) -> None:
    """Replace the password; app passwords stay."""
    _organisation_in(tx, account)
    tx.run(_DROP_PASSWORDS, {"account": account})
    add_credential_in(tx, account, kind="password", verifier=verifier)


def set_status_in(tx: Tx, account: AccountId, status: Status) -> None:
    """Suspend an account or let it sign in again; `delete_account_in` ends it."""
    if status is Status.DELETED:
        raise Invalid("an account is deleted by delete_account_in")
    _organisation_in(tx, account)
    tx.run(_STATUS, {"account": account, "new_status": status.value})


def set_role_in(tx: Tx, account: AccountId, role: Role) -> None:
    """What the account may administer."""
    _organisation_in(tx, account)
    tx.run(_ROLE, {"account": account, "new_role": role.value})


def set_quota_in(tx: Tx, account: AccountId, octets: int) -> None:
    """How much the account may hold; 0 is unlimited."""
    if octets < 0:
        raise Invalid(f"quota {octets}")
    _organisation_in(tx, account)
    tx.run(_QUOTA, {"account": account, "new_quota": octets})


def set_name_in(tx: Tx, account: AccountId, name: str) -> None:
    """The person's name."""
    _organisation_in(tx, account)
    tx.run(_NAME, {"account": account, "new_name": _label(name)})


def set_language_in(tx: Tx, account: AccountId, language: str) -> None:
    """The language of notices to the person."""
    _organisation_in(tx, account)
    tx.run(_LANGUAGE, {"account": account, "new_language": language})


def delete_account_in(tx: Tx, account: AccountId) -> None:
    """End an account: nobody signs in, nothing is delivered, the address is free again. Its mail stays until a purge."""
    _organisation_in(tx, account)
    tx.run(_DROP_CREDENTIALS, {"account": account})
    tx.run(_END, {"account": account, "now": tx.now, "suffix": f" {account}"})


def add_alias_in(
    tx: Tx,
    address: str,
    targets: Sequence[str],
    *,
    kind: AliasKind = AliasKind.ALIAS,
    name: str = "",
    send_as: bool = True,
) -> AddressId:
    """An address that leads to others, ours or elsewhere. A target of ours need not exist yet."""
    parts, domain, organisation = _free_in(tx, address)
    row = {
        "organisation": organisation,
        "domain": domain,
        "local": parts.local,
        "key": parts.key,
        "kind": kind.value,
        "name": _label(name),
        "send_as": int(send_as),
        "now": tx.now,
    }
    plain = _targets(parts, targets, kind)
    alias = AddressId(tx.value(_NEW_ALIAS, row))
    tx.many(_NEW_TARGET, [{"organisation": organisation, "alias": alias, "address": a} for a in plain])
    return alias


def set_targets_in(tx: Tx, address: str, targets: Sequence[str]) -> None:
    """Replace where a group leads."""
    parts = required(address)
    alias, organisation = _alias_in(tx, parts)
    plain = _targets(parts, targets, AliasKind.GROUP)
    tx.run(_DROP_TARGETS, {"alias": alias})
    tx.many(_NEW_TARGET, [{"organisation": organisation, "alias": alias, "address": a} for a in plain])


def delete_alias_in(tx: Tx, address: str) -> None:
    """Take an alias or a group away."""
    alias, _ = _alias_in(tx, required(address))
    tx.run(_DROP_TARGETS, {"alias": alias})
    tx.run(_DROP_ALIAS, {"alias": alias})


def add_delegate_in(tx: Tx, account: AccountId, address: str) -> None:
    """Let an account write as an address of somebody else here."""
    organisation, plain = _organisation_in(tx, account), required(address).key_address
    if tx.value(_DELEGATE, {"account": account, "address": plain}) is not None:
        raise Conflict(plain, public="That delegation is there already")
    tx.run(_NEW_DELEGATE, {"organisation": organisation, "account": account, "address": plain})


def delete_delegate_in(tx: Tx, account: AccountId, address: str) -> None:
    """Take a delegation back."""
    if not tx.run(_DROP_DELEGATE, {"account": account, "address": required(address).key_address}):
        raise NotFound(f"delegate {address} of account {account}")


def domain_name(name: str) -> str:
    """A domain in its normal form; raises Invalid."""
    try:
        return domain_to_ascii(name)
    except AddressError as error:
        raise Invalid(name, public=error.public) from None


def _domain_in(reader: Reader, name: str) -> tuple[DomainId, OrganisationId]:
    row = reader.first(_DOMAIN, {"name": name})
    if row is None:
        raise NotFound(name, public=f"{name} is not one of our domains")
    return DomainId(row[0]), OrganisationId(row[1])


def free_in(tx: Tx, address: str) -> NormalAddress:
    """The address in its parts, once it is certain that nobody has it; Invalid, Conflict, NotFound (the domain)."""
    return _free_in(tx, address)[0]


def _free_in(tx: Tx, address: str) -> tuple[NormalAddress, DomainId, OrganisationId]:
    """The address in its parts and its domain, once it is certain that nobody has it."""
    parts = required(address)
    if parts.tag is not None:
        raise Invalid(address, public="An address of an account or alias has no + in it: what follows is a tag")
    domain, organisation = _domain_in(tx, parts.domain)
    key = {"domain": domain, "key": parts.key}
    if tx.value(_ACCOUNT_OF, key) is not None or tx.value(_ALIAS_OF, key) is not None:
        raise Conflict(parts.key_address, public=f"{parts.key_address} is already in use")
    return parts, domain, organisation


def _alias_in(tx: Tx, parts: NormalAddress) -> tuple[AddressId, OrganisationId]:
    domain, organisation = _domain_in(tx, parts.domain)
    found = tx.value(_ALIAS_OF, {"domain": domain, "key": parts.key})
    if found is None:
        raise NotFound(parts.key_address, public=f"There is no alias {parts.key_address}")
    return AddressId(found), organisation


def _targets(parts: NormalAddress, targets: Sequence[str], kind: AliasKind) -> list[str]:
    plain = list(dict.fromkeys(required(target).key_address for target in targets))
    if not plain or len(plain) > (1 if kind is AliasKind.ALIAS else MAX_TARGETS):
        limit = "one target" if kind is AliasKind.ALIAS else f"1 to {MAX_TARGETS} members"
        raise Invalid(f"{len(plain)} targets", public=f"This needs {limit}")
    if parts.key_address in plain:
        raise Invalid(parts.key_address, public="An alias may not lead to itself")
    return plain


def _organisation_in(tx: Tx, account: AccountId) -> OrganisationId:
    found = tx.value(_ACCOUNT_ORGANISATION, {"account": account})
    if found is None:
        raise NotFound(f"account {account}", public="There is no such account")
    return OrganisationId(found)


def _label(text: str) -> str:
    plain = " ".join(text.split())
    if len(plain) > MAX_NAME or not plain.isprintable():
        raise Invalid("bad name", public=f"A name has at most {MAX_NAME} printable characters")
    return plain
