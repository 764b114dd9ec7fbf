"""Hostile servers against our client, and hostile content of our own on its way out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data.reason import Reason
from data.spool.envelope import State
from smtp.queue.route import Routes
from tests.instruments.outbound import outbound
from tests.instruments.sinkmx import SinkMx

SMUGGLED = b"\r\nMAIL FROM:<evil@example.test>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: fake\r\n\r\nfake\r\n"
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r.\n",
    b"\n.\r",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def server(talk: Talk) -> Iterator[int]:
    """A server of one's own on a free port; yields the port."""
    ready, ports = threading.Event(), []
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    def work() -> None:
        listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
        ports.append(listening.sockets[0].getsockname()[1])
        ready.set()
        loop.run_forever()
        listening.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def once(root: Path, port: int, body: bytes = b"Hello.\r\n") -> tuple[dict[State, int], Reason | None]:
    """Send one message to a port; the states of its recipient and the reason it waits for."""

    async def inside() -> tuple[dict[State, int], Reason | None]:
        async with outbound(root, routes=Routes(all=("127.0.0.1", port))) as out:
            out.put("victim@example.org", body=body, return_path="")
            await out.idle()
            waiting = out.waiting()
            return out.states(), waiting[0].reason if waiting else None

    return asyncio.run(inside())


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_S2_no_smuggling_out(tmp_path: Path, end: bytes) -> None:
    """A message of ours that holds another's end of data: one message at the sink or none, and no bare CR or LF."""
    with SinkMx() as sink:
        states, _ = once(tmp_path, sink.port, b"hello" + end + SMUGGLED + b".\r\n")
        assert len(sink.messages) <= 1
        assert all(one.recipients == ["victim@example.org"] for one in sink.messages)
        assert sum(one.bare_line_ends for one in sink.messages) == 0
        bare = end.replace(b"\r\n", b"").replace(b"\0", b"")
        assert states == ({State.FAILED: 1} if b"\r" in bare or b"\n" in bare else {State.DELIVERED: 1})


def test_S2_dots_are_stuffed(tmp_path: Path) -> None:
    """An end of data with honest line ends is a line of a message, and arrives as one."""
    body = b"hello\r\n.\r\n" + SMUGGLED.lstrip() + b".\r\n..\r\n.x\r\n"
    with SinkMx() as sink:
        once(tmp_path, sink.port, body)
        (message,) = sink.messages
        assert message.data.endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("inject", [b"250 fake\r\n", b"250-SIZE\r\n250 X\r\n", b"\x16\x03\x01"])
def test_T3_injected_replies_abort(tmp_path: Path, inject: bytes) -> None:
    """Octets in the clear behind the 220 to STARTTLS: no envelope is told, neither under TLS nor in the clear."""
    with SinkMx(tls=True, inject=inject) as sink:
        states, reason = once(tmp_path, sink.port)
        assert states == {State.DEFERRED: 1}
        assert reason is not None
        assert reason.code in {"queue.tls.injection", "queue.tls.failed"}
        assert sink.attempts == {}


def test_T3_in_a_segment_of_its_own(tmp_path: Path) -> None:
    """The same, when the octets come a moment later."""
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        while line := await reader.readline():
            seen.append(line)
            if line.startswith(b"EHLO"):
                writer.write(b"250-mx\r\n250 STARTTLS\r\n")
            elif line.startswith(b"STARTTLS"):
                writer.write(b"220 go\r\n")
                await writer.drain()
                writer.write(b"250 fake\r\n")
            else:
                writer.write(b"250 ok\r\n")

    with server(talk) as port:
        states, _ = once(tmp_path, port)
        assert states == {State.DEFERRED: 1}
        assert not any(line.startswith((b"MAIL", b"RCPT")) and b"\x16" not in line for line in seen[:2])


@pytest.mark.parametrize(
    "flood",
    [b"220-x\r\n" * 100_000, b"2" * 5_000_000, b"220 \0\xff\x1b[2J\r\nnonsense\r\n", b"\r\n" * 1000],
    ids=["lines", "line", "octets", "empty"],
)
def test_a_server_that_talks_nonsense(tmp_path: Path, flood: bytes) -> None:
    """Endless greetings, endless lines, no replies at all: left at once, mail waits, memory does not grow."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(flood)
        await writer.drain()
        await reader.read()

    with server(talk) as port:
        states, reason = once(tmp_path, port)
        assert states == {State.DEFERRED: 1}
        assert reason is not None
        assert reason.code == "queue.malformed"


def test_a_server_that_reads_nothing(tmp_path: Path) -> None:
    """354, and then not an octet of the body is taken: the block's time limit ends it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.sleep(60)
            writer.write(b"250 ok\r\n")

    with server(talk) as port:
        states, reason = once(tmp_path, port, (b"x" * 998 + b"\r\n") * 20_000)
        assert states == {State.DEFERRED: 1}
        assert reason == Reason("queue.timeout", {"stage": "body"})


def test_no_notification_for_the_null_sender(tmp_path: Path) -> None:
    """A bounce of a bounce would be the start of a loop: refused mail without a sender ends in the story."""
    with SinkMx() as sink:

        async def inside() -> None:
            async with outbound(tmp_path, routes=Routes(all=("127.0.0.1", sink.port))) as out:
                for number in range(20):
                    out.put(f"reject{number}@example.org", return_path="", message_id=f"<{number}@example.test>")
                await out.idle()
                assert out.states() == {State.FAILED: 20}
                assert out.inbox("ann") == []
                assert sink.messages == []

        asyncio.run(inside())
