"""What happened to a message, hop by hop: the rows behind "where is my mail".

Promises: a hop is written in the transaction of the fact it tells of; `trail` joins the hops of one message across
receipt, queue and delivery. Causes are codes with parameters (data.reason); no subject, no content.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select

from data.disk import tables as t
from data.disk.db import Database, Row, Tx
from data.ids import AccountId, Millis, OrganisationId
from data.reason import Reason

_b = bindparam
_PUT = insert(t.story).values(
    organisation_id=_b("organisation"),
    account_id=_b("account"),
    trail=_b("trail"),
    at=_b("at"),
    event=_b("event"),
    sender=_b("sender"),
    recipient=_b("recipient"),
    reason=_b("reason"),
    params=_b("params"),
)
_COLUMNS = (
    t.story.c.id,
    t.story.c.organisation_id,
    t.story.c.account_id,
    t.story.c.trail,
    t.story.c.at,
    t.story.c.event,
    t.story.c.sender,
    t.story.c.recipient,
    t.story.c.reason,
    t.story.c.params,
)
_OF = select(*_COLUMNS).where(t.story.c.trail == _b("trail")).order_by(t.story.c.id)
_RECENT = select(*_COLUMNS).where(t.story.c.id < _b("before")).order_by(t.story.c.id.desc()).limit(_b("count"))
_END = 2**62


@dataclass(frozen=True, slots=True)
class Hop:
    """One thing that happened to one message (for one recipient, when it names one)."""

    id: int
    organisation: OrganisationId
    account: AccountId | None
    trail: str
    at: Millis
    event: str
    sender: str
    recipient: str
    reason: Reason | None


class Story:
    """The stories of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def record_in(
        self,
        tx: Tx,
        *,
        organisation: OrganisationId,
        account: AccountId | None,
        trail: str,
        event: str,
        sender: str = "",
        recipient: str = "",
        reason: Reason | None = None,
    ) -> None:
        """Add a hop."""
        tx.run(
            _PUT,
            {
                "organisation": organisation,
                "account": account,
                "trail": trail,
                "at": tx.now,
                "event": event,
                "sender": sender,
                "recipient": recipient,
                "reason": reason.code if reason else "",
                "params": reason.encode() if reason else "",
            },
        )

    def of(self, trail: str) -> tuple[Hop, ...]:
        """The hops of one message, in the order they happened."""
        with self._db.read() as reader:
            return tuple(_hop(row) for row in reader.all(_OF, {"trail": trail}))

    def recent(self, count: int = 100, before: int = _END) -> tuple[Hop, ...]:
        """The latest hops with an id below `before`, newest first."""
        with self._db.read() as reader:
            return tuple(_hop(row) for row in reader.all(_RECENT, {"before": before, "count": count}))


def _hop(row: Row) -> Hop:
    ident, organisation, account, trail, at, event, sender, recipient, code, params = row
    return Hop(
        id=int(ident),
        organisation=OrganisationId(organisation),
        account=None if account is None else AccountId(account),
        trail=trail,
        at=Millis(at),
        event=event,
        sender=sender,
        recipient=recipient,
        reason=Reason.decode(code, params) if code else None,
    )
