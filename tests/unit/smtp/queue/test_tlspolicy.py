"""What hosts have to prove: the tables of MTA-STS and DANE, and which of the two counts."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.net.chain import key_info
from appliance.net.resolver import Found, NoData, Temporary
from data.clock import FakeClock
from data.ids import Millis
from data.reason import Reason
from smtp.queue import dane, sts
from smtp.queue.events import Problem
from smtp.queue.hop import Hop, Level, Need
from smtp.queue.tlspolicy import TlsPolicy

TABLES = Path(__file__).resolve().parents[3] / "tables"
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


def cases(path: str) -> list[Any]:
    found = tomllib.loads((TABLES / path).read_text("utf-8"))["case"]
    return [pytest.param(one, id=one.get("name", str(number))) for number, one in enumerate(found)]


# --- MTA-STS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("mtasts/policies.toml"))
def test_policies(case: Mapping[str, Any]) -> None:
    if "why" in case:
        with pytest.raises(sts.Unfit, match=case["why"]):
            sts.parse(case["text"].encode())
        return
    assert sts.parse(case["text"].encode()) == sts.Policy(case["mode"], tuple(case["mx"]), case["max_age"])


@pytest.mark.parametrize(
    "octets", [b"\xff\xfe", b"version: STSv1\nmode: enforce\nmax_age: 1\n" + b"mx: a.example\n" * 501]
)
def test_policies_that_are_too_much(octets: bytes) -> None:
    with pytest.raises(sts.Unfit):
        sts.parse(octets)


@pytest.mark.parametrize("case", cases("mtasts/hosts.toml"))
def test_hosts(case: Mapping[str, Any]) -> None:
    policy = sts.Policy("enforce", tuple(case["mx"]), 1)
    assert [host for host in case["covered"] + case["others"] if policy.covers(host)] == case["covered"]


@pytest.mark.parametrize("case", cases("mtasts/records.toml"))
def test_records(case: Mapping[str, Any]) -> None:
    assert sts.ident_of(text.encode() for text in case["txt"]) == case.get("id")


# --- DANE -------------------------------------------------------------------------------------------------------------


@cache
def pki() -> dict[str, bytes]:
    """Certificates by the names the table uses."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("issuer", "leaf", "other")}
    day = datetime.timedelta(days=1)

    def make(
        subject: str, names: str, key: str, by: str, signed: str, *, authority: bool = False, ends: int = 30
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, by)]))
            .public_key(keys[key].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 60 * day)
            .not_valid_after(NOW + ends * day)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(names)]), critical=False)
        )
        return builder.sign(keys[signed], hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    return {
        "issuer": make("issuer", "ca.example.org", "issuer", "issuer", "issuer", authority=True),
        "leaf": make("leaf", "mx.example.org", "leaf", "issuer", "issuer"),
        "other": make("other", "mx.example.org", "other", "other", "other"),
        "stranger": make("stranger", "mx.example.org", "leaf", "issuer", "other"),
        "elsewhere": make("elsewhere", "mx.example.net", "leaf", "issuer", "issuer"),
        "domain": make("domain", "example.org", "leaf", "issuer", "issuer"),
        "star": make("star", "*.example.org", "leaf", "issuer", "issuer"),
        "expired": make("expired", "mx.example.org", "leaf", "issuer", "issuer", ends=-1),
        "under-leaf": make("under", "mx.example.org", "other", "leaf", "leaf"),
    }


def text_of(usage: int, selector: int, matching: int, name: str) -> str:
    data = pki()[name] if selector == 0 else (key_info(pki()[name]) or b"")
    data = {0: bytes, 1: lambda d: hashlib.sha256(d).digest(), 2: lambda d: hashlib.sha512(d).digest()}[matching](data)
    return f"{usage} {selector} {matching} {data.hex()[:64]} {data.hex()[64:]}"


@pytest.mark.parametrize("case", cases("dane/records.toml"))
def test_tlsa(case: Mapping[str, Any]) -> None:
    texts = [text_of(*record) for record in case.get("records", [])] + case.get("bad", [])
    records = dane.parse(texts)
    assert len(records) == case.get("usable", len(texts))
    chain = [pki()[name] for name in case.get("chain", ["leaf", "issuer"])]
    if records:
        assert (dane.wrong(records, chain, ("mx.example.org", "example.org"), NOW) is None) is case["good"]


def test_octets_that_are_no_certificate() -> None:
    """A host may show anything."""
    records = dane.parse([text_of(2, 0, 0, "issuer"), text_of(3, 1, 1, "leaf")])
    for chain in (
        [b""],
        [b"\x30\x03\x02\x01\x01"],
        [b"x" * 5000, pki()["issuer"]],
        [pki()["leaf"][:-20], pki()["issuer"]],
    ):
        assert dane.wrong(records, chain, ("mx.example.org",), NOW) is not None


# --- which of the two -------------------------------------------------------------------------------------------------


@dataclass
class Names:
    """A resolver that knows TLSA and addresses of mx.example.org."""

    tlsa: Any = field(default_factory=NoData)
    address: Any = field(default_factory=lambda: Found(("192.0.2.1",), 60, True))

    async def addresses(self, host: str) -> Any:
        return self.address

    async def query(self, name: str, rdtype: str) -> Any:
        assert (name, rdtype) == ("_25._tcp.mx.example.org", "TLSA")
        return self.tlsa


@dataclass
class Policies:
    """Stands for Sts: one policy, or none."""

    policy: sts.Policy | None = None

    async def of(self, domain: str) -> sts.Policy | None:
        return self.policy


GOOD = Found((text_of(3, 1, 1, "leaf"),), 60, True)
ENFORCED = sts.Policy("enforce", ("mx.example.org",), 1)
FAILED = Temporary(Reason("dns.servfail"))


@pytest.mark.parametrize(
    ("names", "policy", "secure", "level", "by"),
    [
        (Names(), None, True, Level.MAY, ""),
        (Names(GOOD), None, True, Level.DANE, "dane"),
        (Names(GOOD), ENFORCED, True, Level.DANE, "dane"),
        (Names(Found(("1 1 1 00",), 60, True)), None, True, Level.ENCRYPTED, "dane"),
        (Names(Found(("1 1 1 00",), 60, True)), ENFORCED, True, Level.ENCRYPTED, "dane"),
        # not validated: the exchangers, the addresses, the records
        (Names(GOOD), None, False, Level.MAY, ""),
        (Names(GOOD, Found(("192.0.2.1",), 60)), None, True, Level.MAY, ""),
        (Names(Found(GOOD.values, 60)), None, True, Level.MAY, ""),
        (Names(GOOD), ENFORCED, False, Level.PROVEN, "mta-sts"),
        (Names(FAILED), ENFORCED, False, Level.PROVEN, "mta-sts"),
        (Names(FAILED), None, True, "queue.tls.tlsa", ""),
        (Names(FAILED), ENFORCED, True, "queue.tls.tlsa", ""),
        (Names(), ENFORCED, True, Level.PROVEN, "mta-sts"),
        (Names(), sts.Policy("testing", ("other.example",), 1), True, Level.MAY, ""),
        (Names(), sts.Policy("none", (), 1), True, Level.MAY, ""),
        (Names(), sts.Policy("enforce", ("*.example.net",), 1), True, "queue.tls.mx", ""),
        (Names(GOOD), sts.Policy("enforce", ("*.example.net",), 1), True, Level.DANE, "dane"),
    ],
)
def test_what_a_host_has_to_prove(names: Any, policy: sts.Policy | None, secure: bool, level: str, by: str) -> None:
    clock = FakeClock(Millis(int(NOW.timestamp() * 1000)))
    asked = TlsPolicy(names, Policies(policy), clock)  # type: ignore[arg-type]
    found = asyncio.run(asked("example.org", Hop("mx.example.org", 25), secure))
    if isinstance(found, Problem):
        assert (found.reason.code, found.permanent) == (level, False)
        return
    assert isinstance(found, Need) and (found.level, found.by) == (level, by)
    if found.level is Level.DANE:
        assert found.satisfied is not None
        assert found.satisfied([pki()["leaf"]]) is None
        assert found.satisfied([pki()["other"]]) is not None
