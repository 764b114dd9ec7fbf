"""R1: the rewritten senders of forwards come back to us, and nobody gets a relay out of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data.clock import DAY, SystemClock
from data.ids import Millis
from smtp.policy.limits import Limits
from tests.attacks.test_smtp_relay import catch_all
from tests.smtp_rig import REWRITING, Rig, message, rig

NOW = SystemClock().now()
GOOD = REWRITING.rewritten("Zoe@ext.org", "example.test", NOW)
OLD = REWRITING.rewritten("zoe@ext.org", "example.test", Millis(NOW - 30 * DAY))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """With a catch-all, which must not swallow them either."""
    bounds = Limits(errors=0, unknown=0, disk_floor=0)
    with rig(tmp_path_factory.mktemp("returned"), limits=bounds, prepare=catch_all) as made:
        yield made


@pytest.mark.parametrize(
    ("sender", "recipient", "answer"),
    [
        ("", GOOD, b"250"),
        ("", GOOD.lower(), b"250"),
        ("eve@ext.org", GOOD, b"550 5.1.1"),
        ("ann@example.test", GOOD, b"550 5.1.1"),
        ("", OLD, b"550 5.1.1"),
        ("", GOOD.replace("=Zoe@", "=victim@"), b"550 5.1.1"),
        ("", GOOD.replace("=ext.org=", "=victim.org="), b"550 5.1.1"),
        ("", "SRS0=aaaaaaaaaa=aa=ext.org=x@example.test", b"550 5.1.1"),
        ("", "SRS1=aaaaaaaaaa=ext.org==x@example.test", b"550 5.1.1"),
        ("", GOOD.replace("@example.test", "@ext.org"), b"550 5.7.1"),
    ],
)
def test_R1_rewritten_senders(one: Rig, sender: str, recipient: str, answer: bytes) -> None:
    with one.client() as client:
        client.ehlo()
        client.cmd(f"MAIL FROM:<{sender}>")
        assert client.cmd(f"RCPT TO:<{recipient}>").startswith(answer)


def test_a_bounce_goes_on_to_the_original_sender(one: Rig) -> None:
    with one.client() as client:
        client.ehlo()
        assert client.mail(message(), to=[GOOD], sender="").startswith(b"250")
    assert [(item.return_path, item.address) for item in one.spooled()] == [("", "Zoe@ext.org")]
    assert one.everything() == []
