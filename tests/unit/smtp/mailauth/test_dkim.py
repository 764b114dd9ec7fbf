"""Signatures: dkimpy verifies what we sign, and nothing that was added or changed afterwards."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from typing import Any

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from data.directory.dkim import ED25519, RSA, DkimKey, new_pair
from data.directory.dkim import _load as load_private
from data.ids import Millis
from smtp.mailauth.body import BodyHash
from smtp.mailauth.dkim import FIELDS_MOST, signatures

NOW = Millis(int(time.time() * 1000))
HEADER = (
    b"Received: by mail.example.test; Thu, 1 Jan 2026 00:00:00 +0000\r\n"
    b"From: Ann <ann@example.test>\r\nTo: bob@example.org,\r\n carol@example.net\r\n"
    b"Subject: =?utf-8?q?h=C3=A9llo?=\r\n   folded\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
    b"Message-ID: <1@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
)
BODY = b"Hello,\r\n\r\n. a  dot\t\r\n \r\nbye \r\n\r\n\r\n"


def a_key(algorithm: str) -> DkimKey:
    pair = new_pair(algorithm)
    return DkimKey(
        "example.test", f"s{algorithm[0]}", algorithm, pair.public, Millis(0), None, load_private(pair.private)
    )


KEYS = (a_key(RSA), a_key(ED25519))


def body_hash(*pieces: bytes) -> bytes:
    hashed = BodyHash()
    for piece in pieces:
        hashed.feed(piece)
    return hashed.digest()


class Ed25519Verifier:
    """dkimpy verifies Ed25519 only with a library we do not carry; this stands in for its key object."""

    def __init__(self, public: str) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
        self.good = False

    def verify(self, digest: bytes, signature: bytes) -> None:
        """Note the outcome; dkimpy would translate an exception with names of the library that is not there."""
        try:
            self._key.verify(signature, digest)
            self.good = True
        except InvalidSignature:
            self.good = False


def verified(message: bytes, index: int = 0) -> bool:
    """What dkimpy says of the signature at `index`, with our key as the published one."""
    checker: Any = dkim.DKIM(message)
    if index == 0:
        return bool(checker.verify(0, dnsfunc=lambda name, timeout: KEYS[0].record.encode()))
    sig, include, headers = checker.verify_headerprep(index)
    verifier = Ed25519Verifier(KEYS[1].public)
    checker.pk, checker.keysize, checker.ktag = verifier, 256, b"ed25519"
    return bool(checker.verify_sig_process(sig, include, headers[index], None)) and verifier.good


def signed(header: bytes = HEADER, body: bytes = BODY) -> bytes:
    return signatures(header, body_hash(body), KEYS, NOW) + header + body


_LINES = st.lists(st.sampled_from([b"", b" ", b"\t", b"a", b"a  b", b" a\t ", b"..", b"\xff"]), max_size=12)


@given(lines=_LINES, ended=st.booleans(), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_body_hash_equals_dkimpys(lines: list[bytes], ended: bool, cuts: list[int]) -> None:
    """Cut anywhere, the streamed relaxed form is dkimpy's of the whole; a missing last line end is taken as sent."""
    body = b"\r\n".join(lines) + (b"\r\n" if ended else b"")
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    on_the_wire = body if body.endswith(b"\r\n") or not body else body + b"\r\n"
    expected = hashlib.sha256(Relaxed.canonicalize_body(on_the_wire)).digest()
    assert body_hash(*(body[a:b] for a, b in itertools.pairwise(edges))) == expected


def test_body_hash_of_nothing() -> None:
    """RFC 6376 §3.4.4 gives the value for an empty body."""
    assert base64.b64encode(body_hash()) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert body_hash(b"\r\n\r\n") == body_hash() == body_hash(b" \r\n\t\r\n ")


def test_body_hash_holds_no_run_of_empty_lines() -> None:
    """Ten million line ends are a number, not a buffer."""
    hashed = BodyHash()
    for _ in range(160):
        hashed.feed(b"\r\n" * 32768 + b" " * 65536)
        hashed.feed(b"\r\n")
    hashed.feed(b"end")
    whole = hashlib.sha256()
    for _ in range(160):
        whole.update(b"\r\n" * 32769)
    whole.update(b"end\r\n")
    assert hashed.digest() == whole.digest()


@pytest.mark.parametrize("index", [0, 1])
def test_dkimpy_verifies_both(index: int) -> None:
    """RSA and Ed25519, each over the same body hash."""
    assert verified(signed(), index)


@pytest.mark.parametrize("field", ["From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version"])
@pytest.mark.parametrize("index", [0, 1])
def test_N10_nothing_can_be_added(field: str, index: int) -> None:
    """A second field of an over-signed name, above or below the others, breaks the signature."""
    message = signed()
    extra = f"{field}: added\r\n".encode()
    above = extra + message
    below = message.replace(b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\n" + extra, 1)
    for forged in (above, below):
        try:
            assert not verified(forged, index)
        except dkim.DKIMException:
            continue


@pytest.mark.parametrize(("old", "new"), [(b"h=C3=A9llo", b"h=C3=A8llo"), (b". a", b". b"), (b"ann@", b"ane@")])
def test_nothing_can_be_changed(old: bytes, new: bytes) -> None:
    """Header and body are both covered."""
    message = signed()
    assert old in message
    try:
        assert not verified(message.replace(old, new))
    except dkim.DKIMException:
        return


def test_N10_tags() -> None:
    """No l=, x= seven days after t=, 2048 bits, and every line short enough to travel."""
    made = signatures(HEADER, body_hash(BODY), KEYS, NOW)
    text = made.decode().replace("\r\n ", "")
    assert "l=" not in text.replace("sel=", "")
    assert f"t={NOW // 1000}; x={NOW // 1000 + 7 * 86400}" in text.replace(" t=", "t=").replace("t=", "t=", 1)
    assert max(len(line) for line in made.split(b"\r\n")) <= 78
    assert len(base64.b64decode(KEYS[0].public)) > 256


def test_spaced_and_folded_fields_survive() -> None:
    """Obsolete spellings a client may send are signed as a verifier reads them."""
    header = HEADER.replace(b"Subject: ", b"SUBJECT:\t ").replace(b"To: bob", b"To:bob")
    assert verified(signed(header))


@pytest.mark.parametrize(
    "header", [b"\r\n", b"Subject: x\r\n\r\n", b"From: a@example.test\r\n" + b"To: b\r\n" * FIELDS_MOST]
)
def test_what_cannot_be_signed_is_sent_without(header: bytes) -> None:
    """No From, or too many fields."""
    assert signatures(header, body_hash(BODY), KEYS, NOW) == b""


def test_a_hostile_header_costs_little() -> None:
    """A hundred thousand continuation lines and foreign fields: the work stays linear."""
    header = b"X: y\r\n" * 20_000 + HEADER[:-2] + b"X-Folded: a\r\n" + b" b\r\n" * 50_000 + b"\r\n"
    started = time.process_time()
    message = signed(header)
    assert time.process_time() - started < 5
    assert message.startswith(b"DKIM-Signature: ")
