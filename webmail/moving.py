"""The folders that conversations may go to.

    GET /move/<box>?thread=...       where they could go; sent to POST /mail/<box>/act as do=move (webmail.actions)

Promises: a whole page without scripts, the inside of a dialog for a script of ours (HX-Request).
"""

from __future__ import annotations

from typing import Final

from flask import Response, request

from appliance.i18n import N_
from appliance.web.access import Access, Routes
from appliance.web.apps import here, page
from data.errors import Invalid
from data.ids import ThreadId
from webmail.actions import MOST
from webmail.folders import STARRED, VIEWS, find, folder_of, folders

_NONE: Final = N_("No conversation is chosen")


def routes_of_moving() -> Routes:
    """The route."""
    routes = Routes("moving")

    @routes.get("/move/<box>", Access.USER)
    def choose(box: str) -> Response:
        return _choose(box)

    return routes


def _choose(slug: str) -> Response:
    current = here()
    store, principal = current.parts.store, current.principal
    chosen = request.args.getlist("thread")[:MOST]
    if not chosen or not all(one.isascii() and one.isdigit() and len(one) < 19 for one in chosen):
        raise Invalid(f"conversations {chosen}"[:200], public=_NONE)
    source = VIEWS.get(slug) or folder_of(find(store.mailboxes, principal, slug))
    special, others = folders(store.mailboxes.list(principal, principal.account))
    subject = _subject(slug, ThreadId(int(chosen[0]))) if len(chosen) == 1 else ""
    template = "mail/move_part.html" if current.asked.fragment else "mail/move.html"
    return page(template, source=source, threads=chosen, folders=(*special, *others), subject=subject)


def _subject(slug: str, thread: ThreadId) -> str:
    """What the only conversation is about. Raises NotFound when it is not there."""
    current = here()
    store, principal = current.parts.store, current.principal
    stars = slug == STARRED.slug
    home = (
        store.listing.home(principal, thread, stars=stars)
        if slug in VIEWS
        else find(store.mailboxes, principal, slug).id
    )
    return store.listing.conversation(principal, home, thread)[-1].subject
