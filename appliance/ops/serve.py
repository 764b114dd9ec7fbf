"""What a running server does besides its listeners: recovery before they open, sweeping behind them, start and end.

Promises: recovery is short whatever the number of messages, may be broken off and run again, and is over before
anything listens (RELIABILITY §1.3); the rest is done in the background. `ready` stands alone on a line of standard
output once every listener answers. May not: know a face; the composition root hands the services in.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import resource
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from typing import Any

from appliance.config import Config
from appliance.lifecycle import Signals, Supervisor
from appliance.log import Log, flush_and_exit, setup
from appliance.loop import Workers
from appliance.net.tls import Certificates
from appliance.ops.errors import FAILED, OperatorError
from appliance.ops.keeping import quarantine_of
from appliance.ops.state import Ground, database_of, load_config
from appliance.statedir import raise_open_files
from data.disk.crashpoints import hit
from data.disk.schema import quick_check

CHECK_SECONDS = 0.5
"""How long the check of the database's structure may hold the start up; `verify` looks at everything."""
SWEEP_SECONDS = 600.0
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def prepare_process(config: Config) -> None:
    """As many open files as the system gives, and no core dump: memory holds keys (RELIABILITY N16)."""
    raise_open_files(config.limits.open_files)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _give_memory_back()


def _give_memory_back() -> None:
    """Have the C library return large blocks: an argon2 hash takes 19 MiB, which each thread would keep for good."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc has it, others need it not
        mallopt(_M_MMAP_THRESHOLD, 4 << 20)
        mallopt(_M_ARENA_MAX, 4)


def recover(ground: Ground, log: Log) -> None:
    """Before anything listens: a look at the database, half-done attempts deferred, temporary files gone."""
    ground.db.on_fatal = lambda why: _fatal(log, why)
    damage = quick_check(database_of(ground.state, ground.config), CHECK_SECONDS)
    if damage:
        raise OperatorError(f"the database is damaged ({damage}); restore it from a backup", FAILED)
    deferred = ground.spool.recover()
    hit("C21")
    swept = ground.store.blobs.sweep_temporary()
    log.info("recover", deferred=deferred, swept=swept)
    ground.directory.refresh()


def _fatal(log: Log, why: str) -> None:
    """The disk failed under the writer: nothing that follows could be believed (a second fsync may lie)."""
    log.error("stopped", why=why)
    flush_and_exit(FAILED)


async def sweep(ground: Ground, workers: Workers, log: Log) -> None:
    """For ever: what nobody names any more goes, now and then every ten minutes."""
    while True:
        orphans = await workers.blocking(ground.store.sweep.orphans)
        removed = await workers.blocking(ground.store.sweep.run)
        removed += await workers.blocking(quarantine_of(ground).sweep)
        if orphans or removed:
            log.info("sweep", orphans=orphans, removed=removed)
        await asyncio.sleep(SWEEP_SECONDS)


async def attend(supervisor: Supervisor, log: Log, reload: Callable[[], Awaitable[None]]) -> None:
    """Start everything, say `ready`, wait for a signal, drain, stop."""
    signals = Signals(log, reload)
    signals.install()
    try:
        await supervisor.start()
        # what the start has made stays for good: a collector that went over it again would stop every thread for it
        gc.collect()
        gc.freeze()
        with contextlib.suppress(OSError):  # nobody needs to listen to us
            print("ready", flush=True)
        log.info("ready")
        await signals.stopped()
        await supervisor.finish()
    finally:
        await supervisor.stop()
        log.info("stopped")


class Reload:
    """What HUP does: the certificate and the configuration are read again; only the log's level changes at once."""

    def __init__(self, ground: Ground, given: Mapping[str, Any], certificates: Certificates, log: Log) -> None:
        self._ground, self._given, self._certificates, self._log = ground, given, certificates, log
        self._level = ground.config.log_level

    def __call__(self) -> None:
        """Blocks on files. A broken file is logged, and what was read before stays."""
        self._certificates.reload(force=True)
        try:
            fresh = load_config(self._ground.state, self._given)
        except OperatorError as error:
            self._log.error("config", why=error.line)
            return
        if fresh.log_level != self._level:
            self._level = fresh.log_level
            setup(fresh.log_level)
        later = [name for name in changed(self._ground.config, fresh) if name != "log_level"]
        if later:
            self._log.warning("config", changed=later, needs="a restart")


def changed(before: Config, after: Config) -> list[str]:
    """The fields in which two configurations differ."""
    return [one.name for one in fields(before) if getattr(before, one.name) != getattr(after, one.name)]
