"""The control socket: DIR/control, 0600, where subcommands ask the running server.

Promises: one request per connection, one line of JSON; the answer is any number of progress lines and then one line
with a result or an error. Lines carry the version `v`. Only the server's own user and root are heard (SO_PEERCRED), the
file mode says so as well. Who hangs up stops his command at its next progress report; what was committed stays.
May not: know any command; `run` is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from appliance.log import Log
from appliance.loop import Workers
from data.errors import StoreError

VERSION = 1
NAME = "control"
LINE_MAX = 1 << 20
_PATH_MAX = 100
_THREADS = 4
_REQUEST_SECONDS = 10.0

Result = Mapping[str, Any]
Tell = Callable[[int, int], None]
"""Progress: so many of so many are done (0: nobody knows of how many). Raises Stopped when nobody listens any more."""
Run = Callable[[str, Result, Tell, str], Result]
"""(command, arguments, progress, actor) -> result; raises StoreError. Called on a thread that may block."""


class NoServer(Exception):
    """Nothing answers at DIR/control."""


class Stopped(Exception):
    """Whoever asked has gone away."""


class CommandFailed(Exception):
    """The command was refused or failed; `public` says why, `kind` is the error's type."""

    def __init__(self, public: str, kind: str = "") -> None:
        super().__init__(public)
        self.public = public
        self.kind = kind


# --- the server's side ----------------------------------------------------------------------------------------------


class ControlServer:
    """A Service of the running appliance."""

    name = "control"

    def __init__(self, state: Path, run: Run, workers: Workers, log: Log) -> None:
        self._state, self._run, self._workers, self._log = state, run, workers, log
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="control")

    async def start(self) -> None:
        """Listen; the state directory's lock is held, so a socket file that is there is a dead one's."""
        sock = _listen(self._state)
        self._server = await asyncio.start_unix_server(self._accept, sock=sock, limit=LINE_MAX)

    async def drain(self, deadline: float) -> None:
        """Take no new command."""
        if self._server is not None:
            self._server.close()

    async def stop(self) -> None:
        """Hang up; commands end at their next progress report."""
        await self.drain(0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._state / NAME)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            self._log.info("control", outcome="broken", error=type(error).__name__)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer.get_extra_info("socket"))
        line = await asyncio.wait_for(reader.readline(), _REQUEST_SECONDS)
        if not line:
            return
        if uid in {0, os.geteuid()}:
            answer = await self._answer(line, f"console:{uid}", reader, writer)
        else:
            self._log.warning("control", outcome="refused", uid=uid)
            answer = {"error": "You may not do that", "kind": "Refused"}
        writer.write(_line(answer))
        await writer.drain()

    async def _answer(
        self, line: bytes, actor: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Result:
        try:
            command, args = parse_request(line)
        except ValueError as error:
            return {"error": str(error), "kind": "Protocol"}
        progress = _Progress(asyncio.get_running_loop(), reader, writer)
        watch = asyncio.ensure_future(progress.watch())
        try:
            result = await self._workers.pooled(self._pool, self._run, command, args, progress.tell, actor)
        except Stopped:
            return {"error": "Stopped", "kind": "Stopped"}
        except StoreError as error:
            self._log.info("control", command=command, outcome=type(error).__name__, why=error.private)
            return {"error": error.public, "kind": type(error).__name__}
        except Exception as error:
            self._log.failure(error, command=command)
            return {"error": "The server failed to do that; its log says why", "kind": "Failure"}
        finally:
            watch.cancel()
        self._log.info("control", command=command, outcome="done")
        return {"result": result}


class _Progress:
    """Carries progress from a command's thread to the connection, and the end of the connection back."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._loop, self._reader, self._writer = loop, reader, writer
        self._gone = False

    async def watch(self) -> None:
        """Notice that the other side has hung up: it sends nothing after its request."""
        try:
            await self._reader.read(1)
        except OSError:
            return
        finally:
            # also when the watch itself is ended: the command is over, or the server is
            self._gone = True

    def tell(self, done: int, total: int) -> None:
        """Called on the command's thread."""
        if self._gone:
            raise Stopped
        try:
            self._loop.call_soon_threadsafe(self._writer.write, _line({"progress": [done, total]}))
        except RuntimeError:
            # the loop is closed: the server has ended
            raise Stopped from None


def parse_request(line: bytes) -> tuple[str, Result]:
    """The command and its arguments; raises ValueError with a text for whoever asked."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("That is not a request") from None
    if not isinstance(request, dict) or request.get("v") != VERSION:
        raise ValueError("This server speaks another version; use the program of the same release")
    command, args = request.get("command"), request.get("args")
    if not isinstance(command, str) or not isinstance(args, dict):
        raise ValueError("That is not a request")
    return command, args


def peer_uid(sock: Any) -> int:
    """The user at the other end of a Unix socket (Linux: SO_PEERCRED)."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _line(fields: Result) -> bytes:
    return json.dumps({"v": VERSION, **fields}, ensure_ascii=False).encode() + b"\n"


def _listen(state: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(state / NAME)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(state) as path:
        sock.bind(path)
    os.chmod(state / NAME, stat.S_IRUSR | stat.S_IWUSR)
    sock.listen(64)
    sock.setblocking(False)
    return sock


@contextmanager
def _short(state: Path) -> Iterator[str]:
    """The socket's path; a long one is written through an open directory, for the system takes about 100 characters."""
    path = str(state / NAME)
    if len(os.fsencode(path)) <= _PATH_MAX:
        yield path
        return
    fd = os.open(state, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)


# --- the subcommands' side ------------------------------------------------------------------------------------------


def ask(state: Path, command: str, args: Result, tell: Tell | None = None) -> Result:
    """Have the running server do a command; raises NoServer, CommandFailed."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(state) as path:
            sock.connect(path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        sock.close()
        raise NoServer from None
    except PermissionError:
        sock.close()
        raise CommandFailed(f"{state / NAME} may be used by the server's own user and root only") from None
    with sock, sock.makefile("rb") as answers:
        try:
            sock.sendall(_line({"command": command, "args": dict(args)}))
            return _read_answer(answers, tell)
        except ConnectionError:
            raise CommandFailed("The server ended before it answered") from None


def _read_answer(answers: BinaryIO, tell: Tell | None) -> Result:
    for line in answers:
        answer = json.loads(line)
        if "result" in answer:
            return dict(answer["result"])
        if "error" in answer:
            raise CommandFailed(str(answer["error"]), str(answer.get("kind", "")))
        if tell is not None:
            tell(*answer["progress"])
    raise CommandFailed("The server ended before it answered")
