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
import pickle
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
_PICKLE = 256
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

    @property
    def held(self) -> int:
        """Octets kept now."""
        return self._held

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
        sealing = _Sealing(fd, Sealer(self._keys, self._bound(name)))
        file = StructFile(sealing, name=name, **kwargs)
        # the same methods without a detour: a segment is written in millions of small pieces
        file.write, file.tell = sealing.write, sealing.tell
        return file

    def open_file(self, name: str, **kwargs: Any) -> StructFile:
        """A file to read; raises OSError, Corrupt."""
        return _Opened(self._fpath(name), self._bound(name), self._keys, self._chunks, name)

    def file_length(self, name: str) -> int:
        """Plain octets of a file."""
        with self.open_file(name) as file:
            return int(file.size)

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


class _Opened(StructFile):  # type: ignore[misc]
    """The reading end: opens the chunks that are asked for. Used by one thread at a time."""

    is_closed: bool

    def __init__(self, path: str, bound: bytes, keys: Keys, chunks: Chunks, name: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._begin(bound, keys)
        except BaseException:
            os.close(self._fd)
            raise
        super().__init__(self, name=name)
        self.is_real = False
        self._chunks = chunks
        self._number = chunks.number()
        self._at = 0
        self._base, self._chunk = 0, b""

    def _begin(self, bound: bytes, keys: Keys) -> None:
        head = os.pread(self._fd, _HEAD.size, 0)
        if len(head) != _HEAD.size or head[:4] != _MAGIC:
            raise Corrupt("a file of the index does not begin as one")
        length = _HEAD.unpack(head)[1]
        wrapped = os.pread(self._fd, length, _HEAD.size)
        base = _HEAD.size + length
        body = os.fstat(self._fd).st_size - base - HEADER
        if body < TAG:
            raise Corrupt("a file of the index is cut short")
        self.size = body - -(-body // (CHUNK + TAG)) * TAG
        self._opener = Opener(keys, bound, wrapped, self.size, lambda at, n: os.pread(self._fd, n, base + at))

    def get(self, position: int, length: int) -> bytes:
        """The octets at a position; the current one stays. Fewer at the end of the file."""
        start = position - self._base
        if start >= 0:
            found = self._chunk[start : start + length]
            if len(found) == length:
                return found
        return self._gather(position, min(position + length, self.size))

    def _gather(self, at: int, stop: int) -> bytes:
        pieces = []
        while at < stop:
            number, inside = divmod(at, CHUNK)
            self._base, self._chunk = number * CHUNK, self._chunks.get(self._number, number, self._opener)
            piece = self._chunk[inside : inside + stop - at]
            pieces.append(piece)
            at += len(piece)
        return b"".join(pieces)

    def read(self, size: int = -1) -> bytes:
        """The next octets."""
        found = self.get(self._at, self.size - self._at if size < 0 else size)
        self._at += len(found)
        return found

    def read_pickle(self) -> Any:
        """The next pickled object; what is sealed by the master key was pickled by this program."""
        length = _PICKLE
        while True:
            stream = io.BytesIO(self.get(self._at, length))
            try:
                found = pickle.load(stream)  # noqa: S301
            except (EOFError, pickle.UnpicklingError):
                if self._at + length >= self.size:
                    raise
                length *= 16
                continue
            self._at += stream.tell()
            return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; returns the position."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at

    def close(self) -> None:
        """Let go of the file; twice is once."""
        if not self.is_closed:
            self.is_closed = True
            self._chunks.forget(self._number)
            os.close(self._fd)
