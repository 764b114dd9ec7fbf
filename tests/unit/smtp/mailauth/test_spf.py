"""SPF by tables: the zones of RFC 7208, its macros, and what a stranger may publish or say."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from smtp.mailauth import spf
from smtp.mailauth.facts import Spf, Verdict
from tests.instruments.zones import ZoneResolver, Zones, ask

TABLE: dict[str, Any] = tomllib.loads(
    (Path(__file__).resolve().parents[3] / "tables/spf/rfc7208.toml").read_text("utf-8")
)
ZONES: dict[str, Any] = {name: "SERVFAIL" if "SERVFAIL" in zone else zone for name, zone in TABLE["zones"].items()}
CASES = [
    (case.get("domain", "example.com"), case.get("record"), address, result)
    for case in TABLE["case"]
    for result in Verdict
    for address in case.get(str(result), ())
]


def checked(zones: Zones | ZoneResolver, address: str, return_path: str, hello: str | None = "mx.example.org") -> Spf:
    return ask(
        zones,
        lambda names: spf.check(names, address=address, return_path=return_path, hello=hello, receiver="mail.test"),
    )


@pytest.mark.parametrize(("domain", "record", "address", "result"), CASES)
def test_table(domain: str, record: str | None, address: str, result: Verdict) -> None:
    zones = dict(ZONES)
    if record is not None:
        zones[domain] = {**zones[domain], "TXT": ["a text of its own", record]}
    assert checked(zones, address, f"strong-bad@{domain}").result is result


@pytest.mark.parametrize("case", TABLE["macro"], ids=lambda case: case["text"])
def test_macros(case: dict[str, str]) -> None:
    """The name that a macro makes is the one that is there, and the only one."""
    record = {"TXT": [f"v=spf1 exists:{case['text']} -all"]}
    zones: dict[str, Any] = {"email.example.com": record}
    zones[case["name"]] = {**zones.get(case["name"], {}), "A": ["127.0.0.2"]}
    address = case.get("address", "192.0.2.3")
    assert checked(zones, address, "strong-bad@email.example.com").result is Verdict.PASS
    del zones[case["name"]]["A"]
    assert checked(zones, address, "strong-bad@email.example.com").result is Verdict.FAIL


def test_the_null_sender_is_judged_by_hello() -> None:
    zones = {"mx.example.org": {"TXT": ["v=spf1 ip4:192.0.2.3 -all"]}}
    assert checked(zones, "192.0.2.3", "") == Spf(Verdict.PASS, "mx.example.org", "helo")
    assert checked(zones, "192.0.2.4", "").result is Verdict.FAIL
    assert checked(zones, "192.0.2.3", "", "[192.0.2.3]").result is Verdict.NONE
    assert checked(zones, "192.0.2.3", "", None).result is Verdict.NONE


def test_each_message_asks_its_own_names() -> None:
    """What one zone says is not remembered for the next: the library is given no names of ours to share."""
    assert checked({"a.example": {"TXT": ["v=spf1 +all"]}}, "192.0.2.1", "x@a.example").result is Verdict.PASS
    assert checked({"a.example": {"TXT": ["v=spf1 -all"]}}, "192.0.2.1", "x@a.example").result is Verdict.FAIL


@pytest.mark.parametrize(
    "sender", ["a" * 300 + "@a.example", "ü@a.example", '"x; dmarc=pass"@a.example', "%{p}@a.example"]
)
def test_senders_that_are_odd(sender: str) -> None:
    zones = {"a.example": {"TXT": ["v=spf1 exists:%{l}.a.example ~all"]}}
    assert checked(zones, "192.0.2.1", sender).result in {Verdict.SOFTFAIL, Verdict.PERMERROR, Verdict.TEMPERROR}


def test_lookups_end() -> None:
    """A tree of includes that never ends costs a bounded number of questions."""
    zones: dict[str, Any] = {
        f"n{at}.example": {"TXT": [f"v=spf1 include:n{2 * at}.example include:n{2 * at + 1}.example -all"]}
        for at in range(1, 200)
    }
    resolver = ZoneResolver(zones)
    assert checked(resolver, "192.0.2.1", "x@n1.example").result is Verdict.PERMERROR
    assert len(resolver.asked) < 30
