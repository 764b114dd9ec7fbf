"""Signing in and out, at both faces: password, second factor, and the page where a person minds both.

Promises (RELIABILITY N1, N2, N6, A1-A5): the password goes to the one login gate, on the loop, so that its delays hold no
thread of the pages; each step of a sign-in has a session of its own under a new token. After a change of password every
other session of the account is over. Where a second factor is enrolled, no page opens without it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flask import Response, request

from appliance.auth import LoginRefused
from appliance.i18n import N_
from appliance.web.access import Access, Face, Routes, allows
from appliance.web.apps import PROOF, Here, here, moved, page
from appliance.web.connecting import settings_of
from appliance.web.forms import Form
from appliance.web.guard import CSRF_FIELD, Asked, from_here, local_path
from appliance.web.pages import LANGUAGES
from appliance.web.parts import WebParts
from appliance.web.session import clear_cookie, language_cookie, set_cookie
from data.directory import credentials
from data.directory.facts import Account
from data.directory.sessions import Stage
from data.directory.settings import Scope
from data.directory.totp import Outcome
from data.disk.db import Tx
from data.errors import Invalid
from data.ids import AccountId
from data.principal import ADMINISTRATORS
from data.store.changes import AccessEnded

PROTOCOL: Final = "web"
PASSWORD_LEAST: Final = 10

_NOT_ADMINISTRATOR = N_("This account does not administer the server. Sign in to webmail instead.")
# what the gate says, marked here for translation: it speaks to every protocol, in English
_SAID: Final = (N_("Wrong user name or password"), N_("Too many sign-ins right now, try again shortly"))
_OUTCOMES: Mapping[Outcome, str] = {
    Outcome.WRONG: N_("That code is not right, or it was used already. Wait for the next one."),
    Outcome.PAUSED: N_("Too many wrong codes. Wait a quarter of an hour, or use a recovery code."),
    Outcome.NONE: N_("That code is not right, or it was used already. Wait for the next one."),
}
_DONE: Mapping[str, str] = {
    "password": N_("The password was changed. Everywhere else you are signed out."),
    "off": N_("Two-step sign-in is off."),
    "revoked": N_("The app password was revoked. What used it is signed out."),
}


@dataclass(frozen=True, slots=True)
class Proof:
    """What the gate said: the account, or the public text of its refusal."""

    account: AccountId | None
    refusal: str = ""
    temporary: bool = False


Step = Callable[[WebParts, Face, Asked, Mapping[str, str]], Awaitable[Proof | None]]


async def prove(parts: WebParts, face: Face, asked: Asked, form: Mapping[str, str]) -> Proof | None:
    """Ask the gate, on the loop; None when the form does not prove where it comes from (the page then refuses it)."""
    if not from_here(asked) or not parts.doorman.proved(face, asked, form.get(CSRF_FIELD)):
        return None
    return await _ask(parts, asked, form.get("identity", "").strip(), form.get("password", ""))


async def prove_again(parts: WebParts, face: Face, asked: Asked, form: Mapping[str, str]) -> Proof | None:
    """The same for somebody who is signed in and gives the password once more (field `old`, or `proof`)."""
    if not from_here(asked) or not parts.doorman.proved(face, asked, form.get(CSRF_FIELD)):
        return None
    visitor = await parts.workers.blocking(parts.doorman.visitor, face, asked)
    if not allows(face.member, face, visitor.session) or visitor.session is None:
        return None
    return await _ask(parts, asked, visitor.session.account.address, form.get("old") or form.get("proof", ""))


async def _ask(parts: WebParts, asked: Asked, identity: str, password: str) -> Proof | None:
    if not identity or not password:
        return None
    try:
        principal = await parts.gate.login(identity, password, protocol=PROTOCOL, peer=asked.peer, tls=asked.secure)
    except LoginRefused as refused:
        return Proof(None, refused.public, refused.temporary)
    return Proof(principal.account)


STEPS: Final[Mapping[str, Step]] = {
    "/login": prove,
    "/security/password": prove_again,
    "/security/apps": prove_again,
}
"""What the site does on the loop, before it hands a POST to the pages, by path below the face."""


def sign_in_routes(face: Face) -> Routes:
    """The routes of signing in and out at one face."""
    routes = Routes("login")

    @routes.get("/login", Access.PUBLIC)
    def form() -> Response:
        current = here()
        chosen = request.args.get("lang", "")
        if chosen in LANGUAGES:
            response = moved("/login" + _next_query())
            response.headers.add("Set-Cookie", language_cookie(chosen, secure=current.asked.secure))
            return response
        session = current.visitor.session
        if session is not None:
            return moved(_next() if session.stage is Stage.FULL else "/login/code" + _next_query())
        return _sign_in_page(Form())

    @routes.post("/login", Access.PUBLIC)
    def enter() -> Response:
        form, proof = Form(request.form), request.environ.get(PROOF)
        form.text("identity", most=320, required=True)
        form.secret("password")
        if not form.good or not isinstance(proof, Proof):
            return _sign_in_page(form, 422)
        if proof.account is None:
            return _sign_in_page(form, 503 if proof.temporary else 403, refusal=proof.refusal)
        return _password_proved(form, here().parts.directory.account_by_id(proof.account), face)

    @routes.get("/login/code", Access.SECOND)
    def code_form() -> Response:
        return _code_page(Form())

    @routes.post("/login/code", Access.SECOND)
    def enter_code() -> Response:
        current, form = here(), Form(request.form)
        code, parts, session = form.text("code", most=64, required=True), current.parts, current.session
        if not form.good:
            return _code_page(form, 422)
        token, outcome = parts.db.write(lambda tx: _second_in(tx, current, code))
        parts.log.info("login", id=session.id, account=session.account.address, protocol=PROTOCOL, second=outcome.value)
        if token is None:
            form.refuse("code", _OUTCOMES[outcome])
            return _code_page(form, 429 if outcome is Outcome.PAUSED else 403)
        return _signed_in(token, _next())

    @routes.post("/logout", Access.PUBLIC)
    def leave() -> Response:
        current = here()
        session = current.visitor.session
        if session is not None:
            current.parts.db.write(lambda tx: current.parts.sessions.end_in(tx, session.id))
        response = moved("/login")
        response.headers.add("Set-Cookie", clear_cookie(face, secure=current.asked.secure))
        return response

    return routes


def _password_proved(form: Form, account: Account, face: Face) -> Response:
    current = here()
    parts = current.parts
    if face.member is Access.ADMIN and account.role not in ADMINISTRATORS:
        parts.log.warning(
            "login.failed", account=account.address, why="role", protocol=PROTOCOL, peer=here().asked.peer
        )
        return _sign_in_page(form, 403, refusal=_NOT_ADMINISTRATOR)
    stage = Stage.SECOND if parts.factors.enrolled(account.id) else Stage.FULL
    token = parts.db.write(lambda tx: _issue_in(tx, current, account, stage))
    return _signed_in(token, "/login/code" + _next_query() if stage is Stage.SECOND else _next())


def _issue_in(tx: Tx, current: Here, account: Account, stage: Stage, *, verifier: str | None = None) -> str:
    """A new session in place of the one this browser had; `verifier` is the password's where this transaction sets it."""
    parts, face = current.parts, current.visitor.face
    if current.visitor.session is not None:
        parts.sessions.end_in(tx, current.visitor.session.id)
    agent = current.asked.header("User-Agent") or ""
    peer = current.asked.peer
    return parts.sessions.issue_in(tx, account, face.name, stage, peer=peer, agent=agent, verifier=verifier)


def _second_in(tx: Tx, current: Here, code: str) -> tuple[str | None, Outcome]:
    """Check the code and, in the same transaction, put a whole session in place of the half one."""
    account, sessions = current.account, current.parts.sessions
    outcome = current.parts.factors.check_in(tx, account.id, code)
    if not outcome.good:
        return None, outcome
    if not sessions.end_one_in(tx, account.id, current.session.id):
        # another request finished this sign-in a moment ago
        return None, Outcome.WRONG
    agent, face = current.asked.header("User-Agent") or "", current.visitor.face.name
    return sessions.issue_in(tx, account, face, Stage.FULL, peer=current.asked.peer, agent=agent), outcome


def _signed_in(token: str, target: str) -> Response:
    current, response = here(), moved(target)
    response.headers.add("Set-Cookie", set_cookie(current.visitor.face, token, secure=current.asked.secure))
    return response


def _next() -> str:
    prefix = here().visitor.face.prefix
    return local_path(request.args.get("next"), prefix, prefix + "/")


def _next_query() -> str:
    from urllib.parse import quote

    target = _next()
    return "" if target == here().visitor.face.path("/") else "?next=" + quote(target, safe="/")


def _sign_in_page(form: Form, status: int = 200, *, refusal: str = "") -> Response:
    response = page(
        "web/login.html",
        status,
        form=form,
        refusal=refusal,
        next=_next_query(),
        domains=here().parts.directory.domains(),
    )
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _code_page(form: Form, status: int = 200) -> Response:
    return page("web/code.html", status, form=form, next=_next_query())


# --- the security page -----------------------------------------------------------------------------------------------------


def security_routes(face: Face) -> Routes:
    """Password, second factor, sessions of whoever is signed in."""
    routes, member = Routes("security"), face.member

    @routes.get("/security", member)
    def show() -> Response:
        return security_page(Form())

    @routes.post("/security/password", member)
    def password() -> Response:
        return _change_password(Form(request.form))

    @routes.get("/security/code", member)
    def enrol() -> Response:
        return moved("/security") if _enrolled() else _enrol_page(Form())

    @routes.post("/security/code", member)
    def confirm() -> Response:
        return moved("/security") if _enrolled() else _confirm(Form(request.form))

    @routes.post("/security/code/remove", member)
    def remove() -> Response:
        return _with_code(Form(request.form), remove=True)

    @routes.post("/security/recovery", member)
    def recovery() -> Response:
        return _with_code(Form(request.form), remove=False)

    @routes.post("/security/sessions/end", member)
    def end() -> Response:
        current = here()
        chosen = request.form.get("session", "")
        if chosen.isdigit():
            current.parts.db.write(
                lambda tx: current.parts.sessions.end_one_in(tx, current.account.id, int(chosen[:18]))
            )
        else:
            current.parts.db.write(lambda tx: _end_others_in(tx, current))
        return moved("/security")

    @routes.post("/preferences", member)
    def preferences() -> Response:
        return _keep_preferences(Form(request.form))

    return routes


def _enrolled() -> bool:
    return here().parts.factors.enrolled(here().account.id)


def _end_others_in(tx: Tx, current: Here) -> None:
    current.parts.sessions.end_others_in(tx, current.account.id, keep=current.session.id)


def security_page(form: Form, status: int = 200) -> Response:
    """The page, with what is wrong with the one of its forms that was sent."""
    current = here()
    parts, account = current.parts, current.account
    return page(
        "web/security.html",
        status,
        form=form,
        done=_DONE.get(request.args.get("done", "")),
        enrolled=parts.factors.enrolled(account.id),
        left=parts.factors.left(account.id),
        sessions=parts.sessions.of(account.id),
        app_passwords=parts.app_passwords.of(account.id),
        program=settings_of(parts.config),
        session=current.session,
        scope={
            name: parts.settings.setting(Scope.account(account.id), f"web.{name}") for name in ("language", "theme")
        },
    )


def _change_password(form: Form) -> Response:
    current, proof = here(), request.environ.get(PROOF)
    parts, account = current.parts, current.account
    form.secret("old")
    new, again = form.secret("new"), form.secret("again")
    if form.good and new != again:
        form.refuse("again", N_("The two new passwords differ."))
    if form.good and len(new) < PASSWORD_LEAST:
        form.refuse("new", N_("At least %(least)s characters."), least=PASSWORD_LEAST)
    if form.good and not (isinstance(proof, Proof) and proof.account == account.id):
        form.refuse("old", N_("That is not your password now."))
    if not form.good:
        return security_page(form, 422)
    try:
        verifier = credentials.hash_password(new)
    except Invalid as error:
        form.refused("new", error)
        return security_page(form, 422)

    def op(tx: Tx) -> str:
        parts.directory.set_password_in(tx, account.id, verifier)
        tx.publish(AccessEnded(account.id))
        _end_others_in(tx, current)
        _audit_in(tx, current, "account.password")
        # a new token for this browser too: a thief of the old one does not outlive the change
        return _issue_in(tx, current, account, Stage.FULL, verifier=verifier)

    token = parts.db.write(op)
    parts.directory.refresh()
    return _signed_in(token, "/security?done=password")


def _audit_in(tx: Tx, current: Here, action: str) -> None:
    account = current.account
    current.parts.audit.record_in(
        tx, organisation=account.organisation, actor=account.address, action=action, object=account.address, detail={}
    )


def _enrol_page(form: Form, status: int = 200) -> Response:
    current = here()
    factors, account = current.parts.factors, current.account
    secret = factors.begin(account)
    grouped = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
    link = factors.link(secret, account.address, current.parts.config.hostname)
    return page("web/enrol.html", status, form=form, secret=grouped, link=link)


def _confirm(form: Form) -> Response:
    current = here()
    code, parts = form.text("code", most=20, required=True), current.parts

    def op(tx: Tx) -> tuple[str, ...] | None:
        codes = parts.factors.confirm_in(tx, current.account, code)
        if codes is not None:
            _end_others_in(tx, current)
            # mail programs that signed in with the password alone: from now on they need one of their own
            tx.publish(AccessEnded(current.account.id))
            _audit_in(tx, current, "account.second-factor")
        return codes

    codes = parts.db.write(op) if form.good else None
    parts.directory.refresh()
    if codes is None:
        form.refuse("code", N_("That code does not fit. Is the clock of the phone right?"))
        return _enrol_page(form, 422)
    return page("web/recovery.html", codes=codes)


def _with_code(form: Form, *, remove: bool) -> Response:
    """Take the factor away, or make new recovery codes: only with a code of now."""
    current = here()
    code, parts = form.text("code", most=64, required=True), current.parts

    def op(tx: Tx) -> tuple[Outcome, tuple[str, ...]]:
        outcome = parts.factors.check_in(tx, current.account.id, code)
        if not outcome.good:
            return outcome, ()
        if remove:
            parts.factors.remove_in(tx, current.account.id)
            _audit_in(tx, current, "account.second-factor.removed")
            return outcome, ()
        return outcome, parts.factors.renew_codes_in(tx, current.account)

    outcome, codes = parts.db.write(op) if form.good else (Outcome.WRONG, ())
    parts.directory.refresh()
    if not outcome.good:
        form.refuse("code", _OUTCOMES[outcome])
        return security_page(form, 403)
    if remove:
        return moved("/security?done=off")
    return page("web/recovery.html", codes=codes)


def _keep_preferences(form: Form) -> Response:
    current = here()
    scope, settings = Scope.account(current.account.id), current.parts.settings
    language, theme = form.choice("language", "auto", *LANGUAGES), form.choice("theme", "system", "light", "dark")

    def op(tx: Tx) -> None:
        settings.set_in(tx, scope, "web.language", language)
        settings.set_in(tx, scope, "web.theme", theme)

    current.parts.db.write(op)
    return moved("/security")
