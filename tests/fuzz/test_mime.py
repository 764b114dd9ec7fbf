"""Random messages against the scanner: cutting changes nothing, nothing raises, layouts and ranges hold."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from data.mime import sections, structure
from data.mime.facts import facts_of, facts_of_file
from data.mime.part import Part, decode_layout, encode_layout, slim
from data.mime.plaintext import text_of, texts
from data.mime.scanner import Limits, Scan, Scanner, scan

# Pieces that make messages whose parts nest, end early, overlap and never end.
_PIECES = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--", b"-", b"--a", b"--a\r\n", b"\r\n--a\r\n", b"\r\n--a--\r\n", b"\r\n--ab\r\n",
    b"\r\n--ab--", b"\n--b\n", b"\r\n--b--\r\n", b"--aa", b"\r\n--", b" ", b"\t", b":", b"text", b"\0", b"\xe4",
    b"\xc3\xa4", b"Content-Type: multipart/mixed; boundary=a\r\n", b"Content-Type: multipart/digest; boundary=b\r\n",
    b'Content-Type: multipart/alternative; boundary="ab"\r\n\r\n', b"Content-Type: message/rfc822\r\n",
    b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n", b"Content-Type: text/html\r\n\r\n<p>",
    b"Content-Type: multipart/mixed\r\n", b"Subject: =?utf-8?q?=C3=A4?= x\r\n y\r\n", b"From: a@example.org\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''%e2; filename*1=b\r\n", b"Content-Transfer-Encoding: base64\r\n",
    b"x" * 70, b"y" * 1100,
]  # fmt: skip

messages = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(_PIECES), max_size=40).map(b"".join))
small_limits = st.builds(
    Limits,
    nesting=st.integers(1, 6),
    parts=st.integers(2, 8),
    header=st.integers(10, 200),
    boundary=st.integers(1, 3),
)


def piecewise(message: bytes, cuts: list[int], limits: Limits) -> Scan:
    scanner = Scanner(limits, window=1)
    at = 0
    for cut in cuts:
        scanner.feed(message[at : at + cut])
        at += cut
    scanner.feed(message[at:])
    return scanner.finish()


@given(messages, st.lists(st.integers(0, 30), max_size=30), small_limits)
def test_whole_equals_any_cut(message: bytes, cuts: list[int], limits: Limits) -> None:
    for bounds in (limits, Limits()):
        whole = scan(message, bounds)
        assert piecewise(message, cuts, bounds) == whole
        assert piecewise(message, [1] * len(message), bounds) == whole


def inside(part: Part, start: int, end: int) -> None:
    """Every part lies within its parent's body, and siblings follow one another."""
    assert start <= part.header_start <= part.body_start <= part.body_end <= end
    at = part.body_start
    for child in part.parts:
        inside(child, at, part.body_end)
        at = child.body_end


@given(messages)
def test_parts_lie_in_their_parents(message: bytes) -> None:
    found = scan(message)
    inside(found.root, 0, len(message))
    assert found.size == len(message)
    for part in found.root.walk():
        assert part.lines == message.count(b"\n", part.body_start, part.body_end)


@given(messages)
def test_layout_round_trip(message: bytes) -> None:
    root = scan(message).root
    assert decode_layout(encode_layout(root)) == slim(root)


@given(messages, st.binary(max_size=60))
def test_facts_never_raise_and_can_be_stored(message: bytes, prefix: bytes) -> None:
    known = facts_of(message, prefix)
    assert known == facts_of_file(io.BytesIO(message), None, prefix)
    for text in (known.preview, known.subject, known.base_subject, known.from_, known.to, known.cc, known.bcc):
        assert "\0" not in text
        text.encode("utf-8")
    assert len(known.preview) <= 200
    assert known.envelope.startswith(b"(")


@given(messages, st.lists(st.integers(0, 4), max_size=4), st.sampled_from(["", "HEADER", "TEXT", "MIME"]))
def test_sections_lie_in_the_message(message: bytes, path: list[int], kind: str) -> None:
    found = sections.locate(scan(message).root, tuple(path), kind)
    assert found is None or 0 <= found[0] <= found[1] <= len(message)


@given(messages, st.frozensets(st.sampled_from([b"subject", b"from", b"content-type"])))
def test_selected_fields_and_the_others_are_the_header(message: bytes, names: frozenset[bytes]) -> None:
    header = scan(message).header
    chosen = sections.select_fields(header, names, invert=False)
    others = sections.select_fields(header, names, invert=True)
    blank = next((end for end in (b"\r\n", b"\n") if chosen.endswith(end) and others.endswith(end)), b"")
    assert len(chosen) + len(others) in (len(header), len(header) + len(blank))


@given(messages)
def test_texts_never_raise(message: bytes) -> None:
    root = scan(message).root

    def fetch(start: int, end: int) -> bytes:
        return message[start:end]

    text_of(root, fetch).encode("utf-8")
    for _, text in texts(root, fetch):
        text.encode("utf-8")
    assert structure.body(root, fetch).count(b"(") >= 1
