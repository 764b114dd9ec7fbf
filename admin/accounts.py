"""Accounts: the list, one account, adding, changing, deleting, and the recycle bin.

Promises: nobody locks themselves out here: who is signed in can neither delete nor demote themselves, and an owner's
account is changed by owners alone. A password that was made here is shown once and never again. A form that is sent
twice adds one account; one that was opened before somebody else's change overwrites nothing unasked.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flask import Response, request

from admin.desk import PAGE, Desk, actor, by_whom, desk, key, query_of, refused, show, unchanged, version, words
from appliance.i18n import N_
from appliance.ops import people
from appliance.web.access import Access, Routes
from appliance.web.apps import here, moved
from appliance.web.flow import PASSWORD_LEAST
from appliance.web.forms import Form, Wrong
from appliance.web.pages import LANGUAGES
from data.directory.bin import deleted, deleted_one
from data.directory.credentials import new_password
from data.directory.facts import Account
from data.directory.people import holdings, last_here
from data.errors import Conflict, NotFound, Refused, StoreError
from data.ids import AccountId
from data.principal import Role
from data.store.quota import Usage, usage

routes = Routes("accounts")
MEGABYTE: Final = 1_000_000
_QUOTA_MOST: Final = 100_000_000
_HIGH: Final = frozenset({Role.OWNER, Role.OPERATOR})
_NOBODY: Final = (0, 0)
ROLE_NAMES: Final = {
    Role.USER.value: N_("User"),
    Role.ADMINISTRATOR.value: N_("Administrator"),
    Role.OWNER.value: N_("Owner"),
    Role.OPERATOR.value: N_("Operator"),
}
SORTS: Final = {
    "name": N_("By name"),
    "address": N_("By address"),
    "storage": N_("Most storage first"),
    "last": N_("Last signed in first"),
    "new": N_("Newest first"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list; `at` is its place in the order that was asked for."""

    account: Account
    held: Usage
    last: int
    at: tuple[str, int]


@routes.get("/accounts", Access.ADMIN)
def listed() -> Response:
    """Accounts in the order that was asked for, a page at a time."""
    office, asked, sort = desk(), words(), request.args.get("sort", "")
    sort = sort if sort in SORTS else "name"
    low, after = asked.lower(), _place(request.args.get("after", ""))
    with office.db.read() as reader:
        held, last = holdings(reader), last_here(reader)
    found = []
    for one in office.directory.accounts():
        if low in one.address or low in one.name.lower():
            octets, messages = held.get(one.id, _NOBODY)
            seen = last.get(one.id, 0)
            found.append(Row(one, Usage(octets, messages, one.quota), seen, (_order(sort, one, octets, seen), one.id)))
    matching = sorted((one for one in found if one.at > after), key=lambda one: one.at)
    shown = matching[:PAGE]
    following = f"{shown[-1].at[0]}~{shown[-1].at[1]}" if len(matching) > PAGE else ""
    return show(
        "admin/accounts.html",
        "users",
        rows=shown,
        query=asked,
        sort=sort,
        sorts=SORTS,
        after=after != ("", 0),
        following=following,
        filters=query_of(q=asked, sort=sort if sort != "name" else ""),
        roles=ROLE_NAMES,
    )


def _order(sort: str, one: Account, octets: int, seen: int) -> str:
    """What an account is sorted by, as text, so that it can stand in a URL."""
    if sort == "storage":
        return f"{2**62 - octets:020}"
    if sort == "last":
        return f"{2**62 - seen:020}"
    if sort == "new":
        return f"{2**62 - one.id:020}"
    return one.address if sort == "address" else (one.name or one.local).casefold()


def _place(given: str) -> tuple[str, int]:
    """Where the page before ended."""
    order, _, ident = given[:400].rpartition("~")
    return (order, int(ident)) if ident.isascii() and ident.isdigit() and len(ident) < 16 else ("", 0)


# --- adding ------------------------------------------------------------------------------------------------------------------


@routes.get("/accounts/new", Access.ADMIN)
def new() -> Response:
    """The form of a new account."""
    quota = desk().settings.number(people.scope_of(desk(), None), "account.quota")
    return _new(Form(quota=str(quota // MEGABYTE), language=here().language, once=secrets.token_hex(16)))


@routes.post("/accounts/new", Access.ADMIN)
def add() -> Response:
    """Add an account; a password that was left empty is made here and shown once."""
    office, form = desk(), Form(request.form)
    once = form.text("once", most=64)
    address = form.text("address", most=320, required=True).lower()
    if address and "@" not in address and len(office.directory.domains()) == 1:
        address = f"{address}@{office.directory.domains()[0].name}"
    name, role, quota, language = _wanted(form, (Role.USER, Role.ADMINISTRATOR))
    password, made = password_of(form)
    if not form.good:
        return _new(form, 422)
    with office.forms.lock:
        if once in office.forms.done:
            return moved(f"/accounts/{office.forms.done[once]}?done=twice")
        try:
            ident = people.add_account(
                office, address, password=password, name=name, role=role, quota=quota, language=language, actor=actor()
            )
        except StoreError as error:
            refused(form, "address", error)
            return _new(form, 422)
        office.forms.keep(once, ident)
    return (
        shown_once(office.directory.account_by_id(ident), password) if made else moved(f"/accounts/{ident}?done=added")
    )


def _new(form: Form, status: int = 200) -> Response:
    domains = [one.name for one in desk().directory.domains()]
    return show(
        "admin/account_new.html",
        "users",
        status,
        form=form,
        domains=domains,
        languages=LANGUAGES,
        roles=ROLE_NAMES,
        least=PASSWORD_LEAST,
    )


# --- one account -------------------------------------------------------------------------------------------------------------


@routes.get("/accounts/<int:ident>", Access.ADMIN)
def one(ident: int) -> Response:
    """One account, its form and what can be done with it."""
    return account_page(desk().directory.account_by_id(AccountId(ident)))


def account_page(
    account: Account,
    status: int = 200,
    *,
    form: Form | None = None,
    errors: Mapping[str, Wrong] | None = None,
    meanwhile: str | None = None,
) -> Response:
    """The page of an account; `form` as it was typed, else as things are. `meanwhile`: who changed it in between."""
    office, current = desk(), here()
    now = _facts(account)
    if form is None:
        form = Form()
        form.values.update(now)
    form.errors.update(errors or {})
    with office.db.read() as reader:
        held, last = usage(reader, account.id), last_here(reader).get(account.id, 0)
    return show(
        "admin/account.html",
        "users",
        status,
        account=account,
        form=form,
        now=now,
        version=version(*now.values()),
        meanwhile=meanwhile,
        held=held,
        last=last,
        aliases=[alias for alias in office.directory.aliases() if account.address in alias.targets],
        own=account.id == current.account.id,
        locked=not _may_change(account),
        second=current.parts.factors.enrolled(account.id),
        sessions=current.parts.sessions.of(account.id),
        this=current.session.id,
        languages=LANGUAGES,
        roles=ROLE_NAMES,
        choices=_roles_for(account),
        least=PASSWORD_LEAST,
    )


def _facts(account: Account) -> dict[str, str]:
    quota = -(-account.quota // MEGABYTE)
    return {"name": account.name, "role": account.role.value, "quota": str(quota), "language": account.language}


@routes.post("/accounts/<int:ident>", Access.ADMIN)
def edit(ident: int) -> Response:
    """Name, role, limit and language."""
    office, form = desk(), Form(request.form)
    account = changeable(office, ident)
    name, role, quota, language = _wanted(form, _roles_for(account))
    if -(-account.quota // MEGABYTE) * MEGABYTE == quota:
        quota = account.quota  # a limit that is no whole number of megabytes stays as it is
    if account.id == here().account.id and role is not account.role:
        form.refuse("role", N_("You cannot take your own role away; another administrator can."))
    if not form.good:
        return account_page(account, 422, form=form)

    def now() -> str:
        return version(*_facts(office.directory.account_by_id(account.id)).values())

    seen = request.form.get("version", "")
    guard = unchanged(seen, now) if seen else people.unguarded
    try:
        guard()
        changed = people.edit_account(
            office, account, name=name, role=role, quota=quota, language=language, actor=actor(), guard=guard
        )
    except people.Changed:
        fresh = office.directory.account_by_id(account.id)
        return account_page(fresh, 409, form=form, meanwhile=by_whom(fresh.address, "account"))
    except people.LastAdministrator:
        form.refuse("role", N_("This is the last administrator. Make somebody else one first."))
        return account_page(account, 422, form=form)
    return moved(f"/accounts/{ident}?done={'saved' if changed else 'same'}")


# --- the recycle bin ---------------------------------------------------------------------------------------------------------


@routes.get("/accounts/<int:ident>/delete", Access.ADMIN)
def ask_delete(ident: int) -> Response:
    """Are you sure?"""
    office = desk()
    account = changeable(office, ident, own=False)
    with office.db.read() as reader:
        held = usage(reader, account.id)
    leading = [alias for alias in office.directory.aliases() if account.address in alias.targets]
    return show("admin/account_delete.html", "users", account=account, held=held, aliases=leading)


@routes.post("/accounts/<int:ident>/delete", Access.ADMIN)
def delete(ident: int) -> Response:
    """Into the recycle bin: the address is free, the mail is kept."""
    office = desk()
    account = changeable(office, ident, own=False)
    people.delete_account(office, account.address, actor())
    return moved("/accounts/bin?done=deleted")


@routes.get("/accounts/bin", Access.ADMIN)
def recycle_bin() -> Response:
    """What was deleted, newest account first."""
    return _bin()


def _bin(status: int = 200, taken: str = "") -> Response:
    before = key("before")
    with desk().db.read() as reader:
        found = deleted(reader, PAGE + 1, **({"before": before} if before else {}))
    following = found[PAGE - 1].id if len(found) > PAGE else None
    return show("admin/bin.html", "users", status, rows=found[:PAGE], before=before, following=following, taken=taken)


@routes.post("/accounts/<int:ident>/restore", Access.ADMIN)
def restore(ident: int) -> Response:
    """Back out of the recycle bin, with a password that is shown once."""
    office = desk()
    with office.db.read() as reader:
        try:
            found = deleted_one(reader, AccountId(ident))
        except NotFound:
            # sent twice, or somebody else has restored it: it is an account again
            return moved(f"/accounts/{office.directory.account_by_id(AccountId(ident)).id}?done=back")
    made = new_password()
    try:
        people.restore_account(office, AccountId(ident), password=made, actor=actor())
    except Conflict:
        return _bin(409, found.address)
    return shown_once(office.directory.account_by_id(AccountId(ident)), made)


# --- parts of both rooms of people -------------------------------------------------------------------------------------------


def shown_once(account: Account, made: str) -> Response:
    """A password that was made here."""
    return show("admin/password.html", "users", account=account, password=made)


def changeable(office: Desk, ident: int, *, own: bool = True) -> Account:
    """The account, when whoever asks may change it. Raises NotFound, Refused."""
    account = office.directory.account_by_id(AccountId(ident))
    if not _may_change(account) or (not own and account.id == here().account.id):
        raise Refused(f"account {ident} by {actor()}")
    return account


def _may_change(account: Account) -> bool:
    return account.role not in _HIGH or here().account.role in _HIGH


def _roles_for(account: Account) -> tuple[Role, ...]:
    own = (account.role,) if account.role in _HIGH else ()
    return (*own, Role.USER, Role.ADMINISTRATOR)


def _wanted(form: Form, roles: Sequence[Role]) -> tuple[str, Role, int, str]:
    name = form.text("name", most=200)
    role = Role(form.choice("role", *(one.value for one in roles)))
    quota = form.number("quota", 0, _QUOTA_MOST) * MEGABYTE
    return name, role, quota, form.choice("language", *LANGUAGES)


def password_of(form: Form) -> tuple[str, bool]:
    """The password that was typed, or one that is made here (then True)."""
    typed = request.form.get("password", "")
    if not typed:
        return new_password(), True
    if len(typed) < PASSWORD_LEAST:
        form.refuse("password", N_("At least %(least)s characters."), least=PASSWORD_LEAST)
    return form.secret("password"), False
