"""What the panel's pages work with: the parts that the operator's functions need, and the frame around every page.

    desk()                               what appliance.ops.people and appliance.ops.queue are called with
    show("admin/queue.html", "queue")    a page inside the frame, with the counts of its navigation
    actor()                              who acts, for the audit log

May not: decide anything.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import urlencode

from flask import Response, current_app, request

from admin.names import Names
from appliance.i18n import N_
from appliance.ops import people
from appliance.web.access import WebApp
from appliance.web.apps import here, page
from appliance.web.forms import Form
from appliance.web.pages import zone_of
from appliance.web.parts import WebParts
from data.audit import Audit, Wanted
from data.clock import Clock
from data.directory.directory import Directory
from data.directory.dkim import DkimKeys
from data.directory.settings import Settings
from data.disk.db import Database, Tx
from data.disk.seal import Keys
from data.errors import Conflict, Invalid, NotFound, Refused, StoreError
from data.ids import AccountId, ItemId, Millis
from data.spool.envelope import State
from data.spool.items import Spool
from data.store.store import Store
from data.story import Story

_PLACE: Final = "mailstead.desk"
PAGE: Final = 50
"""Rows of a list."""
OPEN: Final = (State.QUEUED, State.SENDING, State.DEFERRED, State.FROZEN)


GiveBack = Callable[[ItemId, str, Callable[[Tx, int], None]], int]
"""(item, actor, what belongs to the same transaction): end a waiting message and tell its sender; how many recipients."""


@dataclass(frozen=True, slots=True)
class Helpers:
    """What the panel has done elsewhere: by the queue, and on the loop. Absent where routes are only declared."""

    give_back: GiveBack
    names: Names


@dataclass(slots=True)
class Forms:
    """Which forms of new accounts were sent already, so that a second click finds what the first one did."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    done: dict[str, AccountId] = field(default_factory=dict)
    most: int = 200

    def keep(self, once: str, account: AccountId) -> None:
        """A form was used; under the lock."""
        if once:
            while len(self.done) >= self.most:
                del self.done[next(iter(self.done))]
            self.done[once] = account


@dataclass(frozen=True, slots=True)
class Desk:
    """An Office and its queue (appliance.ops), made of the web's parts."""

    clock: Clock
    keys: Keys
    db: Database
    store: Store
    directory: Directory
    settings: Settings
    audit: Audit
    story: Story
    spool: Spool
    dkim: DkimKeys
    helpers: Helpers | None = None
    forms: Forms = field(default_factory=Forms)


def furnish(app: WebApp, parts: WebParts, helpers: Helpers | None) -> None:
    """Give an application its desk."""
    story = Story(parts.db)
    app.extensions[_PLACE] = Desk(
        clock=parts.clock,
        keys=parts.keys,
        db=parts.db,
        store=parts.store,
        directory=parts.directory,
        settings=parts.settings,
        audit=parts.audit,
        story=story,
        spool=Spool(parts.db, parts.store.messages, story, parts.clock),
        dkim=DkimKeys(parts.db, parts.keys, parts.clock),
        helpers=helpers,
    )


def desk() -> Desk:
    """The desk of the application that answers."""
    return cast(Desk, current_app.extensions[_PLACE])


def actor() -> str:
    """Who acts."""
    return here().account.address


_DONE: Final[Mapping[str, str]] = {
    "added": N_("The account was added."),
    "saved": N_("The change was saved."),
    "same": N_("There was nothing to change."),
    "suspended": N_("The account is suspended: it still receives mail, and nobody can sign in to it."),
    "active": N_("The account may sign in again."),
    "deleted": N_("The account was deleted. Its mail is kept; you can restore it below."),
    "twice": N_("The form was sent twice; the account was added once. If you did not see its password, set a new one."),
    "back": N_("The account is back already. If you did not see its password, set a new one."),
    "signed-out": N_(
        "They are signed out. Mail programs sign in again by themselves as long as they know the password."
    ),
    "session": N_("That browser is signed out."),
    "factor": N_("Two-step sign-in is off for them. Their password alone signs them in until they set it up again."),
    "alias-added": N_("The address was added."),
    "alias-deleted": N_("The address was taken away."),
    "looking": N_("The name servers are slow to answer. Look again in a moment."),
    "domain-added": N_("The domain was added. Now set its records where the domain is registered."),
    "queue.retry": N_("It is tried now. What could not be delivered appears here again."),
    "queue.hold": N_("The message is held. It stays here until you release it."),
    "queue.release": N_("The message was released and is sent as soon as possible."),
    "queue.drop": N_("The message was dropped. Its sender is not told."),
    "queue.return": N_("The message was taken out, and its sender is told."),
    "chosen": N_("Done for every message that was chosen."),
    "some": N_(
        "Done. Some of the messages did not wait any more, or were being sent at that moment; they were left alone."
    ),
    "none": N_("Nothing was chosen, so nothing was changed. Tick the messages first."),
}


def show(template: str, at: str, status: int = 200, **values: Any) -> Response:
    """A page inside the frame; `at` is the entry of the navigation that is current."""
    office, counts = desk(), desk().spool.counts()
    shown = {
        "users": len(office.directory.accounts()),
        "domains": len(office.directory.domains()),
        "queue": sum(counts.get(state, 0) for state in OPEN),
    }
    done = _DONE.get(request.args.get("done", ""), "") if status == 200 else ""
    return page(template, status, **{"at": at, "counts": shown, "done": done, "asked": "", **values})


def gone(at: str, what: str, why: str, button: str, to: str, status: int = 404) -> Response:
    """A page that says what is in the way, what it means, and where to go on; texts are marked ones."""
    return show("admin/gone.html", at, status, what=what, why=why, button=button, to=to)


def version(*facts: object) -> str:
    """A name for how something is right now; a form carries it, so that another's change in between is seen."""
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def unchanged(seen: str, now: Callable[[], str]) -> people.Guard:
    """A guard for a form that was opened when things were as `seen` says."""

    def guard() -> None:
        if now() != seen:
            raise people.Changed(seen)

    return guard


def by_whom(address: str, kind: str) -> str:
    """Who changed something last, as the audit log says; empty when nobody did."""
    last = desk().audit.search(Wanted(text=address, kind=kind), 1)
    return last[0].actor if last else ""


def day(name: str = "day") -> tuple[str, Millis | None, Millis | None]:
    """A day from the query as it was typed (2026-01-31), its begin and its end; nothing where none was."""
    typed = request.args.get(name, "")[:10]
    try:
        begin = datetime.strptime(typed, "%Y-%m-%d").replace(tzinfo=zone_of(desk().directory.organisation().timezone))
        end = begin + timedelta(days=1)
        return typed, Millis(int(begin.timestamp() * 1000)), Millis(int(end.timestamp() * 1000))
    except (ValueError, OverflowError):
        return "", None, None


def query_of(**given: str) -> str:
    """The filters of a list as part of a URL; those that are empty are left out."""
    return urlencode({name: value for name, value in given.items() if value})


def key(name: str) -> int:
    """A key of a list from the query; 0 when there is none."""
    given = request.args.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else 0


def words(name: str = "q", most: int = 200) -> str:
    """What was typed into a search field."""
    return " ".join(request.args.get(name, "")[:most].split())


_REFUSALS: Final = (
    (Conflict, N_("That address is already in use.")),
    (NotFound, N_("Its domain is not one of yours.")),
    (Refused, N_("You may not do that")),
    (Invalid, N_("That is not allowed here; check how it is written.")),
)


def refused(form: Form, field: str, error: StoreError) -> None:
    """The store said no: the reason in the reader's language, at a field. Raises the error when it is another kind."""
    text = next((text for kind, text in _REFUSALS if isinstance(error, kind)), None)
    if text is None:
        raise error
    form.refuse(field, text)
