"""The webmail as a Flask application and its native resources."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.web.access import MAIL, WebApp
from appliance.web.apps import make_app
from appliance.web.parts import WebParts
from webmail.login import routes_of_login

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")


def create_app(parts: WebParts) -> WebApp:
    """Every page of the webmail."""
    app = make_app(MAIL, parts)
    for routes in routes_of_login():
        routes.add_to(app)
    return app
