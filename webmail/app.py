"""The webmail as a Flask application and its native resources."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.web.access import MAIL, WebApp
from appliance.web.apps import make_app
from appliance.web.native import Native
from appliance.web.parts import WebParts
from appliance.web.streams import Streams
from webmail.actions import Notes, routes_of_actions
from webmail.body import Bodies
from webmail.compose import Writing, routes_of_compose, spooling
from webmail.events import Events
from webmail.fates import routes_of_fates
from webmail.framing import routes_of_keys
from webmail.login import routes_of_login
from webmail.mailbox import routes_of_mailbox
from webmail.message import routes_of_message
from webmail.moving import routes_of_moving
from webmail.outgoing import Outgoing
from webmail.pictures import Pictures
from webmail.search import routes_of_search
from webmail.senders import routes_of_senders

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")


def create_app(parts: WebParts, out: Outgoing) -> WebApp:
    """Every page of the webmail."""
    app = make_app(MAIL, parts)
    app.request_class = spooling(parts)
    notes = Notes()
    reading = (
        routes_of_search(parts.finder, notes),
        routes_of_mailbox(notes),
        routes_of_actions(notes),
        routes_of_moving(),
        routes_of_message(),
        routes_of_fates(),
        routes_of_senders(),
    )
    for routes in (*routes_of_login(), *reading, routes_of_keys(), routes_of_compose(Writing(parts, out))):
        routes.add_to(app)
    return app


def natives(parts: WebParts, out: Outgoing, streams: Streams) -> tuple[Native, ...]:
    """What the loop answers: bodies, attachments, sources, remote pictures, uploads, events."""
    pictures, events = Pictures(parts, out.fetcher), Events(parts, streams, out.loop)
    return (*Bodies(parts).natives(), *pictures.natives(), *Writing(parts, out).natives(), *events.natives())
