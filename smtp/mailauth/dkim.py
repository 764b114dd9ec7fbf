"""DKIM signatures on mail that leaves (RFC 6376), through dkimpy.

Promises: relaxed/relaxed; From, To, Cc, Subject, Date, Message-ID, Reply-To and the MIME fields are signed once more
than they are present, so that a second one cannot be added; no l=; x= seven days after t=. The body's hash is computed
piece by piece (smtp.mailauth.body), so that a large message is never held in memory; the
header hash, the choice of fields and the folding are dkimpy's, which `signature` gives the body hash and a key.
May not: read rows, know domains (the caller chooses the keys) or verify what comes in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dkim import DKIM
from dkim.canonicalization import CanonicalizationPolicy

from data.ids import Millis
from data.mime.headers import split

LIFETIME = 7 * 86_400
"""Seconds until x=: longer than the queue tries, short enough to end a replay."""
FIELDS_MOST = 100
"""A header with more signed fields than this is not signed: its h= would be longer than receivers read."""

OVERSIGNED = (
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
)
SIGNED = ("sender", "in-reply-to", "references", "list-id", "list-unsubscribe", "list-unsubscribe-post")

_NAMES = frozenset(name.encode() for name in (*OVERSIGNED, *SIGNED))
_POLICY = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")


class SigningKey(Protocol):
    """What signs: data.directory.dkim.DkimKey."""

    @property
    def domain(self) -> str: ...

    @property
    def selector(self) -> str: ...

    @property
    def algorithm(self) -> str: ...

    def sign(self, digest: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Signed:
    signature: bytes


@dataclass(frozen=True, slots=True)
class _External:
    """A key as dkimpy asks for one: it is given the digest and answers with an object that holds the signature."""

    key: SigningKey

    def sign(self, digest: bytes) -> _Signed:
        return _Signed(self.key.sign(digest))


def signatures(header: bytes, body_digest: bytes, keys: Sequence[SigningKey], now: Millis) -> bytes:
    """The DKIM-Signature fields, one for each key, to be put above `header` (the header block as it will be sent).

    Empty when the header has no From or too many fields to sign.
    """
    fields = [(name, raw + b"\r\n") for name, raw in split(header) if name.lower() in _NAMES]
    names = _include(fields)
    if not any(name.lower() == b"from" for name, _ in fields) or len(names) > FIELDS_MOST:
        return b""
    return b"".join(_signature(fields, names, body_digest, key, now) for key in keys)


def _include(fields: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The h= list: every instance of every field, and one more of those that must stay alone (RFC 6376 §8.15)."""
    present = [name.lower() for name, _ in fields]
    wanted = [(name.encode(), 1) for name in OVERSIGNED] + [(name.encode(), 0) for name in SIGNED]
    return [name for name, more in wanted for _ in range(present.count(name) + more)]


def _signature(
    fields: list[tuple[bytes, bytes]], names: list[bytes], body_digest: bytes, key: SigningKey, now: Millis
) -> bytes:
    signer: Any = DKIM()
    signer.headers = fields
    signer.hasher = hashlib.sha256
    # dkimpy hands the digest to the key object under this name; under "rsa-sha256" it would compute in Python
    signer.signature_algorithm = b"ed25519-sha256"
    seconds = now // 1000
    tags = [
        (b"v", b"1"),
        (b"a", key.algorithm.encode() + b"-sha256"),
        (b"c", b"relaxed/relaxed"),
        (b"d", key.domain.encode()),
        (b"s", key.selector.encode()),
        (b"t", str(seconds).encode()),
        (b"x", str(seconds + LIFETIME).encode()),
        (b"h", b" : ".join(names)),
        (b"bh", base64.b64encode(body_digest)),
        (b"b", b"0" * 60),
    ]
    made: bytes = signer.gen_header(tags, tuple(names), _POLICY, b"DKIM-Signature", _External(key))
    return b"DKIM-Signature: " + made
