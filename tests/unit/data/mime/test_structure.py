"""ENVELOPE, BODY and BODYSTRUCTURE as bytes on the wire."""

from __future__ import annotations

import pytest

from data.mime.scanner import Limits, scan
from data.mime.structure import body, bodystructure, envelope, nstring, string


def rendered(message: bytes, limits: Limits | None = None) -> bytes:
    return bodystructure(scan(message, limits or Limits()).root, lambda start, end: message[start:end])


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (b"", b'""'),
        (b"a b", b'"a b"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a\tb", b'"a\tb"'),
        (b"caf\xc3\xa9", b"{5}\r\ncaf\xc3\xa9"),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\0b", b'"ab"'),
        (b"a\0\xff", b"{2}\r\na\xff"),
        (b"x" * 1000, b'"' + b"x" * 1000 + b'"'),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_string(value: bytes, wire: bytes) -> None:
    assert string(value) == nstring(value) == wire
    assert nstring(None) == b"NIL"


def test_envelope() -> None:
    header = (
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nSubject: IMAP4rev2 WG mtg\r\n  summary and minutes\r\n"
        b"From: Terry Gray <gray@cac.example>\r\nTo: imap@cac.example\r\nCc: minutes@cnri.example,\r\n"
        b" John Klensin <klensin@mit.example>\r\nMessage-ID: <B27397-0100000@cac.example>\r\nIn-Reply-To: <a@b>\r\n\r\n"
    )
    author = b'(("Terry Gray" NIL "gray" "cac.example"))'
    assert envelope(header) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg  summary and minutes" '
        + b" ".join([author] * 3)
        + b' ((NIL NIL "imap" "cac.example")) ((NIL NIL "minutes" "cnri.example")("John Klensin" NIL "klensin" '
        b'"mit.example")) NIL "<a@b>" "<B27397-0100000@cac.example>")'
    )


def test_an_empty_header_is_all_nil() -> None:
    assert envelope(b"\r\n") == b"(" + b" ".join([b"NIL"] * 10) + b")"


def test_sender_and_reply_to_default_to_from() -> None:
    found = envelope(b"From: a@x.example\r\nSender:\r\nReply-To: r@x.example\r\n\r\n")
    author = b'((NIL NIL "a" "x.example"))'
    assert found == b"(NIL NIL " + author + b" " + author + b' ((NIL NIL "r" "x.example")) NIL NIL NIL NIL NIL)'


def test_groups_are_marked_by_a_host_of_nil() -> None:
    found = envelope(b"To: Team: a@x.example, B <b@x.example>;, c@x.example\r\n\r\n")
    members = b'(NIL NIL "a" "x.example")("B" NIL "b" "x.example")'
    assert b'((NIL NIL "Team" NIL)' + members + b'(NIL NIL NIL NIL)(NIL NIL "c" "x.example"))' in found


def test_a_mailbox_without_domain_is_no_group() -> None:
    assert b'((NIL NIL "root" ""))' in envelope(b"To: root\r\n\r\n")


def test_octets_beyond_ascii_stay_as_they_are() -> None:
    found = envelope(b"From: J\xf6rg <j@x.example>\r\nSubject: \xc3\xa0\xe4\r\n\r\n")
    assert b"{3}\r\n\xc3\xa0\xe4" in found
    assert b"({4}\r\nJ\xf6rg NIL" in found


def test_single_part() -> None:
    assert rendered(b"\r\nHello\r\n") == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1 NIL NIL NIL NIL)'
    message = b"Content-Type: image/png\r\nContent-ID: <x>\r\nContent-Description: a picture\r\n\r\nxyz"
    assert rendered(message) == b'("image" "png" NIL "<x>" "a picture" "7bit" 3 NIL NIL NIL NIL)'


def test_all_extension_fields() -> None:
    message = (
        b"Content-Type: application/pdf; name=a.pdf\r\nContent-MD5: abc==\r\nContent-Location: here\r\n"
        b"Content-Language: en, de\r\nContent-Disposition: Attachment; filename*=utf-8''%E2%82%AC.pdf\r\n"
        b"Content-Transfer-Encoding: BASE64\r\n\r\neA=="
    )
    assert rendered(message) == (
        b'("application" "pdf" ("name" "a.pdf") NIL NIL "base64" 4 "abc==" '
        b'("attachment" ("filename*" "utf-8\'\'%E2%82%AC.pdf")) ("en" "de") "here")'
    )
    short = body(scan(message).root, lambda start, end: message[start:end])
    assert short == b'("application" "pdf" ("name" "a.pdf") NIL NIL "base64" 4)'


MULTIPART = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\r\n\r\n--b--\r\n"
)


def test_multipart_with_embedded_message() -> None:
    inner = b'(NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "html" ("charset" "utf-8") NIL NIL "7bit" 5 1'
    assert rendered(MULTIPART) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL)'
        b'("message" "rfc822" NIL NIL NIL "7bit" 63 ' + inner + b" NIL NIL NIL NIL) 4 NIL NIL NIL NIL)"
        b' "mixed" ("boundary" "b") NIL NIL NIL)'
    )
    assert body(scan(MULTIPART).root, lambda start, end: MULTIPART[start:end]) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0)'
        b'("message" "rfc822" NIL NIL NIL "7bit" 63 ' + inner + b') 4) "mixed")'
    )


def test_opaque_parts_are_octets() -> None:
    found = rendered(MULTIPART, Limits(nesting=1))
    size = len(MULTIPART) - MULTIPART.index(b"--b")
    assert found == b'("application" "octet-stream" ("boundary" "b") NIL NIL "7bit" %d NIL NIL NIL NIL)' % size


def test_every_multipart_has_a_part() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n"
    empty = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'
    assert rendered(message) == b"(" + empty + b' "mixed" ("boundary" "b") NIL NIL NIL)'
