"""What happened to a message, hop by hop: the rows behind "where is my mail".

Promises: a hop is written in the transaction of the fact it tells of; `trail` joins the hops of one message across
receipt, queue and delivery. Causes are codes with parameters (data.reason); no subject, no content.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, case, func, insert, or_, select

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
_s = t.story.c
_OLDEST = _s.id >= _b("oldest")
_FOUND = _RECENT.where(
    _OLDEST,
    or_(
        _s.trail == _b("exactly"),
        func.lower(_s.sender).like(_b("text"), escape="!"),
        func.lower(_s.recipient).like(_b("text"), escape="!"),
    ),
)
_OUT = case((_s.reason.like("queue.sent%"), 1), else_=0)
_SLOT = (_s.at - _b("since")) // _b("step")
_FLOW = select(_SLOT, _s.event, _OUT, func.count()).where(_s.at >= _b("since")).group_by(_SLOT, _s.event, _OUT)
_NEWEST = select(func.max(_s.id))
_END = 2**62
SEARCHED = 200_000
"""How many of the latest hops a search looks through, so that it ends soon."""


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

    def search(self, text: str, count: int = 100, before: int = _END) -> tuple[Hop, ...]:
        """Of the latest SEARCHED hops those of a message (its trail) or of an address that holds `text`, newest first."""
        with self._db.read() as reader:
            oldest = int(reader.value(_NEWEST) or 0) - SEARCHED
            asked = {"before": before, "count": count, "oldest": oldest, "exactly": text, "text": _within(text)}
            return tuple(_hop(row) for row in reader.all(_FOUND, asked))

    def flow(self, since: Millis, step: int) -> list[tuple[int, str, bool, int]]:
        """How many hops of each kind since then: (slot of `step` milliseconds, event, went out to a remote, count)."""
        with self._db.read() as reader:
            rows = reader.all(_FLOW, {"since": since, "step": step})
        return [(int(slot), event, bool(out), int(count)) for slot, event, out, count in rows]


def _within(text: str) -> str:
    """A LIKE pattern for what holds the text anywhere."""
    plain = "".join(f"!{c}" if c in "!%_" else c for c in text.lower())
    return f"%{plain}%"


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
