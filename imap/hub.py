"""The change bus as the loop sees it: one subscription for the process, routed to the views of each mailbox.

Promises: changes reach views in commit order, on the loop's thread. `catch_up` hands on at once whatever was committed
so far, so that a command which has heard of its own commit finds its change, and every earlier one, in the view. A
mailbox that is being opened hears everything until its snapshot says what it holds already. A queue that grew beyond
its bound is dropped, and every view told that it is lost: resync, not silence.

May not: read the database, or keep a thread or a task for anybody.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from data.ids import AccountId, MailboxId
from data.store.changes import (
    AccessEnded,
    Added,
    Change,
    ChangeBus,
    Expunged,
    FlagsChanged,
    QueueChanged,
    SessionsEnded,
    Subscribed,
    Taught,
)
from data.store.messages import Known
from imap.view import View

MAX_COMMITS = 20_000
MAX_OPENING = 20_000
MAX_MIRRORS = 500
MAX_MIRRORED = 4_000_000
"""Mailboxes, and UIDs in them, that are remembered for the next SELECT: 16 MB at most."""

_ELSEWHERE = QueueChanged | Subscribed | AccessEnded | SessionsEnded | Taught
"""Changes that no mailbox hears of."""

Soon = Callable[[Callable[[], None]], object]
"""`loop.call_soon_threadsafe`, or what stands in for it."""


class Opening:
    """A mailbox on its way to being selected: everything that is committed meanwhile."""

    __slots__ = ("changes", "lost")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.lost = False


class Mirror:
    """The UIDs of a mailbox that was selected not long ago, kept up by its changes: the next SELECT reads none.

    The loop's thread writes, workers read: `modseq` is 0 while a change is being applied.
    """

    __slots__ = ("modseq", "uids")

    def __init__(self, uids: array[int], modseq: int) -> None:
        self.uids = uids
        self.modseq = modseq

    def apply(self, change: Added | Expunged | FlagsChanged) -> None:
        """One committed change."""
        modseq = self.modseq
        if change.modseq <= modseq:
            return
        self.modseq = 0
        if isinstance(change, Added):
            self.uids.extend([row[0] for row in change.rows])
        elif isinstance(change, Expunged):
            self._expunge(change.uids)
        self.modseq = change.modseq

    def _expunge(self, uids: Sequence[int]) -> None:
        if len(uids) > 16:
            gone = frozenset(uids)
            self.uids = array("I", [uid for uid in self.uids if uid not in gone])
            return
        for uid in uids:
            at = bisect_left(self.uids, uid)
            if at < len(self.uids) and self.uids[at] == uid:
                del self.uids[at]

    def copy(self) -> Known | None:
        """(HIGHESTMODSEQ, UIDs), or None when a change is just being applied. From any thread."""
        before = self.modseq
        uids = array("I", self.uids)
        return (before, uids) if before and before == self.modseq else None


class Hub:
    """Routes committed changes to the sessions that look at their mailbox."""

    def __init__(self, bus: ChangeBus, soon: Soon) -> None:
        self._soon = soon
        self._queue: deque[tuple[Change, ...]] = deque()
        self._woken = False
        self._views: dict[MailboxId, list[View]] = {}
        self._openings: set[Opening] = set()
        self._claimed: dict[MailboxId, int] = {}
        self._mirrors: OrderedDict[MailboxId, Mirror] = OrderedDict()
        self._doormen: list[Callable[[AccountId], None]] = []
        self._leave = bus.subscribe(self._enqueue)

    def close(self) -> None:
        """Hear of nothing any more."""
        self._leave()

    # --- the writer's thread ------------------------------------------------------------------------------------------

    def _enqueue(self, changes: tuple[Change, ...]) -> None:
        self._queue.append(changes)
        if not self._woken:
            self._woken = True
            self._soon(self.catch_up)

    # --- the loop's thread --------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Hand on everything that was committed so far."""
        self._woken = False
        queue = self._queue
        if not queue:
            return
        if len(queue) > MAX_COMMITS:
            self._lose_all()
            return
        touched: dict[View, None] = {}
        while queue:
            for change in queue.popleft():
                self._route(change, touched)
        for view in touched:
            if view.wake is not None:
                view.wake()

    def _route(self, change: Change, touched: dict[View, None]) -> None:
        for opening in self._openings:
            if len(opening.changes) < MAX_OPENING:
                opening.changes.append(change)
            else:
                opening.lost = True
        if isinstance(change, AccessEnded):
            for show_out in self._doormen:
                show_out(change.account)
        if isinstance(change, _ELSEWHERE):
            return
        mirror = self._mirrors.get(change.mailbox)
        if mirror is not None and isinstance(change, Added | Expunged | FlagsChanged):
            mirror.apply(change)
        views = self._views.get(change.mailbox)
        if not views:
            return
        first = self._first(views) if isinstance(change, Added) else None
        for view in views:
            view.note(change, first=view is first)
            touched[view] = None
        if first is not None and isinstance(change, Added) and change.rows:
            self._claimed[change.mailbox] = change.rows[-1][0]

    @staticmethod
    def _first(views: list[View]) -> View | None:
        r"""The session that is told of new messages first, for which they are \Recent (RFC 3501 §2.3.2)."""
        return next((view for view in views if not view.readonly and not view.rev2), None)

    def _lose_all(self) -> None:
        """Drop what waits, but nobody's dismissal, and have every mailbox read again."""
        ended = [c for commit in self._queue for c in commit if isinstance(c, AccessEnded)]
        self._queue.clear()
        for change in ended:
            self._route(change, {})
        self._mirrors.clear()
        for opening in self._openings:
            opening.lost = True
        for views in self._views.values():
            for view in views:
                view.lose()
                if view.wake is not None:
                    view.wake()

    # --- sessions -----------------------------------------------------------------------------------------------------

    def on_access_ended(self, show_out: Callable[[AccountId], None]) -> None:
        """Have `show_out` called with each account whose sessions must end."""
        self._doormen.append(show_out)

    def opening(self) -> Opening:
        """Begin to listen, before the snapshot is taken."""
        opening = Opening()
        self._openings.add(opening)
        return opening

    def abandon(self, opening: Opening) -> None:
        """The mailbox was not opened after all."""
        self._openings.discard(opening)

    def join(self, opening: Opening, view: View) -> None:
        """The snapshot is there: note what came after it, and go on listening to this mailbox alone."""
        self.catch_up()
        self._openings.discard(opening)
        mirror = None if opening.lost else self._mirror(view)
        for change in opening.changes:
            if not isinstance(change, _ELSEWHERE) and change.mailbox == view.mailbox:
                view.note(change)
                if mirror is not None and isinstance(change, Added | Expunged | FlagsChanged):
                    mirror.apply(change)
        if opening.lost:
            view.lose()
        self._views.setdefault(view.mailbox, []).append(view)

    def _mirror(self, view: View) -> Mirror | None:
        """The mirror of a mailbox that was just opened, as the snapshot says it is; None when one was there and fits."""
        found = self._mirrors.get(view.mailbox)
        if found is not None and found.modseq >= view.modseq:
            self._mirrors.move_to_end(view.mailbox)
            return None
        made = self._mirrors[view.mailbox] = Mirror(array("I", view.uids), view.modseq)
        self._mirrors.move_to_end(view.mailbox)
        total = sum(len(mirror.uids) for mirror in self._mirrors.values())
        while len(self._mirrors) > MAX_MIRRORS or total > MAX_MIRRORED:
            _, oldest = self._mirrors.popitem(last=False)
            total -= len(oldest.uids)
        return made

    def known(self, mailbox: MailboxId) -> Known | None:
        """The UIDs of a mailbox at its HIGHESTMODSEQ, where they are remembered. From any thread."""
        mirror = self._mirrors.get(mailbox)
        return None if mirror is None else mirror.copy()

    def leave(self, view: View) -> None:
        """The mailbox is not selected any more."""
        views = self._views.get(view.mailbox, [])
        if view in views:
            views.remove(view)
        if not views:
            self._views.pop(view.mailbox, None)

    def recent_from(self, mailbox: MailboxId, stored: int, *, take: bool) -> int:
        r"""The first UID that nobody was told of as \Recent; `take`: the store has just recorded that they are told."""
        claimed = self._claimed.pop(mailbox, 0) if take else self._claimed.get(mailbox, 0)
        return max(stored, claimed + 1)

    @property
    def listeners(self) -> int:
        """How many sessions have a mailbox selected; for a gauge."""
        return sum(map(len, self._views.values()))
