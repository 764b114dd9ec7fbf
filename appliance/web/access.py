"""Who may use a route, and the two faces.

Promises: deny by default: a route that does not say who may use it cannot be registered, neither with Flask
(`WebApp.add_url_rule`) nor as a native resource; one that changes something takes POST alone. `allows` is the whole
decision, a pure function of the declared access and of who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from flask import Blueprint, Flask

from data.directory.sessions import Session, Stage
from data.principal import ADMINISTRATORS

F = TypeVar("F", bound=Callable[..., Any])


class Access(StrEnum):
    """Who may use a route."""

    PUBLIC = "public"
    SECOND = "second"
    """Whoever has shown a password and now owes the second factor."""
    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Face:
    """One of the two web faces: its place, its cookie, and what it takes to sign in."""

    name: str
    prefix: str
    cookie: str
    same_site: str
    member: Access

    def path(self, rest: str = "/") -> str:
        """An absolute path below the face."""
        return self.prefix + rest


MAIL: Final = Face("mail", "/webmail", "mail", "Lax", Access.USER)
ADMIN: Final = Face("admin", "/admin", "admin", "Strict", Access.ADMIN)
FACES: Final = (MAIL, ADMIN)


def allows(access: Access, face: Face, session: Session | None) -> bool:
    """May the bearer of `session` (of this face, or nobody) use a route with this access?"""
    if access is Access.PUBLIC:
        return True
    if session is None or session.face != face.name:
        return False
    if access is Access.SECOND:
        return session.stage is Stage.SECOND
    if session.stage is not Stage.FULL:
        return False
    return access is Access.USER or session.account.role in ADMINISTRATORS


class RouteError(TypeError):
    """A route was declared without saying who may use it, or in a way that no guard can hold."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a route said of itself. `body` is the most octets its request may carry."""

    access: Access
    method: str
    body: int


BODY_DEFAULT: Final = 256 * 1024
"""Octets of a form; a route that needs more says so."""


class WebApp(Flask):
    """A Flask application whose routes are registered by `Routes` alone."""

    def __init__(self, name: str, face: Face) -> None:
        super().__init__(name, static_folder=None, template_folder=None)
        self.face = face
        self.declared: dict[str, Declared] = {}

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Register, when the route says who may use it (`declared=`). Raises RouteError."""
        declared = options.pop("declared", None)
        methods = set(options.get("methods") or ())
        if not isinstance(declared, Declared) or view_func is None:
            raise RouteError(f"{rule} does not say who may use it")
        if methods not in ({"GET"}, {"POST"}):
            raise RouteError(f"{rule} takes {sorted(methods)}: a route is either GET or POST")
        name = endpoint or view_func.__name__
        super().add_url_rule(rule, name, view_func, provide_automatic_options=False, **options)
        self.declared[name] = declared

    def bodies(self) -> Mapping[str, int]:
        """The paths (as written in their rules) that may carry more than the default, and how much."""
        rules = ((str(rule), self.declared[rule.endpoint]) for rule in self.url_map.iter_rules())
        return {path: one.body for path, one in rules if one.body > BODY_DEFAULT}


class Routes:
    """The routes of one module: `routes = Routes("mailbox")`, `@routes.get("/mail/<box>", Access.USER)`, then
    `routes.add_to(app)` in `create_app`. The name is the first part of the endpoint: `url_for("mailbox.show")`."""

    def __init__(self, name: str) -> None:
        self._blueprint = Blueprint(name, __name__)

    def get(self, rule: str, access: Access) -> Callable[[F], F]:
        """A page, or part of one; changes nothing."""
        return self._route(rule, Declared(access, "GET", BODY_DEFAULT))

    def post(self, rule: str, access: Access, *, body: int = BODY_DEFAULT) -> Callable[[F], F]:
        """Something that happens; the CSRF token and the origin were proved before the view runs."""
        return self._route(rule, Declared(access, "POST", body))

    def _route(self, rule: str, declared: Declared) -> Callable[[F], F]:
        def keep(view: F) -> F:
            self._blueprint.add_url_rule(rule, view.__name__, view, methods=[declared.method], declared=declared)
            return view

        return keep

    def add_to(self, app: WebApp) -> None:
        """Register with an application."""
        app.register_blueprint(self._blueprint)
