"""Aliases and groups: addresses that lead to others."""

from __future__ import annotations

import re
from typing import Final

from flask import Response, request

from admin.desk import PAGE, actor, desk, key, refused, show, words
from appliance.i18n import N_
from appliance.ops import people
from appliance.web.access import Access, Routes
from appliance.web.apps import moved
from appliance.web.forms import Form
from data.directory.facts import Alias, AliasKind
from data.directory.rows import MAX_TARGETS
from data.errors import NotFound, StoreError
from data.ids import AddressId

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
    return show("admin/aliases.html", "aliases", rows=shown, query=asked, after=after, following=following)


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
    return moved("/aliases?done=alias-added") if form.good else _new(form, 422)


def _new(form: Form, status: int = 200) -> Response:
    return show("admin/alias_new.html", "aliases", status, form=form, domains=desk().directory.domains())


@routes.get("/aliases/<int:ident>", Access.ADMIN)
def one(ident: int) -> Response:
    """One address and where it leads."""
    alias = _alias(ident)
    return _one(alias, Form(targets="\n".join(alias.targets)))


def _one(alias: Alias, form: Form, status: int = 200) -> Response:
    return show("admin/alias.html", "aliases", status, alias=alias, form=form)


@routes.post("/aliases/<int:ident>", Access.ADMIN)
def edit(ident: int) -> Response:
    """Where it leads from now on."""
    alias, form = _alias(ident), Form(request.form)
    targets = _targets(form, single=alias.kind is AliasKind.ALIAS)
    if form.good:
        try:
            people.set_targets(desk(), alias.address, targets, actor())
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
    found = next((one for one in desk().directory.aliases() if one.id == AddressId(ident)), None)
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
