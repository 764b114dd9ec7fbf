"""The administration panel as a Flask application."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Response, request

from admin import access, accounts, aliases, dashboard, domains, log, queue
from admin.desk import Helpers, furnish, gone
from admin.login import routes_of_login
from appliance.i18n import N_
from appliance.ops.people import LastAdministrator
from appliance.web.access import ADMIN, WebApp, allows
from appliance.web.apps import failed, here, make_app
from appliance.web.parts import WebParts
from data.errors import Conflict, NotFound, Refused

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")
ROOMS: Final = (dashboard, accounts, access, aliases, domains, queue, log)
"""The modules with routes."""


def create_app(parts: WebParts, helpers: Helpers | None = None) -> WebApp:
    """Every page of the panel; without `helpers` it only declares them."""
    app = make_app(ADMIN, parts)
    furnish(app, parts, helpers)
    app.register_error_handler(NotFound, _absent)
    app.register_error_handler(Refused, _forbidden)
    app.register_error_handler(Conflict, _in_the_way)
    for routes in (*routes_of_login(), *(room.routes for room in ROOMS)):
        routes.add_to(app)
    return app


_GONE: Final = {
    "accounts": (
        "users",
        N_("That account is not there any more"),
        N_("It was deleted meanwhile, perhaps by another administrator. Its mail is kept in the recycle bin."),
        N_("Users"),
    ),
    "aliases": (
        "aliases",
        N_("That address is not there any more"),
        N_("It was taken away meanwhile, perhaps by another administrator. Mail to it is refused."),
        N_("Groups and aliases"),
    ),
    "domains": ("domains", N_("That is not a domain of yours"), N_("No mail for it is taken here."), N_("Domains")),
    "queue": (
        "queue",
        N_("That message does not wait any more"),
        N_("It was delivered, sent back or dropped meanwhile. The message log tells what became of it."),
        N_("Queue"),
    ),
    "log": (
        "log",
        N_("There is no story of that message"),
        N_("Either it never came here, or its story was too old to be kept."),
        N_("Message log"),
    ),
}
"""By the first part of a path: the entry of the navigation, what is not there, what that means, where to go on."""


def _place() -> str:
    return request.path.split("/")[1]


def _known() -> bool:
    """Does whoever asks see the frame of the panel at all?"""
    visitor = here().visitor
    return allows(ADMIN.member, ADMIN, visitor.session)


def _absent(error: NotFound) -> Response:
    place = _place()
    if place not in _GONE or not _known():
        return failed(404)
    at, what, why, button = _GONE[place]
    return gone(at, what, why, button, f"/{place}")


def _forbidden(error: Refused) -> Response:
    if not _known():
        return failed(403)
    why = N_("Nobody changes their own access here, and an owner's account is changed by owners alone.")
    return gone("users", N_("You may not change that"), why, N_("Users"), "/accounts", 403)


def _in_the_way(error: Conflict) -> Response:
    if not _known():
        return failed(409)
    if isinstance(error, LastAdministrator):
        why = N_("Nobody could let anybody in again. Make somebody else an administrator first.")
        return gone("users", N_("This is the last administrator"), why, N_("Users"), "/accounts", 409)
    if _place() == "queue":
        why = N_("Nothing was changed. Look again in a moment: by then it was delivered, or it waits again.")
        return gone("queue", N_("That message is being sent right now"), why, N_("Queue"), "/queue", 409)
    why = N_("Nothing was changed. Load the page again and see how it is now.")
    return gone("", N_("Somebody else was faster"), why, N_("Back to the dashboard"), "/", 409)
