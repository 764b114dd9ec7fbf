"""One asyncio loop for everything: the SMTP listeners, the Twisted protocols and our own tasks.

Promises: `make_loop` makes the loop first and gives it to Twisted before anything imports a reactor; `run` drives both
until the given coroutine ends. `Workers` is the only way from async code to code that blocks, and back: `blocking` for
storage and files, `heavy` for what burns CPU (two at once, at lower priority), `landed` for the writer's futures.
`LagProbe` measures how late the loop is.

May not: know what the work is about. A caller that is cancelled while it waits never cancels a write that was
submitted: it will still commit.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from appliance.log import Log

P = ParamSpec("P")
T = TypeVar("T")

SWITCH_INTERVAL = 0.0005
"""Seconds a busy thread may keep the interpreter when another wants it; the default 5 ms is felt by every client."""

_HEAVY_NICE = 5


class LoopError(RuntimeError):
    """The loop cannot be made: somebody imported a reactor first, or uvloop was demanded and is not installed."""


def make_loop(kind: str = "auto") -> asyncio.AbstractEventLoop:
    """Make the process's loop (uvloop where it is installed) and install Twisted's asyncioreactor on it.

    `kind` is "auto", "uvloop" or "asyncio". Call it once, before anything imports `twisted.internet.reactor`. Raises
    LoopError.
    """
    if "twisted.internet.reactor" in sys.modules:
        raise LoopError("a Twisted reactor is installed already; the loop must be made first")
    sys.setswitchinterval(SWITCH_INTERVAL)
    loop = _new_loop(kind)
    asyncio.set_event_loop(loop)
    from twisted.internet import asyncioreactor

    install: Any = asyncioreactor.install
    install(loop)
    _quiet_twisted()
    return loop


def _new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "asyncio":
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        if kind == "uvloop":
            raise LoopError("uvloop is not installed")
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _quiet_twisted() -> None:
    """Send Twisted's own log through the standard library's, where appliance.log takes it."""
    from twisted.logger import STDLibLogObserver, globalLogBeginner

    observer: Any = STDLibLogObserver()
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)


def run(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run the reactor until `main` has ended; its value is returned, its exception raised.

    Tasks that are left are cancelled and get a second to end, as asyncio.run would do.
    """
    from twisted.internet import reactor as module

    reactor: Any = module
    outcome: list[asyncio.Task[T]] = []

    def begin() -> None:
        task = loop.create_task(_then_tidy(main), name="main")
        outcome.append(task)
        task.add_done_callback(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    if not outcome or not outcome[0].done():
        raise LoopError("the loop ended before its work did")
    return outcome[0].result()


async def _then_tidy(main: Coroutine[Any, Any, T]) -> T:
    try:
        return await main
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=1)


class Landing:
    """Brings results of other threads to the loop; a burst of them costs one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._arrived: deque[tuple[asyncio.Future[Any], concurrent.futures.Future[Any]]] = deque()
        self._woken = False

    def expect(self, source: concurrent.futures.Future[T]) -> asyncio.Future[T]:
        """A future of the loop that takes the outcome of `source`; cancelling it leaves `source` alone."""
        target: asyncio.Future[T] = self._loop.create_future()
        source.add_done_callback(lambda done: self._arrive(target, done))
        return target

    def _arrive(self, target: asyncio.Future[Any], source: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._arrived.append((target, source))
            if self._woken:
                return
            self._woken = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        with self._lock:
            arrived, self._arrived = self._arrived, deque()
            self._woken = False
        for target, source in arrived:
            _copy_outcome(target, source)


def _copy_outcome(target: asyncio.Future[Any], source: concurrent.futures.Future[Any]) -> None:
    if target.done():
        return
    if source.cancelled():
        target.cancel()
        return
    error = source.exception()
    if error is not None:
        target.set_exception(error)
    else:
        target.set_result(source.result())


class Workers:
    """The thread pools, as the loop sees them. Make it on the running loop (or give it one)."""

    def __init__(self, *, threads: int = 8, heavy: int = 2, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """`threads` for blocking calls, `heavy` for CPU-bound ones (at most so many at once)."""
        self._landing = Landing(loop or asyncio.get_running_loop())
        self._blocking = ThreadPoolExecutor(threads, thread_name_prefix="blocking")
        self._heavy = niced_pool(heavy, "heavy")
        self._waiting = 0
        self._begun = 0

    @property
    def begun(self) -> int:
        """Calls handed to the pools so far: while it rises, somebody is being served."""
        return self._begun

    @property
    def waiting(self) -> int:
        """Calls handed to the pools and not finished; for a gauge."""
        return self._waiting

    async def blocking(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` on a thread that may block on disk or lock; its result or exception comes back."""
        return await self._await(self._blocking.submit(fn, *args, **kwargs))

    async def heavy(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run CPU-bound `fn`; at most two run at once, at a lower priority than the loop."""
        return await self._await(self._heavy.submit(fn, *args, **kwargs))

    async def pooled(self, pool: ThreadPoolExecutor, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` on a pool of the caller's own (the login gate has one)."""
        return await self._await(pool.submit(fn, *args, **kwargs))

    async def landed(self, future: concurrent.futures.Future[T]) -> T:
        """Wait for a future of another thread: the writer's, resolved after the commit."""
        return await self._landing.expect(future)

    async def _await(self, future: concurrent.futures.Future[T]) -> T:
        self._waiting += 1
        self._begun += 1
        try:
            return await self._landing.expect(future)
        except asyncio.CancelledError:
            future.cancel()  # only if it has not begun
            raise
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let running calls end, drop those that have not begun. Blocks: call it when the loop has nothing to do."""
        self._blocking.shutdown(wait=True, cancel_futures=True)
        self._heavy.shutdown(wait=True, cancel_futures=True)


def niced_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads yield to the loop: on Linux a thread has a priority of its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_lower_priority)


def _lower_priority() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _HEAVY_NICE)


class LagProbe:
    """How late the loop is: a timer every `every` seconds reports by how much it was missed.

    `observe(seconds)` is called for each measure (a gauge and a histogram take it); a stall beyond `warn` seconds is
    logged once per measure.
    """

    def __init__(self, observe: Callable[[float], None], log: Log, *, every: float = 0.25, warn: float = 0.25) -> None:
        self.name = "lag"
        self.worst = 0.0
        self._observe, self._log, self._every, self._warn = observe, log, every, warn
        self._handle: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to measure."""
        self._arm()

    async def drain(self, deadline: float) -> None:
        """Measures until the end: a drain that blocks the loop is worth seeing."""

    async def stop(self) -> None:
        """Measure no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._every
        self._handle = loop.call_at(due, self._measure, due)

    def _measure(self, due: float) -> None:
        late = max(0.0, asyncio.get_running_loop().time() - due)
        self.worst = max(self.worst, late)
        self._observe(late)
        if late >= self._warn:
            self._log.warning("loop.lag", seconds=late)
        self._arm()
