"""What MIME fields say of a body."""

from __future__ import annotations

import pytest

from data.mime.content import DIGEST, Content, content, token
from data.mime.headers import index


def of(block: bytes) -> Content:
    return content(index(block))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/html", ("text", "html", ())),
        (b"TEXT/HTML; CHARSET=UTF-8", ("text", "html", (("charset", "UTF-8"),))),
        (b'multipart/mixed;\r\n\tboundary="----=_Part_1"', ("multipart", "mixed", (("boundary", "----=_Part_1"),))),
        (b"multipart/mixed; boundary=a=b", ("multipart", "mixed", (("boundary", "a=b"),))),
        (b'a/b; x=""', ("a", "b", (("x", ""),))),
        (b"application / pdf ; name = x", ("application", "pdf", (("name", "x"),))),
        (b"application/vnd.ms-excel.sheet+xml", ("application", "vnd.ms-excel.sheet+xml", ())),
        (b"text", ("text", "plain", ())),
        (b"", ("text", "plain", ())),
        (b"a/b/c", ("text", "plain", ())),
        (b'"text/html"', ("text", "plain", ())),
        (b"text/html charset=utf-8", ("text", "plain", ())),
    ],
)
def test_media(value: bytes, expected: tuple[str, str, tuple[tuple[str, str], ...]]) -> None:
    assert of(b"Content-Type: " + value + b"\r\n\r\n")[:3] == expected


def test_defaults() -> None:
    assert of(b"Subject: x\r\n\r\n") == ("text", "plain", (), "7bit", None, None, None, (), (), None, None)
    assert content({}, DIGEST)[:2] == ("message", "rfc822")
    assert content(index(b"Content-ID: <x>\r\n\r\n"), DIGEST)[:2] == ("message", "rfc822")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b" Base64\r", "base64"),
        (b'"8BIT"', "8bit"),
        (b"quoted-printable (comment)", "quoted-printable"),
        (b"(c) binary", "binary"),
        (b"x-own; y", "x-own"),
        (b"", ""),
        (b"\xff", ""),
    ],
)
def test_token(raw: bytes, expected: str) -> None:
    assert token(raw) == expected


def test_the_first_field_counts() -> None:
    assert of(b"Content-Type: a/b\r\ncontent-type: c/d\r\n\r\n")[:2] == ("a", "b")


def test_everything_else() -> None:
    found = of(
        b"Content-Disposition: INLINE (c); FileName=a.txt\r\nContent-Language: en , de-AT (c),,\r\nContent-ID:\r\n <a@b>\r\n"
        b"Content-Description: =?utf-8?q?x?= \xff\r\nContent-Location: http://x/\r\n y\r\nContent-MD5: Q\0==\r\n\r\n"
    )
    assert (found.disposition, found.disposition_params) == ("inline", (("filename", "a.txt"),))
    assert found.language == ("en", "de-AT")
    assert found.content_id == "<a@b>"
    assert found.description == "=?utf-8?q?x?= ÿ"
    assert (found.location, found.md5) == ("http://x/ y", "Q==")
    assert of(b"Content-Disposition: ;filename=x\r\n\r\n").disposition is None
