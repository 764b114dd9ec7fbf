"""Under which return-path a message leaves: its own, or for one that is sent on an address of ours (smtp.delivery.srs).

Promises: what our own people send, and notifications, leave as they are; so does what is sent on for a sender of ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.clock import Clock
from data.directory.directory import Directory
from data.errors import NotFound
from data.spool.envelope import Item, Kind
from smtp.delivery.srs import Rewriting


@dataclass(frozen=True, slots=True)
class Senders:
    """Asked when the message goes over the wire; never blocks."""

    directory: Directory
    rewriting: Rewriting
    clock: Clock

    def of(self, item: Item) -> str:
        """What MAIL FROM says."""
        sender = item.return_path
        forwarded = item.kind is Kind.MESSAGE and item.account is None and sender
        if not forwarded or self.directory.is_local(sender.rpartition("@")[2]):
            return sender
        ours = self._domain(item)
        return self.rewriting.rewritten(sender, ours, self.clock.now()) if ours else sender

    def _domain(self, item: Item) -> str:
        """That of the account whose rule sends it on; else our first."""
        if item.forwarded_by is not None:
            try:
                return self.directory.account_by_id(item.forwarded_by).address.rpartition("@")[2]
            except NotFound:
                pass  # the account went away meanwhile
        domains = self.directory.domains()
        return domains[0].name if domains else ""
