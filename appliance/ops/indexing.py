"""The text index behind a running server, and the commands that show and rebuild it.

Promises: one thread at low priority drains the index's outbox after mail has come, a burst at a time, merges while
nothing waits, and rebuilds what a search found lost; it rests between batches, so that whoever waits for an answer is
heard. What goes wrong is logged and tried again, with a growing pause; mail does not depend on it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from appliance.log import Log
from appliance.loop import niced_pool
from appliance.ops.control import Result, Tell
from appliance.ops.state import Ground
from data.directory.facts import Account
from data.ids import AccountId
from data.index.writer import Step, Writer
from data.store.changes import Added, Change, ChangeBus

GATHER = 0.3
"""Seconds to wait after mail has come: more of it makes a better batch."""
LOOK = 60.0
"""Seconds after which the outbox is looked at without being told: removals tell nobody."""
REST = 0.25
"""The rest after a batch, as a part of the time that it took; four times that while mail is coming in."""
QUIET = 0.25
"""Seconds without work for anybody after which a batch begins: a search reads what waits, so indexing can wait."""
PATIENCE = 2.0
"""Seconds after which a batch begins all the same."""
_PAUSE_FIRST, _PAUSE_MOST = 1.0, 60.0
_REBUILDS = 3
"""Rebuilds of one account in one go after which a minute is waited: a disk that keeps losing an index must not keep
the machine busy."""


class Indexing:
    """A Service: keeps the indexes up to date."""

    name = "index"

    def __init__(self, writer: Writer, changes: ChangeBus, log: Log, worked: Callable[[], int] = lambda: 0) -> None:
        """`worked`: how many jobs were begun for somebody so far; while it rises, batches wait."""
        self._writer, self._changes, self._log, self._worked = writer, changes, log, worked
        self._pool = niced_pool(1, "index")
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._came = 0
        self._losses: Counter[AccountId] = Counter()
        self._leave: Callable[[], None] = lambda: None
        self._done: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Look at once: what a stopped process left is taken up."""
        self._writer.on_work = self._wake.set
        self._writer.on_lost = self._note
        self._leave = self._changes.subscribe(self._hear)
        self._done = asyncio.get_running_loop().run_in_executor(self._pool, self._work)

    async def drain(self, deadline: float) -> None:
        """Begin nothing new; what is not indexed waits in the outbox."""
        self._stopping.set()
        self._wake.set()

    async def stop(self) -> None:
        """Wait for the batch in hand."""
        self._leave()
        await self.drain(0)
        if self._done is not None:
            await self._done
        self._pool.shutdown(wait=False)

    def _hear(self, changes: tuple[Change, ...]) -> None:
        if any(isinstance(change, Added) for change in changes):
            self._came += 1
            self._wake.set()

    def _note(self, account: AccountId, why: str) -> None:
        self._losses[account] += 1
        self._log.info("index", outcome="rebuild", account=account, why=why)

    # --- on the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        pause, checked = _PAUSE_FIRST, False
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if not checked:
                    checked = self._writer.check()
                self._until_idle()
                pause = _PAUSE_FIRST
            except Exception as error:
                if self._stopping.is_set():
                    break
                self._log.failure(error, "index", again_in=pause)
                self._stopping.wait(pause)
                pause = min(pause * 2, _PAUSE_MOST)
                continue
            self._wake.wait(LOOK)
            self._stopping.wait(GATHER)
        self._writer.close()

    def _until_idle(self) -> None:
        while not self._stopping.is_set():
            self._let_others_work()
            came, begun = self._came, time.perf_counter()
            step = self._writer.step(lambda: not self._stopping.is_set())
            if step is Step.IDLE:
                self._losses.clear()
                return
            rest = (time.perf_counter() - begun) * REST * (4 if self._came != came else 1)
            hopeless = step is Step.REBUILD and max(self._losses.values(), default=0) > _REBUILDS
            self._stopping.wait(_PAUSE_MOST if hopeless else rest)

    def _let_others_work(self) -> None:
        """Wait for a moment in which nobody is served, but not for ever."""
        end = time.monotonic() + PATIENCE
        seen = self._worked()
        while time.monotonic() < end and not self._stopping.wait(QUIET):
            now = self._worked()
            if now == seen:
                return
            seen = now


# --- commands ---------------------------------------------------------------------------------------------------------


def _accounts(ground: Ground, address: str | None) -> tuple[Account, ...]:
    return ground.directory.accounts() if address is None else (ground.directory.account(address),)


def _status(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    rows = []
    for account in _accounts(ground, args.get("address")):
        status = ground.index.writer.status(account.id)
        rows.append(
            {
                "address": account.address,
                "ready": status.ready,
                "indexed": status.indexed,
                "waiting": status.waiting,
                "segments": status.segments,
                "octets": status.octets,
            }
        )
    return {"accounts": rows}


def _rebuild(ground: Ground, args: Result, tell: Tell, actor: str) -> Result:
    """One account after the other; searches look at stored mail meanwhile."""
    indexed = 0
    for account in _accounts(ground, args.get("address")):
        indexed += ground.index.writer.rebuild(account.id, tell)
    return {"indexed": indexed}


COMMANDS: Mapping[str, Callable[[Ground, Result, Tell, str], Any]] = {
    "index.status": _status,
    "index.rebuild": _rebuild,
}
