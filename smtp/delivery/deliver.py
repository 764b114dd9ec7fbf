"""Local delivery in one transaction: a blob once, an append for each account, forwards as one item of the spool (MDA).

Promises: either all of it happens or nothing. An account gets one copy, however many recipients lead to it. What was
delivered to that account before (Delivered-To) is not delivered again: that is a loop. May not: commit, or look at
quota (RCPT did).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data.directory.directory import Directory
from data.directory.facts import Target
from data.disk.db import Tx
from data.ids import AccountId, OrganisationId
from data.reason import Reason
from data.spool.envelope import NewItem, NewRecipient
from data.spool.items import Spool
from data.store.intake import Prepared
from data.store.marks import Marks, mark
from data.store.store import Store
from data.story import Story
from smtp.delivery.trace import delivered_to, return_path
from smtp.transaction.facts import Recipient


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What delivery works with."""

    store: Store
    directory: Directory
    spool: Spool
    story: Story
    marks: Marks = field(default_factory=Marks)


@dataclass(frozen=True, slots=True)
class Letter:
    """One accepted message. `received` is our trace field, `seen` who it was delivered to before (looked at by the MX),
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


@dataclass(slots=True)
class Delivered:
    """What became of a letter: accounts that got it, how many copies were held back, and why."""

    accounts: list[AccountId] = field(default_factory=list)
    forwarded: int = 0
    repeated: int = 0
    looped: int = 0
    marks: list[bytes] = field(default_factory=list)


def deliver_in(tx: Tx, parts: DeliveryParts, letter: Letter, targets: Iterable[Target]) -> Delivered:
    """Append the letter to the INBOX of each account. Raises NotFound when an account went away meanwhile."""
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
        else:
            _append(tx, parts, letter, target)
            _tell(tx, parts, letter, organisation, target, "delivered", None)
            done.accounts.append(target.account_id)
    return done


def _append(tx: Tx, parts: DeliveryParts, letter: Letter, target: Target) -> None:
    prefix = return_path(letter.return_path) + delivered_to(target.address) + letter.received
    inbox = parts.store.mailboxes.inbox_in(tx, target.account_id)
    parts.store.messages.append_in(tx, inbox, letter.prepared, prefix=prefix)


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
        ),
    )
    return len(onward)


def original_recipient(recipient: Recipient) -> str | None:
    """The recipient as the sender knew it, where it can be written as xtext without effort."""
    text = recipient.text
    plain = text.isascii() and text.isprintable() and not any(char in text for char in "+= ")
    return f"rfc822;{text}" if plain else None
