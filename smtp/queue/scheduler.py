"""The queue at work: claims what is due, gives it to slots, writes outcomes, sleeps until the next is due.

Promises: at most DESTINATION_SLOTS connections to one destination, ACCOUNT_SLOTS attempts for one account and SLOTS in
all; a slot holds one item at a time, so that memory does not grow with the queue. An outcome, its stories, the
notification it causes and the claim of the slot's next item are one transaction. It wakes when an item is put or
released (ChangeBus) and when one is due. Draining finishes what is on the wire until the deadline; what is broken off
then, or by an error of ours, is given back and due again.
May not: know SMTP (smtp.queue.carrier does).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from appliance.log import Log
from appliance.maillog import Event, MailLog
from data.clock import MINUTE
from data.directory.directory import Directory
from data.disk.crashpoints import hit
from data.disk.db import Tx
from data.errors import StoreError, Unavailable
from data.ids import AccountId, Millis
from data.reason import Reason
from data.spool.envelope import Outcome, Verdict, Work
from data.store.changes import Change, ChangeBus, QueueChanged
from data.store.intake import Prepared
from smtp.queue.attempt import Session
from smtp.queue.carrier import Carried, Carrier, CarrierParts
from smtp.queue.events import Problem
from smtp.queue.judge import Judge
from smtp.queue.reporting import Notice, Reporter
from smtp.queue.returning import notification_in

SLOTS = 40
DESTINATION_SLOTS = 2
ACCOUNT_SLOTS = 10
SESSION_MOST = 100
"""Messages over one connection; then the others get their turn."""
LOCAL = "\0local"
_PAIRS_MOST = 2000
_SLEEP_MOST = 60.0
_PLAN_PAUSE = 0.02
_STUCK = 5.0
_HOUSEKEEPING = 60.0
_PURGE_EVERY = 10

_FAULT = Problem(Reason("queue.fault"), permanent=False)
_EVENTS = {
    Verdict.DELIVERED: Event.SENT,
    Verdict.DEFERRED: Event.DEFERRED,
    Verdict.FAILED: Event.BOUNCED,
    Verdict.EXPIRED: Event.EXPIRED,
}

T = TypeVar("T")
Pair = tuple[str, AccountId | None]


@dataclass(frozen=True, slots=True)
class QueueParts:
    """What the queue works with."""

    carrier: CarrierParts
    directory: Directory
    bus: ChangeBus
    reporter: Reporter
    log: Log
    maillog: MailLog
    slots: int = SLOTS
    tell_postmaster: Callable[[], bool] = lambda: False
    """Tell postmaster of what failed and had no sender, if it is time to. Blocks."""


class Queue:
    """The service. `wake` makes it look at once."""

    name = "queue"

    def __init__(self, parts: QueueParts) -> None:
        self._parts = parts
        self._spool = parts.carrier.spool
        self._db = parts.carrier.db
        self._workers = parts.carrier.workers
        self._clock = parts.carrier.clock
        self._carrier = Carrier(parts.carrier)
        self._wake = asyncio.Event()
        self._slots: dict[asyncio.Task[None], tuple[str, AccountId | None]] = {}
        self._claiming: set[Pair] = set()
        self._backlog: dict[str, deque[Pair]] = {}
        self._main: asyncio.Task[None] | None = None
        self._leave: Callable[[], None] = lambda: None
        self._draining = False
        self._idle = asyncio.Event()

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to work; half-done attempts of the last process were recovered before."""
        loop = asyncio.get_running_loop()
        self._leave = self._parts.bus.subscribe(lambda changes: _wake_for(changes, loop, self._wake.set))
        self._main = loop.create_task(self._run(), name="queue")

    async def drain(self, deadline: float) -> None:
        """Claim nothing more; let attempts end until `deadline` (loop time), then break them off."""
        self._draining = True
        self._wake.set()
        left = max(0.0, deadline - asyncio.get_running_loop().time() - 0.5)
        if self._slots:
            await asyncio.wait(set(self._slots), timeout=left)

    async def stop(self) -> None:
        """Break off what is left; its leases are given back."""
        self._draining = True
        self._leave()
        tasks = [*self._slots, *([self._main] if self._main else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._main = None

    def wake(self) -> None:
        """Look for something due now."""
        self._wake.set()

    @property
    def busy(self) -> int:
        """Slots at work, for a gauge."""
        return len(self._slots)

    async def idle(self) -> None:
        """Wait until nothing is due and nothing is on the wire."""
        self._idle.clear()
        self._wake.set()
        await self._idle.wait()

    # --- planning ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        rounds, cared = 0, float("-inf")
        while not self._draining:
            self._wake.clear()
            pause = _SLEEP_MOST
            try:
                if self._clock.monotonic() - cared >= _HOUSEKEEPING:
                    cared = self._clock.monotonic()
                    await self._care(rounds)
                    rounds += 1
                pause = await self._plan()
            except StoreError as error:
                self._parts.log.failure(error, "queue")
                pause = _STUCK
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
                # what is put in quick succession is planned together
                await asyncio.sleep(_PLAN_PAUSE)
            except TimeoutError:
                continue

    async def _care(self, rounds: int) -> None:
        moved = await self._workers.blocking(self._spool.pull_in)
        gone = await self._workers.blocking(self._spool.purge) if rounds % _PURGE_EVERY == 0 else 0
        if rounds % _PURGE_EVERY == 0:
            await self._workers.blocking(self._parts.tell_postmaster)
        if moved or gone:
            self._parts.log.info("queue", pulled_in=moved, purged=gone)

    async def _plan(self) -> float:
        """Give what is due to free slots; returns how long to sleep (seconds)."""
        if len(self._slots) >= self._parts.slots:
            return _SLEEP_MOST
        # before the look: a slot that ends during it may have put what the look does not show
        at_work = bool(self._slots)
        pairs = await self._workers.blocking(self._spool.due, _PAIRS_MOST)
        self._backlog = {}
        destinations = Counter(key for key, _ in self._slots.values())
        accounts = Counter(account for _, account in self._slots.values())
        started = 0
        for pair in pairs:
            key = self._key(pair[0])
            full = destinations[key] >= DESTINATION_SLOTS or (
                pair[1] is not None and accounts[pair[1]] >= ACCOUNT_SLOTS
            )
            if full or pair in self._claiming or len(self._slots) >= self._parts.slots:
                self._backlog.setdefault(key, deque()).append(pair)
                continue
            destinations[key] += 1
            accounts[pair[1]] += 1
            started += 1
            self._start(key, pair)
        if not pairs and not at_work:
            self._idle.set()
        return await self._pause(bool(pairs), started)

    async def _pause(self, due: bool, started: int) -> float:
        if due and not started:
            # everything due waits for a slot, whose end wakes us
            return _STUCK
        next_due = await self._workers.blocking(self._spool.next_due)
        if next_due is None:
            return _SLEEP_MOST
        return min(_SLEEP_MOST, max(0.05, (next_due - self._clock.now()) / 1000))

    def _key(self, domain: str) -> str:
        """What shares connections."""
        if not domain or self._parts.directory.is_local(domain):
            return LOCAL
        return self._parts.carrier.calling.router.routes().key(domain)

    def _start(self, key: str, pair: Pair) -> None:
        self._claiming.add(pair)
        task = asyncio.get_running_loop().create_task(self._slot(key, pair), name=f"queue {key}")
        self._slots[task] = (key, pair[1])
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._slots.pop(task, None)
        self._wake.set()

    # --- a slot -----------------------------------------------------------------------------------------------------

    async def _slot(self, key: str, pair: Pair) -> None:
        """Carry one item after the other for a destination and an account, over one session while it lasts."""
        session: Session | None = None
        work: Work | None = None
        try:
            try:
                work = await self._claim(key, pair)
            finally:
                self._claiming.discard(pair)
            if work is not None:
                # another slot may take what else is due for the same pair
                self._wake.set()
            for number in range(SESSION_MOST):
                if work is None:
                    break
                carried = await self._carry(key, work, session)
                session = carried.session
                last = self._draining or number == SESSION_MOST - 1
                work = await self._settle(key, pair, work, carried, more=not last)
            if session is not None:
                await session.quit()
        except asyncio.CancelledError:
            await self._break_off(work, session)
            raise
        except Exception as error:
            self._parts.log.failure(error, "queue", trail=work.item.trail if work else None)
            await self._break_off(work, session, fault=True)

    async def _carry(self, key: str, work: Work, session: Session | None) -> Carried:
        if key == LOCAL:
            return await self._carrier.deliver(work)
        return await self._carrier.send(work, session)

    async def _claim(self, key: str, pair: Pair) -> Work | None:
        if self._draining:
            return None
        return await self._landed(lambda tx: self._claim_in(tx, key, pair))

    def _claim_in(self, tx: Tx, key: str, pair: Pair) -> Work | None:
        lease = secrets.token_hex(8)
        return self._spool.claim_in(tx, pair[0], pair[1], lease, lambda domain: self._key(domain) == key)

    async def _settle(self, key: str, pair: Pair, work: Work, carried: Carried, *, more: bool) -> Work | None:
        """Write what came of the work and claim the slot's next, in one transaction."""
        notice = prepared = None
        if self._parts.reporter.concerns(work, carried.outcomes):
            notice, prepared = await self._workers.blocking(self._notice, work, carried.outcomes)

        def op(tx: Tx) -> Work | None:
            self._settle_in(tx, key, work, carried, notice, prepared)
            return self._next_in(tx, key, pair) if more else None

        following = await self._landed_at_last(op)
        self._tell(key, work, carried.outcomes)
        return following

    def _notice(self, work: Work, outcomes: list[Outcome]) -> tuple[Notice, Prepared]:
        """The notification that the outcomes cause, ready for the spool. Blocks."""
        notice = self._parts.reporter.notice(work, outcomes, self._clock.now())
        return notice, self._parts.carrier.messages.prepare(notice.octets)

    def _settle_in(
        self, tx: Tx, key: str, work: Work, carried: Carried, notice: Notice | None, prepared: Prepared | None
    ) -> None:
        self._spool.settle_in(tx, work, carried.outcomes)
        if key != LOCAL and any(outcome.verdict is Verdict.DELIVERED for outcome in carried.outcomes):
            hit("C10")
        if carried.also is not None:
            carried.also(tx)
        if notice is not None and prepared is not None:
            hit("C11")
            self._spool.put_in(tx, notification_in(tx, self._parts.carrier.messages, work, prepared))
            self._spool.bounced_in(tx, notice.bounced)

    def _next_in(self, tx: Tx, key: str, pair: Pair) -> Work | None:
        """More of the same pair, or of another domain of the same account behind the same host."""
        work = self._claim_in(tx, key, pair)
        if work is not None or key == LOCAL:
            return work
        waiting = self._backlog.get(key, deque())
        for other in [one for one in list(waiting) if one[1] == pair[1] and one != pair][:20]:
            work = self._claim_in(tx, key, other)
            if work is not None:
                return work
        return None

    async def _break_off(self, work: Work | None, session: Session | None, *, fault: bool = False) -> None:
        """End the session; give the work back, or put it off when it was an error of ours that ended it."""
        if session is not None:
            session.abort()
        if work is None:
            return
        if fault:
            judge = Judge(self._clock.now(), self._parts.carrier.draw(), warn=False)
            outcomes = [_not_expired(outcome, self._clock.now()) for outcome in judge.all(work, _FAULT)]
            await self._last_word(lambda tx: self._spool.settle_in(tx, work, outcomes))
        else:
            await self._last_word(lambda tx: self._spool.give_back_in(tx, work))

    async def _last_word(self, op: Callable[[Tx], object]) -> None:
        """A write whose failure leaves the lease to expire, or to the recovery at the next start."""
        future = self._db.submit(op)
        try:
            await asyncio.shield(asyncio.ensure_future(self._workers.landed(future)))
        except Exception as error:
            self._parts.log.failure(error, "queue")

    async def _landed(self, op: Callable[[Tx], T]) -> T:
        return await self._workers.landed(self._db.submit(op))

    async def _landed_at_last(self, op: Callable[[Tx], T]) -> T:
        """A write that must not be forgotten: a message that has left is not sent again because our disk is full."""
        while True:
            try:
                return await self._landed(op)
            except Unavailable as error:
                self._parts.log.failure(error, "queue")
                if self._draining:
                    raise
                await asyncio.sleep(_STUCK)

    # --- telling ----------------------------------------------------------------------------------------------------

    def _tell(self, key: str, work: Work, outcomes: list[Outcome]) -> None:
        now = self._clock.now()
        for outcome in outcomes:
            delivered = outcome.verdict is Verdict.DELIVERED
            event = Event.DELIVERED if delivered and key == LOCAL else _EVENTS[outcome.verdict]
            deferred = outcome.verdict is Verdict.DEFERRED
            self._parts.maillog.event(
                event,
                id=work.item.trail,
                item=work.item.id,
                sender=work.item.return_path,
                recipient=outcome.recipient.address,
                host=outcome.remote,
                reply=outcome.reply,
                reason=outcome.reason.code,
                attempts=outcome.recipient.attempts + 1,
                next_in=max(0, outcome.next_at - now) // 1000 if deferred else None,
            )


def _wake_for(changes: tuple[Change, ...], loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
    """On the writer's thread: only tell the loop."""
    if any(isinstance(change, QueueChanged) for change in changes):
        loop.call_soon_threadsafe(wake)


def _not_expired(outcome: Outcome, now: Millis) -> Outcome:
    """An error of ours returns nobody's mail."""
    if outcome.verdict is Verdict.DEFERRED:
        return outcome
    return Outcome(outcome.recipient, Verdict.DEFERRED, outcome.reason, next_at=Millis(now + 60 * MINUTE))
