"""Messages that we write, read back by ourselves and by the standard library's parser."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.ids import Millis
from data.mime import encode
from data.mime.address import Address, AddressError
from data.mime.compose import Attachment, Draft, Report, compose, compose_report
from data.mime.decode import transfer_decode
from data.mime.facts import facts_of
from data.mime.headers import decode_words, parameters, split
from data.mime.scanner import scan

DRAFT = Draft(
    Address("Ann Example", "ann", "example.test"),
    Millis(1_793_697_072_000),
    "id@example.test",
    to=(Address(None, "bob", "example.org"),),
    subject="Hello",
    text="Hello Bob,\n\nhow are you?\n",
)


def parsed(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def fit_for_transport(octets: bytes) -> None:
    """ASCII, CRLF, no line over 998, no header line over 78 that could have been folded."""
    found = scan(octets)
    assert not (found.eightbit or found.nul or found.bare)
    assert found.longest_line == 998
    assert max(map(len, found.header.split(b"\r\n"))) <= 78
    assert octets.endswith(b"\r\n")


def test_a_plain_message() -> None:
    octets = compose(DRAFT)
    fit_for_transport(octets)
    names = [name for name, _ in split(octets.partition(b"\r\n\r\n")[0] + b"\r\n")]
    assert names == [
        *(b"From", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type"),
        b"Content-Transfer-Encoding",
    ]
    assert octets.endswith(b"\r\n\r\nHello Bob,\r\n\r\nhow are you?\r\n")
    known = facts_of(octets)
    assert (known.from_, known.to, known.subject) == ("Ann Example <ann@example.test>", "bob@example.org", "Hello")
    assert (known.sent_at, known.message_id) == (DRAFT.date, "id@example.test")


def test_bcc_only_in_the_own_copy() -> None:
    draft = replace(DRAFT, bcc=(Address("Secret", "secret", "example.org"),))
    assert b"ecret" not in compose(draft)
    assert facts_of(compose(draft, with_bcc=True)).bcc == "Secret <secret@example.org>"


def test_everything_at_once() -> None:
    draft = replace(
        DRAFT,
        sender=Address('Ann "Ä", Dr.', "ann b", "bücher.example"),
        cc=(Address("Doe, John", "john", "example.org"), Address("日本の名前" * 8, "j", "example.org")),
        reply_to=(Address(None, "reply", "example.test"),),
        subject="Grüße aus Wien: " + "sehr lange Betreffzeile " * 8,
        in_reply_to=("one@example.org",),
        references=tuple(f"{number}@example.org" for number in range(20)),
        text="Grüße\n.\nFrom here\ntrailing \n" + "x" * 2_000,
        html="<p>Grüße <img src='cid:pic@x'></p>",
        attachments=(
            Attachment(b"\x89PNG", "image/png", "pic.png", "pic@x"),
            Attachment(bytes(range(256)) * 10, "application/pdf", 'na"me; ü.pdf'),
            Attachment(b"data", "no type at all", None),
        ),
        extra=(("X-Mailer", "Mailstead"),),
    )
    octets = compose(draft)
    fit_for_transport(octets)
    message = parsed(octets)
    assert message["From"].addresses[0].display_name == 'Ann "Ä", Dr.'
    assert message["From"].addresses[0].addr_spec == '"ann b"@xn--bcher-kva.example'
    assert message["Cc"].addresses[0].display_name == "Doe, John"
    assert facts_of(octets).cc == f"Doe, John <john@example.org>, {'日本の名前' * 8} <j@example.org>"
    assert facts_of(octets).subject == draft.subject
    assert message["References"].split() == [f"<{number}@example.org>" for number in range(20)]
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        *("multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"),
        *("application/pdf", "application/octet-stream"),
    ]
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == draft.text + "\n"
    assert "Grüße" in html.get_content()
    attached = list(message.iter_attachments())
    assert [each.get_filename() for each in attached] == ['na"me; ü.pdf', None]
    assert attached[0].get_content() == bytes(range(256)) * 10
    assert facts_of(octets).has_attachment


def test_ids_that_cannot_be_written_are_left_out() -> None:
    octets = compose(replace(DRAFT, in_reply_to=("ä@x", "a b@x", "a>@x"), references=("ä@x", "ok@x")))
    assert b"In-Reply-To" not in octets
    assert b"References: <ok@x>\r\n" in octets


def test_an_empty_subject() -> None:
    assert b"\r\nSubject:\r\n" in compose(replace(DRAFT, subject=""))


def test_an_address_beyond_ascii_makes_utf8_headers() -> None:
    octets = compose(replace(DRAFT, to=(Address("Jörg", "jörg", "bücher.example"),), subject="für dich"))
    assert 'To: "Jörg" <jörg@xn--bcher-kva.example>\r\nSubject: für dich\r\n'.encode() in octets


@pytest.mark.parametrize(
    "address", [Address(None, "a", None), Address(None, "a", "no domain"), Address(None, "a\r\nb", "x")]
)
def test_addresses_that_cannot_be_written(address: Address) -> None:
    with pytest.raises(AddressError):
        compose(replace(DRAFT, to=(address,)))


@given(st.text(max_size=120), st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_value_leaves_its_field(subject: str, name: str, filename: str, identity: str) -> None:
    """RFC 5322 §2.2: whatever a person types, the fields are those that were meant, and no more."""
    draft = replace(
        DRAFT,
        sender=Address(name, "ann", "example.test"),
        subject=subject,
        in_reply_to=(identity,),
        attachments=(Attachment(b"x", "text/plain", filename),),
    )
    octets = compose(draft)
    assert octets.isascii()
    assert not scan(octets).bare
    names = [field for field, _ in split(scan(octets).header) if field != b"In-Reply-To"]
    assert names == [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type"]
    assert len(scan(octets).root.parts) == 2


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=200))
def test_subjects_come_back(text: str) -> None:
    wire = encode.unstructured("Subject", text)
    assert max(map(len, wire.split(b"\r\n"))) <= 78 or b" " not in wire[9:].strip()
    assert decode_words(wire[8:]) == text


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=150))
def test_parameters_come_back(text: str) -> None:
    wire = encode.parameters("Content-Type", "a/b", (("name", text),))
    assert parameters(wire[13:])[1] == (("name", text),)
    assert max(map(len, wire.split(b"\r\n"))) <= 90


@given(st.text(st.characters(codec="utf-8"), max_size=300), st.booleans())
def test_texts_come_back(text: str, lines: bool) -> None:
    text = text.replace("\0", "")
    text = text * 3 if lines else text
    octets = compose(replace(DRAFT, text=text))
    fit_for_transport(octets + b"\r\n")
    root = scan(octets).root
    back = transfer_decode(octets[root.body_start :], root.encoding).decode("utf-8")
    # A text ends its last line.
    expected = re.sub(r"\r\n?|\n", "\r\n", text)
    assert back in (expected, expected + "\r\n")


ORIGINAL = b"From: ann@example.test\r\nSubject: lost\r\n\r\n"
REPORT = Report(
    (
        (("Reporting-MTA", "dns; mail.example.test"), ("Arrival-Date", "Tue, 3 Nov 2026 10:11:12 +0000")),
        (("Final-Recipient", "rfc822; bob@example.org"), ("Action", "failed"), ("Status", "5.1.1")),
    ),
    ORIGINAL,
)


def test_a_delivery_report() -> None:
    octets = compose_report(replace(DRAFT, extra=(("Auto-Submitted", "auto-replied"),)), REPORT)
    fit_for_transport(octets)
    message = parsed(octets)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    words, status, original = message.iter_parts()
    assert words.get_content().startswith("Hello Bob")
    groups = status.get_payload()
    assert isinstance(groups, list)
    assert isinstance(groups[0], Message)
    assert isinstance(groups[1], Message)
    assert groups[0]["Reporting-MTA"] == "dns; mail.example.test"
    assert groups[1]["Status"] == "5.1.1"
    assert original.get_content_type() == "text/rfc822-headers"


def test_a_report_returns_octets_as_they_were() -> None:
    hostile = b"Subject: \xff\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n\x80"
    whole = compose_report(DRAFT, replace(REPORT, original=hostile, headers_only=False))
    assert hostile in whole
    assert whole.count(b"Content-Transfer-Encoding: 8bit\r\n") == 2
    assert [part.subtype for part in scan(whole).root.parts] == ["plain", "delivery-status", "rfc822"]
    header = compose_report(DRAFT, replace(REPORT, original=b"Subject: \xff\r\n\r\n"))
    assert b"Content-Type: message/global-headers\r\n" in header


def test_an_attached_message_is_not_encoded() -> None:
    inner = compose(DRAFT)
    octets = compose(replace(DRAFT, attachments=(Attachment(inner, "message/rfc822", "inner.eml"),)))
    fit_for_transport(octets)
    assert inner in octets
    assert scan(octets).root.parts[1].is_message
