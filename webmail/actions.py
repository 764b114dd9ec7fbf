"""What is done to conversations, and how it is undone.

    POST /mail/<box>/act    do=archive|trash|junk|inbox|move|read|unread|star|unstar[:<thread>], thread=... (several), to=<mailbox>
                            quiet=1: not noted, since nobody asked for it (what is opened becomes read)
    POST /undo              done=<number>

Promises: an action takes the conversation's messages of one folder and moves or marks all of them in one transaction. What
was done is noted with its inverse: exactly the messages that moved, under the UIDs they have now, go back with their flags;
exactly the flags that changed change back. What somebody else did to them meanwhile stays. A note belongs to its session,
is taken once and ends after ten minutes; a few of each session are kept in memory, so a restart forgets them and no mail.
A script of ours (HX-Request) gets JSON, a browser the list again with the same sentence and its button.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode

from flask import Response, request

from appliance.i18n import N_, NN_
from appliance.web.access import Access, Routes
from appliance.web.apps import Here, here, moved
from data.clock import MINUTE
from data.errors import Conflict, Invalid, NotFound
from data.ids import MailboxId, Millis, ThreadId
from data.store.flags import Mode
from data.store.keys import Flag, Ranges
from webmail.folders import STARRED, VIEWS, counts_of, find

MOST: Final = 400
"""Conversations one action takes: more than a page holds."""
KEPT: Final = 8
SESSIONS: Final = 500
LASTS: Final = 10 * MINUTE
SHOWN: Final = MINUTE
"""How old a note may be that a page still tells of."""
_UNDONE: Final = N_("Undone.")
_GONE: Final = N_("That folder is not there")
_LATE: Final = N_("This can no longer be undone")


@dataclass(frozen=True, slots=True)
class Step:
    """A part of an inverse: messages of a mailbox go `to` another, or a flag of theirs is set or taken."""

    mailbox: MailboxId
    ranges: Ranges
    to: MailboxId | None = None
    mode: Mode = "+"
    flag: Flag = Flag.SEEN


@dataclass(slots=True)
class Note:
    """What was done in a list: how often, to which conversations, and its inverse. `told`: somebody was told."""

    number: int
    verb: str
    count: int
    slug: str
    threads: tuple[int, ...]
    steps: tuple[Step, ...]
    at: Millis
    told: bool = False


Owner = tuple[int, int]
"""An account and its session."""


def owner_of(current: Here) -> Owner:
    """Whose notes a request may see."""
    return current.account.id, current.session.id


class Notes:
    """The notes of all sessions; any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._of: OrderedDict[Owner, list[Note]] = OrderedDict()
        self._last = 0

    def keep(
        self, owner: Owner, now: Millis, verb: str, count: int, slug: str, threads: Iterable[int], steps: Iterable[Step]
    ) -> Note:
        """Note what was done."""
        with self._guard:
            self._last += 1
            note = Note(self._last, verb, count, slug, tuple(threads), tuple(steps), now)
            kept = self._of.setdefault(owner, [])
            kept.append(note)
            del kept[:-KEPT]
            self._of.move_to_end(owner)
            while len(self._of) > SESSIONS:
                self._of.popitem(last=False)
            return note

    def take(self, owner: Owner, number: int, now: Millis) -> Note | None:
        """A note, to be undone; nobody gets it again."""
        with self._guard:
            kept = self._of.get(owner, [])
            found = next((note for note in kept if note.number == number), None)
            if found is not None:
                kept.remove(found)
            return found if found is not None and now - found.at < LASTS and found.steps else None

    def untold(self, owner: Owner, now: Millis) -> Note | None:
        """The latest note, if a page should still tell of it; once."""
        with self._guard:
            kept = self._of.get(owner, [])
            if not kept or kept[-1].told or now - kept[-1].at > SHOWN:
                return None
            kept[-1].told = True
            return kept[-1]


@dataclass(frozen=True, slots=True)
class Moving:
    """An action that moves, into a folder of this special use; into the one that is asked for where there is none."""

    use: str | None


@dataclass(frozen=True, slots=True)
class Marking:
    """An action that marks: every message, or the `newest` of each conversation."""

    mode: Mode
    flag: Flag
    newest: bool = False


Verb = Literal["archive", "trash", "junk", "inbox", "move", "read", "unread", "star", "unstar"]
ACTIONS: Final[Mapping[str, Moving | Marking]] = {
    "archive": Moving("\\Archive"),
    "trash": Moving("\\Trash"),
    "junk": Moving("\\Junk"),
    "inbox": Moving("INBOX"),
    "move": Moving(None),
    "read": Marking("+", Flag.SEEN),
    "unread": Marking("-", Flag.SEEN),
    # the newest message carries the star of its conversation
    "star": Marking("+", Flag.FLAGGED, newest=True),
    "unstar": Marking("-", Flag.FLAGGED),
}
STAY: Final = frozenset({"star", "unstar", "read"})
"""What leaves a conversation open."""
SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "archive": NN_("%(count)s conversation archived", "%(count)s conversations archived"),
    "trash": NN_("%(count)s conversation moved to Trash", "%(count)s conversations moved to Trash"),
    "junk": NN_("%(count)s conversation reported as junk", "%(count)s conversations reported as junk"),
    "inbox": NN_("%(count)s conversation moved to the inbox", "%(count)s conversations moved to the inbox"),
    "move": NN_("%(count)s conversation moved", "%(count)s conversations moved"),
    "read": NN_("%(count)s conversation marked as read", "%(count)s conversations marked as read"),
    "unread": NN_("%(count)s conversation marked as unread", "%(count)s conversations marked as unread"),
    "star": NN_("%(count)s conversation starred", "%(count)s conversations starred"),
    "unstar": NN_("Star removed from %(count)s conversation", "Star removed from %(count)s conversations"),
}


@dataclass(slots=True)
class _Doing:
    """One action on its way: what was done so far, and its inverse."""

    current: Here
    threads: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def move(self, box: MailboxId, uids: Mapping[int, tuple[int, ...]], target: MailboxId) -> None:
        if target == box:
            return
        store, principal = self.current.parts.store, self.current.principal
        copied = store.messages.move(principal, box, ranges_of(_all(uids)), target)
        if copied.target:
            self.threads += uids
            self.steps.append(Step(target, ranges_of(sorted(copied.target)), to=box))

    def mark(self, box: MailboxId, uids: Mapping[int, tuple[int, ...]], how: Marking) -> None:
        chosen = {thread: found[-1:] if how.newest else found for thread, found in uids.items()}
        flags = self.current.parts.store.flags
        done = flags.store(self.current.principal, box, ranges_of(_all(chosen)), how.mode, how.flag)
        changed = {state[0] for state in done.changed}
        if changed:
            self.threads += [thread for thread, found in chosen.items() if changed.intersection(found)]
            inverse: Mode = "-" if how.mode == "+" else "+"
            self.steps.append(Step(box, ranges_of(sorted(changed)), mode=inverse, flag=how.flag))


def routes_of_actions(notes: Notes) -> Routes:
    """The routes."""
    routes = Routes("actions")

    @routes.post("/mail/<box>/act", Access.USER)
    def act(box: str) -> Response:
        return _act(notes, box)

    @routes.post("/undo", Access.USER)
    def undo() -> Response:
        return _undo(notes)

    return routes


def _act(notes: Notes, slug: str) -> Response:
    current = here()
    verb, _, single = request.form.get("do", "").partition(":")
    chosen = [single] if single else request.form.getlist("thread")[:MOST]
    action = ACTIONS.get(verb)
    if action is None or not all(one.isascii() and one.isdigit() for one in chosen):
        raise Invalid(f"{verb} {chosen}"[:200])
    if verb == "move" and not request.form.get("to"):
        return moved(f"/move/{slug}?" + urlencode([("thread", one) for one in chosen]))
    doing = _Doing(current)
    for box, uids in _places(current, slug, [ThreadId(int(one[:18])) for one in chosen]).items():
        if isinstance(action, Marking):
            doing.mark(box, uids, action)
        else:
            doing.move(box, uids, _target(current, action))
    now = current.parts.clock.now()
    threads = {} if request.form.get("quiet") else dict.fromkeys(doing.threads)
    note = notes.keep(owner_of(current), now, verb, len(threads), slug, threads, doing.steps) if threads else None
    if current.asked.fragment:
        if note is not None:
            note.told = True
        return _told(current, note, sentence(current, note) if note is not None else "")
    back = request.form.get("back", "")
    stays = back.isascii() and back.isdigit() and verb in STAY
    words = urlencode(parse_qsl(request.form.get("words", "")[:4_000])) if slug in VIEWS else ""
    return moved((f"/mail/{slug}/t{back}" if stays else f"/mail/{slug}") + (f"?{words}" if words else ""))


def _undo(notes: Notes) -> Response:
    current = here()
    text = request.form.get("done", "")
    number = int(text[:18]) if text.isascii() and text.isdigit() else 0
    note = notes.take(owner_of(current), number, current.parts.clock.now())
    if note is None:
        raise Conflict(f"note {number} is not there", public=_LATE)
    store, principal = current.parts.store, current.principal
    for step in reversed(note.steps):
        if step.to is not None:
            store.messages.move(principal, step.mailbox, step.ranges, step.to)
        else:
            store.flags.store(principal, step.mailbox, step.ranges, step.mode, step.flag)
    undone = notes.keep(owner_of(current), current.parts.clock.now(), "", 0, note.slug, note.threads, ())
    if current.asked.fragment:
        undone.told = True
        return _told(current, undone, sentence(current, undone))
    return moved(f"/mail/{note.slug}")


def sentence(current: Here, note: Note) -> str:
    """What was done, in words."""
    pages = current.parts.pages
    if note.verb not in SENTENCES:
        return pages.text(current.language, _UNDONE)
    return pages.catalogue.counted(current.language, SENTENCES[note.verb], note.count)


def toast_of(current: Here, notes: Notes) -> tuple[str, int] | None:
    """What a page should still tell of, and the number that undoes it (0: nothing does)."""
    note = notes.untold(owner_of(current), current.parts.clock.now())
    return None if note is None else (sentence(current, note), note.number if note.steps else 0)


def _told(current: Here, note: Note | None, text: str) -> Response:
    """For a script: what was done, the number that undoes it, and what the folders hold now."""
    boxes = current.parts.store.mailboxes.list(current.principal, current.principal.account)
    told = {
        "done": note.number if note is not None and note.steps else 0,
        "text": text,
        "threads": note.threads if note is not None else (),
        "counts": counts_of(boxes),
    }
    return Response(json.dumps(told), 200, mimetype="application/json")


def _places(current: Here, slug: str, threads: Iterable[ThreadId]) -> dict[MailboxId, dict[int, tuple[int, ...]]]:
    """The messages of conversations, by mailbox: of the folder that is open, or of where each lies."""
    store, principal = current.parts.store, current.principal
    box = None if slug in VIEWS else find(store.mailboxes, principal, slug).id
    found: dict[MailboxId, dict[int, tuple[int, ...]]] = {}
    for thread in threads:
        try:
            home = box if box is not None else store.listing.home(principal, thread, stars=slug == STARRED.slug)
        except NotFound:
            continue
        uids = store.listing.uids(principal, home, thread)
        if uids:
            found.setdefault(home, {})[thread] = uids
    return found


def _target(current: Here, action: Moving) -> MailboxId:
    if action.use is None:
        wanted = request.form.get("to", "")
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
            raise Invalid(f"no folder {wanted[:40]}")
        return MailboxId(int(wanted))
    for box in current.parts.store.mailboxes.list(current.principal, current.principal.account):
        if (box.special_use or box.name) == action.use:
            return box.id
    raise NotFound(action.use, public=_GONE)


def _all(uids: Mapping[int, tuple[int, ...]]) -> list[int]:
    return sorted({uid for found in uids.values() for uid in found})


def ranges_of(uids: Iterable[int]) -> Ranges:
    """Ascending UIDs as ranges."""
    found: list[tuple[int, int]] = []
    for uid in uids:
        if found and found[-1][1] == uid - 1:
            found[-1] = (found[-1][0], uid)
        else:
            found.append((uid, uid))
    return tuple(found)
