"""Waiting mail: who it is for, why it waits, what the other server said; retry, hold, release, drop, one or many.

Promises: nothing is dropped without being asked once more, and whoever drops chooses whether its sender is told. Of
many, those that do not wait any more are left alone and said.
"""

from __future__ import annotations

from typing import Final

from flask import Response, request

from admin import wording
from admin.desk import OPEN, PAGE, Desk, actor, desk, key, query_of, show, words
from appliance.ops import queue
from appliance.web.access import Access, Routes
from appliance.web.apps import moved
from data.disk.db import Tx
from data.errors import Conflict, NotFound
from data.ids import ItemId
from data.spool.envelope import State
from data.spool.oversight import Listed

routes = Routes("queue")
_ITEM_MOST: Final = 2**53
_CHOSEN_MOST: Final = 500
_OPEN_NAMES: Final = frozenset(state.value for state in OPEN)


@routes.get("/queue", Access.ADMIN)
def listed() -> Response:
    """Waiting recipients, oldest first, a page at a time; those that were asked for."""
    office, after = desk(), key("after")
    text, domain, named = words(), words("domain", 255).lower(), request.args.get("state", "")
    state = State(named) if named in _OPEN_NAMES else None
    found = office.spool.waiting(PAGE + 1, after, domain=domain, state=state, text=text)
    shown = found[:PAGE]
    counts = office.spool.counts()
    first = {one.item: one.id for one in reversed(shown)}
    return show(
        "admin/queue.html",
        "queue",
        rows=[(*_row(one), first[one.item] == one.id) for one in shown],
        following=shown[-1].id if len(found) > PAGE else None,
        after=after,
        query=text,
        domain=domain,
        state=state.value if state else "",
        filters=query_of(q=text, domain=domain, state=state.value if state else ""),
        states=[(one, counts.get(one, 0), wording.STATES[one]) for one in OPEN],
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


def _do(action: str, items: list[int], back: str) -> Response:
    for item in items:
        _recipients(desk(), item)
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


# --- dropping ----------------------------------------------------------------------------------------------------------------


@routes.get("/queue/<int:ident>/drop", Access.ADMIN)
def ask_drop(ident: int) -> Response:
    """Are you sure, and is its sender to be told?"""
    rows = _recipients(desk(), ident)
    return _ask([rows], f"/queue/{ident}/drop", f"/queue/{ident}")


@routes.post("/queue/<int:ident>/drop", Access.ADMIN)
def drop(ident: int) -> Response:
    """Take it out; its sender is told or not, as was chosen."""
    office = desk()
    _recipients(office, ident)
    if _told():
        _give_back(office, ItemId(ident))
        return moved("/queue?done=queue.return")
    return _do("queue.drop", [ident], "/queue")


def _ask(items: list[tuple[Listed, ...]], to: str, cancel: str) -> Response:
    rows = [one for item in items for one in item]
    return show(
        "admin/queue_drop.html",
        "queue",
        rows=rows,
        first=rows[0],
        items=[item[0].item for item in items],
        senders=sorted({one.return_path for one in rows if one.return_path}),
        to=to,
        cancel=cancel,
    )


def _told() -> bool:
    return request.form.get("sender") == "told"


def _give_back(office: Desk, item: ItemId) -> None:
    """End it with a notice. Raises NotFound, Conflict."""
    if office.helpers is None:
        raise Conflict("nobody writes notices here")
    organisation, by = office.directory.organisation().id, actor()

    def also(tx: Tx, recipients: int) -> None:
        office.audit.record_in(
            tx,
            organisation=organisation,
            actor=by,
            action="queue.return",
            object=str(item),
            detail={"recipients": recipients},
        )

    office.helpers.give_back(item, by, also)


# --- many at once ------------------------------------------------------------------------------------------------------------


@routes.post("/queue/chosen", Access.ADMIN)
def chosen() -> Response:
    """What was ticked: try again, hold, release; dropping asks first."""
    office, items, action = desk(), _chosen(), request.form.get("action", "")
    if not items or action not in {"retry", "hold", "release", "drop"}:
        return moved("/queue?done=none")
    if action == "drop":
        there = [rows for item in items if (rows := office.spool.recipients(item))]
        return _ask(there, "/queue/chosen/drop", "/queue") if there else moved("/queue?done=some")
    _, left = queue.change_all(office, f"queue.{action}", items, actor())
    return moved(f"/queue?done={'some' if left else 'chosen'}")


@routes.post("/queue/chosen/drop", Access.ADMIN)
def drop_chosen() -> Response:
    """Take what was ticked out; the senders are told or not, as was chosen."""
    office, items = desk(), _chosen()
    if not items:
        return moved("/queue?done=none")
    if not _told():
        _, left = queue.change_all(office, "queue.drop", items, actor())
        return moved(f"/queue?done={'some' if left else 'queue.drop'}")
    left = 0
    for item in items:
        try:
            _give_back(office, item)
        except (NotFound, Conflict):
            left += 1
    return moved(f"/queue?done={'some' if left else 'queue.return'}")


def _chosen() -> list[ItemId]:
    """The items that were ticked, each once."""
    given = (text for text in request.form.getlist("item") if text.isascii() and text.isdigit() and len(text) < 16)
    return [ItemId(item) for item in dict.fromkeys(map(int, given))][:_CHOSEN_MOST]
