"""Trace fields."""

from __future__ import annotations

from data.directory.facts import Resolution, Where
from data.ids import AccountId, Millis, OrganisationId
from data.mime.address import normal
from data.principal import Principal
from smtp.delivery import trace
from smtp.transaction.facts import Envelope, Recipient, Session, Tls, peer_of

NOW = Millis(1_767_225_600_000)


def session(host: str = "192.0.2.7") -> Session:
    return Session("c0ffee", peer_of(host, 4711), helo="mx.example.org", extended=True)


def envelope(*recipients: str, smtputf8: bool = False) -> Envelope:
    found = [Recipient(one, normal(one), Resolution(Where.DELIVER)) for one in recipients]
    return Envelope("0123456789", "bob@example.org", smtputf8=smtputf8, recipients=found)


def text(one: Session, mail: Envelope) -> str:
    return trace.received(one, mail, hostname="mail.example.test", now=NOW).decode()


def test_received_over_smtp() -> None:
    assert text(session(), envelope("ann@example.test")) == (
        "Received: from mx.example.org ([192.0.2.7])\r\n\tby mail.example.test with ESMTP\r\n"
        "\tid 0123456789\r\n\tfor <ann@example.test>;\r\n\tThu, 1 Jan 2026 00:00:00 +0000\r\n"
    )


def test_one_recipient_only_is_named() -> None:
    assert "for <" not in text(session(), envelope("ann@example.test", "bob@example.test"))


def test_tls_and_utf8() -> None:
    one = session("2001:db8::7")
    one.tls = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    line = text(one, envelope("ann@example.test", smtputf8=True))
    assert "([IPv6:2001:db8::7])" in line
    assert "with UTF8SMTPS\r\n\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n" in line


def test_submitted_mail_does_not_say_from_where() -> None:
    one = session()
    one.tls = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    one.principal = Principal(AccountId(1), OrganisationId(1), "ann@example.test")
    line = text(one, envelope("ann@example.test"))
    assert line.startswith("Received: by mail.example.test with ESMTPSA")
    assert "192.0.2.7" not in line and "mx.example.org" not in line


def test_protocol_names() -> None:
    def name(extended: bool, tls: bool, signed_in: bool, smtputf8: bool) -> str:
        return trace.protocol(extended=extended, tls=tls, signed_in=signed_in, smtputf8=smtputf8)

    assert name(False, False, False, False) == "SMTP"
    assert name(True, False, False, False) == "ESMTP"
    assert name(True, True, False, False) == "ESMTPS"
    assert name(True, False, True, False) == "ESMTPA"
    assert name(True, True, True, False) == "ESMTPSA"
    assert name(True, True, True, True) == "UTF8SMTPSA"


def test_a_hostile_hello_name_cannot_open_a_comment() -> None:
    one = session()
    for helo, shown in (
        ("a(b", "unknown"),
        ("münchen.test", "xn--mnchen-3ya.test"),
        (None, "unknown"),
        ("[1.2.3.4]", "[1.2.3.4]"),
    ):
        one.helo = helo
        assert f"from {shown} (" in text(one, envelope("ann@example.test"))


def test_who_saw_it_before() -> None:
    header = b"Delivered-To: Ann@Example.test\r\nX: y\r\nDELIVERED-TO:\tbob@example.test\r\n\r\n"
    assert trace.seen_by(header) == {"ann@example.test", "bob@example.test"}
    assert trace.return_path("") == b"Return-Path: <>\r\n"
    assert trace.delivered_to("ann@example.test") == b"Delivered-To: ann@example.test\r\n"


def test_peers() -> None:
    four, six = peer_of("192.0.2.7", 1), peer_of("2001:db8:1:2:3::7", 1)
    assert (four.head, four.network, four.loopback) == ("192.0.2.7", "192.0.2.0/24", False)
    assert (six.head, six.network) == ("2001:db8:1:2::/64", "2001:db8:1:2::/64")
    assert peer_of("127.0.0.9", 1).loopback and peer_of("::1", 1).loopback
