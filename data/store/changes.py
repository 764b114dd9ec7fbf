"""What happened to mail, told once, in the order in which it happened.

Promises: a closed vocabulary of frozen facts; the bus hands on each commit's changes as one tuple, on the writer's
thread, before any caller hears that the commit succeeded. Subscribers only enqueue. Changes carry what a face needs to
tell its client, so that an idle session reads nothing from the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from data.ids import AccountId, MailboxId

FlagRow = tuple[int, int, str]
"""(UID, system flags as a bit mask, keywords joined by spaces)"""


@dataclass(frozen=True, slots=True)
class Added:
    """Messages came into a mailbox under new UIDs."""

    account: AccountId
    mailbox: MailboxId
    modseq: int
    rows: tuple[FlagRow, ...]


@dataclass(frozen=True, slots=True)
class Expunged:
    """Messages left a mailbox for good."""

    account: AccountId
    mailbox: MailboxId
    modseq: int
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """Flags or keywords of messages are now these."""

    account: AccountId
    mailbox: MailboxId
    modseq: int
    rows: tuple[FlagRow, ...]


@dataclass(frozen=True, slots=True)
class MailboxCreated:
    """A mailbox came to be."""

    account: AccountId
    mailbox: MailboxId
    modseq: int
    name: str


@dataclass(frozen=True, slots=True)
class MailboxDeleted:
    """A mailbox and all in it is gone."""

    account: AccountId
    mailbox: MailboxId
    modseq: int
    name: str


@dataclass(frozen=True, slots=True)
class MailboxRenamed:
    """A mailbox has another name."""

    account: AccountId
    mailbox: MailboxId
    modseq: int
    name: str
    old: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A name was subscribed or unsubscribed."""

    account: AccountId
    modseq: int
    name: str
    on: bool


@dataclass(frozen=True, slots=True)
class AccessEnded:
    """An account may no longer use what it signed in with: it was suspended or deleted, or has another password."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class SessionsEnded:
    """Web sessions of an account were ended one by one: somebody signed out, or ended one from elsewhere."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """An outgoing item is due at `not_before` (milliseconds)."""

    not_before: int


@dataclass(frozen=True, slots=True)
class Taught:
    """Messages of an account were moved into or out of Junk: what it knows of junk is to be learned anew."""

    account: AccountId


MailboxChange = Added | Expunged | FlagsChanged | MailboxCreated | MailboxDeleted | MailboxRenamed
Change = MailboxChange | Subscribed | AccessEnded | SessionsEnded | QueueChanged | Taught

Subscriber = Callable[[tuple[Change, ...]], None]


class ChangeBus:
    """Hands committed changes to whoever subscribed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: tuple[Subscriber, ...] = ()

    def subscribe(self, fn: Subscriber) -> Callable[[], None]:
        """Hear of every commit from now on; returns the function that ends it. `fn` must only enqueue."""
        with self._lock:
            self._subscribers = (*self._subscribers, fn)

        def leave() -> None:
            with self._lock:
                self._subscribers = tuple(s for s in self._subscribers if s is not fn)

        return leave

    def publish(self, changes: tuple[object, ...]) -> None:
        """Called by the writer after a commit."""
        told: tuple[Change, ...] = changes  # type: ignore[assignment]
        for fn in self._subscribers:
            fn(told)
