"""What happened: the log of mail, the story of one message, the audit log of administrators."""

from __future__ import annotations

from typing import Final

from flask import Response

from admin import wording
from admin.desk import PAGE, desk, key, show, words
from appliance.web.access import Access, Routes
from data.errors import NotFound
from data.story import Sought

routes = Routes("log")
_TRAIL_MOST: Final = 200
VERIFIED_MOST: Final = 50_000
"""Rows that are checked for a page; with more of them the command `verify` does it."""


@routes.get("/log", Access.ADMIN)
def mail() -> Response:
    """Hops, newest first, of everything or of what was looked for."""
    story, asked, before = desk().story, words(), key("before")
    newest = {"before": before} if before else {}
    found = story.search(Sought(asked), PAGE + 1, **newest) if asked else story.recent(PAGE + 1, **newest)
    shown = found[:PAGE]
    return show(
        "admin/log.html",
        "log",
        rows=[(one, wording.hop(one), wording.why(one)) for one in shown],
        query=asked,
        before=before,
        following=shown[-1].id if len(found) > PAGE else None,
    )


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


@routes.get("/audit", Access.ADMIN)
def audit() -> Response:
    """What administrators did, newest first, and whether the chain of rows is whole."""
    log, before = desk().audit, key("before")
    found = log.recent(PAGE + 1, **({"before": before} if before else {}))
    shown, head = found[:PAGE], log.head()
    broken = log.verify() if head.id <= VERIFIED_MOST else None
    return show(
        "admin/audit.html",
        "audit",
        rows=[(one, wording.action(one), _details(one.detail)) for one in shown],
        before=before,
        following=shown[-1].id if len(found) > PAGE else None,
        head=head.id,
        digest=head.digest.hex()[:16],
        broken=broken,
    )


def _details(detail: object) -> str:
    assert isinstance(detail, dict)
    return ", ".join(f"{name}: {value}" for name, value in detail.items() if value not in ("", None))
