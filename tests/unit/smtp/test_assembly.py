"""A message while it arrives."""

from __future__ import annotations

import pytest

from smtp import reply
from smtp.reply import Refused
from smtp.transaction.assembly import Assembly


def assembly(*, size: int = 1000, header: int = 200, hops: int = 3) -> Assembly:
    return Assembly(max_size=size, max_header=header, max_line=120, hops=hops)


def fed(octets: bytes, stride: int) -> Assembly:
    one = assembly()
    for at in range(0, len(octets), stride):
        one.feed(octets[at : at + stride])
    one.finish()
    return one


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("octets", "header"),
    [
        (b"A: 1\r\nB: 2\r\n\r\nbody\r\n", b"A: 1\r\nB: 2\r\n\r\n"),
        (b"\r\nbody\r\n", b"\r\n"),
        (b"A: 1\r\n", b"A: 1\r\n"),
        (b"", b""),
        (b"A: 1\r\n\r\n\r\n\r\n", b"A: 1\r\n\r\n"),
    ],
)
def test_the_header_is_found(octets: bytes, header: bytes, stride: int) -> None:
    one = fed(octets, stride)
    assert one.header == header
    assert one.size == len(octets)
    assert one.take() == octets
    assert one.held == 0


def test_nothing_is_kept_after_a_take() -> None:
    one = assembly()
    one.feed(b"A: 1\r\n\r\nx")
    assert one.take() == b"A: 1\r\n\r\nx"
    one.feed(b"y")
    one.finish()
    assert one.take() == b"y"
    assert one.size == 10


def refused(one: Assembly, octets: bytes, stride: int = 50) -> reply.Reply:
    with pytest.raises(Refused) as no:
        for at in range(0, len(octets), stride):
            one.feed(octets[at : at + stride])
        one.finish()
    assert one.held == 0
    return no.value.reply


def test_O1_a_header_over_the_bound() -> None:
    assert refused(assembly(), b"A: " + b"x" * 300) is reply.HEADER_TOO_BIG
    assert refused(assembly(), b"A: 1\r\n" * 100) is reply.HEADER_TOO_BIG
    assert refused(assembly(), b"A: " + b"x" * 220 + b"\r\n\r\n", 1000) is reply.HEADER_TOO_BIG


def test_O1_a_header_without_an_end_is_refused_as_it_comes() -> None:
    one = assembly(size=1_000_000)
    with pytest.raises(Refused) as no:
        for _ in range(10):
            assert one.held <= 200
            one.feed(b"A: 1\r\n" * 10)
    assert no.value.reply is reply.HEADER_TOO_BIG
    assert one.held == 0


def test_O1_a_header_line_over_its_bound() -> None:
    assert refused(assembly(), b"A: 1\r\nB: " + b"x" * 130 + b"\r\n\r\n") is reply.HEADER_TOO_BIG
    one = assembly()
    one.feed(b"A: " + b"x" * 80 + b"\r\nB: " + b"x" * 80 + b"\r\n\r\n")
    assert one.header is not None


def test_O3_a_message_over_the_bound() -> None:
    assert refused(assembly(), b"A: 1\r\n\r\n" + b"x" * 1000) is reply.TOO_BIG


def test_O1_a_long_body_line_is_mail() -> None:
    one = assembly(size=10_000)
    one.feed(b"A: 1\r\n\r\n" + b"x" * 9000 + b"\r\n")
    one.finish()
    assert len(one.take()) == 9010


def test_hops_are_counted() -> None:
    assert refused(assembly(), b"Received: a\r\nRECEIVED : b\r\nreceived: c\r\n\r\n") is reply.TOO_MANY_HOPS
    one = assembly()
    one.feed(b"Received: a\r\nX-Received: b\r\nSubject: x\r\n received: c\r\nReceived: d\r\n\r\nReceived: e\r\n")
    one.finish()
    assert one.header is not None
