"""Sealed files for Whoosh: nothing it writes touches the disk in plain.

A file is `MSX1 | length of the wrapped key (2) | wrapped key | sealed octets` (data.disk.seal), sealed under the master
key with a key of its own and bound to its account and name. It is sealed as it is written and opened by chunks of
64 KiB as it is read, the chunks kept in one cache of bounded size for all indexes, so that memory does not grow with
the index. Temporary files of Whoosh live in memory.

Promises: a file is complete and fsynced when it is closed; damage is Corrupt when the damaged chunk is read.
"""

from __future__ import annotations

import io
import os
import struct
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from whoosh.filedb.filestore import FileStorage, RamStorage
from whoosh.filedb.structfile import StructFile

from data.disk.files import fsync_directory
from data.disk.seal import CHUNK, HEADER, TAG, Keys, Opener, Sealer
from data.errors import Corrupt

_MAGIC = b"MSX1"
_HEAD = struct.Struct(">4sH")
_BUFFER = 4096
CACHE = 24 << 20
"""Octets of opened chunks kept for all indexes together."""


class Chunks:
    """Opened chunks, the latest used kept; shared by all files."""

    def __init__(self, limit: int = CACHE) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._held = 0
        self._next = 0

    def number(self) -> int:
        """A number for a file that was opened."""
        with self._lock:
            self._next += 1
            return self._next

    def get(self, file: int, number: int, opener: Opener) -> bytes:
        """One chunk of a file; raises Corrupt."""
        place = (file, number)
        with self._lock:
            found = self._kept.get(place)
            if found is not None:
                self._kept.move_to_end(place)
                return found
        chunk = opener.read(number * CHUNK, (number + 1) * CHUNK)
        with self._lock:
            if place not in self._kept:
                self._kept[place] = chunk
                self._held += len(chunk)
            while self._held > self._limit:
                self._held -= len(self._kept.popitem(last=False)[1])
        return chunk

    def forget(self, file: int) -> None:
        """A file was closed."""
        with self._lock:
            for place in [p for p in self._kept if p[0] == file]:
                self._held -= len(self._kept.pop(place))


class SealedStorage(FileStorage):  # type: ignore[misc]  # Whoosh publishes no types
    """The directory of one account's index."""

    def __init__(self, folder: Path, context: bytes, keys: Keys, chunks: Chunks) -> None:
        super().__init__(str(folder), supports_mmap=False)
        self._context = context
        self._keys = keys
        self._chunks = chunks

    def create_file(self, name: str, excl: bool = False, mode: str = "wb", **kwargs: Any) -> StructFile:
        """A file to write; it is sealed as it comes."""
        fd = os.open(self._fpath(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        return StructFile(_Sealing(fd, Sealer(self._keys, self._bound(name))), name=name, **kwargs)

    def open_file(self, name: str, **kwargs: Any) -> StructFile:
        """A file to read; raises OSError, Corrupt."""
        raw = _Opened(self._fpath(name), self._bound(name), self._keys, self._chunks)
        return StructFile(io.BufferedReader(raw, _BUFFER), name=name, **kwargs)

    def file_length(self, name: str) -> int:
        """Plain octets of a file."""
        with self.open_file(name) as file:
            file.seek(0, os.SEEK_END)
            return int(file.tell())

    def stored_octets(self) -> int:
        """Octets on the disk, of all files."""
        return sum(os.stat(self._fpath(name)).st_size for name in self.list())

    def temp_storage(self, name: str | None = None) -> RamStorage:
        """Where Whoosh keeps what it needs for a moment: memory."""
        return RamStorage()

    def sync(self) -> None:
        """Make the names durable."""
        fsync_directory(Path(self.folder))

    def _bound(self, name: str) -> bytes:
        """What the seal is bound to; a table of contents is written under a temporary name of its own and renamed."""
        final = name.partition(".toc")[0] + ".toc" if ".toc" in name else name
        return self._context + b"/" + final.encode()


class _Sealing:
    """The writing end: append only."""

    def __init__(self, fd: int, sealer: Sealer) -> None:
        self._out = os.fdopen(fd, "wb", buffering=CHUNK + TAG)
        self._sealer = sealer
        self._pending: list[bytes] = []
        self._waiting = 0
        self._size = 0
        self._out.write(_HEAD.pack(_MAGIC, len(sealer.wrapped)) + sealer.wrapped + sealer.header)

    def write(self, data: bytes) -> int:
        self._pending.append(data)
        self._size += len(data)
        self._waiting += len(data)
        if self._waiting >= CHUNK:
            self._out.write(self._sealer.feed(self._taken()))
        return len(data)

    def tell(self) -> int:
        return self._size

    def close(self) -> None:
        self._out.write(self._sealer.feed(self._taken()))
        self._out.write(self._sealer.finish())
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()

    def _taken(self) -> bytes:
        taken = b"".join(self._pending)
        self._pending.clear()
        self._waiting = 0
        return taken


class _Opened(io.RawIOBase):
    """The reading end: opens the chunks that are asked for."""

    def __init__(self, path: str, bound: bytes, keys: Keys, chunks: Chunks) -> None:
        super().__init__()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._begin(bound, keys)
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            raise
        self._chunks = chunks
        self._number = chunks.number()
        self._at = 0

    def _begin(self, bound: bytes, keys: Keys) -> None:
        head = os.pread(self._fd, _HEAD.size, 0)
        if len(head) != _HEAD.size or head[:4] != _MAGIC:
            raise Corrupt("a file of the index does not begin as one")
        length = _HEAD.unpack(head)[1]
        wrapped = os.pread(self._fd, length, _HEAD.size)
        base = _HEAD.size + length
        body = os.fstat(self._fd).st_size - base - HEADER
        pieces = -(-body // (CHUNK + TAG))
        if body < TAG:
            raise Corrupt("a file of the index is cut short")
        self._size = body - pieces * TAG
        self._opener = Opener(keys, bound, wrapped, self._size, lambda at, n: os.pread(self._fd, n, base + at))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        number, inside = divmod(self._at, CHUNK)
        piece = self._chunks.get(self._number, number, self._opener)[inside : inside + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed and self._fd >= 0:
            self._chunks.forget(self._number)
            os.close(self._fd)
            self._fd = -1
        super().close()
