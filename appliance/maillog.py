"""What happens to mail, one line per event, in a closed vocabulary.

Promises: an event is one of `Event`, a field one of `FIELDS`; anything else is an error of ours, so that no content can
find its way into the log by a new field. Each event is counted. `id` is the correlation id of the message or
connection, the same in every line about it.

May not: log a subject, a body, a file name or a password.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from appliance.log import Log
from appliance.metrics import Metrics


class Event(StrEnum):
    """The events, in the order in which a message meets them."""

    RECEIVED = "received"
    REJECTED = "rejected"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    APPENDED = "appended"
    QUEUED = "queued"
    HELD = "held"
    RELEASED = "released"
    CANCELLED = "cancelled"
    SENT = "sent"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    LOOPED = "looped"


FIELDS: Final = frozenset(
    {
        *("trail", "item", "listener", "peer", "helo", "tls", "account", "sender", "recipient", "recipients", "size"),
        *("mailbox", "uid", "message_id", "host", "reply", "reason", "attempts", "next_in", "seconds", "copies"),
    }
)
"""What may be said of an event. `reply` is the other side's answer, cut; `reason` a code of data.reason."""


class UnknownField(ValueError):
    """A field outside the closed list: an error of the house."""


class MailLog:
    """Writes the events of mail and counts them."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    def event(self, event: Event, *, id: str, **fields: object) -> None:
        """One event. Raises UnknownField; an event outside Event is a ValueError."""
        known = Event(event)
        strange = fields.keys() - FIELDS
        if strange:
            raise UnknownField(", ".join(sorted(strange)))
        self._log.info(known.value, id=id, **fields)
        self._metrics.mail(known.value)
