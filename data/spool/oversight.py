"""What the administrator, the sender and the queue's own housekeeping may see and change of waiting mail.

Promises: what is on the wire right now is changed by nobody (Conflict); freezing one takes effect when its attempt
ends. Cancelling is the sender's, as long as nothing was tried; dropping is the administrator's. Nothing disappears
without a story row. May not: deliver anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.clock import Clock
from data.disk.db import Database, Row, Tx
from data.errors import Conflict, NotFound
from data.ids import AccountId, BlobId, ItemId, Millis, OrganisationId, RecipientId
from data.reason import Reason
from data.spool import statements as s
from data.spool.envelope import Item, Kind, State, Work
from data.store.changes import QueueChanged
from data.store.messages import Messages
from data.story import Story

KEEP = 3_600_000
"""How long a finished item stays (milliseconds): the story knows the rest."""
KEEP_KEYED = 86_400_000
"""How long one with an idempotency key stays, so that sending it again stays one sending."""
FAR = 4 * 3_600_000
_BATCH = 200
_ON_THE_WIRE = "The message is being sent right now; try again"


@dataclass(frozen=True, slots=True)
class Listed:
    """One waiting recipient, as a list shows it. `next_at` is None while it is frozen."""

    id: RecipientId
    item: ItemId
    account: AccountId | None
    trail: str
    kind: Kind
    return_path: str
    address: str
    domain: str
    state: State
    attempts: int
    next_at: Millis | None
    attempted_at: Millis | None
    created_at: Millis
    size: int
    remote: str | None
    reply: str | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Failing:
    """A destination with deferred mail: how much, since when, when it is tried next, and its latest recipient."""

    domain: str
    count: int
    since: Millis
    next_at: Millis
    last: Listed


@dataclass(frozen=True, slots=True)
class _Owner:
    organisation: OrganisationId
    account: AccountId | None
    trail: str
    return_path: str
    not_before: Millis


class Oversight:
    """Seeing and changing waiting items; Spool adds the work itself."""

    def __init__(self, db: Database, messages: Messages, story: Story, clock: Clock) -> None:
        self._db = db
        self._blobs = messages.blobs
        self._story = story
        self._clock = clock

    # --- seeing -----------------------------------------------------------------------------------------------------

    def waiting(
        self, most: int = 200, after: int = 0, *, domain: str = "", state: State | None = None, text: str = ""
    ) -> tuple[Listed, ...]:
        """Waiting recipients, oldest first, from the recipient id `after` on: of one domain, in one state, with `text` in
        an address of either side, or all."""
        with self._db.read() as reader:
            if not (domain or state or text):
                return tuple(_listed(row) for row in reader.all(s.LISTED, {"after": after, "most": most}))
            held = state.value if state else ""
            return tuple(
                _listed(row) for row in reader.once(s.listed(after, most, domain=domain, state=held, text=text))
            )

    def recipients(self, item: ItemId, most: int = 1000) -> tuple[Listed, ...]:
        """The waiting recipients of one item; none when it is finished, or was never there."""
        with self._db.read() as reader:
            return tuple(_listed(row) for row in reader.all(s.LISTED_OF, {"p_item": item, "most": most}))

    def of_trail(self, trail: str) -> Listed | None:
        """A waiting recipient of the message with this trail, if one waits still."""
        with self._db.read() as reader:
            row = reader.first(s.LISTED_TRAIL, {"trail": trail})
        return None if row is None else _listed(row)

    def trail_of(self, item: ItemId) -> str | None:
        """The trail of an item that waits, or that was finished not long ago."""
        with self._db.read() as reader:
            row = reader.first(s.WHOSE, {"p_id": item})
        return None if row is None else str(row[2])

    def failing(self, most: int = 5) -> tuple[Failing, ...]:
        """The destinations with deferred mail, the one that waits longest first."""
        with self._db.read() as reader:
            found = []
            for domain, count, since, next_at, last in reader.all(s.FAILING, {"most": most}):
                row = reader.first(s.LISTED_ONE, {"p_id": last})
                if row is not None:
                    found.append(Failing(domain, count, Millis(since), Millis(next_at), _listed(row)))
        return tuple(found)

    def counts(self) -> dict[State, int]:
        """How many recipients are in each state; finished ones as long as their items are kept."""
        with self._db.read() as reader:
            return {State(state): count for state, count in reader.all(s.COUNTS)}

    def due(self, most: int = 500) -> list[tuple[str, AccountId | None]]:
        """The (domain, account) pairs that have something due now, those that have waited longest first."""
        with self._db.read() as reader:
            rows = reader.all(s.DUE_PAIRS, {"now": self._clock.now(), "most": most})
        return [(domain, AccountId(account) if account else None) for domain, account in rows]

    def next_due(self) -> Millis | None:
        """When the next recipient is due; None when nothing waits for a time."""
        with self._db.read() as reader:
            found = reader.value(s.NEXT_DUE)
        return None if found is None else Millis(found)

    # --- changing by hand -------------------------------------------------------------------------------------------

    def hold_in(self, tx: Tx, item: ItemId, reason: Reason) -> int:
        """Freeze an item; returns how many recipients stopped at once (one on the wire stops when its attempt ends)."""
        owner = self._owner(tx, item)
        tx.run(s.SET_HOLD, {"p_id": item, "new_hold": reason.code, "new_params": reason.encode()})
        stopped = tx.run(s.FREEZE, {"p_item": item})
        self._note(tx, owner, "held", "", reason)
        return stopped

    def release_in(self, tx: Tx, item: ItemId) -> int:
        """Let a frozen item go, at once or at its hour; returns how many recipients."""
        owner = self._owner(tx, item)
        tx.run(s.SET_HOLD, {"p_id": item, "new_hold": None, "new_params": ""})
        due = Millis(max(owner.not_before, tx.now))
        released = tx.run(s.THAW, {"p_item": item, "at": due})
        self._note(tx, owner, "released", "", None)
        tx.publish(QueueChanged(due))
        return released

    def retry_in(self, tx: Tx, item: ItemId) -> int:
        """Try what was deferred now; returns how many recipients."""
        self._owner(tx, item)
        tx.publish(QueueChanged(tx.now))
        return tx.run(s.RETRY, {"p_item": item, "now": tx.now})

    def retry_all_in(self, tx: Tx) -> int:
        """Try everything that was deferred now; returns how many recipients."""
        tx.publish(QueueChanged(tx.now))
        return tx.run(s.RETRY_ALL, {"now": tx.now})

    def cancel_in(self, tx: Tx, item: ItemId, account: AccountId) -> int:
        """Undo a sending: the account's own item of which nothing was tried yet. Raises NotFound, Conflict."""
        owner = self._owner(tx, item)
        if owner.account != account:
            raise NotFound(f"item {item} is not account {account}'s")
        rows = tx.all(s.STATES_OF, {"p_item": item})
        if not rows or any(state == State.SENDING.value or attempts for _, _, state, attempts in rows):
            raise Conflict(f"item {item} is on its way", public="The message is already on its way")
        return self._cancel(tx, item, owner, rows, Reason("queue.cancelled"))

    def drop_in(self, tx: Tx, item: ItemId, actor: str) -> int:
        """Take a waiting item out without telling its sender; returns how many recipients. Raises Conflict."""
        owner = self._owner(tx, item)
        rows = tx.all(s.STATES_OF, {"p_item": item})
        if any(state == State.SENDING.value for _, _, state, _ in rows):
            raise Conflict(f"item {item} is on the wire", public=_ON_THE_WIRE)
        return self._cancel(tx, item, owner, rows, Reason("queue.dropped", {"by": actor}))

    def give_up_in(self, tx: Tx, work: Work, reason: Reason) -> int:
        """An administrator ends what `open_work` found: its recipients have failed, each with its story. Returns how many.
        Raises Conflict when one of them is not as it was."""
        owner = self._owner(tx, work.item.id)
        for one in work.recipients:
            change = {"p_id": one.id, "code": reason.code, "params": reason.encode(), "now": tx.now}
            if tx.run(s.GIVE_UP, change) != 1:
                raise Conflict(f"recipient {one.id} is not as it was", public=_ON_THE_WIRE)
            self._note(tx, owner, "failed", one.address, reason)
        self._close_if_done(tx, work.item.id)
        return len(work.recipients)

    # --- keeping house ----------------------------------------------------------------------------------------------

    def again_for_host_in(self, tx: Tx, domain: str | None) -> int:
        """A host of the domain (None: one that stands for many domains) answers again: what could not be brought to it
        is due."""
        if domain is None:
            return tx.run(s.AGAIN_FOR_ALL, {"now": tx.now})
        return tx.run(s.AGAIN_FOR_HOST, {"p_domain": domain, "now": tx.now})

    def pull_in(self, far: int = FAR) -> int:
        """Make due what a clock that has since gone back put more than `far` milliseconds ahead, and end the leases of
        holders that were never heard of again. Returns how many."""

        def op(tx: Tx) -> int:
            moved = tx.run(s.PULL_IN, {"now": tx.now, "limit": tx.now + far})
            return moved + tx.run(s.LATE_LEASES, {"now": tx.now})

        return self._db.write(op)

    def purge(self) -> int:
        """Forget items that were finished long enough ago, and let go of their octets. Returns how many."""
        gone = 0
        while True:
            step = self._db.write(self._purge_in)
            gone += step
            if step < _BATCH:
                return gone

    def _purge_in(self, tx: Tx) -> int:
        before = {"before": tx.now - KEEP, "before_keyed": tx.now - KEEP_KEYED, "most": _BATCH}
        rows = tx.all(s.FINISHED, before)
        for item, blob in rows:
            tx.run(s.DROP_RECIPIENTS, {"p_id": item})
            tx.run(s.DROP_ITEM, {"p_id": item})
            self._blobs.refer_in(tx, BlobId(blob), -1)
        return len(rows)

    # --- plumbing ---------------------------------------------------------------------------------------------------

    def _cancel(self, tx: Tx, item: ItemId, owner: _Owner, rows: list[Row], reason: Reason) -> int:
        for ident, address, _, _ in rows:
            change = {"p_id": ident, "code": reason.code, "params": reason.encode(), "now": tx.now}
            tx.run(s.CANCEL, change)
            self._note(tx, owner, "cancelled", address, reason)
        self._close_if_done(tx, item)
        return len(rows)

    def _close_if_done(self, tx: Tx, item: ItemId) -> None:
        if not tx.value(s.OPEN_LEFT, {"p_id": item}):
            tx.run(s.DONE, {"p_id": item, "now": tx.now})

    def _owner(self, tx: Tx, item: ItemId) -> _Owner:
        row = tx.first(s.WHOSE, {"p_id": item})
        if row is None:
            raise NotFound(f"item {item}", public="There is no such message in the queue")
        organisation, account, trail, return_path, not_before = row
        whose = None if account is None else AccountId(account)
        return _Owner(OrganisationId(organisation), whose, trail, return_path, Millis(not_before))

    def _note(self, tx: Tx, owner: _Owner, event: str, recipient: str, reason: Reason | None) -> None:
        self._story.record_in(
            tx,
            organisation=owner.organisation,
            account=owner.account,
            trail=owner.trail,
            event=event,
            sender=owner.return_path,
            recipient=recipient,
            reason=reason,
        )

    def _tell(self, tx: Tx, item: Item, event: str, recipient: str, reason: Reason | None) -> None:
        owner = _Owner(item.organisation, item.account, item.trail, item.return_path, item.not_before)
        self._note(tx, owner, event, recipient, reason)


def _listed(row: Row) -> Listed:
    ident, item, account, trail, kind, return_path, address, domain, state, attempts, next_at = row[:11]
    attempted_at, created_at, size, remote, reply, code, params = row[11:]
    return Listed(
        id=RecipientId(ident),
        item=ItemId(item),
        account=None if account is None else AccountId(account),
        trail=trail,
        kind=Kind(kind),
        return_path=return_path,
        address=address,
        domain=domain,
        state=State(state),
        attempts=attempts,
        next_at=None if state == State.FROZEN.value else Millis(next_at),
        attempted_at=None if attempted_at is None else Millis(attempted_at),
        created_at=Millis(created_at),
        size=size,
        remote=remote,
        reply=reply,
        reason=Reason.decode(code, params) if code else None,
    )
