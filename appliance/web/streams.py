"""Server-sent events: open answers, one for each browser, that hold neither thread nor task.

Promises: an event reaches the streams of its account in the order in which it was sent; a browser that takes nothing is
cut off when 64 KiB wait for it, and comes back with the id of the last event it saw. A comment every 20 seconds keeps
middle boxes from closing an idle stream and finds out who is gone. A stream ends with its session: at once when that is
said (`recheck`), after a minute otherwise; its last event is `end`, for a browser would come back otherwise.
May not: know what an event means.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from appliance.web.access import FACES
from appliance.web.native import Call, Flow
from appliance.web.session import Doorman
from data.ids import AccountId

HEARTBEAT: Final = 20.0
RECHECK: Final = 60.0
WAITING_MOST: Final = 64 * 1024
PER_ACCOUNT: Final = 24
"""Streams of one account at a time: browsers share one among their tabs."""
RETRY_MILLIS: Final = 3_000

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}
END: Final = b"event: end\ndata: {}\n\n"
"""The last event of a stream whose session is over."""


def event(name: str, data: str, ident: str = "") -> bytes:
    """One event as it is written (HTML §9.2.5); `data` is one line."""
    head = f"id: {ident}\n" if ident else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode()


@dataclass(eq=False, slots=True)
class Stream:
    """One open answer."""

    call: Call
    flow: Flow
    account: AccountId
    waiting: int
    beat: float
    checked: float


class Streams:
    """All open streams of the process; on the loop only."""

    def __init__(self, doorman: Doorman) -> None:
        self._doorman = doorman
        self._open: dict[AccountId, list[Stream]] = defaultdict(list)
        self._checks: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def join(self, call: Call, hello: bytes = b"") -> Stream | None:
        """Begin a stream for whoever calls; None when the account has its most."""
        account, now = call.account.id, asyncio.get_running_loop().time()
        if self._closed or len(self._open[account]) >= PER_ACCOUNT:
            call.say(503 if self._closed else 429, "Too many open pages")
            return None
        flow = call.open(HEADERS)
        stream = Stream(call, flow, account, 0, now, now)
        self._open[account].append(stream)
        self.write(stream, b"retry: %d\n\n" % RETRY_MILLIS + hello)
        # the session may have ended since it was looked up
        self._begin_check(stream)
        return stream

    def send(self, account: AccountId, data: bytes) -> None:
        """Write to every stream of an account."""
        for stream in tuple(self._open.get(account, ())):
            self.write(stream, data)

    def watched(self, account: AccountId) -> bool:
        """Is anybody of this account looking? From any thread."""
        return bool(self._open.get(account))

    def recheck(self, account: AccountId) -> None:
        """Sessions of an account ended: look now which of its streams end with them."""
        for stream in tuple(self._open.get(account, ())):
            self._begin_check(stream)

    def write(self, stream: Stream, data: bytes) -> None:
        """Write to one stream."""
        if stream.call.gone or stream.flow.gone:
            self._drop(stream)
            return
        stream.waiting = stream.waiting + len(data) if stream.flow.paused else 0
        if stream.waiting > WAITING_MOST:
            stream.call.request.channel.abort()
            self._drop(stream)
            return
        stream.call.request.write(data)

    def look(self) -> None:
        """Every few seconds: a sign of life where it is due, and an end where the session has ended."""
        now = asyncio.get_running_loop().time()
        for stream in [one for streams in self._open.values() for one in streams]:
            if now - stream.beat >= HEARTBEAT:
                stream.beat = now
                self.write(stream, b": .\n\n")
            if now - stream.checked >= RECHECK:
                stream.checked = now
                self._begin_check(stream)

    def _begin_check(self, stream: Stream) -> None:
        task = asyncio.get_running_loop().create_task(self._check(stream))
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    async def _check(self, stream: Stream) -> None:
        session = stream.call.session
        assert session is not None
        face = next(one for one in FACES if one.name == session.face)
        found = await stream.call.blocking(self._doorman.session, face, stream.call.asked)
        if found is None or found.id != session.id:
            self._finish(stream, END)

    def _finish(self, stream: Stream, last: bytes = b"") -> None:
        if stream not in self._open.get(stream.account, ()):
            return
        self._drop(stream)
        if not stream.call.gone:
            stream.call.request.write(last)
            stream.call.request.unregisterProducer()
            stream.call.request.finish()

    def _drop(self, stream: Stream) -> None:
        streams = self._open.get(stream.account)
        if streams is not None and stream in streams:
            streams.remove(stream)
            if not streams:
                del self._open[stream.account]

    def close(self) -> None:
        """End them all: the process stops."""
        self._closed = True
        for stream in [one for streams in self._open.values() for one in streams]:
            self._finish(stream)
