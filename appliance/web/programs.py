"""Mail programs on the security page: app passwords, and the settings by which a phone or a desktop connects.

Promises (RELIABILITY N7): an app password is made by whoever gives the account's own password once more, shown on the one
page that answers, and never again; taking it away ends what is signed in with it. Each change has its audit row.
May not: let an app password prove anything at the pages (the gate refuses that).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Response, request

from appliance.i18n import N_
from appliance.web.access import Face, Routes
from appliance.web.apps import PROOF, Here, here, moved, page
from appliance.web.connecting import settings_of
from appliance.web.flow import Proof, security_page
from appliance.web.forms import Form
from data.directory.apps import MOST
from data.disk.db import Tx
from data.store.changes import AccessEnded

SCOPES: Final[Mapping[str, frozenset[str]]] = {
    "both": frozenset({"imap", "smtp"}),
    "imap": frozenset({"imap"}),
    "smtp": frozenset({"smtp"}),
}
_LABEL_MOST: Final = 60


def program_routes(face: Face) -> Routes:
    """Making and revoking app passwords."""
    routes, member = Routes("programs"), face.member

    @routes.post("/security/apps", member)
    def make() -> Response:
        return _make(Form(request.form))

    @routes.post("/security/apps/revoke", member)
    def revoke() -> Response:
        chosen = request.form.get("app", "")[:18]
        if chosen.isascii() and chosen.isdigit():
            _revoke(int(chosen))
        return moved("/security?done=revoked#apps")

    return routes


def _make(form: Form) -> Response:
    current, proof = here(), request.environ.get(PROOF)
    parts, account = current.parts, current.account
    label = form.text("label", most=_LABEL_MOST, required=True)
    scopes = SCOPES[form.choice("scope", *SCOPES)]
    form.secret("proof")
    if form.good and not (isinstance(proof, Proof) and proof.account == account.id):
        form.refuse("proof", N_("That is not your password now."))
    if form.good and len(parts.app_passwords.of(account.id)) >= MOST:
        form.refuse("label", N_("There are %(most)s already. Revoke one first."), most=MOST)
    if not form.good:
        return security_page(form, 422)

    def op(tx: Tx) -> str:
        _audit_in(tx, current, "account.app-password", label)
        return parts.app_passwords.add_in(tx, account.id, label, scopes)

    secret = parts.db.write(op)
    parts.directory.refresh()
    return page("web/app_password.html", secret=secret, label=label, scopes=scopes, program=settings_of(parts.config))


def _revoke(ident: int) -> None:
    """Raises NotFound for what is not an app password of whoever asks."""
    current = here()
    parts, account = current.parts, current.account

    def op(tx: Tx) -> None:
        label = parts.app_passwords.drop_in(tx, account.id, ident)
        tx.publish(AccessEnded(account.id))
        _audit_in(tx, current, "account.app-password.revoked", label)

    parts.db.write(op)
    parts.directory.refresh()


def _audit_in(tx: Tx, current: Here, action: str, name: str) -> None:
    account = current.account
    current.parts.audit.record_in(
        tx,
        organisation=account.organisation,
        actor=account.address,
        action=action,
        object=account.address,
        detail={"name": name},
    )
