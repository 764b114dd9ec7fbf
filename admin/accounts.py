"""Accounts: the list, one account, adding, changing, suspending, deleting, restoring, a new password.

Promises: nobody locks themselves out here: who is signed in can neither suspend, delete nor demote themselves, and an
owner's account is changed by owners alone. A password that was made here is shown once and never again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from flask import Response, request

from admin.desk import PAGE, Desk, actor, desk, key, refused, show, words
from appliance.i18n import N_
from appliance.ops import people
from appliance.web.access import Access, Routes
from appliance.web.apps import here, moved
from appliance.web.forms import Form
from appliance.web.pages import LANGUAGES
from data.directory.bin import Deleted, deleted, deleted_one
from data.directory.credentials import new_password
from data.directory.facts import Account, Status
from data.errors import Refused, StoreError
from data.ids import AccountId
from data.principal import Role
from data.store.quota import usage

routes = Routes("accounts")
MEGABYTE: Final = 1_000_000
_QUOTA_MOST: Final = 100_000_000
_PASSWORD_LEAST: Final = 10
_HIGH: Final = frozenset({Role.OWNER, Role.OPERATOR})
ROLE_NAMES: Final = {
    Role.USER.value: N_("User"),
    Role.ADMINISTRATOR.value: N_("Administrator"),
    Role.OWNER.value: N_("Owner"),
    Role.OPERATOR.value: N_("Operator"),
}


@routes.get("/accounts", Access.ADMIN)
def listed() -> Response:
    """Accounts by the order in which they were made, a page at a time."""
    office, asked, after = desk(), words(), key("after")
    low = asked.lower()
    matching = [
        one
        for one in sorted(office.directory.accounts(), key=lambda account: account.id)
        if one.id > after and (low in one.address or low in one.name.lower())
    ]
    shown = matching[:PAGE]
    with office.db.read() as reader:
        rows = [(one, usage(reader, one.id)) for one in shown]
        gone: Sequence[Deleted] = deleted(reader, 20) if not after and not asked else ()
    following = shown[-1].id if len(matching) > PAGE else None
    return show(
        "admin/accounts.html",
        "users",
        rows=rows,
        query=asked,
        after=after,
        following=following,
        gone=gone,
        roles=ROLE_NAMES,
    )


@routes.get("/accounts/new", Access.ADMIN)
def new() -> Response:
    """The form of a new account."""
    quota = desk().settings.number(people.scope_of(desk(), None), "account.quota")
    return _new(Form(quota=str(quota // MEGABYTE), language=here().language))


@routes.post("/accounts/new", Access.ADMIN)
def add() -> Response:
    """Add an account; a password that was left empty is made here and shown once."""
    office, form = desk(), Form(request.form)
    address = form.text("address", most=320, required=True).lower()
    if address and "@" not in address and len(office.directory.domains()) == 1:
        address = f"{address}@{office.directory.domains()[0].name}"
    name, role, quota, language = _wanted(form, (Role.USER, Role.ADMINISTRATOR))
    password, made = _password(form)
    if form.good:
        try:
            ident = people.add_account(
                office, address, password=password, name=name, role=role, quota=quota, language=language, actor=actor()
            )
        except StoreError as error:
            refused(form, "address", error)
    if not form.good:
        return _new(form, 422)
    return _told(office.directory.account_by_id(ident), password) if made else moved(f"/accounts/{ident}?done=added")


def _new(form: Form, status: int = 200) -> Response:
    domains = [one.name for one in desk().directory.domains()]
    return show(
        "admin/account_new.html", "users", status, form=form, domains=domains, languages=LANGUAGES, roles=ROLE_NAMES
    )


@routes.get("/accounts/<int:ident>", Access.ADMIN)
def one(ident: int) -> Response:
    """One account, its form and what can be done with it."""
    account = desk().directory.account_by_id(AccountId(ident))
    quota = -(-account.quota // MEGABYTE)
    form = Form(name=account.name, role=account.role.value, quota=str(quota), language=account.language)
    return _account(account, form)


def _account(account: Account, form: Form, status: int = 200) -> Response:
    office, current = desk(), here()
    with office.db.read() as reader:
        held = usage(reader, account.id)
    leading = [alias for alias in office.directory.aliases() if account.address in alias.targets]
    return show(
        "admin/account.html",
        "users",
        status,
        account=account,
        form=form,
        held=held,
        aliases=leading,
        own=account.id == current.account.id,
        locked=not _may_change(account),
        second=current.parts.factors.enrolled(account.id),
        sessions=current.parts.sessions.of(account.id),
        languages=LANGUAGES,
        roles=ROLE_NAMES,
        choices=_roles_for(account),
    )


@routes.post("/accounts/<int:ident>", Access.ADMIN)
def edit(ident: int) -> Response:
    """Name, role, limit and language."""
    office, form = desk(), Form(request.form)
    account = _changeable(office, ident)
    name, role, quota, language = _wanted(form, _roles_for(account))
    if -(-account.quota // MEGABYTE) * MEGABYTE == quota:
        quota = account.quota  # a limit that is no whole number of megabytes stays as it is
    if account.id == here().account.id and role is not account.role:
        form.refuse("role", N_("You cannot take your own role away; another administrator can."))
    if form.good:
        try:
            changed = people.edit_account(
                office, account, name=name, role=role, quota=quota, language=language, actor=actor()
            )
        except StoreError as error:
            refused(form, "name", error)
    if not form.good:
        return _account(account, form, 422)
    return moved(f"/accounts/{ident}?done={'saved' if changed else 'same'}")


@routes.post("/accounts/<int:ident>/password", Access.ADMIN)
def password(ident: int) -> Response:
    """A new password, typed or made."""
    office, form = desk(), Form(request.form)
    account = _changeable(office, ident)
    text, made = _password(form)
    if not form.good:
        shown = Form(name=account.name, role=account.role.value, language=account.language)
        shown.values["quota"] = str(-(-account.quota // MEGABYTE))
        shown.errors.update(form.errors)
        return _account(account, shown, 422)
    people.set_password(office, account.address, text, actor())
    return _told(account, text) if made else moved(f"/accounts/{ident}?done=saved")


@routes.post("/accounts/<int:ident>/suspend", Access.ADMIN)
def suspend(ident: int) -> Response:
    """Nobody signs in to it; it still receives."""
    return _change(
        ident, lambda office, who: people.set_status(office, who.address, Status.SUSPENDED, actor()), "suspended"
    )


@routes.post("/accounts/<int:ident>/resume", Access.ADMIN)
def resume(ident: int) -> Response:
    """Its owner may sign in again."""
    return _change(ident, lambda office, who: people.set_status(office, who.address, Status.ACTIVE, actor()), "active")


@routes.get("/accounts/<int:ident>/delete", Access.ADMIN)
def ask_delete(ident: int) -> Response:
    """Are you sure?"""
    office = desk()
    account = office.directory.account_by_id(AccountId(ident))
    with office.db.read() as reader:
        held = usage(reader, account.id)
    return show("admin/account_delete.html", "users", account=account, held=held)


@routes.post("/accounts/<int:ident>/delete", Access.ADMIN)
def delete(ident: int) -> Response:
    """Into the recycle bin: the address is free, the mail is kept."""
    office = desk()
    account = _changeable(office, ident, own=False)
    people.delete_account(office, account.address, actor())
    return moved("/accounts?done=deleted")


@routes.post("/accounts/<int:ident>/restore", Access.ADMIN)
def restore(ident: int) -> Response:
    """Back out of the recycle bin, with a password that is shown once."""
    office = desk()
    with office.db.read() as reader:
        deleted_one(reader, AccountId(ident))
    made = new_password()
    people.restore_account(office, AccountId(ident), password=made, actor=actor())
    return _told(office.directory.account_by_id(AccountId(ident)), made)


def _told(account: Account, made: str) -> Response:
    return show("admin/password.html", "users", account=account, password=made)


def _change(ident: int, change: Callable[[Desk, Account], None], done: str) -> Response:
    office = desk()
    change(office, _changeable(office, ident, own=False))
    return moved(f"/accounts/{ident}?done={done}")


def _changeable(office: Desk, ident: int, *, own: bool = True) -> Account:
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


def _password(form: Form) -> tuple[str, bool]:
    """The password that was typed, or one that is made here (then True)."""
    typed = request.form.get("password", "")
    if not typed:
        return new_password(), True
    if len(typed) < _PASSWORD_LEAST:
        form.refuse("password", N_("At least %(least)s characters."), least=_PASSWORD_LEAST)
    return form.secret("password"), False
