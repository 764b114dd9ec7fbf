"""Searching: a page of conversations that were found, what was asked as chips, and what to try where nothing was.

    GET  /mail/search              q=..., in=<folder> or all, was=<folder one came from>; `before` continues the list
    GET  /mail/search/t<thread>    the same with a conversation open
    GET  /search                   leads there

Promises: without scripts these are whole pages. A script of ours (HX-Request) gets the list and the reading pane; with
`before` or `rows=1` the rows alone; with `only=<thread>.<thread>` these rows, if the search finds them. A search takes two
seconds at most and then says how far it came; few run at a time, so that pages are always answered.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from flask import Response, request

from appliance.i18n import N_
from appliance.web.access import Access, Routes
from appliance.web.apps import Here, here, moved, page
from appliance.web.pages import zone_of
from data.errors import NotFound
from data.ids import AccountId, MailboxId, ThreadId
from data.index.finder import Finder
from data.index.marks import TextKey, marks_of
from data.index.walk import Cursor, Found
from data.reason import Reason
from data.store import keys as k
from data.store.listing import Conversation, Show
from data.store.listing import Cursor as Place
from data.store.mailboxes import Mailbox
from data.store.query import Piece, Query, parse
from webmail.actions import Notes, toast_of
from webmail.folders import SEARCH, Folder, counts_of, find, folder_of
from webmail.framing import framed
from webmail.mailbox import opened
from webmail.rows import Row, outgoing, rows_of

EVERYWHERE: Final = "all"
RUNNING: Final = 4
"""Searches at a time, of all accounts: fewer than there are threads for pages."""
EACH: Final = 2
"""Of one account."""
WAITING: Final = 2
"""Searches that may wait for their turn, and for how many seconds."""
PATIENCE: Final = 0.5
_ONLY_MOST: Final = 50

HINTS: Final[Mapping[str, str]] = {
    "search.quote": N_("A quotation mark does not end; its words were searched one by one."),
    "search.operator": N_("There is no operator of that name; it was searched as words."),
    "search.value": N_("“%(operator)s:” does not know that value; it was searched as words."),
    "search.empty": N_("Nothing stands behind “%(operator)s:”; it was searched as a word."),
    "search.or": N_("OR stands between two words; here it was searched as a word."),
    "search.long": N_("Only the first %(most)s characters were searched."),
    "search.many": N_("Only the first %(most)s words were searched."),
    "search.mailbox": N_("There is no folder of that name."),
}
LABELS: Final[Mapping[str, str]] = {
    "from": N_("From: %(value)s"),
    "to": N_("To: %(value)s"),
    "cc": N_("Cc: %(value)s"),
    "subject": N_("Subject: %(value)s"),
    "body": N_("Text: %(value)s"),
    "in": N_("In: %(value)s"),
    "before": N_("Before %(value)s"),
    "after": N_("Since %(value)s"),
}
_IS: Final[Mapping[str, str]] = {
    "unread": N_("Unread"),
    "read": N_("Read"),
    "starred": N_("Starred"),
    "answered": N_("Answered"),
    "draft": N_("Draft"),
}
EXAMPLES: Final = (
    (N_("from:maria"), N_("Messages of somebody, by name or address")),
    (N_("subject:invoice"), N_("Words of the subject")),
    (N_("has:attachment"), N_("Messages with files")),
    (N_("is:unread"), N_("Unread; also is:starred, is:answered")),
    (N_("after:2026-01-31"), N_("From a day on; before: ends before one")),
    (N_("in:sent"), N_("One folder; in:anywhere looks into Junk and Trash as well")),
    (N_('"next week" -draft'), N_("Words beside each other, and a word that must not be there")),
)


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that was asked: in words, and the path of the search without it."""

    label: str
    path: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Where it may be searched: a name (translated when `known`), its path, whether it is chosen."""

    name: str
    known: bool
    path: str
    chosen: bool


class Turns:
    """Lets few searches run at a time; who finds no turn is told so soon."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._of: Counter[AccountId] = Counter()
        self._waiting = 0

    @contextmanager
    def turn(self, account: AccountId) -> Iterator[bool]:
        """False inside when there was none. Blocks for half a second at most."""
        granted = self._enter(account)
        try:
            yield granted
        finally:
            if granted:
                self._leave(account)

    def _enter(self, account: AccountId) -> bool:
        with self._free:
            if not self._is_free(account):
                if self._waiting >= WAITING:
                    return False
                self._waiting += 1
                try:
                    if not self._free.wait_for(lambda: self._is_free(account), PATIENCE):
                        return False
                finally:
                    self._waiting -= 1
            self._of[account] += 1
            return True

    def _leave(self, account: AccountId) -> None:
        with self._free:
            self._of[account] -= 1
            if not self._of[account]:
                del self._of[account]
            self._free.notify_all()

    def _is_free(self, account: AccountId) -> bool:
        return self._of.total() < RUNNING and self._of[account] < EACH


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for. `box` is the folder that `in` names; `was` the one the search began in."""

    text: str
    query: Query
    scope: str
    box: Mailbox | None
    was: Mailbox | None
    before: Cursor | None
    only: tuple[ThreadId, ...]

    @classmethod
    def read(cls, current: Here) -> Asked:
        """From the request; what is not understood is left out. Raises Invalid for a cursor that is none."""
        args = request.args
        text = " ".join(args.get("q", "")[:2_000].replace("\x00", " ").splitlines())
        before = args.get("before")
        words = args.get("only", "").split(".")[:_ONLY_MOST]
        box = _folder(current, args.get("in", ""))
        return cls(
            text=text,
            query=parse(text, begun=True, zone=zone_of(current.view.zone)),
            scope=folder_of(box).slug if box is not None else EVERYWHERE if args.get("in") == EVERYWHERE else "",
            box=box,
            was=_folder(current, args.get("was", "")),
            before=Cursor.decode(before) if before else None,
            only=tuple(ThreadId(int(word[:18])) for word in words if word.isascii() and word.isdigit()),
        )

    @property
    def from_slug(self) -> str:
        """The folder the search began in, as a word of paths; empty for none."""
        return folder_of(self.was).slug if self.was is not None else ""

    def words(self, **other: str) -> str:
        """The query part of this search's address, some of it changed; what is empty is left out."""
        return urlencode(
            {
                name: value
                for name, value in {"q": self.text, "in": self.scope, "was": self.from_slug, **other}.items()
                if value
            }
        )

    def path(self, **other: str) -> str:
        """The address of this search, some of it changed."""
        return f"/mail/{SEARCH.slug}?{self.words(**other)}"


def _folder(current: Here, slug: str) -> Mailbox | None:
    try:
        return find(current.parts.store.mailboxes, current.principal, slug) if slug and slug != EVERYWHERE else None
    except NotFound:
        return None


def routes_of_search(finder: Finder, notes: Notes) -> Routes:
    """The routes."""
    routes, turns = Routes("search"), Turns()

    @routes.get("/search", Access.USER)
    def short() -> Response:
        return moved(f"/mail/{SEARCH.slug}?{request.query_string.decode('latin-1')}".rstrip("?"))

    @routes.get(f"/mail/{SEARCH.slug}", Access.USER)
    def listing() -> Response:
        return _shell(finder, turns, notes, None)

    @routes.get(f"/mail/{SEARCH.slug}/t<int:thread>", Access.USER)
    def conversation(thread: int) -> Response:
        if here().asked.fragment:
            return page("mail/conversation.html", **_opened(thread), **_return(Asked.read(here())))
        return _shell(finder, turns, notes, thread)

    return routes


def _return(asked: Asked) -> dict[str, Any]:
    """What leads back to the list, for forms and links of the reading pane."""
    return {"back": asked.path(), "words": asked.words()}


def _opened(thread: int) -> dict[str, Any]:
    """The conversation as it lies where it was found (`at`), or where it is at home."""
    current, at = here(), request.args.get("at", "")
    store, principal = current.parts.store, current.principal
    box, _, uid = at.partition(".")
    if all(one.isascii() and one.isdigit() and len(one) < 19 for one in (box, uid)):
        try:
            found = store.mailboxes.get_id(principal, MailboxId(int(box)))
            return opened(found, SEARCH.slug, ThreadId(thread), int(uid))
        except NotFound:
            pass  # it went elsewhere meanwhile
    home = store.listing.home(principal, ThreadId(thread), stars=False)
    return opened(store.mailboxes.get_id(principal, home), SEARCH.slug, ThreadId(thread))


def _shell(finder: Finder, turns: Turns, notes: Notes, thread: int | None) -> Response:
    current, asked = here(), Asked.read(here())
    principal = current.principal
    boxes = current.parts.store.mailboxes.list(principal, principal.account)
    found = _find(finder, turns, current, asked)
    values = _listed(current, asked, found, boxes)
    alone = asked.only or asked.before is not None or request.args.get("rows") == "1"
    if current.asked.fragment and alone:
        return page("mail/rows.html", **values, thread=None)
    values |= {"messages": (), "subject": "", "thread": thread, "fragment": current.asked.fragment}
    if thread is not None:
        values |= _opened(thread)
    values |= {**_return(asked), "counts": json.dumps(counts_of(boxes)), "box": SEARCH}
    if current.asked.fragment:
        return page("mail/search_list.html", **values)
    return page("mail/search.html", **{**framed(current, SEARCH), **values}, toast=toast_of(current, notes))


def _find(finder: Finder, turns: Turns, current: Here, asked: Asked) -> Found | None:
    """What is found; nothing for nothing, None when there was no turn."""
    if asked.query.is_empty:
        return Found(())
    with turns.turn(current.account.id) as granted:
        if not granted:
            return None
        only = asked.box.id if asked.box is not None else None
        query = asked.query
        if asked.scope == EVERYWHERE and not query.mailboxes:
            query = replace(query, mailboxes=(EVERYWHERE,))
        return finder.find(
            current.principal, current.account.id, query, only=only, threads=asked.only, once=True, after=asked.before
        )


# --- what is shown -------------------------------------------------------------------------------------------------------


def _listed(current: Here, asked: Asked, found: Found | None, boxes: tuple[Mailbox, ...]) -> dict[str, Any]:
    hits = found.hits if found is not None else ()
    places = [(hit.mailbox, hit.uid) for hit in hits]
    conversations = current.parts.store.listing.by_message(current.principal, places)
    after = Place(asked.before.date, asked.before.uid) if asked.before is not None else None

    def path(one: Conversation) -> str:
        return f"/mail/{SEARCH.slug}/t{one.thread}?{asked.words(at=f'{one.mailbox}.{one.uid}')}"

    rows = rows_of(current, conversations, sent=outgoing(boxes), path=path, after=after)
    following = found.next.encode() if found is not None and found.next is not None else ""
    return {
        "box": SEARCH,
        "rows": _marked(rows, asked.query, {box.id: folder_of(box) for box in boxes}),
        "next": following,
        "more": asked.path(before=following),
        "show": Show.ALL,
        "only": bool(asked.only),
        "first": asked.before is None,
        "asked": asked,
        "query": asked.text,
        "found": found,
        "chips": _chips(current, asked),
        "scopes": _scopes(asked),
        "hints": [_told(one) for one in found.hints] if found is not None else [],
        "examples": [(text, what, asked.path(q=_say(current, text))) for text, what in EXAMPLES],
    }


def _say(current: Here, text: str, **params: object) -> str:
    return current.parts.pages.text(current.language, text, **params)


def _told(hint: Reason) -> tuple[str, Mapping[str, object]]:
    return HINTS[hint.code], dict(hint.params)


def _marked(rows: list[Row], query: Query, places: Mapping[int, Folder]) -> list[Row]:
    def of(*fields: k.Field) -> Any:
        def takes(one: TextKey) -> bool:
            return one.field in fields if isinstance(one, k.Stored) else True

        return marks_of(query.key, takes)

    subject, preview, who = of(k.Field.SUBJECT), of(), of(k.Field.FROM, k.Field.TO, k.Field.CC, k.Field.BCC)
    return [
        replace(
            row,
            place=places[row.one.mailbox],
            marked_subject=subject.cut(row.subject),
            marked_preview=preview.cut(row.one.preview),
            marked_who=who.cut(row.who),
        )
        for row in rows
    ]


def _chips(current: Here, asked: Asked) -> list[Chip]:
    return [Chip(_label(current, piece), asked.path(q=asked.query.less(piece))) for piece in asked.query.pieces]


def _label(current: Here, piece: Piece) -> str:
    if piece.name == "is":
        text = _say(current, _IS[piece.value])
    elif piece.name == "has":
        text = _say(current, N_("With attachments"))
    elif piece.name in LABELS:
        text = _say(current, LABELS[piece.name], value=piece.value)
    else:
        text = piece.value
    return _say(current, N_("Not: %(what)s"), what=text) if piece.minus else text


def _scopes(asked: Asked) -> list[Scope]:
    """Where else it may be searched; nothing where the query itself names folders."""
    if asked.query.mailboxes:
        return []
    found = [Scope(N_("All folders"), True, asked.path(**{"in": ""}), asked.scope == "")]
    boxes = {box.id: box for box in (asked.was, asked.box) if box is not None}
    for folder in map(folder_of, boxes.values()):
        found.append(Scope(folder.name, folder.known, asked.path(**{"in": folder.slug}), asked.scope == folder.slug))
    everywhere = asked.path(**{"in": EVERYWHERE})
    return [*found, Scope(N_("Junk and Trash too"), True, everywhere, asked.scope == EVERYWHERE)]
