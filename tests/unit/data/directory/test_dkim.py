"""The keys of a domain: sealed at rest, chosen by time, able to sign."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sqlalchemy import select

from data.clock import DAY, FakeClock
from data.directory import dkim
from data.directory.rows import add_domain_in, add_organisation_in
from data.disk import tables as t
from data.disk.db import Database, Tx
from data.disk.migrate import upgrade
from data.disk.seal import Keys
from data.errors import Corrupt, NotFound
from data.ids import DomainId, Millis

PAIRS = dkim.new_pairs()
MASTER = Keys(bytes(range(32)))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def db(tmp_path: Path, clock: FakeClock) -> Iterator[Database]:
    where = tmp_path / "mail.db"
    upgrade(where)
    database = Database.open(where, clock)
    yield database
    database.close()


@pytest.fixture
def domain(db: Database) -> DomainId:
    def op(tx: Tx) -> DomainId:
        ident = add_domain_in(tx, add_organisation_in(tx, "Example"), "example.test")
        dkim.create_in(tx, ident, MASTER, PAIRS)
        return ident

    return db.write(op)


def test_a_domain_has_both_keys(db: Database, clock: FakeClock, domain: DomainId) -> None:
    """RSA first, then Ed25519, under selectors of their own."""
    keys = dkim.DkimKeys(db, MASTER, clock).active("example.test")
    assert [key.algorithm for key in keys] == ["rsa", "ed25519"]
    assert [key.selector for key in keys] == ["m202601r", "m202601e"]
    assert keys[0].name == "m202601r._domainkey.example.test"
    assert keys[1].record.startswith("v=DKIM1; k=ed25519; p=")


def test_the_key_signs(db: Database, clock: FakeClock, domain: DomainId) -> None:
    """The published half verifies what the kept half signed."""
    key = dkim.DkimKeys(db, MASTER, clock).active("example.test")[0]
    public = serialization.load_der_public_key(base64.b64decode(key.public))
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 2048
    public.verify(key.sign(hashlib.sha256(b"x").digest()), b"x", padding.PKCS1v15(), hashes.SHA256())


def test_private_keys_are_sealed(db: Database, clock: FakeClock, domain: DomainId, tmp_path: Path) -> None:
    """Neither the row nor the file holds the private half; another master key does not open it, nor another row."""
    with db.read() as reader:
        sealed = [row[0] for row in reader.all(select(t.dkim_key.c.sealed).order_by(t.dkim_key.c.id))]
    assert all(pair.private not in blob for pair in PAIRS for blob in sealed)
    octets = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert all(pair.private[-32:] not in octets for pair in PAIRS)
    with pytest.raises(Corrupt):
        dkim.DkimKeys(db, Keys(bytes(32)), clock).active("example.test")
    with pytest.raises(Corrupt):
        MASTER.unwrap(sealed[0], b"dkim 1 other")


def test_the_private_half_is_never_shown(db: Database, clock: FakeClock, domain: DomainId) -> None:
    """Not in a repr that a log line might hold."""
    key = dkim.DkimKeys(db, MASTER, clock).active("example.test")[0]
    assert "private" not in repr(key)
    assert "private" not in repr(PAIRS[0])


def test_rotation(db: Database, clock: FakeClock, domain: DomainId) -> None:
    """A retired key signs until its hour and stays listed; its successor has a selector of its own."""
    held = dkim.DkimKeys(db, MASTER, clock)
    until = Millis(clock.now() + DAY)

    def op(tx: Tx) -> tuple[str, ...]:
        dkim.retire_in(tx, domain, "m202601r", until)
        return dkim.create_in(tx, domain, MASTER, PAIRS[:1], active_from=until)

    assert db.write(op) == ("m202601r2",)
    assert [key.selector for key in held.active("example.test")] == ["m202601r", "m202601e"]
    clock.advance(DAY)
    assert [key.selector for key in held.active("example.test")] == ["m202601e", "m202601r2"]
    assert len(held.all("example.test")) == 3


def test_unknown(db: Database, clock: FakeClock) -> None:
    """A foreign domain has no keys; an unknown one cannot be given any."""
    assert dkim.DkimKeys(db, MASTER, clock).active("example.org") == ()
    with pytest.raises(NotFound):
        db.write(lambda tx: dkim.create_in(tx, DomainId(99), MASTER, PAIRS))
    with pytest.raises(NotFound):
        db.write(lambda tx: dkim.retire_in(tx, DomainId(99), "x", clock.now()))
