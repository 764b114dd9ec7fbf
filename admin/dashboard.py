"""The first page: what needs attention, how the appliance is, what it does; and the search over everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Response, request

from admin import wording
from admin.desk import Desk, actor, by_whom, desk, refused, show, unchanged, version, words
from admin.health import SOON, certificate, disk, look, problems
from appliance.ops import people
from appliance.ops.version import NAME, VERSION
from appliance.web.access import Access, Routes
from appliance.web.apps import here, moved
from appliance.web.forms import Form
from appliance.web.pages import zone_of
from data.clock import DAY, HOUR
from data.directory.settings import Scope
from data.errors import StoreError
from data.ids import Millis
from data.store.quota import in_all
from data.story import Sought

routes = Routes("dashboard")
_SLOTS: Final = 48
_WIDE, _HIGH = 1000, 200
_LOST: Final = frozenset({"failed", "expired"})
ROUTES: Final = "queue.routes"
_FOUND: Final = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the chart: `points` in a box of 1000 by 200, and what it adds up to."""

    points: str
    total: int


@dataclass(frozen=True, slots=True)
class Chart:
    """The mail of the last 24 hours in half hours: received, sent, not delivered. `marks` are the numbers at its side;
    `table` says the same in words: from when, and how many of each in the two hours that follow."""

    lines: tuple[Line, ...]
    marks: tuple[int, ...]
    hours: tuple[str, ...]
    table: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def empty(self) -> bool:
        """Was there nothing at all?"""
        return not any(line.total for line in self.lines)


def chart(office: Desk, now: Millis) -> Chart:
    """The chart, from the story."""
    step = DAY // _SLOTS
    since = Millis(now - DAY)
    slots = [[0] * _SLOTS for _ in range(3)]
    for slot, event, out, count in office.story.flow(since, step):
        which = 2 if event in _LOST else 1 if out else 0 if event == "delivered" else None
        if which is not None and 0 <= slot < _SLOTS:
            slots[which][slot] += count
    top = _rounded(max(max(line) for line in slots))
    lines = tuple(Line(_points(line, top), sum(line)) for line in slots)
    zone = zone_of(office.directory.organisation().timezone)

    def told(hour: int) -> str:
        return f"{datetime.fromtimestamp((since + hour * HOUR) / 1000, zone):%H:%M}"

    hours = tuple(map(told, range(0, 24, 4)))
    table = tuple((told(hour), tuple(sum(slot[hour * 2 : hour * 2 + 4]) for slot in slots)) for hour in range(0, 24, 2))
    return Chart(lines, tuple(top * quarter // 4 for quarter in (4, 3, 2, 1, 0)), hours, table)


def _rounded(most: int) -> int:
    """The top of the scale: a number that four lines divide evenly."""
    top = 4
    while top < most:
        top *= 2
    return top


def _points(line: Sequence[int], top: int) -> str:
    wide = _WIDE / (len(line) - 1)
    return " ".join(f"{at * wide:.1f},{_HIGH - _HIGH * count / top:.1f}" for at, count in enumerate(line))


@routes.get("/", Access.ADMIN)
def home() -> Response:
    """The dashboard."""
    current, office = here(), desk()
    health = look(current.parts, office, _routes_text(office))
    now = office.clock.now()
    waiting = office.spool.waiting(5)
    return show(
        "admin/dashboard.html",
        "dashboard",
        health=health,
        problems=problems(health),
        hostname=current.parts.config.hostname,
        version=VERSION,
        product=NAME,
        waiting=[(one, wording.STATES[one.state], wording.waits(one)) for one in waiting],
        oldest=waiting[0].created_at if waiting else None,
        now=now,
        soon=SOON,
        chart=chart(office, now),
        domains=office.directory.domains(),
        recent=[(one, wording.action(one)) for one in office.audit.recent(6)],
    )


@routes.get("/search", Access.ADMIN)
def search() -> Response:
    """Accounts, addresses, domains and messages that hold what was typed."""
    office, asked = desk(), words()
    low = asked.lower()
    accounts = [one for one in office.directory.accounts() if low in one.address or low in one.name.lower()]
    aliases = [one for one in office.directory.aliases() if low in one.address]
    domains = [one for one in office.directory.domains() if low in one.name]
    hops = office.story.search(Sought(asked), 20) if asked else ()
    return show(
        "admin/found.html",
        "search",
        asked=asked,
        accounts=accounts[:_FOUND] if asked else [],
        aliases=aliases[:_FOUND] if asked else [],
        domains=domains[:_FOUND] if asked else [],
        hops=[(one, wording.hop(one)) for one in hops],
    )


@routes.get("/system", Access.ADMIN)
def system() -> Response:
    """Certificate, storage, names and routes."""
    return _system(Form(routes=_routes_text(desk())))


def _system(form: Form, status: int = 200, *, meanwhile: str | None = None) -> Response:
    current, office = here(), desk()
    config, now = current.parts.config, office.clock.now()
    with office.db.read() as reader:
        held = in_all(reader)
    return show(
        "admin/system.html",
        "system",
        status,
        form=form,
        config=config,
        certificate=certificate(current.parts.state, config, now),
        disk=disk(current.parts.state, config),
        held=held,
        release=VERSION,
        product=NAME,
        soon=SOON,
        routes=_routes_text(office),
        version=version(_routes_text(office)),
        meanwhile=meanwhile,
    )


@routes.post("/system/routes", Access.ADMIN)
def set_routes() -> Response:
    """Where mail goes without a look at MX records."""
    office, form = desk(), Form(request.form)
    text = form.text("routes", most=20_000, lines=True)
    seen = request.form.get("version", "")
    guard = unchanged(seen, lambda: version(_routes_text(office))) if seen else people.unguarded
    if form.good:
        try:
            people.change_setting(office, ROUTES, text or None, actor(), guard=guard)
        except people.Changed:
            return _system(form, 409, meanwhile=by_whom(ROUTES, "setting"))
        except StoreError as error:
            refused(form, "routes", error)
    return moved("/system?done=saved") if form.good else _system(form, 422)


def _routes_text(office: Desk) -> str:
    return office.settings.text(Scope.organisation(office.directory.organisation().id), ROUTES)
