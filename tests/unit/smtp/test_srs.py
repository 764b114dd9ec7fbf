"""Rewritten senders: undone by who made them, for three weeks, and by nobody else."""

from __future__ import annotations

import pytest

from data.clock import DAY
from data.ids import Millis
from smtp.delivery.srs import VALID_DAYS, Rewriting, is_rewritten

OURS = Rewriting(b"k" * 32)
THEIRS = Rewriting(b"t" * 32)
NOW = Millis(20_500 * DAY + 5)


def local(address: str) -> str:
    return address.rpartition("@")[0]


@pytest.mark.parametrize("sender", ["ann@example.org", "a=b+c@example.org", "SRSly@example.org", "\u00fc@example.org"])
def test_there_and_back(sender: str) -> None:
    made = OURS.rewritten(sender, "example.test", NOW)
    assert made.startswith("SRS0=") and made.endswith("@example.test")
    assert OURS.original(local(made), NOW) == sender
    assert OURS.original(local(made).lower(), NOW) == sender.lower()


def test_a_chain_of_three_houses() -> None:
    """The second house adds one layer, the third none; each undoes its own."""
    first = OURS.rewritten("ann@example.org", "example.test", NOW)
    second = THEIRS.rewritten(first, "example.net", NOW)
    third = OURS.rewritten(second, "example.test", NOW)
    assert second.startswith("SRS1=") and third.startswith("SRS1=") and "example.net" not in third
    assert len(third) == len(second) + len("example.test") - len("example.net")
    assert OURS.original(local(third), NOW) == first
    assert OURS.original(local(first), NOW) == "ann@example.org"


def test_days() -> None:
    """Three weeks; a clock a day behind is forgiven."""
    made = local(OURS.rewritten("ann@example.org", "example.test", NOW))
    for days, good in ((0, True), (VALID_DAYS, True), (VALID_DAYS + 1, False), (-1, True), (-2, False), (400, False)):
        assert (OURS.original(made, Millis(NOW + days * DAY)) is not None) is good, days


def test_forged_ones_are_nobodys() -> None:
    made = local(OURS.rewritten("ann@example.org", "example.test", NOW))
    assert THEIRS.original(made, NOW) is None
    _, digest, day, domain, name = made.split("=")
    for forged in (
        f"SRS0={digest}={day}={domain}=bob",
        f"SRS0={digest}={day}=example.net={name}",
        f"SRS0={digest}=aa={domain}={name}",
        f"SRS0=aaaaaaaaaa={day}={domain}={name}",
        f"SRS0={digest[:-1]}={day}={domain}={name}",
        f"SRS1={digest}={domain}=={day}={name}",
        "SRS0=",
        "SRS1=x",
        "srs0+x=y=z=w",
    ):
        assert is_rewritten(forged)
        assert OURS.original(forged, NOW) is None, forged


@pytest.mark.parametrize(
    "kept", ['"a b"@example.org', "a@[192.0.2.1]", "x" * 64 + "@" + "y" * 180 + ".org", "SRS1=x@y.org"]
)
def test_what_cannot_be_rewritten_stays(kept: str) -> None:
    assert OURS.rewritten(kept, "example.test", NOW) == kept
