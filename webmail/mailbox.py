"""A folder with its list of conversations, a conversation beside it, and what is done to conversations.

    GET  /mail/<box>                 the shell with the list; `before` continues it, `show` filters it
    GET  /mail/<box>/t<thread>       the same with the conversation open
    POST /mail/<box>/act             do=archive|trash|junk|inbox|read|unread|star|unstar, thread=... (several)

Promises: without scripts these are whole pages; a script of ours (HX-Request) gets the list's rows or the conversation
alone. Opening changes nothing: what marks as read is a POST. Every action happens to the conversation's messages of this
folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from flask import Response, request

from appliance.i18n import N_
from appliance.web.access import Access, Routes
from appliance.web.apps import Here, here, moved, page
from appliance.web.pages import zone_of
from data.errors import Invalid, NotFound
from data.ids import MailboxId, ThreadId
from data.store.flags import Mode
from data.store.keys import Flag, Ranges
from data.store.listing import Conversation, Cursor, Letter, Show
from data.store.mailboxes import Mailbox
from data.store.quota import usage
from webmail.folders import find, folder_of, folders
from webmail.reading import File, Person, files, people, root_of, text_parts, visible

FILTERS: Final[Mapping[Show, str]] = {
    Show.ALL: N_("All"),
    Show.UNREAD: N_("Unread"),
    Show.STARRED: N_("Starred"),
    Show.FILES: N_("Attachments"),
    Show.TO_ME: N_("To me"),
}
_MOST: Final = 200
"""Conversations one action takes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the list. `day` heads a new group; `who` is whom it is about."""

    one: Conversation
    subject: str
    who: str
    initial: str
    day: str
    language: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the open conversation."""

    letter: Letter
    sender: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    files: tuple[File, ...]
    open: bool
    mine: bool
    rich: bool


def routes_of_mailbox() -> Routes:
    """The routes of reading."""
    routes = Routes("mailbox")

    @routes.get("/", Access.USER)
    def home() -> Response:
        return moved("/mail/inbox")

    @routes.get("/mail/<box>", Access.USER)
    def listing(box: str) -> Response:
        return _shell(box, None)

    @routes.get("/mail/<box>/t<int:thread>", Access.USER)
    def conversation(box: str, thread: int) -> Response:
        if here().asked.fragment:
            found = find(here().parts.store.mailboxes, here().principal, box)
            return page("mail/conversation.html", **_open(found, ThreadId(thread)))
        return _shell(box, ThreadId(thread))

    @routes.post("/mail/<box>/act", Access.USER)
    def act(box: str) -> Response:
        return _act(box)

    return routes


# --- the shell -----------------------------------------------------------------------------------------------------------


def _shell(slug: str, thread: ThreadId | None) -> Response:
    current = here()
    store, principal = current.parts.store, current.principal
    box = find(store.mailboxes, principal, slug)
    show = _show()
    before = Cursor.parse(request.args.get("before"))
    found = store.listing.page(principal, box.id, before=before, show=show)
    values: dict[str, Any] = {
        "box": folder_of(box),
        "rows": _rows(current, found.rows, box),
        "next": found.next,
        "show": show,
        "filters": FILTERS,
        "thread": thread,
        "first": before is None,
    }
    if current.asked.fragment:
        return page("mail/rows.html", **values)
    special, others = folders(store.mailboxes.list(principal, principal.account))
    opened = _open(box, thread) if thread is not None else {"messages": (), "subject": ""}
    with current.parts.db.read() as reader:
        held = usage(reader, principal.account)
    return page("mail/shell.html", **{**values, "special": special, "others": others, "held": held, **opened})


def _show() -> Show:
    try:
        return Show(request.args.get("show", "all"))
    except ValueError:
        return Show.ALL


def _rows(current: Here, found: tuple[Conversation, ...], box: Mailbox) -> list[Row]:
    zone = zone_of(current.view.zone)
    today = datetime.fromtimestamp(current.parts.clock.now() / 1000, zone).date()
    rows, last = [], ""
    outgoing = box.special_use in {"\\Sent", "\\Drafts"}
    for one in found:
        day = _day(today, datetime.fromtimestamp(max(0, one.date) / 1000, zone).date())
        who, first = _who(current, one, outgoing=outgoing)
        rows.append(
            Row(
                one,
                headline(one.subject, one.count),
                who,
                first,
                day if day != last else "",
                _language(one.subject + one.preview),
            )
        )
        last = day
    return rows


_DAYS: Final = (
    N_("Today"),
    N_("Yesterday"),
    N_("This week"),
    N_("Last week"),
    N_("This month"),
    N_("Earlier this year"),
)


def _day(today: date, then: date) -> str:
    """The group of a list a day belongs to."""
    ago = (today - then).days
    if ago <= 1:
        return _DAYS[max(0, ago)]
    if ago <= today.weekday():
        return _DAYS[2]
    if ago <= today.weekday() + 7:
        return _DAYS[3]
    if (then.year, then.month) == (today.year, today.month):
        return _DAYS[4]
    return _DAYS[5] if then.year == today.year else str(then.year)


def _who(current: Here, one: Conversation, *, outgoing: bool) -> tuple[str, str]:
    """Whom a row is about: the senders, oneself as "me"; of what one sends, the recipients. And whose initials it has."""
    texts = [one.to] if outgoing else one.people
    found = [person for text in texts for person in people(text)[: 3 if outgoing else 1]]
    if not found:
        return "", "?"
    me = current.parts.pages.text(current.language, N_("me"))
    mine = current.principal.address
    names = list(dict.fromkeys(me if person.address.lower() == mine else person.short for person in found))
    others = [person for person in found if person.address.lower() != mine]
    first = (others or found)[-1].short if not outgoing else found[0].short
    if len(names) > 3:
        names = [names[0], "…", *names[-1:]]
    if len(names) > 1:
        names = [name if name == me else name.split(" ")[0] for name in names]
    return ", ".join(names), first


_REPLIES = re.compile(r"(?:(?:re|aw|sv|fwd?|wg|回复|答复|转发)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE)


def headline(subject: str, count: int) -> str:
    """The subject of a conversation: of several messages without "Re:", of one as it was written."""
    plain = visible(subject)
    return _REPLIES.sub("", plain, count=1) if count > 1 and _REPLIES.match(plain) else plain


def _language(text: str) -> str:
    """The language of a text by its script, where it is plain to see; for `lang`."""
    han = sum("\u4e00" <= c <= "\u9fff" for c in text[:200])
    kana = sum("\u3040" <= c <= "\u30ff" for c in text[:200])
    return "ja" if kana else "zh-Hans" if han else ""


# --- the conversation ------------------------------------------------------------------------------------------------------


def _open(box: Mailbox, thread: ThreadId) -> dict[str, Any]:
    current = here()
    letters = current.parts.store.listing.conversation(current.principal, box.id, thread)
    unread = [at for at, one in enumerate(letters) if Flag.SEEN not in one.flags and one.mailbox == box.id]
    opened = {len(letters) - 1, *unread[-20:]}
    return {
        "box": folder_of(box),
        "thread": thread,
        "subject": headline(letters[-1].subject, len(letters)),
        "unread": bool(unread),
        "starred": any(Flag.FLAGGED in one.flags for one in letters if one.mailbox == box.id),
        "messages": tuple(_message(current, one, at in opened) for at, one in enumerate(letters)),
    }


def _message(current: Here, letter: Letter, open_: bool) -> Message:
    root = root_of(letter.layout)
    sender = next(iter(people(letter.from_)), Person("", ""))
    rich = root is not None and text_parts(root)[1] is not None
    mine = sender.address.lower() == current.principal.address
    shown = files(root, _inline(root)) if open_ and root is not None else ()
    return Message(letter, sender, people(letter.to)[:100], people(letter.cc)[:100], shown, open_, mine, rich)


def _inline(root: Any) -> frozenset[str]:
    """Content-IDs of pictures that belong to the text."""
    return frozenset(
        (part.content_id or "").strip("<>")
        for part in root.walk()
        if part.type == "image" and part.content_id and part.disposition != "attachment"
    )


# --- actions ---------------------------------------------------------------------------------------------------------------


def _act(slug: str) -> Response:
    current = here()
    do, _, single = request.form.get("do", "").partition(":")
    chosen = [single] if single else request.form.getlist("thread")[:_MOST]
    action = ACTIONS.get(do)
    if action is None or not all(one.isascii() and one.isdigit() for one in chosen):
        raise Invalid(f"{do} {chosen}"[:200])
    box = find(current.parts.store.mailboxes, current.principal, slug)
    listing = current.parts.store.listing
    for one in chosen:
        uids = listing.uids(current.principal, box.id, ThreadId(int(one[:18])))
        if uids:
            action(current, box, ranges_of(uids))
    back = request.form.get("back", "")
    if back.isdigit() and do in _STAY:
        return moved(f"/mail/{slug}/t{back}")
    return moved(f"/mail/{slug}")


def ranges_of(uids: tuple[int, ...]) -> Ranges:
    """UIDs as ranges."""
    found: list[tuple[int, int]] = []
    for uid in uids:
        if found and found[-1][1] == uid - 1:
            found[-1] = (found[-1][0], uid)
        else:
            found.append((uid, uid))
    return tuple(found)


Action = Callable[[Here, Mailbox, Ranges], None]


def _to(use: str) -> Action:
    def action(current: Here, box: Mailbox, ranges: Ranges) -> None:
        store, principal = current.parts.store, current.principal
        target = _special(current, use)
        if target != box.id:
            store.messages.move(principal, box.id, ranges, target)

    return action


def _special(current: Here, use: str) -> MailboxId:
    boxes = current.parts.store.mailboxes.list(current.principal, current.principal.account)
    for box in boxes:
        if (box.special_use or box.name) == use:
            return box.id
    raise NotFound(use, public="That folder is not there")


def _mark(mode: Mode, flag: Flag) -> Action:
    def action(current: Here, box: Mailbox, ranges: Ranges) -> None:
        current.parts.store.flags.store(current.principal, box.id, ranges, mode, flag, frozenset())

    return action


def _star(current: Here, box: Mailbox, ranges: Ranges) -> None:
    """The newest message carries the star of its conversation."""
    newest = ranges[-1][1]
    _mark("+", Flag.FLAGGED)(current, box, ((newest, newest),))


ACTIONS: Final[Mapping[str, Action]] = {
    "archive": _to("\\Archive"),
    "trash": _to("\\Trash"),
    "junk": _to("\\Junk"),
    "inbox": _to("INBOX"),
    "read": _mark("+", Flag.SEEN),
    "unread": _mark("-", Flag.SEEN),
    "star": _star,
    "unstar": _mark("-", Flag.FLAGGED),
}
_STAY: Final = frozenset({"star", "unstar", "read"})
