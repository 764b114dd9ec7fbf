"""The standard library's SMTP client: both roles, both kinds of TLS, and CHUNKING by hand (RFC 3030)."""

from __future__ import annotations

import email.policy
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.interop.outside import Person, body, compose, parsed, received


@contextmanager
def submission(person: Person, listener: str) -> Iterator[smtplib.SMTP]:
    """A connection under TLS on which nobody has signed in."""
    house, port = person.house, person.house.port(listener)
    if listener == "submissions":
        with smtplib.SMTP_SSL("localhost", port, "client.example.org", timeout=20, context=house.tls()) as client:
            client.ehlo()
            yield client
    else:
        with smtplib.SMTP("localhost", port, "client.example.org", timeout=20) as client:
            client.starttls(context=house.tls())
            client.ehlo()
            yield client


@contextmanager
def mx(person: Person) -> Iterator[smtplib.SMTP]:
    """A connection to the MX under TLS."""
    with person.house.smtp() as client:
        client.starttls(context=person.house.tls())
        client.ehlo()
        yield client


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_signs_in_with_every_mechanism_and_sends(ann: Person, ben: Person, listener: str) -> None:
    with submission(ann, listener) as client:
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        # with and without an initial response (RFC 4954 §4)
        client.user, client.password = ann.address, ann.password
        code, _ = client.auth("plain", client.auth_plain, initial_response_ok=listener == "submission")
        assert code == 235
        # a second AUTH in a session is out of order (RFC 4954 §4)
        assert client.docmd("AUTH", "PLAIN")[0] == 503
        assert client.sendmail(ann.address, [ben.address], compose(ann.address, ben.address, "first")) == {}
        assert client.sendmail(ann.address, [ben.address], compose(ann.address, ben.address, "second")) == {}
    with submission(ann, listener) as client:
        client.user, client.password = ann.address, ann.password
        assert client.auth("login", client.auth_login)[0] == 235
    assert ben.mail("first")
    assert ben.mail("second")


def test_a_wrong_password_may_be_corrected(ann: Person) -> None:
    with submission(ann, "submissions") as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(ann.address, "not this")
        assert refused.value.smtp_code == 535
        client.login(ann.address, ann.password)


def test_some_recipients_are_refused(ann: Person, ben: Person) -> None:
    octets = compose("dora@example.net", ann.address, "some")
    with mx(ann) as client:
        refused = client.sendmail("dora@example.net", [ann.address, "nobody@example.test", "x@example.net"], octets)
    assert {address: code for address, (code, _) in refused.items()} == {
        "nobody@example.test": 550,
        "x@example.net": 550,
    }
    assert ann.mail("some")
    with mx(ann) as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail("dora@example.net", ["nobody@example.test"], octets)


def test_utf8_and_eight_bits(ann: Person, ben: Person) -> None:
    message = parsed(compose(ann.address, ben.address, "plain", "Grüße, 你好\n"))
    message.replace_header("Subject", "Grüße aus Köln")
    with submission(ann, "submission") as client:
        client.login(ann.address, ann.password)
        octets = message.as_bytes(policy=email.policy.SMTPUTF8)
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        assert client.sendmail(ann.address, [ben.address], octets, mail_options=options) == {}
    mail = ben.mail("Grüße aus Köln")
    assert "with UTF8SMTPSA " in received(mail)[0]
    assert "Subject: Grüße aus Köln\r\n".encode() in mail
    assert parsed(mail).get_content().strip() == "Grüße, 你好"


def test_chunks_of_every_size(ann: Person) -> None:
    octets = compose("dora@example.net", ann.address, "in chunks", ".\n..\nGrüße\n" * 3000)
    with mx(ann) as client:
        assert client.has_extn("chunking")
        assert client.mail("dora@example.net", ["BODY=8BITMIME"])[0] == 250
        assert client.rcpt(ann.address)[0] == 250
        for begin, end in ((0, 1), (1, 7), (7, 20_000), (20_000, len(octets))):
            # the command and its octets leave together, as pipelining allows
            client.send(f"BDAT {end - begin}\r\n".encode() + octets[begin:end])
            assert client.getreply()[0] == 250
        assert client.docmd("BDAT", "0 LAST")[0] == 250
        assert client.noop()[0] == 250
    mail = ann.mail("in chunks")
    assert body(mail) == body(octets)


def test_limits_are_told(ann: Person) -> None:
    with mx(ann) as client:
        most = int(client.esmtp_features["size"])
        assert client.mail("dora@example.net", [f"SIZE={most + 1}"])[0] == 552
        assert client.mail("dora@example.net", [f"SIZE={most}"])[0] == 250
        assert client.rset()[0] == 250
        assert client.verify(ann.address)[0] == 252
        assert client.docmd("STARTTLS")[0] in {502, 503}
        assert client.docmd("AUTH", "PLAIN")[0] in {502, 503}
