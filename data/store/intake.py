"""A message on its way in: octets become a sealed blob and the facts that are computed once.

Promises: octets are scanned and sealed in one pass as they come; above 128 KiB nothing holds the whole message in
memory, and nothing is on the disk in plain. When `finish` returns, the octets are durable or in memory, sealed. All of
it happens outside the writer, in the thread of whoever brings the message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data.disk.blobs import INLINE, Blobs, BlobWriter, Staged
from data.mime.facts import Facts, facts
from data.mime.scanner import Scan, Scanner, scan


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A message that is ready to be appended; `read` gives its plain octets."""

    facts: Facts
    staged: Staged
    scan: Scan
    read: Callable[[int, int], bytes]

    @property
    def size(self) -> int:
        """Octets of the message, without any prefix."""
        return self.staged.plain_size

    @property
    def header(self) -> bytes:
        """The message's own header block, with the empty line; its first 100 KiB where it is longer."""
        return self.scan.header

    @property
    def eightbit(self) -> bool:
        """Whether an octet above 127 is in it."""
        return self.scan.eightbit

    @property
    def digest(self) -> bytes:
        """A keyed digest of the octets (HMAC-SHA-256)."""
        return self.staged.digest


def prepare(blobs: Blobs, data: bytes) -> Prepared:
    """A message that is in memory as a whole."""
    scanned = scan(data)
    found = facts(scanned, lambda start, stop: data[start:stop])
    return Prepared(found, blobs.stage(data), scanned, lambda start, stop: data[start:stop])


class Intake:
    """A message that comes in pieces. Its methods block on the disk: call them off the loop."""

    __slots__ = ("_blobs", "_kept", "_scanner", "_writer", "size")

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._writer: BlobWriter = blobs.writer()
        self._scanner = Scanner()
        self._kept: list[bytes] | None = []
        self.size = 0

    def feed(self, data: bytes) -> None:
        """The next octets; raises DiskFull."""
        self.size += len(data)
        self._scanner.feed(data)
        self._writer.feed(data)
        if self._kept is not None:
            self._kept.append(data)
            if self.size > INLINE:
                self._kept = None

    def finish(self) -> Prepared:
        """The end of the message; raises DiskFull or Unavailable."""
        scanned = self._scanner.finish()
        try:
            staged = self._writer.finish()
        except Exception:
            self._writer.discard()
            raise
        read = self._reader(staged)
        return Prepared(facts(scanned, read), staged, scanned, read)

    def discard(self) -> None:
        """Forget what came."""
        self._writer.discard()

    def _reader(self, staged: Staged) -> Callable[[int, int], bytes]:
        if self._kept is not None:
            whole = b"".join(self._kept)
            return lambda start, stop: whole[start:stop]
        return self._blobs.open(staged.name, staged.wrapped, staged.plain_size, 0, None).read
