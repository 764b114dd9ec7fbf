"""The keys that sign a domain's mail (RFC 6376, RFC 8463), sealed at rest.

Each domain has an RSA-2048 key, which everybody can check, and an Ed25519 key for who can check it. Private keys rest
in rows, wrapped by the master key; a key that leaves this module can sign and shows nothing of itself. `record` is what
the domain's owner publishes as a TXT record at `SELECTOR._domainkey.DOMAIN`.
May not: know messages; smtp.mailauth.dkim makes signatures.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from sqlalchemy import bindparam, insert, select, update

from data.clock import Clock
from data.disk import tables as t
from data.disk.db import Database, Reader, Row, Tx
from data.disk.seal import Keys
from data.errors import Corrupt, NotFound
from data.ids import DomainId, Millis

RSA: Final = "rsa"
ED25519: Final = "ed25519"
ALGORITHMS: Final = (RSA, ED25519)
RSA_BITS: Final = 2048
RSA_MOST: Final = 8192
"""Bits of a stranger's key that is used."""

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_b = bindparam
_DOMAIN = select(t.domain.c.organisation_id).where(t.domain.c.id == _b("p_id"))
_PUT = insert(t.dkim_key).values(
    organisation_id=_b("organisation"),
    domain_id=_b("domain"),
    selector=_b("selector"),
    algorithm=_b("algorithm"),
    public=_b("public"),
    sealed=_b("sealed"),
    created_at=_b("now"),
    active_from=_b("active_from"),
)
_SELECTOR = select(t.dkim_key.c.id).where(t.dkim_key.c.domain_id == _b("domain"), t.dkim_key.c.selector == _b("name"))
_OF_DOMAIN = (
    select(
        t.dkim_key.c.id,
        t.dkim_key.c.domain_id,
        t.domain.c.name,
        t.dkim_key.c.selector,
        t.dkim_key.c.algorithm,
        t.dkim_key.c.public,
        t.dkim_key.c.sealed,
        t.dkim_key.c.active_from,
        t.dkim_key.c.retired_at,
    )
    .join_from(t.dkim_key, t.domain, t.dkim_key.c.domain_id == t.domain.c.id)
    .where(t.domain.c.name == _b("name"))
    .order_by(t.dkim_key.c.id)
)
_RETIRE = (
    update(t.dkim_key)
    .where(t.dkim_key.c.domain_id == _b("domain"), t.dkim_key.c.selector == _b("name"))
    .values(retired_at=_b("at"))
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Somebody's key, from the p= of their record; what it says of a signature."""

    algorithm: str
    bits: int
    _key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey = field(repr=False)

    @classmethod
    def opened(cls, algorithm: str, octets: bytes) -> PublicKey:
        """A key of that algorithm; RSA as SubjectPublicKeyInfo or as a bare RSAPublicKey (RFC 6376 §3.6.1), Ed25519 as
        its 32 octets (RFC 8463 §4). Raises ValueError; a key so large that its use would be an attack is none."""
        if algorithm == ED25519:
            return cls(ED25519, 256, ed25519.Ed25519PublicKey.from_public_bytes(octets))
        try:
            key = serialization.load_der_public_key(octets)
        except UnsupportedAlgorithm:
            raise ValueError("a key of another kind") from None
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size > RSA_MOST:
            raise ValueError("a key of another kind")
        return cls(RSA, key.key_size, key)

    def verify(self, digest: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over a SHA-256 digest."""
        try:
            if isinstance(self._key, rsa.RSAPublicKey):
                self._key.verify(signature, digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
            else:
                self._key.verify(signature, digest)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Pair:
    """A new key, not yet anybody's: `private` is PKCS #8 DER, `public` the base64 of the record's p=."""

    algorithm: str
    private: bytes = field(repr=False)
    public: str


@dataclass(frozen=True, slots=True)
class DkimKey:
    """One key of a domain. `algorithm` is rsa or ed25519."""

    domain: str
    selector: str
    algorithm: str
    public: str
    active_from: Millis
    retired_at: Millis | None
    _private: PrivateKey = field(repr=False)

    def sign(self, digest: bytes) -> bytes:
        """The signature over a SHA-256 digest: RSASSA-PKCS1-v1_5, or PureEdDSA of the digest (RFC 8463 §3)."""
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
        return self._private.sign(digest)

    @property
    def name(self) -> str:
        """The DNS name of the record."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The text of the record (RFC 6376 §3.6.1)."""
        return f"v=DKIM1; k={self.algorithm}; p={self.public}"


def new_pair(algorithm: str) -> Pair:
    """Make a key; an RSA key takes some hundred milliseconds of CPU, so not in the writer and not on the loop."""
    if algorithm == ED25519:
        small = ed25519.Ed25519PrivateKey.generate()
        raw = small.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return Pair(ED25519, _der(small), base64.b64encode(raw).decode())
    large = rsa.generate_private_key(65537, RSA_BITS)
    der = large.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Pair(RSA, _der(large), base64.b64encode(der).decode())


def new_pairs() -> tuple[Pair, ...]:
    """One key of each algorithm."""
    return tuple(new_pair(algorithm) for algorithm in ALGORITHMS)


def create_in(
    tx: Tx, domain: DomainId, keys: Keys, pairs: Sequence[Pair] | None = None, *, active_from: Millis | None = None
) -> tuple[str, ...]:
    """Give a domain its keys; returns their selectors. Give `pairs` to spare the writer the making of them."""
    organisation = tx.value(_DOMAIN, {"p_id": domain})
    if organisation is None:
        raise NotFound(f"domain {domain}", public="There is no such domain")
    made = []
    for pair in new_pairs() if pairs is None else pairs:
        selector = _free_selector(tx, domain, pair.algorithm)
        row = {
            "organisation": organisation,
            "domain": domain,
            "selector": selector,
            "algorithm": pair.algorithm,
            "public": pair.public,
            "sealed": keys.wrap(pair.private, _context(domain, selector)),
            "now": tx.now,
            "active_from": tx.now if active_from is None else active_from,
        }
        tx.run(_PUT, row)
        made.append(selector)
    return tuple(made)


def retire_in(tx: Tx, domain: DomainId, selector: str, at: Millis) -> None:
    """Sign with this key until `at` only; its record stays published as long as mail is on its way."""
    if not tx.run(_RETIRE, {"domain": domain, "name": selector, "at": at}):
        raise NotFound(f"{selector} of domain {domain}", public="There is no such key")


class DkimKeys:
    """The keys of one database, opened once and kept. Thread-safe."""

    def __init__(self, db: Database, keys: Keys, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock
        self._guard = threading.Lock()
        self._opened: dict[int, PrivateKey] = {}

    def active(self, domain: str) -> tuple[DkimKey, ...]:
        """The keys that sign a domain's mail now (A-label, lower-cased); none for a domain that is not ours. Blocks."""
        now = self._clock.now()
        return tuple(
            key
            for key in self.all(domain)
            if key.active_from <= now and (key.retired_at is None or key.retired_at > now)
        )

    def all(self, domain: str) -> tuple[DkimKey, ...]:
        """Every key of a domain, oldest first; Corrupt when one does not open."""
        with self._db.read() as reader:
            return tuple(self._key(row) for row in _rows(reader, domain))

    def _key(self, row: Row) -> DkimKey:
        ident, domain_id, domain, selector, algorithm, public, sealed, active_from, retired_at = row
        with self._guard:
            private = self._opened.get(ident)
            if private is None:
                private = _load(self._keys.unwrap(sealed, _context(domain_id, selector)))
                self._opened[ident] = private
        ends = None if retired_at is None else Millis(retired_at)
        return DkimKey(domain, selector, algorithm, public, Millis(active_from), ends, private)


def _rows(reader: Reader, domain: str) -> list[Row]:
    return reader.all(_OF_DOMAIN, {"name": domain})


def _free_selector(tx: Tx, domain: DomainId, algorithm: str) -> str:
    """`m202601r`: the month and the algorithm's first letter, numbered where that is taken."""
    stem = f"m{datetime.fromtimestamp(tx.now / 1000, UTC):%Y%m}{algorithm[0]}"
    name, number = stem, 1
    while tx.value(_SELECTOR, {"domain": domain, "name": name}) is not None:
        number += 1
        name = f"{stem}{number}"
    return name


def _context(domain: int, selector: str) -> bytes:
    return f"dkim {domain} {selector}".encode()


def _der(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load(der: bytes) -> PrivateKey:
    key = serialization.load_der_private_key(der, None)
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise Corrupt(f"a DKIM key of type {type(key).__name__}")
    return key
