"""What happened to a message, hop by hop: the rows behind "where is my mail".

Promises: a hop is written in the transaction of the fact it tells of; `trail` joins the hops of one message across
receipt, queue and delivery. Causes are codes with parameters (data.reason); no subject, no content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, bindparam, case, func, insert, not_, or_, select

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
_SENT = _s.reason.like("queue.sent%")
_OUT = case((_SENT, 1), else_=0)
_SLOT = (_s.at - _b("since")) // _b("step")
_FLOW = select(_SLOT, _s.event, _OUT, func.count()).where(_s.at >= _b("since")).group_by(_SLOT, _s.event, _OUT)
_NEWEST = select(func.max(_s.id))
_END = 2**62
SEARCHED = 200_000
"""How many of the latest hops a search without a day looks through, so that it ends soon."""
_DELIVERED = _s.event == "delivered"
OUTCOMES: dict[str, ColumnElement[bool]] = {
    "stored": and_(_DELIVERED, not_(_SENT)),
    "sent": and_(_DELIVERED, _SENT),
    "deferred": _s.event == "deferred",
    "failed": or_(_s.event == "failed", _s.event == "expired"),
    "held": or_(_s.event == "held", _s.event == "released"),
    "dropped": or_(_s.event == "cancelled", _s.event == "discarded"),
}
"""What a search may ask for: hops that came to this."""


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


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search asks for; every part that is given must fit. `text` is a trail, or part of an address; `outcome` a
    key of OUTCOMES; `since` and `until` bound the time (milliseconds, the end not included)."""

    text: str = ""
    outcome: str = ""
    since: Millis | None = None
    until: Millis | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """As SQL."""
        if self.text:
            holds = _within(self.text)
            yield or_(
                _s.trail == self.text,
                func.lower(_s.sender).like(holds, escape="!"),
                func.lower(_s.recipient).like(holds, escape="!"),
            )
        if self.outcome:
            yield OUTCOMES[self.outcome]
        if self.since is not None:
            yield _s.at >= self.since
        if self.until is not None:
            yield _s.at < self.until


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

    def search(self, sought: Sought, count: int = 100, before: int = _END) -> tuple[Hop, ...]:
        """The hops that fit, newest first, with an id below `before`: of one span of time, or of the latest SEARCHED."""
        with self._db.read() as reader:
            oldest = 0 if sought.since is not None else int(reader.value(_NEWEST) or 0) - SEARCHED
            chosen = select(*_COLUMNS).where(_s.id < before, _s.id >= oldest, *sought.conditions())
            return tuple(_hop(row) for row in reader.once(chosen.order_by(_s.id.desc()).limit(count)))

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
