"""Whose messages are vouched for: by the trace fields that this server writes, as it writes them."""

from __future__ import annotations

import pytest

from data.ids import Millis
from smtp.delivery.trace import delivered_to, received_line, return_path
from webmail.senders import known, proof_of, sender_of, vouched

NOW = Millis(1_760_000_000_000)


def prefix(protocol: str, origin: str = "", sender: str = "ann@example.test") -> bytes:
    line = received_line(
        origin,
        hostname="mail.example.test",
        with_protocol=protocol,
        trail="0a",
        tls=None,
        recipients=["b@example.test"],
        now=NOW,
    )
    return return_path(sender) + delivered_to("b@example.test") + line


@pytest.mark.parametrize("protocol", ["HTTP", "ESMTPA", "ESMTPSA", "UTF8SMTPA", "UTF8SMTPSA"])
def test_who_signed_in_is_vouched_for(protocol: str) -> None:
    assert vouched(prefix(protocol))
    assert vouched(b"DKIM-Signature: v=1; a=b\r\n" + prefix(protocol))


@pytest.mark.parametrize("protocol", ["SMTP", "ESMTP", "ESMTPS", "UTF8SMTPS", "LMTP", "HTTPX"])
def test_who_did_not_is_not(protocol: str) -> None:
    assert not vouched(prefix(protocol, "from mx.example.org ([192.0.2.1])\r\n\t"))
    assert not vouched(prefix(protocol))


def test_what_a_peer_says_of_itself_does_not_count() -> None:
    assert not vouched(prefix("ESMTPS", "from by ([192.0.2.1])\r\n\t"))
    assert not vouched(
        prefix("ESMTP", "from mail.example.test ([192.0.2.1])\r\n\tby mail.example.test with HTTP\r\n\t")
    )
    assert not vouched(return_path('"by x with HTTP"@example.org') + prefix("ESMTPS", "from x ([192.0.2.1])\r\n\t"))
    assert not vouched(b"")
    assert not vouched(b"X-Received: by a with HTTP\r\n")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Bob <Bob@Example.TEST>", "bob@example.test"),
        ("bob@example.test", "bob@example.test"),
        ("Bob <bob@example.test>, Eve <eve@example.org>", ""),
        ("nobody", ""),
        ("", ""),
    ],
)
def test_a_sender_is_one_address(text: str, address: str) -> None:
    assert sender_of(text) == address


OURS = b"Return-Path: <x@example.org>\r\nAuthentication-Results: mail.example.test;\r\n\tspf=pass smtp.mailfrom=example.org;\r\n"


@pytest.mark.parametrize(
    ("line", "from_", "sure"),
    [
        (b"\tdmarc=pass header.from=example.org policy.dmarc=reject\r\n", "X <x@example.org>", True),
        (b"\tdmarc=pass header.from=example.org\r\n", "X <x@EXAMPLE.org>", True),
        (b"\tdmarc=pass header.from=example.org\r\n", "X <x@example.net>", False),
        (b"\tdmarc=pass header.from=example.org\r\n", "x@example.org, y@example.org", False),
        (b"\tdmarc=fail header.from=example.org policy.dmarc=none\r\n", "x@example.org", False),
        (b'\tdmarc=temperror reason="dmarc=pass" header.from=example.org\r\n', "x@example.org", False),
        (b"\tdmarc=none\r\n", "x@example.org", False),
    ],
)
def test_who_passed_dmarc_is_known(line: bytes, from_: str, sure: bool) -> None:
    received = prefix("ESMTPS", "from mx.example.org ([192.0.2.1])\r\n\t")
    assert known(OURS + line + received, from_) is sure
    assert proof_of(OURS + line + received).good is line.startswith(b"\tdmarc=pass")


def test_a_proof_is_what_this_server_wrote() -> None:
    """Only a line of our own field, which begins as we write it."""
    received = prefix("ESMTPS", "from mx.example.org ([192.0.2.1])\r\n\t")
    assert proof_of(received).result == ""
    assert proof_of(b"X-Authentication-Results: a;\r\n\tdmarc=pass header.from=example.org\r\n" + received).result == ""
    assert proof_of(b'Return-Path: <"dmarc=pass header.from=example.org"@x>\r\n' + OURS + received).result == ""
