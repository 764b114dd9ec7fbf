"""Messages made fit for every server: what they say stays, how it is written changes."""

from __future__ import annotations

import email
import email.policy
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.mime.scanner import scan
from smtp.queue.reencode import LINE_MOST, Measure, edits, rewritten


def fit(data: bytes) -> bytes:
    def read(start: int, stop: int) -> bytes:
        return data[start:stop]

    return b"".join(rewritten(len(data), edits(scan(data).root, read), read))


def is_fit(data: bytes) -> bool:
    return data.isascii() and max(len(line) for line in data.split(b"\r\n")) <= LINE_MOST


def leaves(data: bytes) -> list[bytes]:
    """What each part decodes to."""
    whole = email.message_from_bytes(data, policy=email.policy.compat32)
    return [one.get_payload(decode=True) for one in whole.walk() if not one.is_multipart()]


HEAD = b"From: ann@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n"


def test_what_is_fit_is_not_touched() -> None:
    for body in (b"", b"Hello\r\n", b"=3D\r\n.\r\n", b"a" * 998 + b"\r\n"):
        whole = HEAD + b"Content-Type: text/plain\r\n\r\n" + body
        assert edits(scan(whole).root, lambda a, b, whole=whole: whole[a:b]) == []  # type: ignore[misc]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        ("Grüße aus Köln, a line that is mostly plain.\r\n", b"quoted-printable"),
        ("你好，世界。\r\n", b"base64"),
        ("word " * 400 + "\r\n", b"quoted-printable"),
        ("x" * 200_000 + "\r\nshort\r\n", b"quoted-printable"),
        ("trailing space \r\nund ä\t\r\n.\r\nFrom here\r\n", b"quoted-printable"),
    ],
)
def test_text_becomes_what_suits_it(body: str, encoding: bytes) -> None:
    whole = HEAD + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body.encode()
    made = fit(whole)
    assert is_fit(made)
    assert made.count(b"Content-Transfer-Encoding:") == 1 and b"Content-Transfer-Encoding: " + encoding in made
    assert leaves(made) == [body.encode()]


def test_text_without_a_label_gets_one() -> None:
    made = fit(b"From: ann@example.test\r\n\r\nGr\xc3\xbc\xc3\x9fe, and some more words\r\n")
    assert b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding:" in made
    assert b"charset" not in fit(b"From: ann@example.test\r\n\r\nGr\xfc\xdfe, and some more words\r\n")


MIXED = (
    HEAD
    + b'Content-Type: multipart/mixed; boundary="b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--b\r\n'
    + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe und Worte\r\n--b\r\n"
    + b"Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\x01\xff\xfe\r\n--b\r\n"
    + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b\r\n"
    + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + b"Subject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ninn\xc3\xa9r words of it\r\n--b--\r\nepilogue\r\n"
)


def test_each_part_by_itself() -> None:
    made = fit(MIXED)
    assert is_fit(made)
    assert [one.rstrip(b"\r\n") for one in leaves(made)] == [
        "Grüße und Worte".encode(),
        b"\x01\xff\xfe",
        b"\x00\x01\x02",
        "innér words of it".encode(),
    ]
    assert b"8bit" not in made and b"binary" not in made, "labels say what is there"
    assert made.startswith(HEAD) and b"preamble\r\n" in made and made.endswith(b"epilogue\r\n")
    assert fit(made) == made


def test_what_is_signed_is_left_alone() -> None:
    inside = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
    )
    whole = (
        HEAD
        + b'Content-Type: multipart/signed; boundary="s"; micalg=pgp-sha256; protocol="application/pgp-signature"\r\n'
        + b"\r\n--s\r\n"
        + inside
        + b"--s\r\nContent-Type: application/pgp-signature\r\n\r\nabc\r\n--s--\r\n"
    )
    assert fit(whole) == whole


def test_long_header_lines_are_folded() -> None:
    whole = (
        b"From: ann@example.test\r\nReferences:"
        + b" <a@example.test>" * 200
        + b"\r\nX-Long: "
        + b"y" * 1200
        + b"\r\n\r\nHi\r\n"
    )
    made = fit(whole)
    lines = made.split(b"\r\n")
    assert [line[:8] for line in lines if len(line) > LINE_MOST] == [b"X-Long: "], "white space is nowhere in it"
    assert all(line.strip() for line in lines[: lines.index(b"")])
    unfolded = email.message_from_bytes(made)["References"].replace("\r\n", "").replace("\n", "")
    assert unfolded.split() == ["<a@example.test>"] * 200


@given(
    body=st.lists(
        st.sampled_from([b"a", b"=", b" ", b"\t", b".", b"\r\n", b"\xc3\xa9", b"\xff", b"-" * 700]), max_size=40
    ),
    text=st.booleans(),
)
def test_any_body_decodes_to_itself(body: list[bytes], text: bool) -> None:
    kind = b"text/plain" if text else b"application/octet-stream"
    whole = HEAD + b"Content-Type: " + kind + b"\r\n\r\n" + b"".join(body)
    made = fit(whole)
    assert is_fit(made)
    assert leaves(made) == [b"".join(body)]


@given(octets=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_a_measure_is_the_same_however_it_is_cut(octets: bytes, cuts: list[int]) -> None:
    measure = Measure()
    for start, stop in pairwise([0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]):
        measure.feed(octets[start:stop])
    assert (measure.size, measure.high) == (len(octets), sum(one > 127 for one in octets))
