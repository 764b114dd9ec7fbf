"""Live mail: what changes in an account, told to its open pages as server-sent events (HTML §9.2).

    GET /events?since=<number>          text/event-stream; the browser says Last-Event-ID when it comes back

An event `mail` is one line of JSON, and its id the account's MODSEQ it tells up to:

    {"boxes": {"inbox": {"new": 1, "threads": [7], "came": [7], "gone": [], "many": false,
                         "messages": 12, "unread": 3, "count": 3, "bright": true}}, "tree": false}

`threads` are conversations that came or changed, `came` those with a message that came, `gone` UIDs that left, `many` says that they were too many to name;
`new` counts what just came into the inbox unread; the rest is how the mailbox stands now and what the sidebar shows
beside it. `tree`: mailboxes themselves were made, renamed or deleted. `hello` gives the first id, `reload` says that
too much was missed, `end` (of `streams`) that the session is over.

Promises: an account's changes go to its own streams alone, in commit order, gathered for a tenth of a second; an idle
stream costs no thread and no reading. A stream ends as soon as its session does. May not: say anything of a message but
numbers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.web.access import Access
from appliance.web.native import Call, Native
from appliance.web.parts import WebParts
from appliance.web.streams import HEADERS, Streams, event
from data.errors import NotFound
from data.ids import AccountId, MailboxId
from data.store.changelog import Logged
from data.store.changes import (
    AccessEnded,
    Added,
    Change,
    Expunged,
    FlagsChanged,
    MailboxChange,
    QueueChanged,
    SessionsEnded,
    Subscribed,
    Taught,
)
from data.store.keys import Flag
from data.store.mailboxes import Mailbox
from data.store.names import INBOX
from webmail.folders import folder_of

PATH: Final = "/events"
GATHER: Final = 0.1
"""Seconds for which changes are gathered before they are told."""
NAMED_MOST: Final = 100
"""Messages of one mailbox that one event names."""
JUST_CAME: Final = 10 * 60_000
"""How old (milliseconds) a message may be that is announced as new: what is moved or restored later is not."""


OfAccount = MailboxChange | Subscribed | AccessEnded | SessionsEnded


@dataclass(slots=True)
class Touched:
    """What happened in one mailbox: UIDs that came, came or changed, and left; `many` when no more are noted."""

    came: set[int] = field(default_factory=set)
    here: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    many: bool = False

    def bound(self) -> None:
        """Forget the names of what is too much to name."""
        if len(self.here) + len(self.gone) > NAMED_MOST:
            self.many = True
            self.here.clear()
            self.gone.clear()


@dataclass(slots=True)
class Batch:
    """What happened in one account, gathered until it is told."""

    modseq: int = 0
    tree: bool = False
    boxes: dict[MailboxId, Touched] = field(default_factory=dict)

    def note(self, modseq: int, mailbox: MailboxId, kind: str, uids: Iterable[int]) -> None:
        """One change, in the words of the change log."""
        self.modseq = max(self.modseq, modseq)
        if kind == "subscribed":
            return
        if kind not in {"added", "flags", "expunged"}:
            self.tree = True
            return
        touched = self.boxes.setdefault(mailbox, Touched())
        if kind == "added":
            touched.came.update(uids)
        # what came during a flood is counted still, but its names are not kept
        if not touched.many:
            (touched.gone if kind == "expunged" else touched.here).update(uids)
            touched.bound()


def _words(change: MailboxChange | Subscribed) -> tuple[MailboxId, str, Iterable[int]]:
    """A change in the words of the change log."""
    if isinstance(change, Added):
        return change.mailbox, "added", [row[0] for row in change.rows]
    if isinstance(change, FlagsChanged):
        return change.mailbox, "flags", [row[0] for row in change.rows]
    if isinstance(change, Expunged):
        return change.mailbox, "expunged", change.uids
    return MailboxId(0), "subscribed" if isinstance(change, Subscribed) else "tree", ()


class Events:
    """From the change bus to the streams; one for the process. Its methods run on the loop but where they say so."""

    def __init__(self, parts: WebParts, streams: Streams, loop: asyncio.AbstractEventLoop) -> None:
        self._parts, self._streams, self._loop = parts, streams, loop
        self._log = parts.store.changelog
        self._batches: dict[AccountId, Batch] = {}
        self._due: set[AccountId] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        parts.store.changes.subscribe(self._hear)

    def natives(self) -> tuple[Native, ...]:
        """What the webmail registers."""
        return (Native(PATH, Access.USER, "GET", self._join),)

    # --- the writer's thread ----------------------------------------------------------------------------------------------

    def _hear(self, changes: tuple[Change, ...]) -> None:
        ours = [one for one in changes if not isinstance(one, QueueChanged | Taught)]
        told = [one for one in ours if self._streams.watched(one.account)]
        if told:
            self._loop.call_soon_threadsafe(self._take, told)

    # --- the loop -----------------------------------------------------------------------------------------------------------

    def _take(self, changes: Sequence[OfAccount]) -> None:
        for change in changes:
            if isinstance(change, AccessEnded | SessionsEnded):
                self._streams.recheck(change.account)
            else:
                batch = self._batches.setdefault(change.account, Batch())
                batch.note(change.modseq, *_words(change))
                self._later(change.account)

    def _later(self, account: AccountId) -> None:
        if account not in self._due:
            self._due.add(account)
            self._loop.call_later(GATHER, self._start, account)

    def _start(self, account: AccountId) -> None:
        task = self._loop.create_task(self._tell(account))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, account: AccountId) -> None:
        """Tell what was gathered; one at a time for an account, so that ids only rise."""
        batch = self._batches.pop(account, None)
        try:
            if batch is not None and self._streams.watched(account):
                self._streams.send(account, await self._parts.workers.blocking(self._describe, account, batch))
        except NotFound:
            self._parts.log.debug("web", why="the account is gone", path=PATH)
        except Exception as error:
            self._parts.log.failure(error, "web", path=PATH)
        self._due.discard(account)
        if account in self._batches:
            self._later(account)

    async def _join(self, call: Call) -> None:
        """Somebody listens: from now on, and to what was missed since the number that is named."""
        account = call.account.id
        if call.asked.method == "HEAD":
            # nothing would ever be told on it, and it would hold a place
            call.send(200, b"", HEADERS)
            return
        stream = self._streams.join(call)
        if stream is None:
            return
        since = _number(call.asked.header("Last-Event-ID") or call.query.get("since", ""))
        self._streams.write(stream, await call.blocking(self._missed, account, since))

    # --- threads ------------------------------------------------------------------------------------------------------------

    def _missed(self, account: AccountId, since: int | None) -> bytes:
        """What happened after a number, as one event."""
        newest = self._log.newest(account)
        if since is None or since == newest:
            return event("hello", "{}", str(newest))
        logged: tuple[Logged, ...] | None = self._log.since(account, since)
        if logged is None:
            return event("reload", "{}", str(newest))
        batch = Batch(since)
        for one in logged:
            batch.note(one.modseq, one.mailbox, one.kind, one.uids)
        return self._describe(account, batch)

    def _describe(self, account: AccountId, batch: Batch) -> bytes:
        """A batch as an event. Raises NotFound when the account is gone."""
        principal = self._parts.directory.account_by_id(account).principal()
        boxes = {box.id: box for box in self._parts.store.mailboxes.list(principal, account)}
        found = {}
        for mailbox, touched in batch.boxes.items():
            if mailbox in boxes:
                folder = folder_of(boxes[mailbox])
                found[folder.slug] = {
                    **self._happened(boxes[mailbox], touched),
                    "messages": folder.box.messages,
                    "unread": folder.box.unseen,
                    "count": folder.count,
                    "bright": folder.new,
                }
        data = json.dumps({"boxes": found, "tree": batch.tree}, separators=(",", ":"))
        return event("mail", data, str(batch.modseq))

    def _happened(self, box: Mailbox, touched: Touched) -> dict[str, Any]:
        looked = {*touched.here, *sorted(touched.came)[-NAMED_MOST:]}
        placed = self._log.placed(box.id, looked) if looked else ()
        fresh = self._parts.clock.now() - JUST_CAME
        came = [one for one in placed if one.uid in touched.came]
        new = [one for one in came if box.name == INBOX and not one.flags & Flag.SEEN and one.date >= fresh]
        return {
            "new": len(new),
            "threads": sorted({one.thread for one in placed if one.uid in touched.here}),
            "came": sorted({one.thread for one in came}),
            "gone": sorted(touched.gone),
            "many": touched.many,
        }


def _number(text: str) -> int | None:
    """A number as we give it out; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
