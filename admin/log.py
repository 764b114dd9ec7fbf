"""What happened: the log of mail, the story of one message, the audit log of administrators.

May not: change anything.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from flask import Response, request

from admin import wording
from admin.desk import PAGE, Desk, day, desk, key, query_of, show, words
from appliance.web.access import Access, Routes
from data.audit import Entry, Wanted
from data.errors import NotFound
from data.ids import ItemId
from data.story import OUTCOMES, Sought

routes = Routes("log")
_TRAIL_MOST: Final = 200
VERIFIED_MOST: Final = 50_000
"""Rows that are checked for a page; with more of them the command `verify` does it."""
EXPORTED_MOST: Final = 100_000
_CHUNK: Final = 500


@routes.get("/log", Access.ADMIN)
def mail() -> Response:
    """Hops, newest first, of everything or of what was looked for."""
    office, asked, before = desk(), words(), key("before")
    typed, since, until = day()
    outcome = request.args.get("outcome", "")
    outcome = outcome if outcome in OUTCOMES else ""
    sought = Sought(_trail(office, asked), outcome, since, until)
    found = office.story.search(sought, PAGE + 1, **({"before": before} if before else {}))
    shown = found[:PAGE]
    return show(
        "admin/log.html",
        "log",
        rows=[(one, wording.hop(one), wording.why(one)) for one in shown],
        query=asked,
        day=typed,
        outcome=outcome,
        outcomes=wording.OUTCOMES,
        filters=query_of(q=asked, day=typed, outcome=outcome),
        before=before,
        following=shown[-1].id if len(found) > PAGE else None,
    )


def _trail(office: Desk, asked: str) -> str:
    """The trail of a queue number; anything else as it was typed."""
    if asked.isascii() and asked.isdigit() and len(asked) < 16:
        return office.spool.trail_of(ItemId(int(asked))) or asked
    return asked


@routes.get("/log/<trail>", Access.ADMIN)
def story(trail: str) -> Response:
    """One message, hop by hop."""
    office = desk()
    hops = office.story.of(trail[:_TRAIL_MOST])
    if not hops:
        raise NotFound(f"trail {trail[:_TRAIL_MOST]}")
    return show(
        "admin/story.html",
        "log",
        trail=trail,
        sender=next((one.sender for one in hops if one.sender), ""),
        recipients=list(dict.fromkeys(one.recipient for one in hops if one.recipient)),
        rows=[(one, wording.hop(one), wording.why(one), wording.answer(one.reason)) for one in hops],
        waiting=office.spool.of_trail(trail),
    )


# --- the audit log -----------------------------------------------------------------------------------------------------------


@routes.get("/audit", Access.ADMIN)
def audit() -> Response:
    """What administrators did, newest first, and whether the chain of rows is whole."""
    log, before = desk().audit, key("before")
    wanted, given = _wanted()
    found = log.search(wanted, PAGE + 1, **({"before": before} if before else {}))
    shown, head = found[:PAGE], log.head()
    broken = log.verify() if head.id <= VERIFIED_MOST else None
    return show(
        "admin/audit.html",
        "audit",
        rows=[(one, wording.action(one), _details(one.detail)) for one in shown],
        query=given["q"],
        day=given["day"],
        kind=given["kind"],
        kinds=wording.KINDS,
        filters=query_of(**given),
        before=before,
        following=shown[-1].id if len(found) > PAGE else None,
        head=head.id,
        digest=head.digest.hex()[:16],
        broken=broken,
    )


def _wanted() -> tuple[Wanted, dict[str, str]]:
    asked, kind = words(), request.args.get("kind", "")
    kind = kind if kind in wording.KINDS else ""
    typed, since, until = day()
    return Wanted(asked, kind, since, until), {"q": asked, "kind": kind, "day": typed}


def _details(detail: object) -> str:
    assert isinstance(detail, dict)
    return ", ".join(f"{name}: {value}" for name, value in detail.items() if value not in ("", None))


@routes.get("/audit/export", Access.ADMIN)
def export() -> Response:
    """The same rows as a table for other programs (RFC 4180), newest first, at most EXPORTED_MOST."""
    office, (wanted, _) = desk(), _wanted()
    response = Response(_lines(office, wanted), mimetype="text/csv", direct_passthrough=True)
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response


def _lines(office: Desk, wanted: Wanted) -> Iterator[bytes]:
    # spreadsheets take a file for UTF-8 when it begins with this mark
    yield b"\xef\xbb\xbf" + _line("number", "time", "who", "action", "object", "details")
    before, left = 2**62, EXPORTED_MOST
    while left > 0:
        found = office.audit.search(wanted, min(_CHUNK, left), before)
        yield b"".join(map(_row, found))
        if len(found) < _CHUNK:
            return
        before, left = found[-1].id, left - len(found)


def _row(one: Entry) -> bytes:
    at = datetime.fromtimestamp(one.at / 1000, UTC).isoformat(timespec="milliseconds")
    return _line(str(one.id), at, one.actor, one.action, one.object, _details(one.detail))


def _line(*cells: str) -> bytes:
    """One line; what a spreadsheet would take for a formula begins with an apostrophe."""
    made = io.StringIO()
    csv.writer(made).writerow([f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell for cell in cells])
    return made.getvalue().encode("utf-8", "replace")
