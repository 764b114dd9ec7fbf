"""Aliases and groups: addresses that lead to others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Response, request

from admin.desk import PAGE, Desk, actor, by_whom, desk, key, query_of, refused, show, unchanged, version, words
from appliance.i18n import N_
from appliance.ops import people
from appliance.web.access import Access, Routes
from appliance.web.apps import moved
from appliance.web.forms import Form
from data.directory.facts import Account, Alias, AliasKind
from data.directory.rows import MAX_TARGETS
from data.errors import Invalid, NotFound, StoreError
from data.ids import AddressId
from data.mime.address import AddressError, normal

routes = Routes("aliases")
_BREAKS: Final = re.compile(r"[\s,;]+")
_TARGETS_LONG: Final = 100_000


@routes.get("/aliases", Access.ADMIN)
def listed() -> Response:
    """Aliases and groups by the order in which they were made, a page at a time."""
    asked, after = words(), key("after")
    low = asked.lower()
    matching = [
        one
        for one in sorted(desk().directory.aliases(), key=lambda alias: alias.id)
        if one.id > after and (low in one.address or any(low in target for target in one.targets))
    ]
    shown = matching[:PAGE]
    following = shown[-1].id if len(matching) > PAGE else None
    return show(
        "admin/aliases.html",
        "aliases",
        rows=[(one, any(member.external for member in members(one.targets))) for one in shown],
        query=asked,
        after=after,
        following=following,
        filters=query_of(q=asked),
    )


@dataclass(frozen=True, slots=True)
class Member:
    """Where an address leads: `kind` is person, suspended, group, external or nobody; `to` its page, where it has one."""

    address: str
    kind: str
    name: str = ""
    to: str = ""

    @property
    def external(self) -> bool:
        """Does mail to it leave the server?"""
        return self.kind == "external"


def members(targets: Sequence[str]) -> list[Member]:
    """What each target is."""
    office = desk()
    people_here = {one.address: one for one in office.directory.accounts()}
    aliases = {one.address: one for one in office.directory.aliases()}
    return [_member(target, people_here.get(target), aliases.get(target)) for target in targets]


def _member(target: str, account: Account | None, alias: Alias | None) -> Member:
    if account is not None:
        kind = "person" if account.active else "suspended"
        return Member(target, kind, account.name, f"/accounts/{account.id}")
    if alias is not None:
        return Member(target, "group", alias.name, f"/aliases/{alias.id}")
    try:
        absent = people.unknown(desk(), [target])
    except Invalid:
        absent = [target]
    local = desk().directory.is_local(target.rpartition("@")[2])
    return Member(target, "nobody" if absent else "person" if local else "external")


@routes.get("/aliases/new", Access.ADMIN)
def new() -> Response:
    """The form of a new address."""
    return _new(Form(kind=AliasKind.ALIAS.value, send_as="1", targets=words("target", 320)))


@routes.post("/aliases/new", Access.ADMIN)
def add() -> Response:
    """Add an alias or a group."""
    office, form = desk(), Form(request.form)
    address = form.text("address", most=320, required=True).lower()
    if address and "@" not in address and len(office.directory.domains()) == 1:
        address = f"{address}@{office.directory.domains()[0].name}"
    kind = form.choice("kind", AliasKind.ALIAS.value, AliasKind.GROUP.value)
    send_as, targets = form.flag("send_as"), _targets(form, single=kind == AliasKind.ALIAS.value)
    if form.good:
        try:
            group = kind == AliasKind.GROUP.value
            people.add_alias(office, address, targets, group=group, send_as=send_as, actor=actor())
        except StoreError as error:
            refused(form, "address", error)
    if not form.good:
        return _new(form, 422)
    made = next((one for one in office.directory.aliases() if one.address == _normal(address)), None)
    return moved(f"/aliases/{made.id}?done=alias-added" if made else "/aliases?done=alias-added")


def _normal(address: str) -> str:
    try:
        return normal(address).address
    except AddressError:
        return address


def _new(form: Form, status: int = 200) -> Response:
    return show("admin/alias_new.html", "aliases", status, form=form, domains=desk().directory.domains())


@routes.get("/aliases/<int:ident>", Access.ADMIN)
def one(ident: int) -> Response:
    """One address and where it leads."""
    alias = _alias(ident)
    return _one(alias, Form(targets="\n".join(alias.targets)))


def _one(alias: Alias, form: Form, status: int = 200, *, meanwhile: str | None = None) -> Response:
    return show(
        "admin/alias.html",
        "aliases",
        status,
        alias=alias,
        form=form,
        members=members(alias.targets),
        version=version(*alias.targets),
        meanwhile=meanwhile,
    )


@routes.post("/aliases/<int:ident>", Access.ADMIN)
def edit(ident: int) -> Response:
    """Where it leads from now on."""
    alias, form, office = _alias(ident), Form(request.form), desk()
    targets = _targets(form, single=alias.kind is AliasKind.ALIAS)
    seen = request.form.get("version", "")
    guard = unchanged(seen, lambda: version(*_alias_of(office, ident).targets)) if seen else people.unguarded
    if form.good:
        try:
            guard()
            people.set_targets(office, alias.address, targets, actor(), guard=guard)
        except people.Changed:
            fresh = _alias(ident)
            return _one(fresh, form, 409, meanwhile=by_whom(fresh.address, "alias"))
        except StoreError as error:
            refused(form, "targets", error)
    return moved(f"/aliases/{ident}?done=saved") if form.good else _one(alias, form, 422)


@routes.post("/aliases/<int:ident>/delete", Access.ADMIN)
def delete(ident: int) -> Response:
    """Take it away."""
    people.delete_alias(desk(), _alias(ident).address, actor())
    return moved("/aliases?done=alias-deleted")


def _alias(ident: int) -> Alias:
    """The alias of that id. Raises NotFound."""
    return _alias_of(desk(), ident)


def _alias_of(office: Desk, ident: int) -> Alias:
    found = next((one for one in office.directory.aliases() if one.id == AddressId(ident)), None)
    if found is None:
        raise NotFound(f"alias {ident}")
    return found


def _targets(form: Form, *, single: bool) -> list[str]:
    """The addresses that were typed, one a line, or separated by commas or blanks."""
    found = [
        part for part in _BREAKS.split(form.text("targets", most=_TARGETS_LONG, required=True, lines=True)) if part
    ]
    bad = next((part for part in found if "@" not in part), None)
    if bad is not None:
        form.refuse("targets", N_("%(address)s is not a whole address."), address=bad[:80])
    elif single and len(found) > 1:
        form.refuse("targets", N_("An alias has one target; make a group for several."))
    elif len(found) > MAX_TARGETS:
        form.refuse("targets", N_("At most %(most)s addresses."), most=MAX_TARGETS)
    return found
