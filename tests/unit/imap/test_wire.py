"""Framing, case by case; tests/fuzz/test_imap_wire.py has the properties."""

from __future__ import annotations

import pytest

from imap.wire import Limits, Literal, Lost, Octets, Overlong, Text, Wire

LIMITS = Limits(line=40, literal=10, command=60, waste=100)


def wire(octets: bytes) -> Wire:
    made = Wire(LIMITS)
    made.feed(octets)
    return made


def test_lines() -> None:
    """CRLF and LF end a line; an empty one is a line."""
    one = wire(b"a NOOP\r\n\r\nb NOOP\nc")
    assert [one.next() for _ in range(4)] == [Text(b"a NOOP"), Text(b""), Text(b"b NOOP"), None]
    assert one.inside


def test_a_literal_waits_for_a_decision() -> None:
    """Nothing comes until it was made; then the literal stands behind its count."""
    one = wire(b"a LOGIN {3}\r\nx\r\n {2+}\r\nyz\r\n")
    assert one.next() == Literal(b"a LOGIN {3}\r\n", 3, sync=True)
    assert one.next() is None
    one.collect()
    assert one.next() == Literal(b"a LOGIN {3}\r\nx\r\n {2+}\r\n", 2, sync=False)
    one.collect()
    assert one.next() == Text(b"a LOGIN {3}\r\nx\r\n {2+}\r\nyz")


def test_a_refused_literal_ends_its_command() -> None:
    """The client was not told to send it."""
    one = wire(b"a LOGIN {3}\r\n")
    assert isinstance(one.next(), Literal)
    one.refuse()
    one.feed(b"b NOOP\r\n")
    assert one.next() == Text(b"b NOOP")


def test_one_on_its_way_cannot_be_refused() -> None:
    """Its octets come whatever is said."""
    one = wire(b"a LOGIN {3+}\r\n")
    one.next()
    with pytest.raises(ValueError, match="non-synchronizing"):
        one.refuse()
    one.skip()
    one.feed(b"xyz rest\r\n")
    assert one.next() == Text(b" rest")


def test_a_streamed_literal_comes_in_pieces() -> None:
    """And the line goes on behind it."""
    one = wire(b"a APPEND x {5}\r\n")
    one.next()
    one.stream()
    one.feed(b"ab")
    assert one.next() == Octets(b"ab", last=False)
    assert one.next() is None
    one.feed(b"cde\r\nb NOOP\r\n")
    assert [one.next() for _ in range(3)] == [Octets(b"cde", last=True), Text(b""), Text(b"b NOOP")]


def test_an_empty_streamed_literal() -> None:
    """Its last piece is there at once."""
    one = wire(b"a APPEND x {0+}\r\n\r\n")
    one.next()
    one.stream()
    assert [one.next(), one.next()] == [Octets(b"", last=True), Text(b"")]


def test_an_overlong_line_is_thrown_away() -> None:
    """It is told as soon as it is too long, and the next line is read."""
    one = wire(b"a " + b"x" * 50)
    assert isinstance(one.next(), Overlong)
    one.feed(b"xxx\r\nb NOOP\r\n")
    assert one.next() == Text(b"b NOOP")


@pytest.mark.parametrize("tail", [b" {3+}\r\nabc\r\n", b"x" * 200])
def test_what_cannot_be_skipped_ends_it(tail: bytes) -> None:
    """A literal behind an overlong line, and a line without end."""
    one = wire(b"a " + b"x" * 50)
    one.next()
    one.feed(tail + b"b NOOP\r\n")
    assert isinstance(one.next(), Lost)
    one.feed(b"c NOOP\r\n")
    assert one.next() is None


def test_literals_count_towards_the_command() -> None:
    """Many small ones are as much as a large one."""
    one = wire(b"a {9+}\r\n" + b"x" * 9 + b" {9+}\r\n" + b"x" * 9 + b" {9+}\r\n" + b"x" * 9 + b" {9+}\r\n")
    admitted = []
    while isinstance(event := one.next(), Literal):
        admitted.append(one.admits(event))
        one.collect()
    assert admitted == [True, True, True, False]


def test_drop_forgets_everything() -> None:
    """What came before TLS is not to be trusted."""
    one = wire(b"a STARTTLS\r\nb LOGIN {3}\r\n")
    one.next()
    one.next()
    one.drop()
    assert not one.inside
    one.feed(b"c NOOP\r\n")
    assert one.next() == Text(b"c NOOP")
