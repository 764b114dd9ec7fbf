"""Postfix from Debian's packages as the server our queue sends to: found by MX, reached over TLS, and what it refuses."""

from __future__ import annotations

import base64
import contextlib
import email
import re
import smtplib
from collections.abc import Mapping
from typing import Any

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.house import House, house
from tests.instruments.dnsserver import DnsServer
from tests.interop.outside import Person, body, compose, fates, parsed, received, until
from tests.interop.postfix import Postfix


def content(octets: bytes) -> bytes:
    """What the text of a message says, whatever its encoding: eight bits are made seven before it is signed."""
    raw = email.message_from_bytes(octets).get_payload(decode=True)
    assert isinstance(raw, bytes)
    return re.sub(rb"\r?\n", b"\r\n", raw)


def send(person: Person, octets: bytes, *recipients: str, notify: str | None = None) -> None:
    """Hand a message to submission; every recipient is taken."""
    options = [] if notify is None else [f"NOTIFY={notify}"]
    with person.house.submission(person.address, person.password) as client:
        assert client.sendmail(person.address, recipients, octets, ["BODY=8BITMIME"], options) == {}


def keys(house_: House) -> Mapping[bytes, bytes]:
    """The DKIM records that the administrator is told to publish, by name."""
    shown = re.findall(
        r"^\s+(\S+\._domainkey\.\S+) TXT (v=DKIM1;.*)$", house_.run("domain", "list").stdout, re.MULTILINE
    )
    return {name.encode() + b".": record.encode() for name, record in shown}


class Ed25519:
    """The key object of a library that dkimpy uses where it is installed; the arithmetic is that of cryptography."""

    def __init__(self, record: bytes) -> None:
        public = base64.b64decode(record.rpartition(b"p=")[2])
        self._key, self.good = Ed25519PublicKey.from_public_bytes(public), False

    def verify(self, digest: bytes, signature: bytes) -> None:
        """Note what came out."""
        with contextlib.suppress(InvalidSignature):
            self._key.verify(signature, digest)
            self.good = True


def verified(octets: bytes, records: Mapping[bytes, bytes]) -> set[bytes]:
    """The algorithms of the signatures that hold, as dkimpy sees them."""
    held = set()
    for index in range(len(parsed(octets).get_all("DKIM-Signature", []))):
        checker: Any = dkim.DKIM(octets)
        fields, include, headers = checker.verify_headerprep(index)
        if fields[b"a"] == b"rsa-sha256":
            good = checker.verify(index, dnsfunc=lambda name, timeout=5: records.get(name))
        else:
            key = Ed25519(records[fields[b"s"] + b"._domainkey." + fields[b"d"] + b"."])
            checker.pk, checker.keysize, checker.ktag = key, 256, b"ed25519"
            good = checker.verify_sig_process(fields, include, headers[index], None) and key.good
        held |= {fields[b"a"]} if good else set()
    return held


def test_found_by_mx_sent_over_tls_and_signed(postfix: Postfix, names: DnsServer, ann: Person) -> None:
    octets = compose(ann.address, "alice@example.org", "signed and sealed", ".\nGrüße\nFrom here\n..\n\n\n")
    send(ann, octets, "alice@example.org")
    mail = postfix.mail("alice", "signed and sealed")
    assert names.count("example.org", "MX") >= 1
    assert content(mail) == content(octets)
    assert body(mail).isascii()
    theirs, ours = received(mail)
    assert re.match(r"from mail\.example\.test \(.*\) \(using TLSv1\.3 with cipher .* with ESMTPS id", theirs)
    assert re.match(r"by mail\.example\.test with ESMTPSA ", ours)
    assert "127.0.0.1" not in ours
    assert verified(mail, keys(ann.house)) == {b"rsa-sha256", b"ed25519-sha256"}
    # and what was changed on the way is found out
    assert verified(mail.replace(b"signed and", b"signed AND"), keys(ann.house)) == set()


def test_a_refused_recipient_makes_one_readable_report(postfix: Postfix, ann: Person) -> None:
    octets = compose(ann.address, "alice@example.org, nobody@example.org", "one of two")
    send(ann, octets, "alice@example.org", "nobody@example.org")
    report = parsed(ann.mail("one of two"))
    assert postfix.mail("alice", "one of two")
    assert report["Return-Path"] == "<>"
    assert report["To"] == ann.address
    assert report["Auto-Submitted"] == "auto-replied"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    words, _, original = report.iter_parts()
    told = words.get_content()
    assert "nobody@example.org" in told
    assert "There is no such address at example.org." in told
    assert "User unknown" in " ".join(told.split())
    assert "alice" not in told
    message, recipient = fates(report)
    assert message["Reporting-MTA"] == "dns; mail.example.test"
    assert recipient["Final-Recipient"] == "rfc822; nobody@example.org"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Remote-MTA"] == "dns; mx.example.org"
    assert "Subject: one of two" in original.get_content()
    assert ann.counts()["INBOX"] == 1


def test_accepted_first_and_bounced_by_the_other_side(postfix: Postfix, ann: Person) -> None:
    """Postfix's own report comes back to us, from the null sender."""
    send(ann, compose(ann.address, "broken@example.org", "bounced later"), "broken@example.org")
    report = parsed(ann.mail("Undelivered Mail Returned to Sender"))
    assert report["Return-Path"] == "<>"
    assert fates(report)[1]["Action"] == "failed"
    assert ann.counts()["INBOX"] == 1


def test_a_receipt_from_the_other_side(postfix: Postfix, ann: Person) -> None:
    send(ann, compose(ann.address, "carol@example.org", "with receipt"), "carol@example.org", notify="SUCCESS,FAILURE")
    report = parsed(ann.mail("Successful Mail Delivery Report"))
    fields = fates(report)[1]
    assert fields["Action"] == "delivered"
    assert fields["Original-Recipient"] == "rfc822;carol@example.org"
    assert postfix.mail("carol", "with receipt")
    # Postfix reports, so we do not
    assert ann.counts()["INBOX"] == 1


def test_put_off_waits_in_the_queue_and_says_why(postfix: Postfix, ann: Person) -> None:
    send(ann, compose(ann.address, "later@example.org", "put off"), "later@example.org")

    def deferred() -> str | None:
        rows = [row for row in ann.house.run("queue", "list").stdout.splitlines() if ann.address in row]
        return rows[0] if rows and " deferred " in rows[0] else None

    row = until(deferred, "the deferral")
    assert "450 4.2.0" in row
    assert "come back later" in row
    assert ann.counts()["INBOX"] == 0
    ann.house.run("queue", "drop", row.split()[0])
    assert ann.address not in ann.house.run("queue", "list").stdout


def test_without_starttls_it_goes_in_the_clear(postfix: Postfix, ann: Person) -> None:
    """Opportunistic: plain.example.org has no MX record, and its address offers no TLS."""
    send(ann, compose(ann.address, "alice@plain.example.org", "in the clear"), "alice@plain.example.org")
    theirs = received(postfix.mail("alice", "in the clear"))[0]
    assert re.match(r"from mail\.example\.test \(.*\) by mx\.example\.org \(Postfix\) with ESMTP id", theirs)


def test_one_copy_for_two_recipients_of_a_domain(postfix: Postfix, ann: Person) -> None:
    send(ann, compose(ann.address, "alice@example.org", "for two"), "alice@example.org", "carol@example.org")
    queued = [
        re.search(r"with ESMTPS id (\w+)", received(postfix.mail(who, "for two"))[0]) for who in ("alice", "carol")
    ]
    first, second = (match.group(1) for match in queued if match)
    assert first == second


def test_a_large_message_arrives_as_it_was(postfix: Postfix, ann: Person) -> None:
    octets = compose(ann.address, "alice@example.org", "large one", ".dots at the begin\n" + "y" * 900 + "\n" * 6000)
    octets += b".\r\n..\r\n0123456789\r\n" * 250_000
    send(ann, octets, "alice@example.org")
    mail = postfix.mail("alice", "large one")
    assert body(mail) == body(octets)
    assert b"rsa-sha256" in verified(mail, keys(ann.house))


def test_addresses_and_fields_in_utf8(postfix: Postfix, ann: Person) -> None:
    """Sent on as it is to a server that offers SMTPUTF8; what is refused is reported so that it can be read."""
    octets = f"From: {ann.address}\r\nTo: zoë@example.org\r\nSubject: in utf8, grüßend\r\n\r\nGrüße\r\n".encode()
    with ann.house.submission(ann.address, ann.password) as client:
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        assert client.sendmail(ann.address, ["carol@example.org", "zoë@example.org"], octets, options) == {}
    mail = postfix.mail("carol", "in utf8")
    assert "with UTF8SMTPS id" in received(mail)[0]
    assert "Subject: in utf8, grüßend\n".encode() in mail
    assert content(mail) == "Grüße\r\n".encode()
    report = parsed(ann.mail("in utf8, grüßend"))
    assert "zoë@example.org" in next(report.iter_parts()).get_content()
    assert fates(report)[1]["Final-Recipient"] == r"utf-8; zo\x{EB}@example.org"


def test_a_domain_that_is_not_there(names: DnsServer, ann: Person) -> None:
    send(ann, compose(ann.address, "x@nowhere.example", "to nowhere"), "x@nowhere.example")
    words = next(parsed(ann.mail("to nowhere")).iter_parts())
    assert "nowhere.example" in words.get_content()
    assert names.count("nowhere.example", "MX") == 1


def test_a_conversation(postfix: Postfix, ann: Person) -> None:
    """In, read, answered, out: the whole house once."""
    postfix.send(compose("alice@example.org", ann.address, "a question"), ann.address)
    question = parsed(ann.mail("a question"))
    answer = compose(
        ann.address, str(question["From"]), "Re: a question", "Yes.\n", {"In-Reply-To": str(question["Message-ID"])}
    )
    send(ann, answer, "alice@example.org")
    mail = parsed(postfix.mail("alice", "Re: a question"))
    assert mail["In-Reply-To"] == "<a.question@client.example.org>"
    with ann.house.smtp() as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail("alice@example.org", ["carol@example.org"], answer)


def test_route_all_takes_everything_without_dns(postfix: Postfix) -> None:
    """A second house, whose mail all goes to one host that an administrator named; no name is looked up."""
    with house(profile="production", dns="off", route_all=f"{postfix.host}:25") as other:
        eve = Person(other, other.add_account("eve"))
        send(eve, compose(eve.address, "alice@example.org", "by the smarthost"), "alice@example.org")
        assert "with ESMTPS id" in received(postfix.mail("alice", "by the smarthost"))[0]
        send(eve, compose(eve.address, "x@example.net", "not theirs"), "x@example.net")
        words = next(parsed(eve.mail("not theirs")).iter_parts())
        assert "Relay access denied" in " ".join(words.get_content().split())
