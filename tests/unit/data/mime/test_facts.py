"""Facts of a message."""

from __future__ import annotations

import io

import pytest

from data.mime.facts import facts, facts_of, facts_of_file, has_attachment, scan_file
from data.mime.part import decode_layout
from data.mime.scanner import scan

MESSAGE = (
    b'From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\nTo: a@example.test, "B, C" <b@example.test>\r\n'
    b"Cc: Team: c@example.test;\r\nSubject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Tue, 3 Nov 2026 10:11:12 +0100\r\n"
    b"Message-ID: <m@example.org>\r\nIn-Reply-To: <b@example.test>\r\nReferences: <a@example.test> <b@example.test>\r\n"
    b"\r\nThe text.\r\n"
)


def test_all_of_them() -> None:
    known = facts_of(MESSAGE)
    assert (known.size, known.header_size) == (len(MESSAGE), len(MESSAGE) - 11)
    assert (known.subject, known.base_subject) == ("Re: Grüße", "Grüße")
    assert known.from_ == "Jörg <joerg@example.org>"
    assert known.to == "a@example.test, B, C <b@example.test>"
    assert (known.cc, known.bcc) == ("c@example.test", "")
    assert known.sent_at == 1_793_697_072_000
    assert known.message_id == "m@example.org"
    assert known.references == ("a@example.test", "b@example.test")
    assert (known.preview, known.has_attachment) == ("The text.", False)
    assert known.envelope.startswith(b'("Tue, 3 Nov 2026 10:11:12 +0100" "Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?="')
    assert known.bodystructure == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 11 1 NIL NIL NIL NIL)'
    assert decode_layout(known.layout).body_start == known.header_size


def test_a_file_gives_the_same() -> None:
    file = io.BytesIO(MESSAGE)
    assert facts_of_file(file) == facts_of_file(file, scan_file(file)) == facts_of(MESSAGE)


def test_a_prefix_counts_as_the_beginning_of_the_header() -> None:
    prefix = b"Received: from x by y; Tue, 3 Nov 2026 10:11:13 +0100\r\nMessage-ID: <added@example.test>\r\n"
    scanned = scan(b"Subject: x\r\n\r\nbody")
    known = facts(scanned, lambda start, end: b"Subject: x\r\n\r\nbody"[start:end], prefix)
    assert known.size == scanned.size + len(prefix)
    assert known.header_size == scanned.root.body_start + len(prefix)
    assert (known.message_id, known.subject) == ("added@example.test", "x")
    assert known.envelope.endswith(b'"<added@example.test>")')
    assert decode_layout(known.layout).body_start == scanned.root.body_start


def test_bounds() -> None:
    message = b"Subject: " + b"s" * 3_000 + b"\r\nTo: " + b", ".join([b"someone@example.org"] * 900) + b"\r\n\r\n"
    known = facts_of(message)
    assert len(known.subject) == 1000
    assert 3_900 < len(known.to) <= 4_000
    assert known.to.endswith("someone@example.org")
    assert known.envelope.count(b'"someone"') == 900
    long_name = facts_of(b"From: " + b"x" * 9_000 + b" <a@example.org>\r\n\r\n")
    assert len(long_name.from_) == 4_000


def test_an_empty_group_shows_its_name() -> None:
    assert facts_of(b"To: undisclosed-recipients:;\r\n\r\n").to == "undisclosed-recipients"


@pytest.mark.parametrize(
    "subject", [b"a\0b", b"=?utf-7?q?+2AA-?=", b"=?utf-8?b?AAAA?=", b"\xff\xfe", b"=?utf-16?b?ANg=?="]
)
def test_texts_can_be_stored_anywhere(subject: bytes) -> None:
    known = facts_of(b"Subject: " + subject + b"\r\nFrom: " + subject + b" <a@example.org>\r\n\r\n" + subject)
    for text in (known.subject, known.base_subject, known.from_, known.preview):
        assert "\0" not in text
        text.encode("utf-8")


def part(header: bytes) -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
    return head + header + b"\r\n\r\nx\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("header", "attached"),
    [
        (b"Content-Type: application/pdf", True),
        (b"Content-Disposition: attachment", True),
        (b"Content-Type: text/plain; name=a.txt", True),
        (b"Content-Type: text/html", False),
        (b"Content-Type: text/calendar; name=i.ics", False),
        (b"Content-Type: image/png\r\nContent-ID: <x>", False),
        (b"Content-Type: image/png\r\nContent-ID: <x>\r\nContent-Disposition: attachment", True),
        (b"Content-Type: image/png", True),
        (b"Content-Type: message/rfc822", True),
        (b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", True),
        (b"Content-Type: message/delivery-status", False),
        (b"Content-Type: application/pgp-signature; name=s.asc\r\nContent-Disposition: attachment", False),
        (b"Content-Type: application/pkcs7-signature; name=smime.p7s", False),
        (b"Content-Type: multipart/alternative; boundary=c", False),
    ],
)
def test_has_attachment(header: bytes, attached: bool) -> None:
    assert has_attachment(scan(part(header)).root) is attached


def test_a_whole_message_is_not_its_own_attachment() -> None:
    assert not facts_of(b"Content-Type: text/plain; name=a.txt\r\n\r\nx").has_attachment
    assert facts_of(b"Content-Type: application/pdf\r\n\r\nx").has_attachment
