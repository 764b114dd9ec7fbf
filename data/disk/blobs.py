"""Message octets at rest: sealed, inside the database up to 128 KiB, in a sharded file above.

Promises: a file is complete, fsynced and named, and its directory fsynced, before `finish` returns, so before the
transaction that names it begins (no acknowledged row without its octets); it is written once and never changed. Names
are random, never a digest. What no row names is swept: `tmp` as a whole at start, other files when older than an hour.
May not: decide who may read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, delete, insert, select, update

from data.disk import tables as t
from data.disk.crashpoints import hit
from data.disk.db import Reader, Tx
from data.disk.files import fsync_directory, make_directory
from data.disk.seal import FRESH, Digest, Keys, Opener, Sealer
from data.errors import Corrupt, DiskFull, Unavailable
from data.ids import BlobId, OrganisationId

INLINE = 128 * 1024
"""Octets up to which a blob rests inside the database."""
ORPHAN_AGE = 3600.0
_ENOSPC = (28, 122)

_INSERT = (
    insert(t.blob)
    .values(
        organisation_id=bindparam("organisation_id"),
        name=bindparam("name"),
        key_id=bindparam("key_id"),
        wrapped=bindparam("wrapped"),
        plain_size=bindparam("plain_size"),
        stored_size=bindparam("stored_size"),
        digest=bindparam("digest"),
        refs=bindparam("refs"),
        inline=bindparam("inline"),
        created_at=bindparam("created_at"),
    )
    .returning(t.blob.c.id)
)
_INSERT_DATA = insert(t.blob_data).values(blob_id=bindparam("blob_id"), data=bindparam("data"))
_REFER = update(t.blob).where(t.blob.c.id == bindparam("p_id")).values(refs=t.blob.c.refs + bindparam("by"))
_GET = (
    select(t.blob.c.name, t.blob.c.wrapped, t.blob.c.plain_size, t.blob.c.inline, t.blob_data.c.data)
    .select_from(t.blob.outerjoin(t.blob_data, t.blob_data.c.blob_id == t.blob.c.id))
    .where(t.blob.c.id == bindparam("p_id"))
)
_UNREFERENCED = select(t.blob.c.id, t.blob.c.name, t.blob.c.inline).where(t.blob.c.refs == 0).limit(bindparam("most"))
_DELETE_DATA = delete(t.blob_data).where(t.blob_data.c.blob_id == bindparam("p_id"))
_DELETE = delete(t.blob).where(t.blob.c.id == bindparam("p_id"), t.blob.c.refs == 0)
_KNOWN = select(t.blob.c.id).where(t.blob.c.name == bindparam("p_name")).limit(1)


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """Sealed octets that no row names yet; `data` when they will rest in the database."""

    name: str
    key_id: int
    wrapped: bytes
    plain_size: int
    stored_size: int
    digest: bytes
    data: bytes | None


class Content:
    """The octets of one blob, read by range."""

    __slots__ = ("_opener", "size")

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self.size = opener.size

    def read(self, start: int, stop: int) -> bytes:
        """The octets [start, stop), cut to the size; raises Corrupt."""
        return self._opener.read(start, stop)

    def pieces(self, start: int, stop: int, size: int = 262144) -> Iterator[bytes]:
        """The octets [start, stop) in pieces of at most `size`."""
        stop = min(stop, self.size)
        for at in range(start, stop, size):
            yield self.read(at, min(at + size, stop))


class Blobs:
    """The blob store of one state directory."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self.root = root
        self.keys = keys
        self.on_fatal: Callable[[str], None] = lambda why: None
        """Told when the disk refused to make octets durable: writing must stop, for a second fsync may lie."""

    def prepare_directories(self) -> None:
        """Make `tmp` and the 256 shards, durably; done when the state directory is made."""
        make_directory(self.root)
        make_directory(self.root / "tmp")
        for shard in range(256):
            (self.root / f"{shard:02x}").mkdir(mode=0o700, exist_ok=True)
        fsync_directory(self.root)

    def sweep_temporary(self) -> int:
        """Remove everything under `tmp`: nobody was told of it (crash points C1-C3). Returns how many files."""
        swept = 0
        for path in (self.root / "tmp").iterdir():
            path.unlink(missing_ok=True)
            swept += 1
        return swept

    def path(self, name: str) -> Path:
        """Where the file of a blob lies."""
        return self.root / name[:2] / name

    # --- writing ----------------------------------------------------------------------------------------------------

    def writer(self) -> BlobWriter:
        """Begin a blob of unknown size."""
        return BlobWriter(self)

    def stage(self, data: bytes) -> Staged:
        """Seal octets that are in memory."""
        writer = BlobWriter(self)
        writer.feed(data)
        return writer.finish()

    def discard(self, staged: Staged) -> None:
        """Forget a staged blob that no row will name."""
        if staged.data is None:
            self.path(staged.name).unlink(missing_ok=True)

    def put_in(self, tx: Tx, organisation: OrganisationId, staged: Staged, refs: int = 0) -> BlobId:
        """The row of a staged blob."""
        row = {
            "organisation_id": organisation,
            "name": staged.name,
            "key_id": staged.key_id,
            "wrapped": staged.wrapped,
            "plain_size": staged.plain_size,
            "stored_size": staged.stored_size,
            "digest": staged.digest,
            "refs": refs,
            "inline": 0 if staged.data is None else 1,
            "created_at": tx.now,
        }
        blob_id = BlobId(tx.value(_INSERT, row))
        if staged.data is not None:
            tx.run(_INSERT_DATA, {"blob_id": blob_id, "data": staged.data})
        return blob_id

    @staticmethod
    def refer_in(tx: Tx, blob_id: BlobId, by: int) -> None:
        """Count `by` more (or fewer) rows that name the blob."""
        tx.run(_REFER, {"p_id": blob_id, "by": by})

    # --- reading ----------------------------------------------------------------------------------------------------

    def content_in(self, reader: Reader, blob_id: BlobId) -> Content:
        """The octets of a blob; raises Corrupt when row, key or file do not agree."""
        row = reader.first(_GET, {"p_id": blob_id})
        if row is None:
            raise Corrupt(f"blob {blob_id} has no row")
        return self.open(*row)

    def open(self, name: str, wrapped: bytes, plain_size: int, inline: int, data: bytes | None) -> Content:
        """The octets that a row describes."""
        if not inline:
            return Content(Opener(self.keys, name.encode(), wrapped, plain_size, _FileReader(self.path(name))))
        if data is None:
            raise Corrupt(f"blob {name} has lost its octets")
        kept: bytes = data
        return Content(Opener(self.keys, name.encode(), wrapped, plain_size, lambda at, n: kept[at : at + n]))

    # --- sweeping ---------------------------------------------------------------------------------------------------

    def unreferenced(self, reader: Reader, most: int = 500) -> list[tuple[BlobId, str, int]]:
        """Blobs that no row names any more."""
        return [(BlobId(i), n, k) for i, n, k in reader.all(_UNREFERENCED, {"most": most})]

    def erase_in(self, tx: Tx, dead: list[tuple[BlobId, str, int]]) -> None:
        """Delete rows (and with them the keys) of unreferenced blobs; their files are already unlinked."""
        for blob_id, _, _ in dead:
            tx.run(_DELETE_DATA, {"p_id": blob_id})
            tx.run(_DELETE, {"p_id": blob_id})

    def unlink(self, dead: list[tuple[BlobId, str, int]]) -> None:
        """Remove the files of unreferenced blobs (crash points C12, C13: before their rows)."""
        for _, name, inline in dead:
            if not inline:
                self.path(name).unlink(missing_ok=True)

    def files(self) -> Iterator[Path]:
        """Every blob file."""
        for shard in range(256):
            directory = self.root / f"{shard:02x}"
            if directory.is_dir():
                yield from directory.iterdir()

    @staticmethod
    def is_old(path: Path, age: float = ORPHAN_AGE) -> bool:
        """Whether a file is older than `age` seconds (so that no transaction can be about to name it)."""
        try:
            return path.stat().st_mtime < time.time() - age
        except FileNotFoundError:
            return False

    def sweep_orphans(self, reader: Reader, age: float = ORPHAN_AGE) -> int:
        """Unlink files older than `age` seconds that no row names (crash points C4, C5). Returns how many."""
        swept = 0
        for path in self.files():
            if self.is_old(path, age) and reader.value(_KNOWN, {"p_name": path.name}) is None:
                path.unlink(missing_ok=True)
                swept += 1
        return swept


class BlobWriter:
    """Seals octets as they come; above 128 KiB they go on to a file under `tmp`, never in plain."""

    __slots__ = ("_blobs", "_digest", "_file", "_name", "_parts", "_sealer", "_stored", "size")

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        random = os.urandom(16 + FRESH)
        self._name = random[:16].hex()
        self._sealer = Sealer(blobs.keys, self._name.encode(), random[16:])
        self._digest: Digest = blobs.keys.new_digest()
        self._parts = [self._sealer.header]
        self._file: int | None = None
        self._stored = len(self._sealer.header)
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Take some octets. Blocks on the disk; raises DiskFull."""
        self.size += len(data)
        self._digest.update(data)
        self._keep(self._sealer.feed(data))
        if self._file is None and self.size > INLINE:
            self._spill()

    def finish(self) -> Staged:
        """The end: for a file, everything is durable when this returns."""
        self._keep(self._sealer.finish())
        hit("C2")
        data = b"".join(self._parts) if self._file is None else None
        if self._file is not None:
            self._settle_file()
        return Staged(
            name=self._name,
            key_id=self._blobs.keys.key_id,
            wrapped=self._sealer.wrapped,
            plain_size=self.size,
            stored_size=self._stored,
            digest=self._digest.digest(),
            data=data,
        )

    def discard(self) -> None:
        """Forget it all."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._temporary.unlink(missing_ok=True)

    @property
    def _temporary(self) -> Path:
        return self._blobs.root / "tmp" / self._name

    def _keep(self, sealed: bytes) -> None:
        self._stored += len(sealed) if sealed else 0
        if self._file is None:
            self._parts.append(sealed)
        elif sealed:
            _write_all(self._file, sealed)

    def _spill(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._file = os.open(self._temporary, flags, 0o600)
        except OSError as error:
            raise _storage_error(error) from error
        _write_all(self._file, b"".join(self._parts))
        self._parts.clear()
        hit("C1")

    def _settle_file(self) -> None:
        assert self._file is not None
        target = self._blobs.path(self._name)
        try:
            os.fsync(self._file)
            hit("C3")
            os.close(self._file)
            self._file = None
            os.rename(self._temporary, target)
            hit("C4")
            fsync_directory(target.parent)
        except OSError as error:
            if error.errno not in _ENOSPC:
                self._blobs.on_fatal(f"a blob could not be made durable: {error!r}")
            raise _storage_error(error) from error


class _FileReader:
    """Reads ranges of a blob file; opened for each call, so that an idle Content holds no descriptor."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, offset: int, size: int) -> bytes:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Corrupt(f"the file of a blob cannot be opened: {error!r}") from None
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise _storage_error(error) from error


def _storage_error(error: OSError) -> Unavailable:
    return DiskFull(repr(error)) if error.errno in _ENOSPC else Unavailable(repr(error))
