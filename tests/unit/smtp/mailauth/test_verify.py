"""Signatures that come in: the examples of the RFCs, what is done to a message on its way, and hostile ones (N10)."""

from __future__ import annotations

import base64
import hashlib
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dkim import DKIM
from dkim.canonicalization import CanonicalizationPolicy

from data.directory.dkim import ED25519, RSA, DkimKey, _load, new_pair
from data.ids import Millis
from data.mime.headers import split
from smtp.mailauth import arc, verify
from smtp.mailauth.body import BodyHash
from smtp.mailauth.dkim import signatures
from smtp.mailauth.facts import Arc, Dkim, Verdict
from tests.instruments.zones import Zones, ask

TABLES = Path(__file__).resolve().parents[3] / "tables"
NOW = Millis(int(time.time() * 1000))
HEADER = b"From: Ann <ann@example.test>\r\nTo: bob@example.org\r\nSubject: Hi there\r\nContent-Type: text/plain\r\n\r\n"
BODY = b"Hello\r\nbye\r\n"
SIGNED = (b"from", b"from", b"to", b"subject", b"subject", b"content-type")


def table(name: str) -> dict[str, Any]:
    return tomllib.loads((TABLES / name).read_text("utf-8"))


def a_key(algorithm: str, domain: str = "example.test", selector: str = "s") -> DkimKey:
    pair = new_pair(algorithm)
    return DkimKey(domain, selector, algorithm, pair.public, Millis(0), None, _load(pair.private))


KEYS = {algorithm: a_key(algorithm) for algorithm in (RSA, ED25519)}


def digest(body: bytes, limit: int | None = None) -> bytes:
    hashed = BodyHash(limit=limit)
    hashed.feed(body)
    return hashed.digest()


class External:
    def __init__(self, key: DkimKey) -> None:
        self.key = key

    def sign(self, octets: bytes) -> Any:
        return type("Signed", (), {"signature": self.key.sign(octets)})


def field_of(
    name: bytes, key: DkimKey, fields: list[tuple[bytes, bytes]], include: tuple[bytes, ...], tags: Mapping[str, str]
) -> bytes:
    """A signature field with any tags, by dkimpy."""
    signer: Any = DKIM()
    signer.headers, signer.signature_algorithm = fields, b"ed25519-sha256"
    pairs = [(tag.encode(), value.encode()) for tag, value in tags.items()] + [(b"b", b"0" * 60)]
    policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    # dkimpy hashes as the a= of its own attribute says; ours go over SHA-256 always
    signer.hasher = hashlib.sha256
    made: bytes = signer.gen_header(pairs, include, policy, name, External(key))
    return name + b": " + made


def signed(key: DkimKey, tags: Mapping[str, str] | None = None, header: bytes = HEADER, body: bytes = BODY) -> bytes:
    changed = dict(tags or {})
    limit = int(changed["l"]) if "l" in changed else None
    values = {
        "v": "1",
        "a": f"{key.algorithm}-sha256",
        "c": "relaxed/relaxed",
        "d": key.domain,
        "s": key.selector,
        "h": b":".join(SIGNED).decode(),
        "bh": base64.b64encode(digest(body, limit)).decode(),
        **changed,
    }
    include = tuple(values["h"].encode().split(b":"))
    fields = [(name, raw + b"\r\n") for name, raw in split(header)]
    return field_of(b"DKIM-Signature", key, fields, include, values) + header + body


def checked(message: bytes, zones: Zones, author: str = "example.test") -> tuple[Dkim, ...]:
    header, _, body = message.partition(b"\r\n\r\n")
    fields = [(name, raw + b"\r\n") for name, raw in split(header + b"\r\n\r\n")]
    found = verify.signatures(fields, author)
    bodies = verify.Bodies(one.tags for one in found if one.error is None)
    bodies.read(iter([body[at : at + 7] for at in range(0, len(body), 7)]))
    return ask(zones, lambda names: verify.check(fields, found, bodies, names, NOW))


def zone(*keys: DkimKey) -> Zones:
    return {key.name: {"TXT": [key.record]} for key in keys}


def test_the_example_of_rfc8463() -> None:
    """Both signatures pass, and neither does when a letter changes."""
    example = table("dkim/rfc8463.toml")
    zones = {name: {"TXT": [record]} for name, record in example["keys"].items()}
    message = example["message"]["text"].replace("\n", "\r\n").encode()
    found = checked(message, zones, "football.example.com")
    assert [(one.result, one.algorithm) for one in found] == [
        (Verdict.PASS, "ed25519-sha256"),
        (Verdict.PASS, "rsa-sha256"),
    ]
    for old, new in ((b"hungry", b"Hungry"), (b"dinner", b"supper")):
        assert {one.result for one in checked(message.replace(old, new), zones)} == {Verdict.FAIL}


def cases() -> Iterator[Any]:
    for case in table("dkim/tampered.toml")["case"]:
        for algorithm in (RSA, ED25519):
            if case.get("algorithm", algorithm) == algorithm:
                yield pytest.param(case, algorithm, id=f"{case['name']}, {algorithm}")


@pytest.mark.parametrize(("case", "algorithm"), list(cases()))
def test_on_its_way(case: dict[str, Any], algorithm: str) -> None:
    key = KEYS[algorithm]
    message = signed(key, case.get("tags"))
    change = case.get("change", {})
    if "above" in change:
        message = change["above"].encode() + b"\r\n" + message
    if "find" in change:
        find, put = (change[name].replace("\n", "\r\n").encode() for name in ("find", "put"))
        assert find in message
        message = message.replace(find, put, 1)
    zones: Zones = zone(key)
    if "key" in case:
        zones = {key.name: case["key"] if isinstance(case["key"], str) else {"TXT": case["key"]}}
    (found,) = checked(message, zones)
    assert found.result.value == case["result"], found.reason


def test_what_we_sign_passes_here() -> None:
    """Our signer and our verifier agree, for every key."""
    message = signatures(HEADER, digest(BODY), tuple(KEYS.values()), NOW) + HEADER + BODY
    both = {**KEYS, ED25519: a_key(ED25519, selector="t")}
    message = signatures(HEADER, digest(BODY), tuple(both.values()), NOW) + HEADER + BODY
    assert [one.result for one in checked(message, zone(*both.values()))] == [Verdict.PASS] * 2


def test_N10_short_rsa_keys_prove_nothing() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    small = rsa.generate_private_key(65537, 1024)
    public = small.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = DkimKey("example.test", "s", RSA, base64.b64encode(public).decode(), Millis(0), None, small)
    assert [one.result for one in checked(signed(key), zone(key))] == [Verdict.PASS]
    # 512 bits: made by hand, for no library makes one any more
    tiny = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ=="
    (found,) = checked(signed(key), {key.name: {"TXT": [f"v=DKIM1; k=rsa; p={tiny}"]}})
    assert found.result in {Verdict.FAIL, Verdict.PERMERROR}


def test_N10_a_top_level_domain_signs_for_nobody() -> None:
    key = a_key(ED25519, domain="com")
    (found,) = checked(signed(key), zone(key), "example.com")
    assert (found.result, found.reason) == (Verdict.POLICY, "signed by a public suffix")


def test_N10_of_many_signatures_five_are_looked_at_the_authors_first() -> None:
    good, strange = a_key(ED25519), a_key(ED25519, domain="evil.example")
    message = b"".join(signed(strange, {"x": "1", "t": "0"}).partition(b"From:")[0] for _ in range(20)) + signed(good)
    found = checked(message, zone(good, strange))
    assert len(found) == verify.MOST
    assert found[0].result is Verdict.PASS and {one.result for one in found[1:]} == {Verdict.FAIL}


@pytest.mark.parametrize(
    "field",
    [
        b"DKIM-Signature:",
        b"DKIM-Signature: ;",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=a; s=b; h=from; bh=x; b=" + b" " * 9000 + b"x",
        b"DKIM-Signature: v=1; v=1; a=rsa-sha256",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=; s=; h=from; bh=AAAA; b=AAAA",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=\xff\xfe.example; s=s; h=from; bh=AAAA; b=AAAA",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=s; h=" + b"from:" * 5000 + b"; bh=AAAA; b=AAAA",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=s; h=from; i=; bh=AAAA; b=AAAA",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=s; h=from; l=" + b"9" * 70 + b"; bh=AAAA; b=AAAA",
        b"DKIM-Signature: v=1; a=rsa-sha256; c=odd/odd; d=example.test; s=s; h=from; bh=AAAA; b=AAAA",
    ],
)
def test_N10_broken_signatures_are_errors_of_theirs(field: bytes) -> None:
    began = time.process_time()
    found = checked(field + b"\r\n" + HEADER + BODY, zone(KEYS[RSA]))
    assert all(one.result in {Verdict.FAIL, Verdict.PERMERROR} for one in found)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("octets", [b"", b"x", b"\x30\x00", b"\x00" * 300, b"\x30\x82\xff\xff" + b"\x02" * 40])
def test_keys_that_are_none(octets: bytes) -> None:
    for kind, key in KEYS.items():
        record = f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}"
        (found,) = checked(signed(key), {key.name: {"TXT": [record]}})
        assert found.result in {Verdict.FAIL, Verdict.PERMERROR}


# --- chains ---------------------------------------------------------------------------------------------------------------


def sealed(message: bytes, key: DkimKey, number: int, cv: str = "none", **bent: str) -> bytes:
    """One more ARC set on top (RFC 8617 §5.1), made with the tools of dkimpy's signer."""
    header, _, body = message.partition(b"\r\n\r\n")
    fields = [(name, raw + b"\r\n") for name, raw in split(header + b"\r\n\r\n")]
    results = b"ARC-Authentication-Results: i=%d; lists.example; spf=pass\r\n" % number
    tags = {"i": str(number), "a": "rsa-sha256", "c": "relaxed/relaxed", "d": key.domain, "s": key.selector}
    whole = {**tags, "h": "from:to:subject", "bh": base64.b64encode(digest(body)).decode()}
    mark = field_of(b"ARC-Message-Signature", key, fields, (b"from", b"to", b"subject"), whole)
    chain = [one for one in fields if one[0].lower().startswith(b"arc-")]
    order = [b"arc-seal", b"arc-message-signature", b"arc-authentication-results"]
    names = tuple(
        name for at in range(1, number + 1) for name in (order[2], order[1], *((order[0],) if at < number else ()))
    )
    above = [
        (b"ARC-Message-Signature", mark.partition(b":")[2]),
        (b"ARC-Authentication-Results", results.partition(b":")[2]),
    ]
    seal_tags = {"i": str(number), "cv": cv, "a": "rsa-sha256", "d": key.domain, "s": key.selector, **bent}
    seal = field_of(b"ARC-Seal", key, [*above, *chain], names, seal_tags)
    return seal + mark + results + message


def chain_of(message: bytes, zones: Zones) -> Arc:
    header, _, body = message.partition(b"\r\n\r\n")
    fields = [(name, raw + b"\r\n") for name, raw in split(header + b"\r\n\r\n")]
    bodies = verify.Bodies(arc.message_signatures(fields))
    bodies.read(iter([body]))
    return ask(zones, lambda names: arc.check(fields, bodies, names))


SEALER = a_key(RSA, "lists.example")


def test_chains_of_seals() -> None:
    one = sealed(HEADER + BODY, SEALER, 1)
    two = sealed(one, SEALER, 2, "pass")
    assert chain_of(HEADER + BODY, {}) == Arc(Verdict.NONE)
    assert chain_of(one, zone(SEALER)) == Arc(Verdict.PASS, "lists.example", 1)
    assert chain_of(two, zone(SEALER)) == Arc(Verdict.PASS, "lists.example", 2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Hello", b"HellO"),
        (b"Subject: Hi", b"Subject: Ho"),
        (b"i=1; lists.example; spf=pass", b"i=1; lists.example; spf=fail"),
        (b"ARC-Authentication-Results: i=1", b"ARC-Authentication-Results: i=2"),
        (b"cv=none", b"cv=pass"),
    ],
)
def test_chains_that_were_changed(old: bytes, new: bytes) -> None:
    message = sealed(HEADER + BODY, SEALER, 1)
    assert old in message
    assert chain_of(message.replace(old, new), zone(SEALER)).result is Verdict.FAIL


def test_chains_that_end_badly() -> None:
    one = sealed(HEADER + BODY, SEALER, 1)
    assert chain_of(sealed(one, SEALER, 2, "fail"), zone(SEALER)).result is Verdict.FAIL
    assert chain_of(sealed(one, SEALER, 2, "none"), zone(SEALER)).result is Verdict.FAIL
    assert chain_of(sealed(one, SEALER, 3, "pass"), zone(SEALER)).result is Verdict.FAIL
    assert chain_of(one, {SEALER.name: "SERVFAIL"}).result is Verdict.TEMPERROR
    assert chain_of(one, {}).result is Verdict.FAIL
    assert chain_of(b"ARC-Seal: i=1\r\n" * 200 + HEADER + BODY, {}).result is Verdict.FAIL
