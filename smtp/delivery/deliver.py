"""Local delivery in one transaction: a blob once, an append for each account, forwards as one item of the spool (MDA).

Promises: either all of it happens or nothing. An account gets one copy, however many recipients lead to it. What was
delivered to that account before (Delivered-To) is not delivered again: that is a loop. May not: commit, or look at
quota (RCPT did). What the rules of an account want was looked at before (smtp.delivery.ruling); an account without a ruling
gets the message into its INBOX. What rules send is returned, not sent: the caller hands it to smtp.delivery.onward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from data.directory.directory import Directory
from data.directory.facts import Resolution, Target, Where
from data.disk.db import Tx
from data.ids import AccountId, MailboxId, Millis, OrganisationId
from data.reason import Reason
from data.rules.marks import SEEN, RuleMarks, digest_of
from data.rules.sieve.actions import Keep, Redirect, Vacation
from data.spool.envelope import NewItem, NewRecipient
from data.spool.items import Spool
from data.store.correspondents import count_in
from data.store.intake import Prepared
from data.store.marks import Marks, mark
from data.store.quarantine import Quarantine
from data.store.store import Store
from data.story import Story
from smtp.delivery.filing import file_in
from smtp.delivery.ruling import Answer, Matter, Rules, Ruling, Sent
from smtp.delivery.srs import Rewriting, is_rewritten
from smtp.delivery.trace import delivered_to, return_path
from smtp.policy.verdict import Action, Judgement
from smtp.transaction.facts import Recipient


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What delivery works with."""

    store: Store
    directory: Directory
    spool: Spool
    story: Story
    marks: Marks = field(default_factory=Marks)
    rule_marks: RuleMarks = field(default_factory=RuleMarks)
    rules: Rules | None = None
    """None: nobody has any."""
    quarantine: Quarantine | None = None
    """Where a verdict keeps mail back; None: it goes to Junk instead."""
    rewriting: Rewriting | None = None
    """What the senders of forwards are rewritten with; None: they are not."""

    def returned(self, local: str, domain: str, return_path: str, now: Millis) -> Resolution | None:
        """Where a recipient leads that is the rewritten sender of a forward; None when it is not of that form. It takes
        notifications alone (the null return-path), and only what we rewrote ourselves: it is no relay."""
        if self.rewriting is None or not is_rewritten(local) or not self.directory.is_local(domain):
            return None
        original = None if return_path else self.rewriting.original(local, now)
        return Resolution(Where.UNKNOWN) if original is None else Resolution(Where.DELIVER, forwards=(original,))

    def quiet(self, sent: Iterable[Sent]) -> bool:
        """Whether nobody it is sent to has rules, for all that is known in memory. Never blocks."""
        return self.rules is None or self.rules.quiet(target for _, target in sent)

    def rule(self, letter: Letter, sent: Sequence[Sent]) -> dict[AccountId, Ruling]:
        """What the rules of those it is sent to want. Blocks."""
        return {} if self.rules is None else self.rules.rule(letter.matter, sent)


@dataclass(frozen=True, slots=True)
class Redirected:
    """The addresses that the rules of an account send a letter on to."""

    account: AccountId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """One accepted message. `received` are our trace fields, `seen` who it was delivered to before (looked at by the MX),
    `network` the client's, set when a retransmission is to be told from a new message."""

    trail: str
    return_path: str
    received: bytes
    prepared: Prepared
    smtputf8: bool = False
    requiretls: bool = False
    envid: str | None = None
    ret: str | None = None
    network: str | None = None
    seen: frozenset[str] = frozenset()
    junk: Reason | None = None
    """Why it goes to Junk where no rule of the account says otherwise."""
    verdicts: Mapping[AccountId, Judgement] = field(default_factory=dict)
    """What was found for each account."""
    hold: Reason | None = None
    """Why copies for elsewhere wait for somebody to look at them."""
    author: str = ""
    """Who is counted as having written to the accounts; empty for nobody."""

    @property
    def matter(self) -> Matter:
        """As rules look at it."""
        return Matter(self.return_path, self.prepared, self.received, self.seen)


@dataclass(slots=True)
class Delivered:
    """What became of a letter: accounts that got it, how many copies were held back, and why; what rules send of it."""

    accounts: list[AccountId] = field(default_factory=list)
    redirected: list[Redirected] = field(default_factory=list)
    answers: list[tuple[AccountId, Answer]] = field(default_factory=list)
    forwarded: int = 0
    repeated: int = 0
    looped: int = 0
    kept_back: int = 0
    marks: list[bytes] = field(default_factory=list)


_NO_RULINGS: Mapping[AccountId, Ruling] = {}


def deliver_in(
    tx: Tx,
    parts: DeliveryParts,
    letter: Letter,
    targets: Iterable[Target],
    rulings: Mapping[AccountId, Ruling] = _NO_RULINGS,
) -> Delivered:
    """Append the letter for each account as its ruling says, or to its INBOX. Raises NotFound when an account went away
    meanwhile."""
    done = Delivered()
    firsts: dict[AccountId, Target] = {}
    for target in targets:
        firsts.setdefault(target.account_id, target)
    for target in firsts.values():
        organisation = parts.directory.account_by_id(target.account_id).organisation
        if target.address in letter.seen:
            done.looped += 1
            _tell(tx, parts, letter, organisation, target, "discarded", Reason("delivery.loop"))
        elif _repeated(tx, parts, letter, str(target.account_id), done.marks):
            done.repeated += 1
            _tell(tx, parts, letter, organisation, target, "discarded", Reason("delivery.repeated"))
        elif _keeps_back(parts, letter, target.account_id):
            _keep_back(tx, parts, letter, organisation, target)
            done.kept_back += 1
        elif (ruling := rulings.get(target.account_id)) is not None:
            _ruled(tx, parts, letter, organisation, target, ruling, done)
        else:
            _append(tx, parts, letter, target)
            _tell(tx, parts, letter, organisation, target, "delivered", _why(letter, target.account_id))
            done.accounts.append(target.account_id)
        if letter.author and target.account_id in done.accounts:
            count_in(tx, target.account_id, organisation, [letter.author], received=1)
    return done


def _why(letter: Letter, account: AccountId) -> Reason | None:
    """Why it goes to Junk, or is remarkable all the same."""
    found = letter.verdicts.get(account)
    return found.reason if found is not None and found.meant is not Action.ACCEPT else letter.junk


def is_junk(letter: Letter, account: AccountId) -> bool:
    """Whether it goes to Junk, or is kept back."""
    found = letter.verdicts.get(account)
    return letter.junk is not None or (found is not None and found.action >= Action.JUNK)


def quietly(letter: Letter, rulings: Mapping[AccountId, Ruling]) -> dict[AccountId, Ruling]:
    """The rulings, without answers to junk and without sending it on."""
    found: dict[AccountId, Ruling] = {}
    for account, ruling in rulings.items():
        calm = ruling
        if is_junk(letter, account):
            kept = tuple(one for one in ruling.actions if not isinstance(one, Redirect | Vacation))
            calm = replace(ruling, actions=kept or (Keep(implicit=True),), answer=None)
        found[account] = calm
    return found


def _keeps_back(parts: DeliveryParts, letter: Letter, account: AccountId) -> bool:
    found = letter.verdicts.get(account)
    return parts.quarantine is not None and found is not None and found.action >= Action.QUARANTINE


def _keep_back(tx: Tx, parts: DeliveryParts, letter: Letter, organisation: OrganisationId, target: Target) -> None:
    """Into quarantine; what would have been refused too, where others take the message."""
    assert parts.quarantine is not None
    found = letter.verdicts[target.account_id]
    parts.quarantine.put_in(
        tx,
        organisation,
        target.account_id,
        letter.prepared,
        trail=letter.trail,
        return_path=letter.return_path,
        prefix=_prefix(letter, target),
        verdict=found.encode(),
    )
    _tell(tx, parts, letter, organisation, target, "quarantined", found.reason)


def _prefix(letter: Letter, target: Target) -> bytes:
    return return_path(letter.return_path) + delivered_to(target.address) + letter.received


def _append(tx: Tx, parts: DeliveryParts, letter: Letter, target: Target) -> None:
    home = _home_in(tx, parts, letter, target.account_id)
    verdict = _verdict(letter, target.account_id)
    parts.store.messages.append_in(tx, home, letter.prepared, prefix=_prefix(letter, target), verdict=verdict)


def _verdict(letter: Letter, account: AccountId) -> str:
    """What was found, as it is kept with the message."""
    found = letter.verdicts.get(account)
    return found.encode() if found is not None else ""


def _home_in(tx: Tx, parts: DeliveryParts, letter: Letter, account: AccountId) -> MailboxId:
    """Where a message lies that no rule files: INBOX, or Junk."""
    mailboxes = parts.store.mailboxes
    junk = mailboxes.find_special_in(tx, account, "\\Junk") if is_junk(letter, account) else None
    return mailboxes.inbox_in(tx, account) if junk is None else junk


def _ruled(
    tx: Tx,
    parts: DeliveryParts,
    letter: Letter,
    organisation: OrganisationId,
    target: Target,
    ruling: Ruling,
    done: Delivered,
) -> None:
    """As the rules of the account want it."""
    account = target.account_id
    prefix = _prefix(letter, target)
    home = _home_in(tx, parts, letter, account)
    verdict = _verdict(letter, account)
    places = file_in(tx, parts.store, account, ruling.actions, letter.prepared, prefix, home, verdict)
    for place in places:
        for reason in place.reasons:
            _tell(tx, parts, letter, organisation, target, "delivered", reason)
        if not place.reasons:
            _tell(tx, parts, letter, organisation, target, "delivered", _why(letter, account))
    if places:
        done.accounts.append(account)
    onward = [one for one in ruling.actions if isinstance(one, Redirect)]
    if onward:
        done.redirected.append(Redirected(account, tuple(one.address for one in onward)))
    for step in onward:
        reason = Reason("rules.redirected", {"address": step.address, "rule": step.label, "line": step.line})
        _tell(tx, parts, letter, organisation, target, "redirected", reason)
    if not places and not onward:
        _tell(tx, parts, letter, organisation, target, "discarded", _thrown_away(ruling))
    for note in ruling.notes:
        _tell(tx, parts, letter, organisation, target, "noted", note)
    for one in ruling.seen:
        parts.rule_marks.put_in(tx, account, SEEN, digest_of(one.key), Millis(tx.now + one.seconds * 1000))
    if ruling.answer is not None:
        done.answers.append((account, ruling.answer))


def _thrown_away(ruling: Ruling) -> Reason:
    """Why nothing was kept: one of several recipients refused it, or a rule throws it away."""
    refused = ruling.rejection
    if refused is not None:
        return Reason("rules.rejected", {"rule": refused.label, "line": refused.line})
    first = ruling.actions[0] if ruling.actions else None
    return Reason("rules.discarded", {"rule": first.label if first else "", "line": first.line if first else 0})


def sent_to(recipients: Iterable[Recipient]) -> list[Sent]:
    """Each account that the recipients lead to, with the recipient as it was written."""
    return [(one.text, target) for one in recipients for target in one.resolution.deliveries]


def rejection_of(resolution: Resolution, rulings: Mapping[AccountId, Ruling]) -> str | None:
    """The words of the refusal, where a recipient leads to one account, and that refuses."""
    if len(resolution.deliveries) != 1 or resolution.forwards:
        return None
    ruling = rulings.get(resolution.deliveries[0].account_id)
    refused = ruling.rejection if ruling is not None else None
    return refused.reason if refused is not None else None


def _tell(
    tx: Tx,
    parts: DeliveryParts,
    letter: Letter,
    organisation: OrganisationId,
    target: Target,
    event: str,
    reason: Reason | None,
) -> None:
    parts.story.record_in(
        tx,
        organisation=organisation,
        account=target.account_id,
        trail=letter.trail,
        event=event,
        sender=letter.return_path,
        recipient=target.address,
        reason=reason,
    )


def _repeated(tx: Tx, parts: DeliveryParts, letter: Letter, destination: str, marks: list[bytes]) -> bool:
    if letter.network is None:
        return False
    prepared = letter.prepared
    digest = mark(letter.return_path, prepared.facts.message_id, destination, letter.network, prepared.digest)
    marks.append(digest)
    return parts.marks.seen_in(tx, digest)


def forward_in(
    tx: Tx, parts: DeliveryParts, letter: Letter, recipients: Sequence[Recipient], marks: list[bytes]
) -> int:
    """Spool the letter for the addresses elsewhere that its recipients lead to; how many there are. `marks` grows.

    The return-path stays the sender's: these are aliases, not lists (RFC 5321 §3.9.1); so do NOTIFY and ORCPT (RFC 3461
    §5.2.7.1).
    """
    onward: dict[str, NewRecipient] = {}
    names: dict[str, None] = {}
    for one in recipients:
        for address in one.resolution.forwards:
            if address in onward or _repeated(tx, parts, letter, address, marks):
                continue
            onward[address] = NewRecipient(address, orcpt=one.orcpt or original_recipient(one), notify=one.notify)
            names.setdefault(one.address.key_address)
    if not onward:
        return 0
    organisation = parts.directory.organisation().id
    prefix = b"".join(delivered_to(name) for name in names) + letter.received
    parts.spool.put_in(
        tx,
        NewItem(
            organisation=organisation,
            account=None,
            blob=parts.store.messages.put_in(tx, organisation, letter.prepared),
            size=letter.prepared.size,
            return_path=letter.return_path,
            recipients=tuple(onward.values()),
            trail=letter.trail,
            prefix=prefix,
            envid=letter.envid,
            ret=letter.ret,
            requiretls=letter.requiretls,
            smtputf8=letter.smtputf8,
            eightbit=letter.prepared.eightbit,
            hold=letter.hold,
        ),
    )
    return len(onward)


def original_recipient(recipient: Recipient) -> str | None:
    """The recipient as the sender knew it, where it can be written as xtext without effort."""
    text = recipient.text
    plain = text.isascii() and text.isprintable() and not any(char in text for char in "+= ")
    return f"rfc822;{text}" if plain else None
