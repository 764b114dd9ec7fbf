"""The change bus as the loop sees it: one subscription for the process, routed to the views of each mailbox.

Promises: changes reach views in commit order, on the loop's thread. `catch_up` hands on at once whatever was committed
so far, so that a command which has heard of its own commit finds its change, and every earlier one, in the view. A
mailbox that is being opened hears everything until its snapshot says what it holds already. A queue that grew beyond
its bound is dropped, and every view told that it is lost: resync, not silence.

May not: read the database, or keep a thread or a task for anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from data.ids import MailboxId
from data.store.changes import Added, Change, ChangeBus, QueueChanged, Subscribed
from imap.view import View

MAX_COMMITS = 20_000
MAX_OPENING = 20_000

Soon = Callable[[Callable[[], None]], object]
"""`loop.call_soon_threadsafe`, or what stands in for it."""


class Opening:
    """A mailbox on its way to being selected: everything that is committed meanwhile."""

    __slots__ = ("changes", "lost")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.lost = False


class Hub:
    """Routes committed changes to the sessions that look at their mailbox."""

    def __init__(self, bus: ChangeBus, soon: Soon) -> None:
        self._soon = soon
        self._queue: deque[tuple[Change, ...]] = deque()
        self._woken = False
        self._views: dict[MailboxId, list[View]] = {}
        self._openings: set[Opening] = set()
        self._claimed: dict[MailboxId, int] = {}
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
            queue.clear()
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
        if isinstance(change, QueueChanged | Subscribed):
            return
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
        for opening in self._openings:
            opening.lost = True
        for views in self._views.values():
            for view in views:
                view.lose()
                if view.wake is not None:
                    view.wake()

    # --- sessions -----------------------------------------------------------------------------------------------------

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
        for change in opening.changes:
            if not isinstance(change, QueueChanged | Subscribed) and change.mailbox == view.mailbox:
                view.note(change)
        if opening.lost:
            view.lose()
        self._views.setdefault(view.mailbox, []).append(view)

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
