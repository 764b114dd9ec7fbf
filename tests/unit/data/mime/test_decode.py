"""Transfer-encodings and charsets."""

from __future__ import annotations

import codecs
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.mime.decode import CODECS, KNOWN, charset_codec, stream_decode, to_text, transfer_decode, unlabelled


@pytest.mark.parametrize(
    ("data", "encoding", "octets"),
    [
        (b"a=3Db", "7bit", b"a=3Db"),
        (b"a=3Db=\r\nc", "quoted-printable", b"a=bc"),
        (b"a \t\r\nb  ", "quoted-printable", b"a\r\nb"),
        (b"=ZZ=4", "quoted-printable", b"=ZZ=4"),
        (b"a_b", "quoted-printable", b"a_b"),
        (b"SGVs\r\nbG8=\r\n", "base64", b"Hello"),
        (b"SGVsbG8", "base64", b"Hello"),
        (b"S!G?Vs bG8=", "base64", b"Hello"),
        (b"SGVsbG8hX", "base64", b"Hello!"),
        (b"=", "base64", b""),
        (b"begin 644 x\r\n%:&5L;&\\ \r\n`\r\nend\r\n", "x-uuencode", b"hello"),
        (b"no beginning", "uuencode", b""),
        (b"x", "x-unheard-of", b"x"),
    ],
)
def test_transfer_decode(data: bytes, encoding: str, octets: bytes) -> None:
    assert transfer_decode(data, encoding) == octets
    assert transfer_decode(data, encoding, 2) == octets[:2]


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20), st.sampled_from(sorted(KNOWN)))
def test_streaming_decodes_the_same(data: bytes, cuts: list[int], encoding: str) -> None:
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(data[at : at + cut])
        at += cut
    pieces.append(data[at:])
    assert b"".join(stream_decode(pieces, encoding)) == transfer_decode(data, encoding)


def test_streaming_holds_little_of_a_line_without_end() -> None:
    pieces = [b"=3D" + b"a" * 60_000] * 20
    out = list(stream_decode(iter(pieces), "quoted-printable"))
    assert b"".join(out) == (b"=" + b"a" * 60_000) * 20
    assert max(map(len, out)) < 130_000


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"caf\xe9", "utf-8", "caf\ufffd"),
        (b"caf\xe9", None, "café"),
        (b"caf\xc3\xa9", "US-ASCII", "café"),
        (b"caf\xe9", "us-ascii", "café"),
        (b"caf\xe9 \x80", "ISO-8859-1", "café €"),
        (b"\xa4", "iso-8859-15", "€"),
        ("你好𠀀".encode("gb18030"), "gb2312", "你好𠀀"),
        ("こんにちは①".encode("cp932"), "Shift_JIS", "こんにちは①"),
        ("こんにちは".encode("iso-2022-jp"), "ISO-2022-JP", "こんにちは"),
        ("안녕".encode("cp949"), "ks_c_5601-1987", "안녕"),
        ("привет".encode("koi8-r"), " 'KOI8-R' ", "привет"),
        (b"+2AA-x", "utf-7", "?x"),
        (b"x\xe4", "no-such-charset", "x\ufffd"),
        (b"x", "unicode_escape", "x"),
        (b"abc", "idna", "abc"),
        (b"61", "hex", "61"),
    ],
)
def test_to_text(data: bytes, charset: str | None, text: str) -> None:
    assert to_text(data, charset) == text


@pytest.mark.parametrize("codec", sorted(set(CODECS.values())))
def test_every_codec_exists_and_takes_anything(codec: str) -> None:
    assert codecs.lookup(codec)
    everything = bytes(range(256)) * 3 + b"\x1b$B\x80~{\xff"
    for data in (everything, everything[::-1]):
        to_text(data, next(name for name, value in CODECS.items() if value == codec)).encode("utf-8")


def test_names_from_mail_are_never_imported() -> None:
    before = set(sys.modules)
    assert charset_codec("this") is None
    assert to_text(b"a", "antigravity") == "a"
    assert not {name for name in set(sys.modules) - before if "antigravity" in name or name.endswith(".this")}


def test_unlabelled() -> None:
    assert unlabelled(b"a") == "a"
    assert unlabelled("ä".encode()) == unlabelled(b"\xe4") == "ä"
