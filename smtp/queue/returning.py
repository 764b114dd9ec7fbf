"""Giving a waiting message back: an administrator ends it, and its sender is told.

Promises: the recipients' end, their stories, the notification and whatever the caller adds (the audit row) are one
transaction; a message with a null return-path, or whose sender asked not to hear of failures, causes no notification.
Blocking: for a thread of the pages. May not: judge who may do it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.maillog import Event, MailLog
from data.clock import Clock
from data.disk.db import Database, Tx
from data.ids import ItemId
from data.reason import Reason
from data.spool.envelope import Kind, NewItem, NewRecipient, Outcome, Verdict, Work
from data.spool.items import Spool
from data.store.intake import Prepared
from data.store.messages import Messages
from smtp.queue.reporting import Reporter


@dataclass(frozen=True, slots=True)
class Returning:
    """Gives waiting messages back to their senders."""

    db: Database
    spool: Spool
    messages: Messages
    reporter: Reporter
    clock: Clock
    maillog: MailLog

    def __call__(self, item: ItemId, actor: str, also: Callable[[Tx, int], None]) -> int:
        """End an item; `also(tx, recipients)` belongs to the same transaction. Returns how many recipients it had left.
        Raises NotFound, Conflict (it is on the wire)."""
        work = self.spool.open_work(item)
        reason = Reason("queue.returned", {"by": actor})
        outcomes = [Outcome(one, Verdict.FAILED, reason) for one in work.recipients]
        if not self.reporter.concerns(work, outcomes):
            count = self.db.write(lambda tx: self._end_in(tx, work, reason, also))
        else:
            notice = self.reporter.notice(work, outcomes, self.clock.now())
            prepared = self.messages.prepare(notice.octets)

            def op(tx: Tx) -> int:
                ended = self._end_in(tx, work, reason, also)
                self.spool.put_in(tx, notification_in(tx, self.messages, work, prepared))
                self.spool.bounced_in(tx, notice.bounced)
                return ended

            try:
                count = self.db.write(op)
            except Exception:
                self.messages.discard(prepared)
                raise
        self._tell(work, reason)
        return count

    def _end_in(self, tx: Tx, work: Work, reason: Reason, also: Callable[[Tx, int], None]) -> int:
        ended = self.spool.give_up_in(tx, work, reason)
        also(tx, ended)
        return ended

    def _tell(self, work: Work, reason: Reason) -> None:
        for one in work.recipients:
            self.maillog.event(
                Event.BOUNCED,
                id=work.item.trail,
                item=work.item.id,
                sender=work.item.return_path,
                recipient=one.address,
                reason=reason.code,
                attempts=one.attempts,
            )


def notification_in(tx: Tx, messages: Messages, work: Work, prepared: Prepared) -> NewItem:
    """The item of a notification: the null return-path, so that it never causes another (RFC 3464 §2)."""
    item = work.item
    return NewItem(
        organisation=item.organisation,
        account=None,
        blob=messages.put_in(tx, item.organisation, prepared),
        size=prepared.size,
        return_path="",
        recipients=(NewRecipient(item.return_path, notify="NEVER"),),
        trail=item.trail,
        kind=Kind.DSN,
        smtputf8=not item.return_path.isascii(),
        eightbit=prepared.eightbit,
    )
