"""The facts of a message on its way out: its envelope, its recipients and what became of them.

An envelope is SMTP's (RFC 5321 §2.3.1), with the delivery status parameters its sender gave (RFC 3461 §4). Addresses
are kept as written, their domain as A-labels; `domain` is the lower-cased destination, or an address literal.
These are values: nothing here reads or writes a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from data.ids import AccountId, BlobId, ItemId, Millis, OrganisationId, RecipientId
from data.reason import Reason

NEVER_DUE = Millis(1 << 53)
"""The next attempt of a recipient that is frozen: later than any clock."""


AT_ONCE = Millis(0)
"""Not held back by a time."""


class State(StrEnum):
    """Where one recipient of an item stands; the row is open until `done_at` is set."""

    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    FROZEN = "frozen"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    BOUNCED = "bounced"
    CANCELLED = "cancelled"


WAITING = frozenset({State.QUEUED, State.DEFERRED, State.FROZEN})
"""States an administrator may still change: nothing is on the wire."""


class Kind(StrEnum):
    """What an item carries: a person's message, or a delivery status notification of ours."""

    MESSAGE = "message"
    DSN = "dsn"


class Verdict(StrEnum):
    """How one attempt ended for one recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """A recipient as submission hands it over. `notify` is NEVER or a list of SUCCESS, FAILURE, DELAY, upper-case and
    joined by commas; `orcpt` is `type;xtext` as received; `delivered` marks one that is delivered by this very
    transaction.
    """

    address: str
    orcpt: str | None = None
    notify: str | None = None
    delivered: bool = False


@dataclass(frozen=True, slots=True)
class NewItem:
    """A message to be sent. `size` counts the octets of the blob, without `prefix`; `not_before` 0 is at once.
    `forwarded_by` is the account whose rule sends it on; its return-path is still that of the original sender.
    """

    organisation: OrganisationId
    account: AccountId | None
    blob: BlobId
    size: int
    return_path: str
    recipients: tuple[NewRecipient, ...]
    trail: str
    kind: Kind = Kind.MESSAGE
    prefix: bytes = b""
    envid: str | None = None
    ret: str | None = None
    requiretls: bool = False
    smtputf8: bool = False
    eightbit: bool = False
    not_before: Millis = AT_ONCE
    hold: Reason | None = None
    idempotency_key: str | None = None
    forwarded_by: AccountId | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A message in the spool. `prefix_done`: it has been signed, and `prefix` is what every attempt sends."""

    id: ItemId
    organisation: OrganisationId
    account: AccountId | None
    blob: BlobId
    trail: str
    kind: Kind
    return_path: str
    prefix: bytes
    prefix_done: bool
    size: int
    envid: str | None
    ret: str | None
    requiretls: bool
    smtputf8: bool
    eightbit: bool
    not_before: Millis
    created_at: Millis
    forwarded_by: AccountId | None = None

    @property
    def total(self) -> int:
        """The octets that go over the wire, before dot-stuffing."""
        return len(self.prefix) + self.size


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient under a lease. `attempts` counts those that ended before this one."""

    id: RecipientId
    address: str
    domain: str
    orcpt: str | None
    notify: str | None
    attempts: int
    warned_at: Millis | None


@dataclass(frozen=True, slots=True)
class Work:
    """An item and those of its recipients that one lease covers."""

    item: Item
    recipients: tuple[Recipient, ...]
    lease: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended for one recipient. `remote` is the host that said `reply`; `next_at` belongs to DEFERRED;
    `warned`: the sender is told of the delay in the same transaction. `storied`: whoever delivered it has told the story.
    """

    recipient: Recipient
    verdict: Verdict
    reason: Reason
    reply: str | None = None
    remote: str | None = None
    next_at: Millis = NEVER_DUE
    warned: bool = False
    storied: bool = False


def wants(notify: str | None, what: str) -> bool:
    """Whether the sender asked to hear of SUCCESS, FAILURE or DELAY (RFC 3461 §4.1; absent: FAILURE and DELAY)."""
    if notify is None:
        return what in ("FAILURE", "DELAY")
    return what in notify.split(",")


def domain_of(address: str) -> str:
    """The destination of an address: what follows the last @, lower-cased; "" for <postmaster>."""
    return address.rpartition("@")[2].lower() if "@" in address else ""
