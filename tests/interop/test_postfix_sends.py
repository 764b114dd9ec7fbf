"""Postfix from Debian's packages as the server that sends to our MX: opportunistic TLS, pipelining, refusals, sizes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from tests.interop.outside import Person, body, compose, fates, parsed, received
from tests.interop.postfix import Postfix


def test_a_message_comes_over_tls(postfix: Postfix, ann: Person) -> None:
    postfix.send(compose("alice@example.org", ann.address, "over tls"), ann.address)
    mail = ann.mail("over tls")
    ours = received(mail)[0]
    assert re.match(r"from mx\.example\.org \(.*\[127\.0\.0\.1\]\) by mail\.example\.test with ESMTPS ", ours), ours
    assert "TLSv1.3" in ours
    assert parsed(mail)["Return-Path"] == "<alice@example.org>"
    # "Trusted": it verified our certificate, though opportunistic TLS does not demand that
    postfix.await_log(r"Trusted TLS connection established to 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: TLSv1\.3")
    postfix.await_log(rf"to=<{ann.address}>.* dsn=2\.\d\.\d, status=sent \(250 2\.")


def test_it_pipelines_and_gives_one_message_to_many(postfix: Postfix, person: Callable[[], Person]) -> None:
    people = [person() for _ in range(8)]
    addresses = [one.address for one in people]
    postfix.send(compose("alice@example.org", ", ".join(addresses), "to many"), *addresses)
    for one in people:
        assert parsed(one.mail("to many"))["Delivered-To"] == one.address
    postfix.await_log(r"Using ESMTP PIPELINING")
    assert "unexpected" not in postfix.log()


def test_a_refused_recipient_bounces_and_the_other_gets_it(postfix: Postfix, ann: Person) -> None:
    octets = compose("carol@example.org", f"{ann.address}, nobody@example.test", "half of it")
    postfix.send(octets, ann.address, "nobody@example.test", sender="carol@example.org")
    assert ann.mail("half of it")
    report = parsed(postfix.mail("carol", "Undelivered Mail Returned to Sender"))
    _, fields = fates(report)
    assert fields["Final-Recipient"] == "rfc822; nobody@example.test"
    assert fields["Action"] == "failed"
    assert fields["Status"] == "5.1.1"
    assert str(fields["Diagnostic-Code"]).startswith("smtp; 550 5.1.1")


def test_large_and_awkward_mail_arrives_as_it_was(postfix: Postfix, ann: Person) -> None:
    lines = [".", "..", ".hidden", "From here", "grüße", "", "x" * 900]
    text = "".join(f"{lines[number % len(lines)]}\n" for number in range(42_000))
    octets = compose("alice@example.org", ann.address, "large", text)
    assert len(octets) > 5_000_000
    postfix.send(octets, ann.address)
    assert hashlib.sha256(body(ann.mail("large"))).digest() == hashlib.sha256(body(octets)).digest()


def test_addresses_and_fields_in_utf8(postfix: Postfix, ann: Person) -> None:
    octets = compose("alice@example.org", ann.address, "plain").replace(b"Subject: plain", "Subject: Grüße".encode())
    postfix.send(octets, ann.address, sender="zoë@example.org", options=("-O", "SMTPUTF8"))
    mail = ann.mail("Grüße")
    assert "Subject: Grüße".encode() in mail
    assert "Return-Path: <zoë@example.org>".encode() in mail
    assert "with UTF8SMTPS " in received(mail)[0]


def test_the_null_sender_and_parameters_of_dsn(postfix: Postfix, ann: Person) -> None:
    """Postfix sees that we offer DSN and hands the parameters on; both kinds of envelope are taken."""
    octets = compose("alice@example.org", ann.address, "with parameters")
    postfix.send(octets, ann.address, options=("-N", "delay,failure", "-R", "hdrs", "-V", "order.7"))
    assert ann.mail("with parameters")
    postfix.await_log(r"MAIL FROM:<alice@example\.org> .*ENVID=order\.7 RET=HDRS")
    postfix.await_log(rf"RCPT TO:<{ann.address}> .*NOTIFY=FAILURE,DELAY")
    postfix.send(compose("alice@example.org", ann.address, "from nobody"), ann.address, sender="<>")
    assert parsed(ann.mail("from nobody"))["Return-Path"] == "<>"
