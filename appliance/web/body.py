"""The octets of one request's body: a little in memory, the rest in a file without a name inside the state directory.

Promises: never more than about 300 KiB of a body in memory; files are written off the loop, and the sender is held back
(`hold`, `go_on`) while the disk is slower than the network. Whatever happens, the file is gone with the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Protocol

MEMORY: Final = 64 * 1024
HIGH: Final = 256 * 1024
"""Octets that may wait for the disk before the sender is held back."""


class Sender(Protocol):
    """Whoever sends the body."""

    def hold(self) -> None:
        """Send nothing for a while."""
        ...

    def go_on(self) -> None:
        """Send again."""
        ...


class Body:
    """One body on its way in. `file` may be read once `finish` has called back."""

    def __init__(self, folder: Path, blocking: Callable[..., Awaitable[Any]], sender: Sender) -> None:
        self.file: Any = SpooledTemporaryFile(max_size=MEMORY, dir=str(folder))  # noqa: SIM115 - lives as long as the request
        self.size = 0
        self._blocking, self._sender = blocking, sender
        self._waiting: list[bytes] = []
        self._octets = 0
        self._held = self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._done: Callable[[OSError | None], None] | None = None
        self._error: OSError | None = None

    def feed(self, data: bytes) -> None:
        """One more piece."""
        self.size += len(data)
        if self.size <= MEMORY:
            self.file.write(data)
            return
        self._waiting.append(data)
        self._octets += len(data)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write())
        if self._octets > HIGH and not self._held:
            self._held = True
            self._sender.hold()

    def finish(self, done: Callable[[OSError | None], None]) -> None:
        """That was all; `done` is called, with the disk's error if there was one, when it has come to rest."""
        self._done = done
        if self._task is None:
            self._tell()

    def close(self) -> None:
        """Let go of it, at once or when the disk is done."""
        self._closed = True
        self._waiting.clear()
        self._done = None
        if self._task is None:
            self.file.close()

    async def _write(self) -> None:
        try:
            while self._waiting and self._error is None:
                data = b"".join(self._waiting)
                self._waiting.clear()
                await self._blocking(self.file.write, data)
                self._octets -= len(data)
                if self._held and self._octets < HIGH:
                    self._held = False
                    self._sender.go_on()
        except OSError as error:
            self._error = error
        finally:
            self._task = None
            if self._closed:
                self.file.close()
            elif self._done is not None:
                self._tell()

    def _tell(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            self.file.seek(0)
            done(self._error)
