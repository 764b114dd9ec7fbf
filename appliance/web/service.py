"""The life of the web listeners: the pool of the pages' threads, the site, the sockets, and their end.

Promises: draining stops accepting, lets requests in hand finish and closes idle connections and streams at once, so that
browsers come back to the next process. Sessions that ended by themselves are forgotten every hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from twisted.python.threadpool import ThreadPool

from appliance.net.sockets import adopt
from appliance.net.tls import Certificates
from appliance.web.access import Access, Face, WebApp
from appliance.web.native import Call, Native
from appliance.web.parts import WebParts
from appliance.web.site import Site
from appliance.web.streams import Streams

THREADS: Final = 9
TICK: Final = 2.0
SWEEP: Final = 3_600.0
INCOMING: Final = "incoming"
"""The folder of the state directory where bodies wait; its files have no names."""


class WebService:
    """Both listeners, `http` and `https`, as one service."""

    name = "web"

    def __init__(
        self,
        parts: WebParts,
        apps: Mapping[str, WebApp],
        certificates: Certificates,
        sockets: Mapping[str, Sequence[socket.socket]],
        streams: Streams,
    ) -> None:
        self._parts, self._certificates, self._sockets, self.streams = parts, certificates, sockets, streams
        self._pool = ThreadPool(minthreads=0, maxthreads=THREADS, name="pages")
        folder = parts.state / INCOMING
        folder.mkdir(mode=0o700, exist_ok=True)
        self.site = Site(parts, self._pool, apps, folder=folder)
        self.site.add(None, Native("/healthz", Access.PUBLIC, "GET", self._health, open_host=True))
        self._ports: list[Any] = []
        self._tick: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.Task[None] | None = None

    def add(self, face: Face, natives: Iterable[Native]) -> None:
        """The native resources of a face."""
        for native in natives:
            self.site.add(face, native)

    async def start(self) -> None:
        """Accept on every socket."""
        self._pool.start()
        contexts = self._certificates.twisted_factory("http")
        for name, tls in (("http", None), ("https", contexts)):
            self._ports += [adopt(sock, self.site, tls) for sock in self._sockets.get(name, ())]
        self._look()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="web sessions")

    def _look(self) -> None:
        self.site.look()
        self.streams.look()
        self._tick = asyncio.get_running_loop().call_later(TICK, self._look)

    async def _sweep(self) -> None:
        while True:
            try:
                await self._parts.workers.blocking(self._parts.sessions.sweep)
            except Exception as error:
                self._parts.log.failure(error, "task.failed", task="web sessions")
            await asyncio.sleep(SWEEP)

    async def drain(self, deadline: float) -> None:
        """Nobody new; what is being answered is finished."""
        self.site.draining = True
        for port in self._ports:
            port.stopListening()
        self._ports = []
        self.streams.close()
        loop = asyncio.get_running_loop()
        while loop.time() < deadline:
            for channel in tuple(self.site.channels):
                if not channel.requests:
                    channel.loseConnection()
            if not self.site.channels:
                return
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Let go of everything."""
        if self._tick is not None:
            self._tick.cancel()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for port in self._ports:
            port.stopListening()
        for channel in tuple(self.site.channels):
            channel.abort()
        if self._pool.started:
            await asyncio.get_running_loop().run_in_executor(None, self._stop_pool)

    def _stop_pool(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._pool.stop()

    async def _health(self, call: Call) -> None:
        """For a probe: can mail be read, and is the process to stay?"""
        if self.site.draining:
            call.say(503, "stopping")
            return
        try:
            async with asyncio.timeout(2):
                await self._parts.workers.blocking(self._parts.sessions.find, "mail", "")
        except Exception:
            call.say(503, "storage")
            return
        call.say(200, "ok")
