"""Recipients of ours whose mail waited in the spool: scheduled, held, or a notification.

Promises: decided by the directory as it is when the message is due; delivered by smtp.delivery in the transaction that
settles the item, so that it is delivered once. Aliases that lead elsewhere become an item of their own there.
May not: connect anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from data.directory.facts import Resolution, Target, Where
from data.disk.blobs import Content, Staged
from data.disk.db import Tx
from data.ids import AccountId, Millis
from data.mime.address import AddressError, normal
from data.mime.facts import facts
from data.mime.scanner import Scanner
from data.reason import Reason
from data.spool.envelope import Kind, NewItem, NewRecipient, Outcome, Recipient, Verdict, Work
from data.store.intake import Prepared
from data.store.quota import usage
from smtp import reply
from smtp.delivery.deliver import DeliveryParts, Letter, deliver_in, rejection_of
from smtp.delivery.onward import send_on_in
from smtp.delivery.ruling import Ruling
from smtp.delivery.trace import delivered_to, seen_by
from smtp.queue.events import Problem
from smtp.queue.judge import Judge
from smtp.queue.signing import PIECE

_DELIVERED = Reason("queue.delivered")
_PROBLEMS = {
    Where.UNKNOWN: Problem(Reason("queue.unknown"), permanent=True),
    Where.LOOP: Problem(Reason("queue.loop"), permanent=True),
}
_NOT_NOW = Problem(Reason("queue.local"), permanent=False)
_REFUSED = Reason("rules.rejected")
_FULL = Problem(Reason("queue.full"), permanent=False)


@dataclass(slots=True)
class LocalPlan:
    """What delivering will do: an outcome for each recipient, the accounts, and addresses elsewhere."""

    outcomes: list[Outcome] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    forwards: dict[str, NewRecipient] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    ways: list[tuple[Recipient, Resolution]] = field(default_factory=list)
    rulings: dict[AccountId, Ruling] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LocalDelivery:
    """Delivers to our own accounts."""

    parts: DeliveryParts

    def plan(self, work: Work, judge: Judge) -> LocalPlan:
        """Where each recipient leads now. Blocks."""
        found = LocalPlan()
        for recipient in work.recipients:
            resolution = self._resolve(recipient.address, work.item.return_path, judge.now)
            problem = self._problem(work, resolution)
            if problem is not None:
                found.outcomes.append(judge.problem(work, recipient, problem, None))
                continue
            found.outcomes.append(Outcome(recipient, Verdict.DELIVERED, _DELIVERED, storied=True))
            found.targets += resolution.deliveries
            found.ways.append((recipient, resolution))
            _forward(found, recipient, resolution)
        return found

    def rule(self, work: Work, plan: LocalPlan, prepared: Prepared) -> None:
        """Have the rules of the accounts look at it; a recipient who refuses has failed. Blocks."""
        sent = [(recipient.address, target) for recipient, way in plan.ways for target in way.deliveries]
        if self.parts.quiet(sent):
            return
        plan.rulings = self.parts.rule(_letter(work, prepared), sent)
        for recipient, way in plan.ways:
            words = rejection_of(way, plan.rulings)
            if words is not None:
                said = reply.refused_by_rule(words)
                at = next(n for n, one in enumerate(plan.outcomes) if one.recipient is recipient)
                text = f"{said.code} {said.enhanced} {said.text}"
                plan.outcomes[at] = Outcome(recipient, Verdict.FAILED, _REFUSED, text)
                plan.targets = [one for one in plan.targets if one not in way.deliveries]

    def carry_out_in(self, tx: Tx, work: Work, plan: LocalPlan, prepared: Prepared) -> None:
        """Deliver and forward. Raises NotFound when an account went away since the plan."""
        tx.memo[prepared.staged] = work.item.blob
        letter = _letter(work, prepared)
        done = deliver_in(tx, self.parts, letter, plan.targets, plan.rulings)
        send_on_in(tx, self.parts, letter, done)
        if plan.forwards:
            self.parts.spool.put_in(tx, _onward(work, plan))

    def _resolve(self, address: str, return_path: str, now: Millis) -> Resolution:
        local, _, domain = address.rpartition("@")
        if not local:
            return self.parts.directory.postmaster()
        returned = self.parts.returned(local, domain, return_path, now)
        if returned is not None:
            return returned
        try:
            return self.parts.directory.resolve(normal(address))
        except AddressError:
            return Resolution(Where.UNKNOWN)

    def _problem(self, work: Work, resolution: Resolution) -> Problem | None:
        if resolution.status is not Where.DELIVER:
            return _PROBLEMS.get(resolution.status, _NOT_NOW)
        if work.item.kind is Kind.DSN or resolution.forwards:
            return None
        accounts = [target.account_id for target in resolution.deliveries]
        with self.parts.store.db.read() as reader:
            # of a group, one member with room is enough, as at RCPT
            room = any(usage(reader, account).takes(work.item.total) for account in accounts)
        return None if room else _FULL


def _letter(work: Work, prepared: Prepared) -> Letter:
    """The item as delivery takes it. Who had it before is told by our own trace, and in a message that a rule sent on also
    by that of other servers; what somebody submitted may hold the trace of another journey."""
    item = work.item
    trace = item.prefix + (prepared.header if item.forwarded_by is not None else b"")
    return Letter(item.trail, item.return_path, item.prefix, prepared, smtputf8=item.smtputf8, seen=seen_by(trace))


def _forward(plan: LocalPlan, recipient: Recipient, resolution: Resolution) -> None:
    if resolution.forwards:
        plan.names.append(recipient.address)
    for address in resolution.forwards:
        plan.forwards.setdefault(address, NewRecipient(address, recipient.orcpt, recipient.notify))


def _onward(work: Work, plan: LocalPlan) -> NewItem:
    item = work.item
    return NewItem(
        organisation=item.organisation,
        account=None,
        blob=item.blob,
        size=item.size,
        return_path=item.return_path,
        recipients=tuple(plan.forwards.values()),
        trail=item.trail,
        prefix=b"".join(delivered_to(name) for name in plan.names) + item.prefix,
        envid=item.envid,
        ret=item.ret,
        requiretls=item.requiretls,
        smtputf8=item.smtputf8,
        eightbit=item.eightbit,
    )


def reopened(content: Content) -> Prepared:
    """A message that is in the store already, as delivery wants it: scanned again, its blob not made again."""
    scanner = Scanner()
    for piece in content.pieces(0, content.size, PIECE):
        scanner.feed(piece)
    scanned = scanner.finish()
    stored = Staged("", 0, b"", content.size, 0, b"", None)
    return Prepared(facts(scanned, content.read), stored, scanned, content.read)
