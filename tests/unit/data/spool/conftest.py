"""A spool on a real store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from data.clock import FakeClock
from data.disk.db import Database, Tx
from data.ids import AccountId, ItemId
from data.reason import Reason
from data.spool.envelope import NewItem, NewRecipient, Outcome, State, Verdict, Work
from data.spool.items import Spool
from data.store.changes import Change
from data.store.store import Store
from data.story import Story


@dataclass
class Bench:
    """A spool, its neighbours, and short ways to use them."""

    spool: Spool
    story: Story
    store: Store
    db: Database
    clock: FakeClock
    ann: AccountId
    bob: AccountId
    changes: list[Change]

    def put(self, *to: str | NewRecipient, **options: Any) -> ItemId:
        """Put a message of ann's."""
        prepared = self.store.messages.prepare(b"Subject: x\r\n\r\nbody\r\n")
        rcpts = tuple(one if isinstance(one, NewRecipient) else NewRecipient(one) for one in to)

        def op(tx: Tx) -> ItemId:
            values: dict[str, Any] = {
                "organisation": 1,
                "account": self.ann,
                "blob": self.store.messages.put_in(tx, 1, prepared),  # type: ignore[arg-type]
                "size": prepared.size,
                "return_path": "ann@example.test",
                "recipients": rcpts,
                "trail": "t1",
            }
            return self.spool.put_in(tx, NewItem(**{**values, **options}))

        return self.db.write(op)

    def claim(
        self, domain: str = "example.org", lease: str = "l1", takes: Callable[[str], bool] | None = None
    ) -> Work | None:
        """Lease what ann has waiting for a domain."""
        accept = takes or (lambda name: name == domain)
        return self.db.write(lambda tx: self.spool.claim_in(tx, domain, self.ann, lease, accept))

    def claimed(self, domain: str = "example.org", lease: str = "l1") -> Work:
        """The same, when there must be something."""
        work = self.claim(domain, lease)
        assert work is not None
        return work

    def settle(self, work: Work, verdict: Verdict, code: str = "queue.rcpt", **options: Any) -> None:
        """One outcome for all."""
        outcomes = [Outcome(one, verdict, Reason(code), **options) for one in work.recipients]
        self.db.write(lambda tx: self.spool.settle_in(tx, work, outcomes))

    def states(self) -> list[State]:
        """Of every recipient that waits."""
        return [one.state for one in self.spool.waiting()]


@pytest.fixture
def bench(kit: Any) -> Bench:
    """Ann has a spool."""
    story = Story(kit.db)
    spool = Spool(kit.db, kit.store.messages, story, kit.clock)
    return Bench(spool, story, kit.store, kit.db, kit.clock, kit.ann.account, kit.bob.account, kit.changes)
