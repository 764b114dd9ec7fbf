"""A folder with its list of conversations, and a conversation beside it.

    GET  /mail/<box>                 the shell with the list; `before` continues it, `date` begins it at the end of a day,
                                     `show` filters it; <box> may be `starred`: every conversation with a star
    GET  /mail/<box>/t<thread>       the same with the conversation open

Promises: without scripts these are whole pages. A script of ours (HX-Request) gets the list and the reading pane; with
`before` or `rows=1` the rows alone; with `only=<thread>.<thread>` these rows, if the list shows them; the conversation
alone at its own path, or with `Prefer: if-there` nothing (204) where it is not. Opening changes nothing: what marks as read is a POST (webmail.actions).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from flask import Response, request

from appliance.i18n import N_
from appliance.web.access import Access, Routes
from appliance.web.apps import Here, here, moved, page
from appliance.web.pages import zone_of
from data.errors import NotFound
from data.ids import MailboxId, ThreadId
from data.store.keys import Flag
from data.store.listing import Conversation, Cursor, Letter, Page, Show
from data.store.mailboxes import Mailbox
from webmail.actions import Notes, toast_of
from webmail.fates import Said, fates_of
from webmail.folders import STARRED, VIEWS, Folder, View, counts_of, find, folder_of
from webmail.framing import framed
from webmail.reading import File, Person, files, people, root_of, text_parts
from webmail.rows import headline, outgoing, rows_of
from webmail.senders import Proof, known, proof_of, vouched

FILTERS: Final[Mapping[Show, str]] = {
    Show.ALL: N_("All"),
    Show.UNREAD: N_("Unread"),
    Show.STARRED: N_("Starred"),
    Show.FILES: N_("Attachments"),
    Show.TO_ME: N_("To me"),
}
IF_THERE: Final = "if-there"
_ONLY_MOST: Final = 50
"""Rows that are asked for by their number at a time."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the open conversation. `mine`: written here by the reader, so it lies in Sent or Drafts; `vouched`:
    its sender had signed in here; `known`: this server knows who sent it; `proof`: what DMARC says; `fates`: what became of it, where the reader sent it."""

    letter: Letter
    sender: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    files: tuple[File, ...]
    open: bool
    mine: bool
    rich: bool
    vouched: bool = False
    fates: tuple[Said, ...] = ()
    known: bool = False
    proof: Proof = field(default_factory=Proof)


def routes_of_mailbox(notes: Notes) -> Routes:
    """The routes of reading."""
    routes = Routes("mailbox")

    @routes.get("/", Access.USER)
    def home() -> Response:
        return moved("/mail/inbox")

    @routes.get("/mail/<box>", Access.USER)
    def listing(box: str) -> Response:
        return _shell(notes, box, None)

    @routes.get("/mail/<box>/t<int:thread>", Access.USER)
    def conversation(box: str, thread: int) -> Response:
        if here().asked.fragment:
            return in_pane(lambda: opened(_box(box, ThreadId(thread)), box, ThreadId(thread)))
        return _shell(notes, box, ThreadId(thread))

    return routes


def in_pane(read: Callable[[], dict[str, Any]]) -> Response:
    """A conversation alone. A script that asks ahead of its reader (Prefer: if-there, in the form of RFC 7240 §2) gets
    204 where it is not there any more: it was moved a moment before, and nobody asked to see it.
    """
    try:
        return page("mail/conversation.html", **read())
    except NotFound:
        if request.headers.get("Prefer") != IF_THERE:
            raise
        return Response(status=204)


def _box(slug: str, thread: ThreadId) -> Mailbox:
    """The mailbox in which a conversation of a list lies."""
    current = here()
    mailboxes = current.parts.store.mailboxes
    if slug == STARRED.slug:
        return mailboxes.get_id(current.principal, current.parts.store.listing.home(current.principal, thread))
    return find(mailboxes, current.principal, slug)


# --- the list ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which part of a list."""

    show: Show
    before: Cursor | None
    only: tuple[ThreadId, ...]
    dated: bool

    @classmethod
    def read(cls, zone: str) -> _Asked:
        """As the query says; what is not understood is left out."""
        words = request.args.get("only", "").split(".")[:_ONLY_MOST]
        only = tuple(ThreadId(int(word[:18])) for word in words if word.isascii() and word.isdigit())
        day = _midnight(request.args.get("date", ""), zone)
        try:
            show = Show(request.args.get("show", "all"))
        except ValueError:
            show = Show.ALL
        return cls(show, day or Cursor.parse(request.args.get("before")), only, day is not None)


def _midnight(text: str, zone: str) -> Cursor | None:
    """Behind the last moment of a day, YYYY-MM-DD."""
    try:
        after = date.fromisoformat(text[:10]) + timedelta(days=1)
        return Cursor(int(datetime(after.year, after.month, after.day, tzinfo=zone_of(zone)).timestamp() * 1000), 0)
    except (ValueError, OverflowError):
        return None


def _shell(notes: Notes, slug: str, thread: ThreadId | None) -> Response:
    current = here()
    store, principal = current.parts.store, current.principal
    # read before the list is: what happens meanwhile is told by webmail.events
    since = store.changelog.newest(principal.account)
    boxes = store.mailboxes.list(principal, principal.account)
    box = None if slug == STARRED.slug else find(store.mailboxes, principal, slug)
    asked = _Asked.read(current.view.zone)
    values = _listed(current, STARRED if box is None else folder_of(box), box, boxes, asked)
    if current.asked.fragment and (asked.only or asked.before is not None or request.args.get("rows") == "1"):
        return page("mail/rows.html", **values, thread=None)
    pane = {"messages": (), "subject": ""}
    if thread is not None:
        pane = opened(_box(slug, thread), slug, thread)
    values |= {"since": since, "thread": thread, "filters": FILTERS, "fragment": current.asked.fragment, **pane}
    if current.asked.fragment:
        return page("mail/list.html", **values, counts=json.dumps(counts_of(boxes)))
    return page("mail/shell.html", **{**framed(current, values["box"]), **values}, toast=toast_of(current, notes))


def _listed(
    current: Here, place: Folder | View, box: Mailbox | None, boxes: tuple[Mailbox, ...], asked: _Asked
) -> dict[str, Any]:
    """What the list shows, for its templates."""
    found = _page(current, box.id if box is not None else None, asked)
    sent = outgoing(boxes if box is None else (box,))
    tail = f"?show={asked.show.value}" if asked.show is not Show.ALL else ""

    def path(one: Conversation) -> str:
        return f"/mail/{place.slug}/t{one.thread}{tail}"

    after = asked.before if not asked.dated else None
    return {
        "box": place,
        "rows": rows_of(current, found.rows, sent=sent, path=path, after=after),
        "next": found.next,
        "show": asked.show,
        "only": bool(asked.only),
        "first": asked.before is None,
        "today": datetime.fromtimestamp(current.parts.clock.now() / 1000, zone_of(current.view.zone))
        .date()
        .isoformat(),
    }


def _page(current: Here, box: MailboxId | None, asked: _Asked) -> Page:
    listing, principal = current.parts.store.listing, current.principal
    if box is None:
        found = listing.starred(principal, before=asked.before)
        if not asked.only:
            return found
        return Page(tuple(row for row in found.rows if row.thread in asked.only), None)
    if asked.only:
        return Page(listing.some(principal, box, asked.only, show=asked.show), None)
    return listing.page(principal, box, before=asked.before, show=asked.show)


# --- the conversation ------------------------------------------------------------------------------------------------------


def opened(box: Mailbox, slug: str, thread: ThreadId, uid: int = 0) -> dict[str, Any]:
    """A conversation for its templates, as it lies in a mailbox; what is unread, the last and `uid` unfolded."""
    current = here()
    principal, store = current.principal, current.parts.store
    letters = store.listing.conversation(principal, box.id, thread)
    own = outgoing(store.mailboxes.list(principal, principal.account))
    unread = [at for at, one in enumerate(letters) if Flag.SEEN not in one.flags and one.mailbox == box.id]
    sought = [at for at, one in enumerate(letters) if (one.mailbox, one.uid) == (box.id, uid)]
    unfolded = {len(letters) - 1, *unread[-20:], *sought}
    return {
        "box": VIEWS.get(slug) or folder_of(box),
        "home": folder_of(box),
        "thread": thread,
        "subject": headline(letters[-1].subject, len(letters)),
        "unread": bool(unread),
        "starred": any(Flag.FLAGGED in one.flags for one in letters if one.mailbox == box.id),
        "messages": tuple(_message(current, one, at in unfolded, own) for at, one in enumerate(letters)),
    }


def _message(current: Here, letter: Letter, open_: bool, own: frozenset[MailboxId]) -> Message:
    root = root_of(letter.layout)
    sender = next(iter(people(letter.from_)), Person("", ""))
    rich = root is not None and text_parts(root)[1] is not None
    mine = sender.address.lower() == current.principal.address and letter.mailbox in own
    fates = fates_of(current, letter.message_id) if mine and open_ and not letter.draft else ()
    shown = files(root, _inline(root)) if open_ and root is not None else ()
    to, cc = people(letter.to)[:100], people(letter.cc)[:100]
    prefix = letter.prefix
    sure = known(prefix, letter.from_)
    return Message(
        letter, sender, to, cc, shown, open_, mine, rich, vouched(prefix), fates, known=sure, proof=proof_of(prefix)
    )


def _inline(root: Any) -> frozenset[str]:
    """Content-IDs of pictures that belong to the text."""
    return frozenset(
        (part.content_id or "").strip("<>")
        for part in root.walk()
        if part.type == "image" and part.content_id and part.disposition != "attachment"
    )
