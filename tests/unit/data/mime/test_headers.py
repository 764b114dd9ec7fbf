"""Fields, folding, encoded words and parameters."""

from __future__ import annotations

import pytest

from data.mime.headers import (
    decode_words,
    filename_text,
    find,
    find_all,
    first,
    index,
    parameters,
    split,
    uncommented,
    unfold,
)

BLOCK = (
    b"Subject: one\r\nno field at all\r\n of two lines\r\nTO : a,\r\n\tb\r\nsubject:two\r\n:no name\r\nEmpty:\r\n\r\n"
)


def test_split() -> None:
    assert split(BLOCK) == [(b"Subject", b" one"), (b"TO", b" a,\r\n\tb"), (b"subject", b"two"), (b"Empty", b"")]


def test_find_by_name_in_any_case() -> None:
    fields = split(BLOCK)
    assert find(fields, b"SUBJECT") == b" one"
    assert find_all(fields, b"subject") == [b" one", b"two"]
    assert find(fields, b"cc") is None
    assert first(index(BLOCK), b"to") == b" a,\r\n\tb\r"
    assert first(index(BLOCK), b"cc") is None


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b" a\r\n b\r\n\tc\r", b"a b\tc"), (b"a\n b", b"a b"), (b"", b""), (b" \r\n ", b""), (b"a\rb", b"a\rb")],
)
def test_unfold(raw: bytes, value: bytes) -> None:
    assert unfold(raw) == value


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?Q?a?=", "a"),
        # RFC 2047 §8
        (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
        (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        (b"=?iso-8859-1?q?caf=E9?= au lait", "café au lait"),
        (b"=?utf-8?b?5pel5g==?= =?utf-8?b?nKw=?=", "日本"),
        (b"=?utf-8*de?q?gr=C3=BCn?=", "grün"),
        (b"=?iso-2022-jp?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは"),
        (b"=?gb2312?B?xOO6ww==?=", "你好"),
        (b"=?x-unheard?q?=FFa?=", "\ufffda"),
        (b"=?utf-8?q?=0D=0ABcc:_x?=", " Bcc: x"),
        (b"=?utf-8?x?a?= =?utf-8?q?", "=?utf-8?x?a?= =?utf-8?q?"),
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?utf-8?b?YQ?=", "a"),
        (b"=?utf-8?b?YWJjZ?=", "abc"),
        ("grüße".encode(), "grüße"),
        ("grüße".encode("latin-1"), "grüße"),
        ("ä =?utf-8?q?=C3=A4?=".encode(), "ä ä"),
    ],
)
def test_decode_words(raw: bytes, text: str) -> None:
    assert decode_words(raw) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain", ("text/plain", ())),
        (b"TEXT/Plain; Charset=US-ASCII (Plain text)", ("text/plain", (("charset", "US-ASCII"),))),
        (b'a/b; x="q\\"uo;ted"; y = z ;;; w', ("a/b", (("x", 'q"uo;ted'), ("y", "z")))),
        (b"a/b; x=1; X=2", ("a/b", (("x", "1"),))),
        (b'a/b; x="never ends', ("a/b", (("x", "never ends"),))),
        (b"a/b; name=My file (1).pdf", ("a/b", (("name", "My file (1).pdf"),))),
        (b"(c) a/b (d (e)) ; x=1", ("a/b", (("x", "1"),))),
        # RFC 2231 §3, §4, §4.1
        (
            b'message/external-body; access-type=URL;\r\n URL*0="ftp://";\r\n URL*1="cs.example.org/pub/x.ps"',
            ("message/external-body", (("access-type", "URL"), ("url", "ftp://cs.example.org/pub/x.ps"))),
        ),
        (
            b"a/b; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            ("a/b", (("title", "This is ***fun***"),)),
        ),
        (
            b"a/b; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
            ("a/b", (("title", "This is even more ***fun*** isn't it!"),)),
        ),
        (b"a/b; n*2=c; n*0=a; n*1=b; n*4=x", ("a/b", (("n", "abc"),))),
        (b"a/b; n=plain; n*=utf-8''%C3%A4", ("a/b", (("n", "ä"),))),
        (b"a/b; n*=utf-8%C3%A4; m*x=1", ("a/b", (("n", "utf-8ä"), ("m", "")))),
        (b"", ("", ())),
        (b";", ("", ())),
    ],
)
def test_parameters(value: bytes, expected: tuple[str, tuple[tuple[str, str], ...]]) -> None:
    assert parameters(value) == expected


def test_parameters_are_bounded() -> None:
    assert len(parameters(b"a/b" + b"".join(b"; p%d=v" % n for n in range(60)))[1]) == 50
    assert len(parameters(b"a/b; a=1; b=2; c=3", 2)[1]) == 2


def test_comments() -> None:
    assert uncommented(b" base64 (really (yes \\) )) ") == "base64"
    assert uncommented(b"a (never closed") == "a"
    assert uncommented(b"a) b") == "a) b"


def test_filename_text() -> None:
    assert filename_text(None) is None
    assert filename_text("=?utf-8?Q?=C3=A4.txt?=") == "ä.txt"
    assert filename_text("a\r\nb") == "a b"
