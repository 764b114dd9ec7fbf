"""The administration panel as a Flask application."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from admin import accounts, aliases, dashboard, domains, log, queue
from admin.desk import Helpers, furnish
from admin.login import routes_of_login
from appliance.web.access import ADMIN, WebApp
from appliance.web.apps import make_app
from appliance.web.parts import WebParts

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")
ROOMS: Final = (dashboard, accounts, aliases, domains, queue, log)
"""The modules with routes."""


def create_app(parts: WebParts, helpers: Helpers | None = None) -> WebApp:
    """Every page of the panel; without `helpers` it only declares them."""
    app = make_app(ADMIN, parts)
    furnish(app, parts, helpers)
    for routes in (*routes_of_login(), *(room.routes for room in ROOMS)):
        routes.add_to(app)
    return app
