"""Sections of a message (RFC 9051 §6.4.5)."""

from __future__ import annotations

import pytest

from data.mime.scanner import scan
from data.mime.sections import locate, select_fields

MESSAGE = (
    b"Subject: all\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: single\r\n\r\nbody\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: multi\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
    b"--c\r\n\r\nc one\r\n--c\r\nContent-Type: image/gif\r\n\r\nc two\r\n--c--\r\n"
    b"--b--\r\n"
)
MULTI = b"Subject: multi\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
MULTI_TEXT = b"--c\r\n\r\nc one\r\n--c\r\nContent-Type: image/gif\r\n\r\nc two\r\n--c--"


def section(message: bytes, path: tuple[int, ...], kind: str) -> bytes | None:
    found = locate(scan(message).root, path, kind)
    return None if found is None else message[found[0] : found[1]]


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ((), "", MESSAGE),
        ((), "HEADER", b"Subject: all\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"),
        ((), "HEADER.FIELDS", b"Subject: all\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"),
        ((), "TEXT", MESSAGE[MESSAGE.index(b"preamble") :]),
        ((), "MIME", None),
        ((1,), "", b"plain"),
        ((1,), "MIME", b"Content-Type: text/plain\r\n\r\n"),
        ((1,), "HEADER", None),
        ((1,), "TEXT", None),
        ((1, 1), "", None),
        ((2,), "", b"Subject: single\r\n\r\nbody"),
        ((2,), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        ((2,), "HEADER", b"Subject: single\r\n\r\n"),
        ((2,), "HEADER.FIELDS.NOT", b"Subject: single\r\n\r\n"),
        ((2,), "TEXT", b"body"),
        ((2, 1), "", b"body"),
        ((2, 1), "MIME", b"Subject: single\r\n\r\n"),
        ((2, 1), "HEADER", None),
        ((2, 1, 1), "", None),
        ((2, 2), "", None),
        ((3,), "", MULTI + MULTI_TEXT),
        ((3,), "HEADER", MULTI),
        ((3,), "TEXT", MULTI_TEXT),
        ((3, 1), "", b"c one"),
        ((3, 1), "MIME", b"\r\n"),
        ((3, 2), "", b"c two"),
        ((3, 2), "MIME", b"Content-Type: image/gif\r\n\r\n"),
        ((3, 3), "", None),
        ((4,), "", None),
        ((0,), "", None),
        ((4_294_967_295,), "", None),
    ],
)
def test_sections(path: tuple[int, ...], kind: str, expected: bytes | None) -> None:
    assert section(MESSAGE, path, kind) == expected


def test_part_one_of_a_single_part_is_its_body() -> None:
    message = b"Subject: x\r\n\r\nbody\r\n"
    assert section(message, (1,), "") == b"body\r\n"
    assert section(message, (1,), "MIME") == b"Subject: x\r\n\r\n"
    assert section(message, (2,), "") is None
    assert section(message, (1, 1), "") is None
    assert section(message, (1,), "TEXT") is None


def test_a_message_that_is_a_message() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n"
    assert section(message, (1,), "") == b"Subject: in\r\n\r\nbody\r\n"
    assert section(message, (1,), "HEADER") == b"Subject: in\r\n\r\n"
    assert section(message, (1, 1), "") == b"body\r\n"
    assert section(message, (1, 1, 1), "") is None


HEADER = b"From: a\r\nno field\r\nSubject:\r\n folded\r\n\tagain\r\nX-Y : z\r\nfrom: b\r\n\r\n"


@pytest.mark.parametrize(
    ("names", "chosen", "others"),
    [
        ({b"from"}, b"From: a\r\nfrom: b\r\n\r\n", b"no field\r\nSubject:\r\n folded\r\n\tagain\r\nX-Y : z\r\n\r\n"),
        (
            {b"subject", b"x-y"},
            b"Subject:\r\n folded\r\n\tagain\r\nX-Y : z\r\n\r\n",
            b"From: a\r\nno field\r\nfrom: b\r\n\r\n",
        ),
        ({b"to"}, b"\r\n", HEADER),
        (set(), b"\r\n", HEADER),
    ],
)
def test_select_fields(names: set[bytes], chosen: bytes, others: bytes) -> None:
    assert select_fields(HEADER, frozenset(names), invert=False) == chosen
    assert select_fields(HEADER, frozenset(names), invert=True) == others


def test_a_header_without_blank_line_gets_none() -> None:
    assert select_fields(b"A: 1\r\nB: 2", frozenset({b"b"}), invert=False) == b"B: 2"
    assert select_fields(b"", frozenset({b"b"}), invert=True) == b""
