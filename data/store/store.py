"""The mail store as one part: built once, handed to the faces."""

from __future__ import annotations

from data.clock import Clock
from data.disk.blobs import Blobs
from data.disk.db import Database
from data.store.changelog import ChangeLog
from data.store.changes import ChangeBus
from data.store.flags import Flags
from data.store.listing import Listing
from data.store.mailboxes import Mailboxes
from data.store.messages import Messages
from data.store.search import Search
from data.store.sweep import Sweep


class Store:
    """Mailboxes, messages, flags, search and the bus that tells of their changes."""

    def __init__(self, db: Database, blobs: Blobs, clock: Clock) -> None:
        self.db = db
        self.blobs = blobs
        self.changes = ChangeBus()
        db.publish = self.changes.publish
        blobs.on_fatal = self._stop
        self.mailboxes = Mailboxes(db)
        self.messages = Messages(db, blobs)
        self.flags = Flags(db)
        self.listing = Listing(db)
        self.changelog = ChangeLog(db)
        self.search = Search(db, blobs, clock.now)
        self.sweep = Sweep(db, blobs)

    def _stop(self, why: str) -> None:
        """The disk failed below the blobs: whoever listens to the database hears of it, now or later."""
        self.db.on_fatal(why)
