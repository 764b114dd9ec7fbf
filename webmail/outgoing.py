"""Sending from a page: the one door of the appliance, and the seconds in which a sending can be undone.

Promises: what was sent once under a key is never sent again, whatever the browser repeats and whenever the process ended:
the key is the sending's idempotency key, the draft goes when its message was taken, and only then. May not: judge a
sender, a recipient or a message; that is the door's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from appliance.i18n import N_
from appliance.net.fetch import Fetcher
from data.disk.db import Database, Tx
from data.errors import Conflict, NotFound
from data.ids import ItemId, Millis
from data.mime.address import Address
from data.principal import Principal
from data.spool.items import Spool
from smtp.submission import Refused, Submission, SubmitRecipient, SubmitRequest, Via
from webmail.fates import item_key, trail_of

UNDO_SECONDS: Final = 10
_SECONDS: Final = 60
_LOCKS: Final = 64
REFUSALS: Final = {
    "outflow": N_("You have sent as many messages as are allowed in a day. Try again tomorrow."),
    "rcpt.form": N_("This server does not send to an address of that form."),
}
_OTHER: Final = N_("This server does not take the message. Check the recipients and the attachments.")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a page needs to send; one for the process."""

    door: Submission
    spool: Spool
    db: Database
    fetcher: Fetcher
    loop: asyncio.AbstractEventLoop
    undo_seconds: int = UNDO_SECONDS
    _locks: tuple[threading.Lock, ...] = field(default_factory=lambda: tuple(threading.Lock() for _ in range(_LOCKS)))

    def alone(self, key: str) -> threading.Lock:
        """The lock that one sending holds: the same sending comes again only when the first one is done."""
        return self._locks[int(key[:8] or "0", 16) % _LOCKS]

    def unreachable(self, people: Iterable[Address]) -> Address | None:
        """The first recipient whom the door would not take."""
        for one in people:
            try:
                self.door.recipient(SubmitRecipient(one.spec), smtputf8=True)
            except Refused:
                return one
        return None

    def item(self, principal: Principal, key: str) -> ItemId | None:
        """What was sent under a key."""
        return self.db.write(lambda tx: self.spool.find_in(tx, principal.account, item_key(key)))

    def send(self, principal: Principal, key: str, people: Iterable[Address], content: bytes, now: Millis) -> ItemId:
        """Send, in a while; from a page's thread. Raises Refused, StoreError."""
        plain = all(one.spec.isascii() for one in people)
        request = SubmitRequest(
            principal=principal,
            return_path=principal.address,
            recipients=tuple(SubmitRecipient(one.spec) for one in people),
            content=content,
            via=Via("HTTP"),
            smtputf8=not plain,
            not_before=Millis(now + self.undo_seconds * 1000),
            idempotency_key=item_key(key),
            trail=trail_of(principal.account, key),
        )
        future = asyncio.run_coroutine_threadsafe(self.door.submit(request), self.loop)
        return future.result(_SECONDS).item

    def cancel_in(self, tx: Tx, principal: Principal, key: str) -> None:
        """Undo what was sent under a key. Raises NotFound, Conflict when it is on its way."""
        item = self.spool.find_in(tx, principal.account, item_key(key))
        if item is None:
            raise NotFound(f"nothing was sent as {key}")
        if not self.spool.cancel_in(tx, item, principal.account):
            raise Conflict(f"item {item} has nobody left", public="The message is already on its way")


def told(error: Refused) -> str:
    """What a person is told when the door refuses."""
    return REFUSALS.get(error.why, _OTHER)
