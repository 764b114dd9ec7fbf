"""Message octets off the wire: DATA to its final dot, BDAT to its count, at a rate that somebody must keep up.

Promises: what is read is handed on in large pieces and never kept here; a refused message is still read, within a bound,
so that its sender sees the answer and its text is never taken for commands; after a failure of ours in the middle of a
message the connection ends. May not: know what becomes of the message.
"""

from __future__ import annotations

from collections.abc import Awaitable
from math import inf
from typing import TypeVar

from smtp import reply
from smtp.listener.reception import Reception
from smtp.listener.wire import Gone, Wire
from smtp.reply import Refused, Reply
from smtp.transaction.data import ChunkDecoder, Damaged, DotDecoder

T = TypeVar("T")


def chunk(arg: str) -> tuple[int, bool]:
    """The argument of BDAT: octets, and whether it is the last. Raises Refused."""
    words = arg.split(" ")
    last = len(words) == 2 and words[1].upper() == "LAST"
    if not (words[0].isascii() and words[0].isdigit() and len(words[0]) <= 18) or len(words) > 1 + last:
        raise Refused(reply.BDAT_SYNTAX, "bdat.syntax")
    return int(words[0]), last


class Pace:
    """Message data arrives at a rate, in the long run; the time we take ourselves does not count."""

    __slots__ = ("_begun", "_wire", "received")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._begun = wire.loop.time()
        self.received = 0

    async def more(self, most: int = -1) -> bytes:
        """The next octets. Raises Gone."""
        wire = self._wire
        if not wire.unread():
            await wire.flush()
            due = self._begun + wire.limits.grace + self.received / wire.limits.rate
            wire.deadline(due - wire.loop.time(), reply.TOO_SLOW)
            while not wire.unread():
                await wire.wait()
            wire.deadline(inf)
        octets = wire.take(most)
        self.received += len(octets)
        return octets

    async def aside(self, work: Awaitable[T]) -> T:
        """Do something that the client need not hurry for."""
        begun = self._wire.loop.time()
        try:
            return await work
        finally:
            self._begun += self._wire.loop.time() - begun


async def read_data(wire: Wire, reception: Reception) -> Reply:
    """DATA up to the final dot (RFC 5321 §4.1.1.4). Raises Refused, StoreError, Gone."""
    decoder = DotDecoder()
    pace = Pace(wire)
    try:
        while not decoder.ended:
            octets = await pace.more()
            await pace.aside(reception.put(decoder.feed(octets)))
            if pace.received > wire.limits.message + wire.limits.drain:
                raise Refused(reply.TOO_BIG_CLOSING, "message.size")
    except BaseException as error:
        await reception.drop()
        if isinstance(error, Damaged):
            raise Refused(reply.BAD_LINE_ENDS, "message.octets") from error
        if not isinstance(error, Refused | Gone):
            wire.closing = True  # what follows on the wire is message text, not commands
        raise
    wire.put_back(decoder.rest)
    return await reception.finish()


async def read_chunk(wire: Wire, reception: Reception, decoder: ChunkDecoder, size: int) -> None:
    """The octets of one BDAT (RFC 3030 §2). Raises Refused, Gone."""
    pace = Pace(wire)
    try:
        while pace.received < size:
            octets = await pace.more(size - pace.received)
            await pace.aside(reception.put(decoder.feed(octets)))
            if reception.octets > wire.limits.message + wire.limits.drain:
                raise Refused(reply.TOO_BIG_CLOSING, "message.size")
    except BaseException as error:
        await reception.drop()
        if isinstance(error, Damaged):
            raise Refused(reply.BAD_LINE_ENDS, "message.octets") from error
        if not isinstance(error, Refused | Gone):
            wire.closing = True
        raise


async def read_last(wire: Wire, reception: Reception, decoder: ChunkDecoder, size: int) -> Reply:
    """The last chunk, and what becomes of the message. Raises Refused, StoreError, Gone."""
    await read_chunk(wire, reception, decoder, size)
    try:
        await reception.put(decoder.finish())
    except Damaged as error:
        await reception.drop()
        raise Refused(reply.BAD_LINE_ENDS, "message.octets") from error
    return await reception.finish()


async def skip(wire: Wire, size: int) -> None:
    """Read octets that belong to nothing. Raises Gone."""
    pace = Pace(wire)
    while pace.received < size:
        await pace.more(size - pace.received)
