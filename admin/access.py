"""How people get in: a new password, the second step taken away, signing them out, suspending.

Promises: every change is one transaction with its audit row. Nobody changes their own access here, where neither the
present password nor a code is asked for: that is what the security page is for; an owner's is changed by owners alone.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from admin.accounts import account_page, changeable, password_of, shown_once
from admin.desk import Desk, actor, desk
from appliance.ops import people
from appliance.web.access import Access, Routes
from appliance.web.apps import here, moved
from appliance.web.forms import Form
from data.directory.facts import Account, Status
from data.disk.db import Tx
from data.store.changes import AccessEnded

routes = Routes("access")


@routes.post("/accounts/<int:ident>/password", Access.ADMIN)
def password(ident: int) -> Response:
    """A new password, typed or made."""
    office, form = desk(), Form(request.form)
    account = changeable(office, ident, own=False)
    text, made = password_of(form)
    if not form.good:
        return account_page(account, 422, errors=form.errors)
    people.set_password(office, account.address, text, actor())
    return shown_once(account, text) if made else moved(f"/accounts/{ident}?done=saved")


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


@routes.post("/accounts/<int:ident>/second-factor/remove", Access.ADMIN)
def remove_factor(ident: int) -> Response:
    """Somebody lost their phone: their password alone signs them in, until they set the second step up again."""
    factors = here().parts.factors

    def change(office: Desk, who: Account) -> None:
        def op(tx: Tx) -> None:
            factors.remove_in(tx, who.id)
            _note_in(tx, office, by, "account.second-factor.reset", who)

        by = actor()
        office.db.write(op)

    return _change(ident, change, "factor")


@routes.post("/accounts/<int:ident>/sessions/end", Access.ADMIN)
def sign_out(ident: int) -> Response:
    """One browser, or everywhere: then mail programs are disconnected as well."""
    sessions, chosen = here().parts.sessions, request.form.get("session", "")
    one = int(chosen) if chosen.isascii() and chosen.isdigit() and len(chosen) < 16 else None

    def change(office: Desk, who: Account) -> None:
        def op(tx: Tx) -> None:
            if one is not None:
                count = int(sessions.end_one_in(tx, who.id, one))
            else:
                count = sessions.end_others_in(tx, who.id, keep=0)
                tx.publish(AccessEnded(who.id))
            _note_in(tx, office, by, "account.sign-out", who, sessions=count)

        by = actor()
        office.db.write(op)

    return _change(ident, change, "signed-out" if one is None else "session")


def _note_in(tx: Tx, office: Desk, by: str, action: str, who: Account, **detail: int) -> None:
    office.audit.record_in(
        tx, organisation=who.organisation, actor=by, action=action, object=who.address, detail=detail
    )


def _change(ident: int, change: Callable[[Desk, Account], None], done: str) -> Response:
    office = desk()
    change(office, changeable(office, ident, own=False))
    return moved(f"/accounts/{ident}?done={done}")
