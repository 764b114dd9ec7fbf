"""A Flask application that keeps the guard: what happens before and after every view, and what a view may call.

    app = make_app(MAIL, parts)          in create_app(parts)
    routes.add_to(app)
    here()                               in a view: who asks, what was asked, the parts
    return page("mail/list.html", rows=rows)
    return moved("/mail/inbox")          303 below the face

Promises (RELIABILITY N2, N18): before a view runs, the request has the declared method, a bounded body of bounded fields, a
visitor who may use the route and, where it changes something, our Origin and the token of its cookie. What a view
raises becomes a page in words: a StoreError's public text, never an exception's. Pages are gzipped for whoever takes it.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote

from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from appliance.i18n import N_
from appliance.web.access import BODY_DEFAULT, Access, Face, WebApp, allows
from appliance.web.guard import CSRF_FIELD, Asked, from_here
from appliance.web.pages import FAILURES, LANGUAGES, View
from appliance.web.parts import WebParts
from appliance.web.session import LANGUAGE_COOKIE, Visitor, cookie_name, read_cookies, set_cookie
from data.directory.facts import Account
from data.directory.sessions import Session
from data.directory.settings import Scope
from data.errors import Conflict, Invalid, NotFound, OverQuota, Refused, StoreError, TooBig, Unavailable
from data.principal import Principal

ASKED: Final = "mailstead.asked"
PROOF: Final = "mailstead.proof"
"""What the site puts into the environment of a request."""
FIELDS_MOST: Final = 1_000
_PACK_FROM: Final = 800
_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

# the public texts of data.errors, marked here for translation: data knows no language
_SAID: Final = (
    N_("The mail store could not do that"),
    N_("There is no such thing here"),
    N_("That name is already in use"),
    N_("That value is not allowed"),
    N_("You may not do that"),
    N_("The mailbox is full"),
    N_("The message is too large"),
    N_("The stored message is damaged; the administrator has been told"),
    N_("The mail store is not available right now"),
    N_("The server has no disk space left"),
)
_STATUS: Final[tuple[tuple[type[StoreError], int], ...]] = (
    (NotFound, 404),
    (Refused, 403),
    (Conflict, 409),
    (Invalid, 422),
    (TooBig, 413),
    (OverQuota, 507),
    (Unavailable, 503),
)


@dataclass(slots=True)
class Here:
    """The request that is being answered."""

    asked: Asked
    visitor: Visitor
    view: View
    parts: WebParts
    shown: bool = False
    """Was a CSRF token written into the page? Then the browser needs its cookie."""

    @property
    def session(self) -> Session:
        """The session; only behind a route that needs one."""
        assert self.visitor.session is not None
        return self.visitor.session

    @property
    def account(self) -> Account:
        """Whose session it is."""
        return self.session.account

    @property
    def principal(self) -> Principal:
        """Who acts, for the store."""
        return self.account.principal()

    @property
    def language(self) -> str:
        """The language of the answer."""
        return self.view.language


def here() -> Here:
    """The request that is being answered."""
    return cast(Here, g.here)


def make_app(face: Face, parts: WebParts) -> WebApp:
    """An application with the guard in place and no route yet."""
    app = WebApp(f"mailstead.{face.name}", face)
    app.config.update(
        MAX_CONTENT_LENGTH=BODY_DEFAULT, MAX_FORM_MEMORY_SIZE=BODY_DEFAULT, MAX_FORM_PARTS=FIELDS_MOST, TESTING=False
    )
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.before_request(lambda: _admit(app, parts))
    app.after_request(_finish)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(StoreError, lambda error: _store_error(error, parts))
    app.register_error_handler(Exception, lambda error: _failure(error, parts))
    return app


# --- before --------------------------------------------------------------------------------------------------------------


def _admit(app: WebApp, parts: WebParts) -> Response | None:
    """Everything that must hold before a view runs; a Response refuses."""
    asked: Asked = request.environ[ASKED]
    visitor = parts.doorman.visitor(app.face, asked)
    g.here = current = Here(asked, visitor, _view(app.face, asked, visitor, parts), parts)
    current.view = _with_token(current)
    if request.endpoint is None or request.routing_exception is not None:
        return None
    declared = app.declared[request.endpoint]
    request.max_content_length = declared.body
    if not asked.safe and not _proved(app.face, asked, parts):
        parts.log.info("refused", why="csrf", peer=asked.peer, path=asked.path, agent=asked.header("User-Agent"))
        return failed(403)
    if not allows(declared.access, app.face, visitor.session):
        return _turned_away(declared.access, current)
    if not asked.safe and request.mimetype not in _FORMS and (request.content_length or request.mimetype):
        # what no page can read is refused, not taken for an empty form
        return failed(400)
    return None


def _proved(face: Face, asked: Asked, parts: WebParts) -> bool:
    if not from_here(asked):
        return False
    field = None
    if request.mimetype == "application/x-www-form-urlencoded":
        if request.get_data(cache=True, parse_form_data=False).count(b"&") >= FIELDS_MOST:
            return False
        field = request.form.get(CSRF_FIELD)
    elif request.mimetype == "multipart/form-data":
        field = request.form.get(CSRF_FIELD)
    return parts.doorman.proved(face, asked, field)


def _view(face: Face, asked: Asked, visitor: Visitor, parts: WebParts) -> View:
    """Language and theme: the account's settings, else the browser's."""
    account = visitor.session.account if visitor.session is not None else None
    language, theme = "auto", "system"
    if account is not None:
        scope = Scope.account(account.id)
        language = str(parts.settings.setting(scope, "web.language"))
        theme = str(parts.settings.setting(scope, "web.theme"))
    if language not in LANGUAGES:
        chosen = read_cookies(asked.header("Cookie")).get(cookie_name(LANGUAGE_COOKIE, secure=asked.secure), "")
        language = chosen if chosen in LANGUAGES else parts.pages.language(asked.header("Accept-Language"))
    return View(language, theme, face, account, zone=parts.directory.organisation().timezone)


def _with_token(current: Here) -> View:
    tokens, visitor, view = current.parts.doorman.tokens, current.visitor, current.view

    def show() -> str:
        current.shown = True
        return tokens.show(visitor.face.name, visitor.cookie)

    return View(view.language, view.theme, view.face, view.me, show, view.zone)


def _turned_away(access: Access, current: Here) -> Response:
    """Nobody is signed in: to the sign-in page and back afterwards. Somebody is, and may not: no such page."""
    face, session = current.visitor.face, current.visitor.session
    if session is not None and allows(Access.SECOND, face, session):
        return moved("/login/code")
    if session is not None and allows(face.member, face, session):
        return moved("/") if access is Access.SECOND else failed(403)
    target = "/login"
    if current.asked.safe and access is not Access.SECOND and not current.asked.fragment:
        target += "?next=" + quote(request.full_path.rstrip("?").join([face.prefix, ""]), safe="/")
    if current.asked.fragment:
        return Response("", 401, {"HX-Redirect": face.path(target)})
    return moved(target)


# --- answers -------------------------------------------------------------------------------------------------------------


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page (or a fragment) for whoever asks."""
    current = here()
    return Response(current.parts.pages.render(template, current.view, **values), status, mimetype="text/html")


def moved(path: str) -> Response:
    """Go on, by GET, at a path below the face."""
    current = here()
    target = path if path.startswith(current.visitor.face.prefix + "/") else current.visitor.face.path(path)
    if current.asked.fragment:
        return Response("", 200, {"HX-Location": target})
    return Response("", 303, {"Location": target})


def failed(status: int, text: str | None = None) -> Response:
    """A page that says what went wrong; to a script of ours the sentence alone."""
    current = here()
    pages = current.parts.pages
    if current.asked.fragment:
        told = text or pages.text(current.language, _usual(status))
        return Response(told, status, mimetype="text/plain")
    return Response(pages.error(status, current.view, text=text), status, mimetype="text/html")


def _usual(status: int) -> str:
    return FAILURES.get(status, FAILURES[500])[1]


def _finish(response: Response) -> Response:
    current: Here | None = g.get("here")
    if current is None:
        return response
    if current.shown and current.visitor.fresh and "Set-Cookie" not in response.headers:
        cookie = set_cookie(current.visitor.face, current.visitor.cookie, secure=current.asked.secure)
        response.headers.add("Set-Cookie", cookie)
    response.headers.add("Vary", "Accept-Encoding, Cookie, HX-Request")
    return _packed(response, current)


def _packed(response: Response, current: Here) -> Response:
    packs = (response.mimetype or "").startswith("text/") and "Content-Encoding" not in response.headers
    if not packs or response.direct_passthrough or "gzip" not in (current.asked.header("Accept-Encoding") or ""):
        return response
    data = response.get_data()
    if len(data) >= _PACK_FROM:
        response.set_data(gzip.compress(data, 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


# --- what goes wrong -----------------------------------------------------------------------------------------------------


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return cast(Response, error.response)
    return failed(error.code or 500)


def _store_error(error: StoreError, parts: WebParts) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    if status >= 500:
        parts.log.failure(error, "web", path=request.path)
    return failed(status, parts.pages.text(here().language, error.public))


def _failure(error: Exception, parts: WebParts) -> Response:
    parts.log.failure(error, "failure", path=request.path, endpoint=request.endpoint)
    return failed(500)
