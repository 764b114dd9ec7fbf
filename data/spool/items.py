"""The outgoing queue's rows: put, claim, settle, recover.

Promises: an item exists as soon as the transaction that put it is committed; the same idempotency key of the same
account is the same item. A recipient is worked on under a lease by one holder at a time. The outcome of an attempt, its
story rows and the notification it causes are one transaction of the caller's, made of the `..._in` functions here, so
that a recipient is never failed without its notification, nor notified twice (RELIABILITY §1.3 C9-C11, §1.5).
May not: open connections, read clocks (a transaction has its `now`), or decide when to try again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from data.disk.db import Row, Tx
from data.errors import Conflict, Invalid, NotFound
from data.ids import AccountId, BlobId, ItemId, Millis, OrganisationId, RecipientId
from data.reason import Reason
from data.spool import silent
from data.spool import statements as s
from data.spool.envelope import (
    NEVER_DUE,
    Item,
    Kind,
    NewItem,
    NewRecipient,
    Outcome,
    Recipient,
    State,
    Verdict,
    Work,
    domain_of,
)
from data.spool.oversight import Oversight
from data.store.changes import QueueChanged
from data.store.intake import Prepared

LEASE = 6 * 3_600_000
"""How long a lease holds when its holder is never heard of again (recovery at start does not wait for it)."""
RECIPIENTS_MOST = 100
"""Recipients that one lease covers: what every server takes in one transaction (RFC 5321 §4.5.3.1.8)."""

_STATE_OF = {
    Verdict.DELIVERED: State.DELIVERED,
    Verdict.DEFERRED: State.DEFERRED,
    Verdict.FAILED: State.FAILED,
    Verdict.EXPIRED: State.EXPIRED,
}


class Spool(Oversight):
    """The spool of one database."""

    # --- coming in --------------------------------------------------------------------------------------------------

    def find_in(self, tx: Tx, account: AccountId | None, key: str | None) -> ItemId | None:
        """The item that was put under this idempotency key, if one was."""
        if key is None:
            return None
        found = tx.value(s.BY_KEY, {"account": account or 0, "key": key})
        return None if found is None else ItemId(found)

    def put_in(self, tx: Tx, new: NewItem) -> ItemId:
        """Take an item; a second one under the same idempotency key is the first one again. Raises Invalid."""
        if not new.recipients:
            raise Invalid("an item without recipients")
        found = self.find_in(tx, new.account, new.idempotency_key)
        if found is not None:
            return found
        due = max(new.not_before, tx.now)
        done = all(one.delivered for one in new.recipients)
        row = {
            "organisation": new.organisation,
            "account": new.account,
            "blob": new.blob,
            "trail": new.trail,
            "kind": new.kind.value,
            "return_path": new.return_path,
            "prefix": new.prefix,
            "size": new.size,
            "envid": new.envid,
            "ret": new.ret,
            "requiretls": int(new.requiretls),
            "smtputf8": int(new.smtputf8),
            "eightbit": int(new.eightbit),
            "not_before": due,
            "hold": new.hold.code if new.hold else None,
            "hold_params": new.hold.encode() if new.hold else "",
            "key": new.idempotency_key,
            "now": tx.now,
            "done_at": tx.now if done else None,
            "forwarded_by": new.forwarded_by,
        }
        item = ItemId(tx.value(s.NEW_ITEM, row))
        self._blobs.refer_in(tx, new.blob, 1)
        tx.many(s.NEW_RECIPIENT, [_new_row(tx, new, item, one) for one in new.recipients])
        if new.hold is None and not done:
            tx.publish(QueueChanged(due))
        return item

    # --- going out --------------------------------------------------------------------------------------------------

    def claim_in(
        self, tx: Tx, domain: str, account: AccountId | None, lease: str, takes: Callable[[str], bool]
    ) -> Work | None:
        """Lease the item that has waited longest for `domain` among the account's, with all its due recipients at
        domains that `takes` says go the same way."""
        due = {"domain": domain, "account": account or 0, "now": tx.now}
        first = tx.first(s.FIRST_DUE, due)
        if first is None:
            return None
        rows = [row for row in tx.all(s.DUE_OF_ITEM, {"item": first[0], "now": tx.now}) if takes(row[2])]
        taken = [_recipient(row) for row in rows[:RECIPIENTS_MOST]]
        until = tx.now + LEASE
        tx.many(s.LEASE, [{"p_id": one.id, "new_lease": lease, "until": until} for one in taken])
        item = tx.first(s.ITEM, {"p_id": first[0]})
        assert item is not None
        return Work(_item(item), tuple(taken), lease)

    def ready_in(self, tx: Tx, item: Item, prefix: bytes, made: Prepared | None) -> tuple[Item, bool]:
        """Keep what every attempt sends: `prefix` above the message, and the message `made` of it, if it is another one
        now. Returns the item as it is kept, which is what came first, and whether `made` is in use."""
        used = bool(tx.run(s.SIGNED, {"p_id": item.id, "new_prefix": prefix})) and made is not None
        if used and made is not None:
            blob = self._blobs.put_in(tx, item.organisation, made.staged)
            row = {"p_id": item.id, "new_blob": blob, "new_size": made.size, "new_eightbit": int(made.eightbit)}
            tx.run(s.REMADE, row)
            self._blobs.refer_in(tx, blob, 1)
            self._blobs.refer_in(tx, item.blob, -1)
        found = tx.first(s.ITEM, {"p_id": item.id})
        if found is None:
            raise NotFound(f"item {item.id}", public="There is no such message in the queue")
        return _item(found), used

    def open_work(self, item: ItemId) -> Work:
        """A waiting item with its open recipients, under no lease. Raises NotFound, Conflict when it is on the wire."""
        with self._db.read() as reader:
            row = reader.first(s.ITEM, {"p_id": item})
            found = reader.all(s.OPEN_OF_ITEM, {"p_item": item})
        if row is None or not found:
            raise NotFound(f"item {item}", public="There is no such message in the queue")
        if any(state == State.SENDING.value for *_, state in found):
            raise Conflict(f"item {item} is on the wire", public="The message is being sent right now; try again")
        return Work(_item(row), tuple(_recipient(one[:-1]) for one in found), "")

    def settle_in(self, tx: Tx, work: Work, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes of an attempt and their stories; Conflict when the lease is not held any more."""
        held = tx.value(s.HOLD_OF, {"p_id": work.item.id})
        for outcome in outcomes:
            self._settle_one(tx, work, outcome, held=held is not None)
        self._close_if_done(tx, work.item.id)

    def bounced_in(self, tx: Tx, recipients: Iterable[RecipientId]) -> None:
        """These failed ones are reported to the sender by a notification in this transaction."""
        for recipient in recipients:
            if tx.run(s.BOUNCED, {"p_id": recipient}) != 1:
                raise Conflict(f"recipient {recipient} has not failed")

    def give_back_in(self, tx: Tx, work: Work) -> int:
        """End a lease without an outcome: due again at once, nothing counted. Returns how many recipients."""
        return tx.run(s.GIVE_BACK, {"p_lease": work.lease, "now": tx.now, "item": work.item.id})

    def recover(self) -> int:
        """At the start, before anything else works on the spool: half-done attempts are deferred and due (C9, C10),
        and what waited for names is due, for the resolver may be another now. Returns how many were half done."""

        def op(tx: Tx) -> int:
            interrupted = Reason("queue.interrupted")
            found = tx.run(s.RECOVER, {"now": tx.now, "code": interrupted.code, "params": interrupted.encode()})
            tx.run(s.AGAIN_FOR_NAMES, {"now": tx.now})
            return found

        return self._db.write(op)

    # --- plumbing ---------------------------------------------------------------------------------------------------

    def _settle_one(self, tx: Tx, work: Work, outcome: Outcome, *, held: bool) -> None:
        state, next_at = _STATE_OF[outcome.verdict], outcome.next_at
        deferred = outcome.verdict is Verdict.DEFERRED
        if deferred and held:
            # an administrator froze the item while it was on the wire
            state, next_at = State.FROZEN, NEVER_DUE
        row = {
            "p_id": outcome.recipient.id,
            "p_lease": work.lease,
            "new_state": state.value,
            "new_next": next_at,
            "now": tx.now,
            "new_warned": tx.now if outcome.warned else outcome.recipient.warned_at,
            "new_remote": outcome.remote,
            "new_reply": outcome.reply,
            "code": outcome.reason.code,
            "params": outcome.reason.encode(),
            "new_done": None if deferred else tx.now,
        }
        if tx.run(s.SETTLE, row) != 1:
            raise Conflict(f"recipient {outcome.recipient.id} is not held under {work.lease}")
        if not outcome.storied:
            self._tell(tx, work.item, outcome.verdict.value, outcome.recipient.address, told(outcome))
        silent.note_in(tx, work.item, outcome)


def told(outcome: Outcome) -> Reason:
    """The reason of an outcome with the remote's words, as the story keeps it."""
    said: dict[str, str | int] = {}
    if outcome.remote:
        said["remote"] = outcome.remote
    if outcome.reply:
        said["reply"] = outcome.reply[:300]
    return Reason(outcome.reason.code, {**outcome.reason.params, **said})


def _new_row(tx: Tx, new: NewItem, item: ItemId, one: NewRecipient) -> dict[str, object]:
    state = State.DELIVERED if one.delivered else State.FROZEN if new.hold else State.QUEUED
    due = max(new.not_before, tx.now)
    return {
        "organisation": new.organisation,
        "item": item,
        "address": one.address,
        "domain": domain_of(one.address),
        "orcpt": one.orcpt,
        "notify": one.notify,
        "state": state.value,
        "next_at": due if state is State.QUEUED else NEVER_DUE,
        "done_at": tx.now if one.delivered else None,
    }


def _item(row: Row) -> Item:
    ident, organisation, account, blob, trail, kind, return_path, prefix, prefix_done, size, envid, ret = row[:12]
    requiretls, smtputf8, eightbit, not_before, created_at, forwarded_by = row[12:]
    return Item(
        id=ItemId(ident),
        organisation=OrganisationId(organisation),
        account=None if account is None else AccountId(account),
        blob=BlobId(blob),
        trail=trail,
        kind=Kind(kind),
        return_path=return_path,
        prefix=bytes(prefix),
        prefix_done=bool(prefix_done),
        size=size,
        envid=envid,
        ret=ret,
        requiretls=bool(requiretls),
        smtputf8=bool(smtputf8),
        eightbit=bool(eightbit),
        not_before=Millis(not_before),
        created_at=Millis(created_at),
        forwarded_by=None if forwarded_by is None else AccountId(forwarded_by),
    )


def _recipient(row: Row) -> Recipient:
    ident, address, domain, orcpt, notify, attempts, warned_at = row
    warned = None if warned_at is None else Millis(warned_at)
    return Recipient(RecipientId(ident), address, domain, orcpt, notify, attempts, warned)
