"""Waiting mail: who it is for, why it waits, what the other server said; retry, hold, release, drop."""

from __future__ import annotations

from typing import Final

from flask import Response, request

from admin import wording
from admin.desk import OPEN, PAGE, Desk, actor, desk, key, show, words
from appliance.ops import queue
from appliance.web.access import Access, Routes
from appliance.web.apps import moved
from data.errors import NotFound
from data.ids import ItemId
from data.spool.envelope import State
from data.spool.oversight import Listed

routes = Routes("queue")
_ITEM_MOST: Final = 2**53


@routes.get("/queue", Access.ADMIN)
def listed() -> Response:
    """Waiting recipients, oldest first, a page at a time."""
    office, after, domain = desk(), key("after"), words("domain", 255).lower()
    found = office.spool.waiting(PAGE + 1, after, domain=domain)
    shown = found[:PAGE]
    counts = office.spool.counts()
    return show(
        "admin/queue.html",
        "queue",
        rows=[_row(one) for one in shown],
        following=shown[-1].id if len(found) > PAGE else None,
        after=after,
        domain=domain,
        states=[(state, counts.get(state, 0), wording.STATES[state]) for state in OPEN if counts.get(state, 0)],
        delayed=counts.get(State.DEFERRED, 0),
    )


def _row(one: Listed) -> tuple[Listed, wording.Said, wording.Said]:
    return one, wording.STATES[one.state], wording.waits(one)


@routes.get("/queue/<int:ident>", Access.ADMIN)
def one(ident: int) -> Response:
    """One message, its waiting recipients and its story so far."""
    office = desk()
    rows = _recipients(office, ident)
    hops = [
        (hop, wording.hop(hop), wording.why(hop), wording.answer(hop.reason)) for hop in office.story.of(rows[0].trail)
    ]
    return show("admin/queue_item.html", "queue", rows=[_row(row) for row in rows], first=rows[0], hops=hops)


@routes.get("/queue/<int:ident>/drop", Access.ADMIN)
def ask_drop(ident: int) -> Response:
    """Are you sure?"""
    rows = _recipients(desk(), ident)
    return show("admin/queue_drop.html", "queue", rows=rows, first=rows[0])


@routes.post("/queue/retry", Access.ADMIN)
def retry_all() -> Response:
    """Try everything that was put off now."""
    return _do("queue.retry", [], "/queue")


@routes.post("/queue/<int:ident>/retry", Access.ADMIN)
def retry(ident: int) -> Response:
    """Try it now."""
    return _do("queue.retry", [ident], _back(ident))


@routes.post("/queue/<int:ident>/hold", Access.ADMIN)
def hold(ident: int) -> Response:
    """Keep it here."""
    return _do("queue.hold", [ident], _back(ident))


@routes.post("/queue/<int:ident>/release", Access.ADMIN)
def release(ident: int) -> Response:
    """Let it go."""
    return _do("queue.release", [ident], _back(ident))


@routes.post("/queue/<int:ident>/drop", Access.ADMIN)
def drop(ident: int) -> Response:
    """Take it out; its sender is not told."""
    return _do("queue.drop", [ident], "/queue")


def _do(action: str, items: list[int], back: str) -> Response:
    queue.COMMANDS[action](desk(), {"item": items}, lambda done, of: None, actor())
    return moved(f"{back}?done={action}")


def _back(ident: int) -> str:
    """The list, when it was asked from there; otherwise the message."""
    return "/queue" if request.form.get("back") == "list" else f"/queue/{ident}"


def _recipients(office: Desk, ident: int) -> tuple[Listed, ...]:
    """The waiting recipients of an item. Raises NotFound when there are none any more."""
    rows = office.spool.recipients(ItemId(ident)) if ident < _ITEM_MOST else ()
    if not rows:
        raise NotFound(f"item {ident}")
    return rows
