"""Start in order, drain, stop in reverse; what a signal means; background tasks that come back.

Promises: services start one after the other in the order they were added; a start that fails stops those already up
and names the culprit. Draining asks all at once to take nothing new and to finish what they have, until a deadline; then
all are stopped in reverse order, each within a bound, whatever one of them does. A supervised task that fails is logged
and started again with a growing pause. The first TERM or INT drains, the second TERM or INT ends the process at once
(safe by the durability protocol: nothing was promised that is not on disk), HUP reloads.

May not: know what the services are.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from appliance.log import Log, flush_and_exit

T = TypeVar("T")

DRAIN_SECONDS = 6.0
"""How long connections get to finish when the process is asked to stop."""
STOP_SECONDS = 2.0
"""How long all services together get to stop after that; with the drain well within 10 s."""

LAST_SECONDS = 9.5
"""When a process that was asked to stop and is still there is ended, whatever keeps it."""

_PAUSE_FIRST = 0.5
_PAUSE_MOST = 60.0
_STEADY = 60.0


class Service(Protocol):
    """A part that has a life: listeners, the queue, the hub, the control socket."""

    @property
    def name(self) -> str:
        """For the log."""
        ...

    async def start(self) -> None:
        """Return when it works."""
        ...

    async def drain(self, deadline: float) -> None:
        """Take nothing new, finish what is in hand until `deadline` (the loop's clock, `loop.time()`); may return early."""
        ...

    async def stop(self) -> None:
        """Let go of everything."""
        ...


class StartFailed(RuntimeError):
    """A service did not start. `service` names it; the cause is chained."""

    def __init__(self, service: str, cause: BaseException) -> None:
        super().__init__(f"{service} did not start: {cause}")
        self.service = service


class Supervisor:
    """The services and background tasks of one process."""

    def __init__(self, log: Log, *, drain: float = DRAIN_SECONDS, stop: float = STOP_SECONDS) -> None:
        self._log = log
        self._drain, self._stop = drain, stop
        self._services: list[Service] = []
        self._up: list[Service] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.draining = False

    def add(self, service: Service) -> None:
        """One more service, started after those added before it."""
        self._services.append(service)

    async def start(self) -> None:
        """Start all in order. On failure those that are up are stopped again. Raises StartFailed."""
        for service in self._services:
            try:
                await service.start()
            except Exception as error:
                self._log.failure(error, "service.failed", service=service.name)
                await self.stop()
                raise StartFailed(service.name, error) from error
            self._up.append(service)
            self._log.debug("service.start", service=service.name)

    async def finish(self) -> None:
        """Drain until the deadline, then stop. Never raises."""
        await self.drain()
        await self.stop()

    async def drain(self) -> None:
        """Ask every service at once to finish; wait for them until the deadline."""
        self.draining = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._drain
        self._log.info("drain", seconds=self._drain)
        waiting = {loop.create_task(service.drain(deadline)): service for service in self._up}
        if not waiting:
            return
        done, late = await asyncio.wait(waiting, timeout=self._drain)
        for task in late:
            task.cancel()
            self._log.warning("drain", service=waiting[task].name, late=True)
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            self._note_failure(task, waiting[task].name)

    async def stop(self) -> None:
        """Stop what is up, last first, then the background tasks. Never raises."""
        until = asyncio.get_running_loop().time() + self._stop
        await self._end_tasks()
        while self._up:
            service = self._up.pop()
            left = max(0.1, until - asyncio.get_running_loop().time())
            try:
                async with asyncio.timeout(left):
                    await service.stop()
                self._log.debug("service.stop", service=service.name)
            except TimeoutError:
                self._log.warning("service.stop", service=service.name, late=True)
            except Exception as error:
                self._log.failure(error, "service.failed", service=service.name)

    def _note_failure(self, task: asyncio.Task[None], service: str) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.failure(error, "service.failed", service=service)

    # --- background tasks ------------------------------------------------------------------------------------------

    def task(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work()` in the background until it returns; when it fails it is logged and begun again.

        The pause doubles from half a second to a minute, and begins anew after a minute of steady work.
        """
        task = asyncio.get_running_loop().create_task(self._keep(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        clock = asyncio.get_running_loop().time
        pause = _PAUSE_FIRST
        while True:
            begun = clock()
            try:
                await work()
            except Exception as error:
                if clock() - begun >= _STEADY:
                    pause = _PAUSE_FIRST
                self._log.failure(error, "task.failed", task=name, again_in=pause)
            else:
                self._log.debug("task.ended", task=name)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE_MOST)

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._stop)


@dataclass(slots=True)
class Signals:
    """What the signals of the process mean. `await stopped()` in the composition root, then drain and return.

    `at_once` ends the process without further ado (the log is written first); a test gives its own. It is also called
    when the process is still there `within` seconds after it was asked to stop: a thread may hang in a dead disk.
    """

    log: Log
    reload: Callable[[], Awaitable[None]]
    at_once: Callable[[int], None] = flush_and_exit
    within: float = LAST_SECONDS
    received: signal.Signals | None = None
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _reloading: asyncio.Task[None] | None = None
    _again: bool = False
    _last: threading.Timer | None = None

    def install(self) -> None:
        """Take TERM, INT and HUP on the running loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.take, number)

    def remove(self) -> None:
        """Give the signals back to the system's defaults, and nothing is ended any more."""
        if self._last is not None:
            self._last.cancel()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with contextlib.suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(number)

    async def stopped(self) -> signal.Signals | None:
        """Wait for the first TERM or INT (or `ask()`); returns which it was."""
        await self._asked.wait()
        return self.received

    def ask(self) -> None:
        """Stop as if TERM had come: the control socket's `stop`."""
        self._asked.set()

    def take(self, number: signal.Signals) -> None:
        """One signal arrived."""
        self.log.info("signal", signal=number.name)
        if number == signal.SIGHUP:
            self._reload()
        elif self.received is None and not self._asked.is_set():
            self.received = number
            self._last = threading.Timer(self.within, self.at_once, [128 + number])
            self._last.daemon = True
            self._last.start()
            self._asked.set()
        else:
            self.at_once(128 + number)

    def _reload(self) -> None:
        """Reload now; a HUP during a reload makes one more afterwards."""
        if self._reloading is not None and not self._reloading.done():
            self._again = True
            return
        self._reloading = asyncio.get_running_loop().create_task(self._reload_until_quiet(), name="reload")

    async def _reload_until_quiet(self) -> None:
        while True:
            self._again = False
            try:
                await self.reload()
                self.log.info("reload")
            except Exception as error:
                self.log.failure(error, "reload")
            if not self._again:
                return


async def until(seconds: float, work: Awaitable[T]) -> T | None:
    """`work`'s value, or None when it took longer than `seconds` (it is cancelled)."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        return None
