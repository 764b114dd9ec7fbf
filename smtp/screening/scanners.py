"""Other programs that look at a message: rspamd (HTTP POST /checkv2) and clamd (INSTREAM). Both are optional.

Promises: a message goes there in pieces, read off the loop; an answer comes within SECONDS, or the message is accepted
with a mark that nobody looked. May not: decide; what they say becomes evidence.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.log import Log
from appliance.loop import Workers
from data.store.intake import Prepared
from smtp.policy.verdict import Action, Weighed

SECONDS = 8.0
PIECE = 65_536
_ANSWER_MOST = 1 << 20
_REMARKABLE = 5
_RSPAMD_JUNK = 6.0
"""rspamd's score from which its defaults mark a message."""
_SAFE = re.compile(r"[^\x21-\x7e]+")


class ScannerError(Exception):
    """The program gave no answer that can be used."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a message beside its octets."""

    address: str = ""
    hello: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    trail: str = ""


@dataclass(frozen=True, slots=True)
class Scanners:
    """Where the programs answer; an empty place is not asked."""

    workers: Workers
    log: Log
    rspamd: str = ""
    clamd: str = ""

    async def ask(self, prepared: Prepared, told: Told) -> list[Weighed]:
        """What they say of a message."""
        asked: list[Awaitable[list[Weighed]]] = []
        if self.rspamd:
            asked.append(self._within("rspamd", lambda: self._rspamd(prepared, told)))
        if self.clamd:
            asked.append(self._within("clamd", lambda: self._clamd(prepared)))
        return [one for found in await asyncio.gather(*asked) for one in found]

    async def _within(self, name: str, ask: Callable[[], Awaitable[list[Weighed]]]) -> list[Weighed]:
        try:
            async with asyncio.timeout(SECONDS):
                return await ask()
        except (OSError, TimeoutError, ScannerError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self.log.warning("screen", name=name, why=repr(error)[:200])
            return [Weighed(f"check.{name}-silent", 0)]

    async def _clamd(self, prepared: Prepared) -> list[Weighed]:
        reader, writer = await connect(self.clamd)
        try:
            writer.write(b"zINSTREAM\0")
            answer = asyncio.ensure_future(reader.readuntil(b"\0"))
            try:
                for at in range(0, prepared.size, PIECE):
                    piece = await self.workers.blocking(prepared.read, at, at + PIECE)
                    if answer.done():
                        break  # it has had enough
                    writer.write(len(piece).to_bytes(4, "big") + piece)
                    await writer.drain()
                else:
                    writer.write(b"\0\0\0\0")
                return virus(await answer)
            finally:
                answer.cancel()
        finally:
            writer.close()

    async def _rspamd(self, prepared: Prepared, told: Told) -> list[Weighed]:
        reader, writer = await connect(self.rspamd)
        try:
            writer.write(request(prepared.size, told))
            for at in range(0, prepared.size, PIECE):
                writer.write(await self.workers.blocking(prepared.read, at, at + PIECE))
                await writer.drain()
            return opinion(body_of(await _whole(reader)))
        finally:
            writer.close()


async def connect(place: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to HOST:PORT, or to the path of a socket."""
    if place.startswith("/"):
        return await asyncio.open_unix_connection(place)
    host, _, port = place.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))


async def _whole(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while piece := await reader.read(PIECE):
        found += piece
        if len(found) > _ANSWER_MOST:
            raise ScannerError("an answer without end")
    return found


# --- clamd ----------------------------------------------------------------------------------------------------------


def virus(answer: bytes) -> list[Weighed]:
    """What clamd answered. Raises ScannerError."""
    text = answer.rstrip(b"\0\n").decode("utf-8", "replace")
    if text.endswith(" FOUND"):
        name = text.partition(":")[2].removesuffix(" FOUND").strip()
        return [Weighed("virus.found", 500, {"name": name}, Action.REJECT)]
    if text.endswith(": OK"):
        return []
    if "size limit exceeded" in text:
        return [Weighed("check.clamd-large", 0)]
    raise ScannerError(text[:200])


# --- rspamd ---------------------------------------------------------------------------------------------------------


def request(size: int, told: Told) -> bytes:
    """The head of the request. Nothing that somebody said can begin a line of it."""
    fields = [("IP", told.address), ("Helo", told.hello), ("From", told.sender), ("Queue-Id", told.trail)]
    fields += [("Rcpt", one) for one in told.recipients[:100]]
    lines = [f"{name}: {_SAFE.sub('', value)[:400]}" for name, value in fields if value]
    head = ["POST /checkv2 HTTP/1.0", f"Content-Length: {size}", "Connection: close", *lines, "", ""]
    return "\r\n".join(head).encode("ascii")


def body_of(answer: bytes) -> Mapping[str, Any]:
    """The object in an answer. Raises ScannerError."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if not blank or len(status) < 2 or status[1] != b"200":
        raise ScannerError(repr(head[:100]))
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ScannerError("no JSON") from None
    if not isinstance(found, dict):
        raise ScannerError("no object")
    return found


_FLOORS: Mapping[str, tuple[int, Action]] = {
    "reject": (150, Action.JUNK),
    "add header": (100, Action.JUNK),
    "rewrite subject": (100, Action.JUNK),
    "greylist": (40, Action.ACCEPT),
}


def opinion(found: Mapping[str, Any]) -> list[Weighed]:
    """What rspamd thinks, with the symbols that weigh most. Raises ScannerError."""
    try:
        score, action = float(found["score"]), str(found["action"])
        symbols = {str(name): float(one.get("score", 0)) for name, one in found.get("symbols", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ScannerError("no score") from None
    heaviest = sorted(symbols, key=lambda name: -abs(symbols[name]))[:_REMARKABLE]
    usual = min(max(round(score * 60 / _RSPAMD_JUNK), -20), 60)
    points, least = _FLOORS.get(action, (usual, Action.ACCEPT))
    told = {"score": f"{score:.1f}", "action": action, "symbols": " ".join(heaviest)}
    return [Weighed("rspamd", points, told, least)]
