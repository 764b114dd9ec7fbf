"""Why mail waits, in words."""

from __future__ import annotations

import ast

import pytest

from appliance.ops import waiting
from data.reason import Reason
from tests.house import ROOT

_NEVER_WAITS = {
    "queue.sent", "queue.sent.plain", "queue.delivered", "queue.cancelled", "queue.dropped", "queue.returned", "queue.delay-notices",
    "queue.nodomain", "queue.nullmx", "queue.literal", "queue.loop", "queue.unknown", "queue.envelope",
    "queue.requiretls", "queue.smtputf8", "queue.size", "queue.routes",
}  # fmt: skip
"""Ends of an attempt that settle the recipient, and settings; nothing waits for these."""


@pytest.mark.parametrize(
    ("reason", "remote", "reply", "told"),
    [
        (
            Reason("queue.connect", {"host": "mx.example.org", "address": "192.0.2.1", "why": "Connection refused"}),
            "mx.example.org",
            None,
            "no connection to mx.example.org (192.0.2.1): Connection refused",
        ),
        (
            Reason("queue.rcpt", {"code": 450}),
            "mx.example.org",
            "450 4.2.1 busy",
            'mx.example.org: the server did not accept the recipient: "450 4.2.1 busy"',
        ),
        (Reason("queue.tls.failed"), "mx.example.org", None, "mx.example.org: no safe connection could be made"),
        (Reason("queue.held"), None, None, "held by an administrator"),
        (Reason("queue.connect", {"host": "mx.example.org"}), None, None, "queue.connect host=mx.example.org"),
        (Reason("moon.full", {"age": 14}), None, None, "moon.full age=14"),
        (None, None, None, ""),
    ],
)
def test_a_cause_is_told_in_words(reason: Reason | None, remote: str | None, reply: str | None, told: str) -> None:
    assert waiting.words(reason, remote, reply) == told


def test_every_cause_the_queue_names_has_words() -> None:
    named: set[str] = set()
    for source in [*(ROOT / "smtp" / "queue").glob("*.py"), *(ROOT / "data" / "spool").glob("*.py")]:
        if source.name != "wording.py":
            tree = ast.parse(source.read_text("utf-8"))
            named |= {
                n.value for n in ast.walk(tree)
                if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.startswith("queue.")
            }  # fmt: skip
    known = {code for code in named if " " not in code} - _NEVER_WAITS
    assert len(known) > 15
    everything = {"host": "h", "address": "a", "why": "w", "stage": "s", "name": "n"}
    wordless = {code for code in known if waiting.words(Reason(code, everything), None, None).startswith(code)}
    assert not wordless
