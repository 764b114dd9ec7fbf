"""DMARC by a table of its rules, and what follows from a result."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from smtp.mailauth import dmarc
from smtp.mailauth.facts import Action, Dkim, Dmarc, Spf, Verdict, dmarc_action, unchecked
from smtp.mailauth.suffixes import organisational, public_suffix, related
from tests.instruments.zones import ask

CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).resolve().parents[3] / "tables/dmarc/rfc7489.toml").read_text("utf-8")
)["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_table(case: dict[str, Any]) -> None:
    zones: dict[str, Any] = {f"_dmarc.{name}": {"TXT": texts} for name, texts in case.get("records", {}).items()}
    zones |= {name: {"A": ["192.0.2.1"]} for name in case.get("exists", ())}
    zones |= dict.fromkeys(case.get("broken", ()), "SERVFAIL")
    spf = (
        Spf(Verdict.PASS, case["spf"]) if "spf" in case else Spf(Verdict.FAIL, case["from"][0] if case["from"] else "")
    )
    dkim = [Dkim(Verdict.PASS, domain) for domain in case.get("dkim", ())]
    dkim += [Dkim(Verdict.TEMPERROR, domain) for domain in case.get("late", ())]
    found = ask(zones, lambda names: dmarc.check(names, case["from"], spf, dkim))
    assert found.result.value == case["result"]
    if "action" in case:
        assert (found.action.value, found.percent) == (case["action"], case.get("percent", 100))


@pytest.mark.parametrize(
    ("percent", "draw", "wanted"),
    [(100, 0.999, "reject"), (50, 0.49, "reject"), (50, 0.5, "quarantine"), (0, 0.0, "quarantine")],
)
def test_pct_means_some_and_the_others_get_the_milder(percent: int, draw: float, wanted: str) -> None:
    """RFC 7489 §6.6.4."""
    failing = Dmarc(Verdict.FAIL, "example.test", Action.REJECT, "example.test", percent)
    assert dmarc_action(failing, draw).value == wanted


def test_only_a_failure_has_consequences() -> None:
    for result in Verdict:
        found = Dmarc(result, "example.test", Action.REJECT, "example.test")
        assert (dmarc_action(found, 0.0) is Action.REJECT) == (result is Verdict.FAIL)
    assert dmarc_action(unchecked("out of time").dmarc, 0.0) is Action.NONE


def test_too_many_domains_cost_nothing() -> None:
    found = ask({}, lambda names: dmarc.check(names, [f"d{n}.example" for n in range(50)], Spf(Verdict.NONE), ()))
    assert found.result is Verdict.PERMERROR


def test_the_suffix_list() -> None:
    assert organisational("a.b.example.co.uk") == "example.co.uk"
    assert organisational("co.uk") is organisational("com") is None
    assert public_suffix("a.example.co.uk") == "co.uk"
    assert related("a.example.com", "b.example.com") and not related("com", "com")
