"""Octets at rest are sealed: AES-256-GCM under a key per blob, itself wrapped by the master key.

Promises: a blob is `MSB1 | key id (4) | salt (7) | 0` and then chunks of 64 KiB, each sealed with the nonce
salt | chunk number (4) | last flag (1) and the blob's name, chunk number and last flag as associated data (the STREAM
construction), so that a range can be read, and a cut, swapped or lengthened blob is found. Deleting the row that holds
the wrapped key erases the blob for good. Keyed digests come from a key derived from the master key, so that what is
stored cannot be recognised by its hash.
May not: touch files or rows.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from data.errors import Corrupt, WrongKey

CHUNK = 65536
TAG = 16
HEADER = 16
FRESH = 32 + 12 + 7
"""Random octets a blob takes: its key, the nonce that wraps it, its salt."""
_MAGIC = b"MSB1"
_NONCE = struct.Struct(">7sIB")
_PLACE = struct.Struct(">IB")


class Digest(Protocol):
    """An unfinished keyed digest."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Keys:
    """The master key at work: wrap and unwrap small secrets, make keyed digests."""

    def __init__(self, master: bytes, key_id: int = 1) -> None:
        if len(master) != 32:
            raise WrongKey("a master key has 32 octets")
        self.key_id = key_id
        self._wrap = AESGCM(_derive(master, b"mailstead wrap 1"))
        self._digest_key = _derive(master, b"mailstead digest 1")

    def wrap(self, secret: bytes, context: bytes, nonce: bytes = b"") -> bytes:
        """Seal a small secret; it opens only with the same context. `nonce`: 12 fresh random octets, or none."""
        nonce = nonce or os.urandom(12)
        return nonce + self._wrap.encrypt(nonce, secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Open what `wrap` sealed; raises Corrupt."""
        try:
            return self._wrap.decrypt(wrapped[:12], wrapped[12:], context)
        except (InvalidTag, ValueError) as error:
            raise Corrupt(f"a wrapped secret does not open: {error!r}") from None

    def digest(self, data: bytes) -> bytes:
        """HMAC-SHA-256 of the data under a key of this store."""
        return hmac.digest(self._digest_key, data, "sha256")

    def new_digest(self) -> Digest:
        """The same, to be fed in pieces."""
        return hmac.new(self._digest_key, digestmod=hashlib.sha256)


def _derive(master: bytes, label: bytes) -> bytes:
    return hmac.digest(master, label, "sha256")


def load_master_key(path: Path) -> Keys:
    """The key in a file of 32 raw octets or 64 hexadecimal digits; raises WrongKey with one clear line."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WrongKey(str(error), public=f"The master key {path} cannot be read: {error.strerror}") from None
    if len(raw) != 32:
        try:
            raw = bytes.fromhex(raw.decode("ascii").strip())
        except ValueError:
            raise WrongKey(public=f"{path} does not hold a master key") from None
    if len(raw) != 32:
        raise WrongKey(public=f"{path} does not hold a master key")
    return Keys(raw)


class Sealer:
    """Seals one blob piece by piece."""

    __slots__ = ("_aead", "_name", "_number", "_pending", "_salt", "header", "wrapped")

    def __init__(self, keys: Keys, name: bytes, fresh: bytes = b"") -> None:
        """`fresh`: FRESH random octets never used before, or none (asking the system once is cheaper than thrice)."""
        fresh = fresh or os.urandom(FRESH)
        key = fresh[:32]
        self._aead = AESGCM(key)
        self._name = name
        self._salt = fresh[44:]
        self._number = 0
        self._pending = b""
        self.wrapped = keys.wrap(key, name, fresh[32:44])
        self.header = _MAGIC + keys.key_id.to_bytes(4, "big") + self._salt + b"\0"

    def feed(self, data: bytes) -> bytes:
        """The chunks that are complete now; the last 64 KiB always wait, for they may be the end."""
        pending = self._pending + data
        if len(pending) <= CHUNK:
            self._pending = pending
            return b""
        out, at = [], 0
        while len(pending) - at > CHUNK:
            out.append(self._seal(pending[at : at + CHUNK], 0))
            at += CHUNK
        self._pending = pending[at:]
        return b"".join(out)

    def finish(self) -> bytes:
        """The last chunk."""
        last, self._pending = self._pending, b""
        return self._seal(last, 1)

    def _seal(self, chunk: bytes, last: int) -> bytes:
        nonce = _NONCE.pack(self._salt, self._number, last)
        sealed = self._aead.encrypt(nonce, chunk, self._name + _PLACE.pack(self._number, last))
        self._number += 1
        return sealed


class Opener:
    """Reads ranges of one sealed blob; `fetch(offset, size)` gives stored octets."""

    __slots__ = ("_aead", "_fetch", "_last", "_name", "_salt", "size")

    def __init__(self, keys: Keys, name: bytes, wrapped: bytes, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._aead = AESGCM(keys.unwrap(wrapped, name))
        self._name = name
        self._fetch = fetch
        self.size = size
        header = fetch(0, HEADER)
        if len(header) != HEADER or header[:4] != _MAGIC:
            raise Corrupt("a blob does not begin as a blob")
        self._salt = header[8:15]
        self._last = max(0, (size - 1) // CHUNK)

    def read(self, start: int, stop: int) -> bytes:
        """The plain octets [start, stop), cut to the size of the blob; raises Corrupt."""
        start, stop = max(0, start), min(stop, self.size)
        if start >= stop:
            return b""
        first, last = start // CHUNK, (stop - 1) // CHUNK
        whole = b"".join(self._chunk(number) for number in range(first, last + 1))
        return whole[start - first * CHUNK : stop - first * CHUNK]

    def _chunk(self, number: int) -> bytes:
        last = 1 if number == self._last else 0
        sealed = self._fetch(HEADER + number * (CHUNK + TAG), CHUNK + TAG)
        nonce = _NONCE.pack(self._salt, number, last)
        try:
            return self._aead.decrypt(nonce, sealed, self._name + _PLACE.pack(number, last))
        except (InvalidTag, ValueError) as error:
            raise Corrupt(f"chunk {number} of a blob does not open: {error!r}") from None


def stored_size(plain: int) -> int:
    """How many octets a sealed blob of `plain` octets takes."""
    return HEADER + plain + TAG * max(1, -(-plain // CHUNK))
