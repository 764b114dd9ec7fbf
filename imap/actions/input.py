"""What the client sends, for the conversation and for commands that read on: the wire, and waiting for more of it.

Promises: a command that waits holds nothing but a future; while it is busy with something else no more is read from the
client than a bound; when the client goes away whoever waits hears Gone. What a literal is for is decided by its owner.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from imap import response, wire
from imap.actions.call import Gone, Line
from imap.errors import Bad, Bye, ImapError

TOO_LONG = "The command is too long"
_TOO_LARGE = "The literal is too large"
_UNREADABLE = "The command cannot be read"


class Source(Line, Protocol):
    """A Line whose reading can be held back."""

    def pause(self) -> None:
        """Read nothing for now: what came is not worked off yet."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...


class Input:
    """The client's side of one connection."""

    __slots__ = ("_closed", "_line", "_more", "_paused", "bearable", "wire")

    def __init__(self, line: Source, bearable: int) -> None:
        """`bearable`: octets of an unwanted literal that are read and thrown away rather than ending it all."""
        self.wire = wire.Wire(wire.BEFORE_LOGIN)
        self.bearable = bearable
        self._line = line
        self._more: asyncio.Future[None] | None = None
        self._paused = False
        self._closed = False

    # --- for the conversation -----------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Octets came."""
        self.wire.feed(data)
        self._wake()

    def hold(self) -> None:
        """A command is being carried out: beyond a bound, read nothing more until it is done."""
        if not self._paused and self.wire.waiting > self.wire.limits.line:
            self._paused = True
            self._line.pause()

    def release(self) -> None:
        """Read again."""
        if self._paused and not self._closed:
            self._paused = False
            self._line.resume()

    def close(self) -> None:
        """Nothing more is read; whoever waits hears Gone."""
        self._closed = True
        self.wire.kill()
        self._wake()

    @property
    def waiting(self) -> bool:
        """Whether a command waits for the client to say more."""
        return self._more is not None

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    # --- for commands that read on ------------------------------------------------------------------------------------

    async def event(self) -> wire.Event:
        """The next event. Raises Gone."""
        while True:
            event = self.wire.next()
            if event is not None:
                return event
            if self._closed:
                raise Gone
            self.release()
            self._more = asyncio.get_running_loop().create_future()
            try:
                await self._more
            finally:
                self._more = None

    async def ask(self, challenge: bytes) -> bytes:
        """A continuation request and the client's answer (AUTHENTICATE). Raises Gone, Bad, Bye."""
        self._line.write(b"+ %b\r\n" % challenge)
        event = await self.event()
        if isinstance(event, wire.Text):
            return event.data
        if isinstance(event, wire.Overlong):
            raise Bad(TOO_LONG)
        if isinstance(event, wire.Literal) and event.sync:
            self.wire.refuse()
            raise Bad("Expected a line in base64")
        raise Bye(_UNREADABLE)

    def admit(self, literal: wire.Literal) -> None:
        """Take the literal as a stream of Octets; the client is told to send it if it waits for that."""
        if literal.sync:
            self._line.write(response.CONTINUE)
        self.wire.stream()

    async def decline(self, literal: wire.Literal, error: ImapError) -> None:
        """Do not take the literal because of `error`: it is not sent, or thrown away as it comes, or ends it all."""
        if literal.sync:
            self.wire.refuse()
        elif literal.size <= self.bearable:
            self.wire.skip()
            await self.rest()
        else:
            raise Bye(_TOO_LARGE, b"TOOBIG", first=error)

    async def rest(self) -> bytes:
        """What stands behind a literal, up to the end of the line; further literals are thrown away."""
        rest = b""
        while True:
            event = await self.event()
            if isinstance(event, wire.Text):
                return rest + event.data
            if isinstance(event, wire.Literal):
                rest = event.head
                if event.sync:
                    self.wire.refuse()
                    return rest
                if event.size > self.bearable:
                    raise Bye(_TOO_LARGE, b"TOOBIG")
                self.wire.skip()
            elif isinstance(event, wire.Lost):
                raise Bye(_UNREADABLE, b"TOOBIG")
            elif isinstance(event, wire.Overlong):
                return event.head
