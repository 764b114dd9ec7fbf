"""Mail from outside is checked by real questions over UDP, judged, marked and shown (RELIABILITY: N10, N11)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.directory.dkim import ED25519, DkimKey, _load, new_pair
from data.ids import Millis
from smtp.mailauth.body import BodyHash
from smtp.mailauth.dkim import signatures
from tests.instruments.dnsserver import DnsServer
from tests.smtp_rig import Rig, message, rig

PAIR = new_pair(ED25519)
KEY = DkimKey("example.org", "s", ED25519, PAIR.public, Millis(0), None, _load(PAIR.private))
RECORDS: dict[str, Any] = {
    "example.org": {"TXT": ['"v=spf1 ip4:127.0.0.1 -all"']},
    "s._domainkey.example.org": {"TXT": [f'"{KEY.record}"']},
    "_dmarc.example.org": {"TXT": ['"v=DMARC1; p=reject"']},
    "junk.example.net": {"TXT": ['"v=spf1 -all"']},
    "_dmarc.junk.example.net": {"TXT": ['"v=DMARC1; p=quarantine"']},
    "some.example.net": {"TXT": ['"v=spf1 -all"']},
    "_dmarc.some.example.net": {"TXT": ['"v=DMARC1; p=reject; pct=30"']},
    "broken.example.net": "SERVFAIL",
    "_dmarc.broken.example.net": "SERVFAIL",
    "silent.example.net": "TIMEOUT",
    "_dmarc.silent.example.net": {"TXT": ['"v=DMARC1; p=reject"']},
}


@pytest.fixture
def names() -> Iterator[DnsServer]:
    with DnsServer(RECORDS) as server:
        yield server


@pytest.fixture
def one(tmp_path: Path, names: DnsServer) -> Iterator[Rig]:
    with rig(tmp_path, dns=names.address) as built:
        yield built


def sent(one: Rig, octets: bytes, sender: str = "x@example.org", to: str = "ann@example.test") -> bytes:
    with one.client() as client:
        client.ehlo()
        return client.mail(octets, sender=sender, to=(to,))


def signed(octets: bytes) -> bytes:
    header, _, body = octets.partition(b"\r\n\r\n")
    hashed = BodyHash()
    hashed.feed(body)
    now = Millis(int(time.time() * 1000))
    return signatures(header + b"\r\n\r\n", hashed.digest(), (KEY,), now) + octets


def results(octets: bytes) -> str:
    """Our field of a message in a mailbox."""
    found = re.findall(rb"^Authentication-Results: mail\.example\.test;((?:\r\n\t[^\r\n]*)+)", octets, re.M)
    assert len(found) == 1
    return re.sub(r"\s+", " ", found[0].decode()).strip()


def test_a_message_that_passes(one: Rig) -> None:
    assert sent(one, signed(message())).startswith(b"250")
    text = results(one.inbox()[0])
    assert text.startswith("spf=pass smtp.mailfrom=example.org; dkim=pass header.d=example.org header.s=s")
    assert text.endswith("dmarc=pass header.from=example.org policy.dmarc=reject")
    (judged,) = [hop for hop in one.ground.story.recent() if hop.event == "judged"]
    assert judged.reason is not None
    assert {name: judged.reason.params[name] for name in ("spf", "dkim", "dmarc", "domain")} == {
        "spf": "pass",
        "dkim": "pass",
        "dmarc": "pass",
        "domain": "example.org",
    }


def test_a_large_message_is_checked_as_it_lies_in_the_store(one: Rig) -> None:
    body = "A line of some length that is there to be hashed.\r\n" * 60_000
    whole = signed(message(body=body))
    assert sent(one, whole).startswith(b"250")
    assert "dkim=pass" in results(one.inbox()[0])
    assert sent(one, whole.replace(b"to be hashed.\r\n", b"to be hushed.\r\n", 1)).startswith(b"250")
    assert "dkim=fail" in results(one.inbox()[1])


def test_N11_what_a_domain_wants_refused_is_refused(one: Rig) -> None:
    """p=reject, SPF of another domain, no signature: told at the end of DATA, and nothing is kept."""
    answer = sent(one, message(), sender="x@elsewhere.example")
    assert answer.startswith(b"550 5.7.1 ") and b"DMARC" in answer
    assert one.everything() == []
    (hop,) = [hop for hop in one.ground.story.recent() if hop.event == "rejected"]
    assert (
        hop.reason is not None and hop.reason.code == "dmarc.rejected" and hop.reason.params["domain"] == "example.org"
    )


def test_N11_a_display_name_is_no_author(one: Rig) -> None:
    """The address in angle brackets is who wrote it, whatever the name says."""
    octets = message(sender='"ceo@junk.example.net" <x@example.org>')
    assert sent(one, octets, sender="x@elsewhere.example").startswith(b"550 5.7.1")
    octets = message(sender="x@example.org <evil@junk.example.net>")
    assert sent(one, octets).startswith(b"250")
    assert one.inbox() == [] and "header.from=junk.example.net" in results(one.inbox(mailbox="Junk")[0])


def test_quarantine_is_junk(one: Rig) -> None:
    assert sent(one, message(sender="x@junk.example.net"), sender="x@junk.example.net").startswith(b"250")
    assert one.inbox() == []
    assert "dmarc=fail header.from=junk.example.net policy.dmarc=quarantine" in results(one.inbox(mailbox="Junk")[0])
    (hop,) = [hop for hop in one.ground.story.recent() if hop.event == "delivered"]
    assert hop.reason is not None and hop.reason.code == "dmarc.junk"


def test_pct_spares_some_of_them(one: Rig) -> None:
    """The draw of the rig is 0.5: above pct=30, so the next milder treatment."""
    assert sent(one, message(sender="x@some.example.net"), sender="x@some.example.net").startswith(b"250")
    assert len(one.inbox(mailbox="Junk")) == 1


@pytest.mark.parametrize("domain", ["broken.example.net", "silent.example.net"])
def test_a_name_server_in_trouble_costs_nobody_a_message(tmp_path: Path, names: DnsServer, domain: str) -> None:
    with rig(tmp_path, dns=names.address) as one:
        assert sent(one, message(sender=f"x@{domain}"), sender=f"x@{domain}").startswith(b"250")
        text = results(one.inbox()[0])
        assert "spf=temperror" in text and "dmarc=temperror" in text


@pytest.mark.parametrize("size", [0, 200_000])
def test_N11_forged_results_are_taken_out_and_the_signature_still_counts(one: Rig, size: int) -> None:
    forged = b"Authentication-Results: (x)\r\n mail.example.test;\r\n\tdmarc=pass header.from=bank.example\r\n"
    theirs = b"Authentication-Results: mx.example.org; spf=pass\r\n"
    assert sent(one, forged + theirs + signed(message(body="Line.\r\n" * (size // 7 + 1)))).startswith(b"250")
    (found,) = one.inbox()
    assert b"bank.example" not in found and theirs in found
    assert "dkim=pass" in results(found)


@pytest.mark.parametrize("size", [0, 200_000])
@pytest.mark.parametrize("odd", [b"From: boss@example.org\r\n", b"From : boss@example.org\r\n"])
def test_N11_two_authors_are_refused(one: Rig, odd: bytes, size: int) -> None:
    octets = odd + message(body="Line.\r\n" * (size // 7 + 1))
    assert sent(one, octets).startswith(b"550 5.7.1 A message has exactly one From")
    assert one.everything() == []


def test_N11_no_author_is_refused(one: Rig) -> None:
    assert sent(one, b"Subject: x\r\n\r\nHello\r\n").startswith(b"550 5.7.1 A message has exactly one From")


def test_a_group_for_an_author_vouches_for_nobody(one: Rig) -> None:
    assert sent(one, message(sender="undisclosed:;"), sender="x@example.org").startswith(b"250")
    assert "dmarc=permerror" in results(one.inbox()[0])
    octets = message(sender="friends: a@nobody.example, x@example.org;")
    assert sent(one, octets, sender="x@elsewhere.example").startswith(b"550 5.7.1")


def test_bench_checks_and_moves_nothing(tmp_path: Path, names: DnsServer) -> None:
    with rig(tmp_path, dns=names.address, bench=True) as one:
        assert sent(one, message(), sender="x@elsewhere.example").startswith(b"250")
        assert "dmarc=fail" in results(one.inbox()[0])


def test_without_dns_everything_is_a_temporary_error(tmp_path: Path) -> None:
    with rig(tmp_path) as one:
        assert sent(one, signed(message())).startswith(b"250")
        text = results(one.inbox()[0])
        assert [text.count(f"{method}=temperror") for method in ("spf", "dkim", "dmarc")] == [1, 1, 1]


def test_a_wrong_key_is_seen(one: Rig, names: DnsServer) -> None:
    other = new_pair(ED25519)
    names.set("s._domainkey.example.org", {"TXT": [f'"v=DKIM1; k=ed25519; p={other.public}"']})
    assert sent(one, signed(message())).startswith(b"250"), "SPF still speaks for it"
    assert 'dkim=fail reason="header was changed"' in results(one.inbox()[0])
