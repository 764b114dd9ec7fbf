"""What the frame around every page of the webmail shows: folders with their counts, space, whether single keys act.

    GET  /keys     the keyboard shortcuts, and the switch that turns them off (WCAG 2.1.4)
    POST /keys     on=1 or nothing

Promises: the shortcuts are one table, from which the page and the dialog are made.
"""

from __future__ import annotations

import json
from typing import Any, Final

from flask import Response, request

from appliance.i18n import N_
from appliance.web.access import Access, Routes
from appliance.web.apps import Here, here, moved, page
from data.directory.settings import Scope
from data.disk.db import Tx
from data.store.quota import usage
from webmail.folders import Folder, View, counts_of, folders

SETTING: Final = "web.keys"
SHORTCUTS: Final[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = (
    (
        N_("Moving about"),
        (
            ("j ↓", N_("Next conversation")),
            ("k ↑", N_("Previous conversation")),
            ("Enter o", N_("Open")),
            ("u Esc", N_("Back to the list")),
            ("n", N_("Next message of the conversation")),
            ("p", N_("Previous message of the conversation")),
            (";", N_("Unfold all messages")),
            (":", N_("Fold all messages")),
            ("/", N_("Search")),
            ("F6", N_("Next part of the page")),
        ),
    ),
    (
        N_("Conversations"),
        (
            ("e", N_("Archive")),
            ("# Delete", N_("Delete")),
            ("!", N_("Report junk, or not junk")),
            ("v", N_("Move to a folder")),
            ("s", N_("Star")),
            ("Shift+i", N_("Mark as read")),
            ("Shift+u", N_("Mark as unread")),
            ("[", N_("Archive and open the newer one")),
            ("]", N_("Archive and open the older one")),
            ("z", N_("Undo")),
        ),
    ),
    (
        N_("Choosing several"),
        (
            ("x", N_("Select")),
            ("Shift+j", N_("Select and go down")),
            ("Shift+k", N_("Select and go up")),
            ("*  a", N_("Select all that are shown")),
            ("*  n", N_("Select none")),
        ),
    ),
    (
        N_("Writing"),
        (
            ("c", N_("Compose")),
            ("r", N_("Reply")),
            ("a", N_("Reply to all")),
            ("f", N_("Forward")),
            ("Ctrl+Enter", N_("Send")),
            ("Ctrl+s", N_("Save draft")),
        ),
    ),
    (
        N_("Folders"),
        (
            ("g  i", N_("Inbox")),
            ("g  s", N_("Starred")),
            ("g  t", N_("Sent")),
            ("g  d", N_("Drafts")),
            ("g  a", N_("Archive")),
            ("g  j", N_("Junk")),
            ("g  ,", N_("Password and sign-in")),
            ("?", N_("Keyboard shortcuts")),
        ),
    ),
)
"""Groups of keys and what they do: keys between which one chooses stand a space apart, keys one after the other two."""


def framed(current: Here, box: Folder | View | None) -> dict[str, Any]:
    """The values every template needs that extends mail/frame.html. `box` is the list that is shown."""
    store, principal = current.parts.store, current.principal
    boxes = store.mailboxes.list(principal, principal.account)
    special, others = folders(boxes)
    with current.parts.db.read() as reader:
        held = usage(reader, principal.account)
    return {
        "box": box,
        "special": special,
        "others": others,
        "held": held,
        "counts": json.dumps(counts_of(boxes)),
        "keys": keys_on(current),
    }


def keys_on(current: Here) -> bool:
    """Does this account use single keys?"""
    return current.parts.settings.enabled(Scope.account(current.account.id), SETTING)


def routes_of_keys() -> Routes:
    """The routes."""
    routes = Routes("keys")

    @routes.get("/keys", Access.USER)
    def show() -> Response:
        current = here()
        groups = [
            (name, [([step.split(" ") for step in keys.split("  ")], what) for keys, what in rows])
            for name, rows in SHORTCUTS
        ]
        template = "mail/keys_part.html" if current.asked.fragment else "mail/keys.html"
        return page(template, groups=groups, on=keys_on(current), fragment=current.asked.fragment)

    @routes.post("/keys", Access.USER)
    def switch() -> Response:
        current, on = here(), request.form.get("on") == "1"

        def op(tx: Tx) -> None:
            current.parts.settings.set_in(tx, Scope.account(current.account.id), SETTING, on)

        current.parts.db.write(op)
        return moved("/keys")

    return routes
