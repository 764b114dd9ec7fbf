"""ManageSieve's framing: the whole is the same as one octet at a time, and memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp.managesieve import response
from smtp.managesieve.session import Rules, Session
from smtp.managesieve.wire import AFTER_LOGIN, Atom, Event, Limits, Line, Lost, Malformed, Wire

SMALL = Limits(line=40, literal=20, waste=60)


def _events(octets: bytes, step: int, limits: Limits = AFTER_LOGIN) -> list[Event]:
    wire, found = Wire(limits), []
    for at in range(0, len(octets), step):
        wire.feed(octets[at : at + step])
        while (event := wire.next()) is not None:
            found.append(event)
    return found


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"noop\r\n", (Atom("NOOP"),)),
        (b"NOOP\n", (Atom("NOOP"),)),
        (b"\r\n", ()),
        (b'HAVESPACE "a b" 10\r\n', (Atom("HAVESPACE"), b"a b", 10)),
        (b'X "a\\"b\\\\c"\r\n', (Atom("X"), b'a"b\\c')),
        (b'X ""\r\n', (Atom("X"), b"")),
        (b"X {3+}\r\na\r\n\r\n", (Atom("X"), b"a\r\n")),
        (b"X {0+}\r\n\r\n", (Atom("X"), b"")),
        (b'X {2+}\r\nab "c" {1+}\r\nd 4\r\n', (Atom("X"), b"ab", b"c", b"d", 4)),
        (b"{2+}\r\nab\r\n", (b"ab",)),
        ('X "Büro"\r\n'.encode(), (Atom("X"), "Büro".encode())),
        (b"X 99999999999\r\n", (Atom("X"), 1 << 32)),
    ],
)
@pytest.mark.parametrize("step", [1, 3, 100_000])
def test_lines(octets: bytes, words: tuple[object, ...], step: int) -> None:
    assert _events(octets, step) == [Line(words)]


@pytest.mark.parametrize(
    "octets",
    [
        b'X "a\r\n',
        b'X "a"b\r\n',
        b"X {2+}\r\nabc\r\n",
        b"X{2+}\r\nab\r\n",
        b"X 1a\r\n",
        b'X "\\n"\r\n',
        b"X \0\r\n",
        b"X (a)\r\n",
    ],
)
def test_what_is_no_line(octets: bytes) -> None:
    (event, after) = _events(octets + b"NOOP\r\n", 1)
    assert isinstance(event, Malformed)
    assert after == Line((Atom("NOOP"),))


def test_a_literal_that_is_too_large_is_skipped() -> None:
    found = _events(b"X {50+}\r\n" + b"LOGOUT\r\n" * 6 + b"ab\r\nNOOP\r\n", 7, SMALL)
    assert found == [Malformed("That is too large", too_big=True), Line((Atom("NOOP"),))]
    # two that are too large together
    found = _events(b"X {15+}\r\n" + b"a" * 15 + b" {15+}\r\n" + b"b" * 15 + b"\r\nNOOP\r\n", 1, SMALL)
    assert [type(one) for one in found] == [Malformed, Line]


@pytest.mark.parametrize(
    "octets",
    [b"X {61+}\r\n" + b"a" * 61, b"X {99999999999999999999+}\r\n", b"X {3}\r\nabc\r\n", b"a" * 41, b'"' * 41 + b"\r\n"],
)
def test_what_cannot_be_skipped_ends_it(octets: bytes) -> None:
    wire = Wire(SMALL)
    wire.feed(octets)
    assert isinstance(wire.next(), Lost)
    wire.feed(b"\r\nNOOP\r\n")
    assert wire.next() is None
    assert wire.waiting == 0


def test_T1_what_came_before_tls_is_gone() -> None:
    wire = Wire()
    wire.feed(b"NOOP\r\nX {5+}\r\nab")
    assert wire.next() == Line((Atom("NOOP"),))
    wire.next()
    wire.drop()
    wire.feed(b"LOGOUT\r\n")
    assert wire.next() == Line((Atom("LOGOUT"),))


@given(
    st.lists(
        st.sampled_from(
            [b"X", b" ", b'"', b"\\", b"{3+}\r\n", b"{30+}\r\n", b"abc", b"\r\n", b"\n", b"7", b"{", b"\xff"]
        ),
        max_size=40,
    )
)
def test_the_whole_is_one_octet_at_a_time(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    assert _events(octets, 1, SMALL) == _events(octets, 1 << 20, SMALL)


@given(st.binary(max_size=300))
def test_anything_ends_in_events_and_bounded_memory(octets: bytes) -> None:
    wire = Wire(SMALL)
    for byte in octets:
        wire.feed(bytes([byte]))
        while wire.next() is not None:
            pass
        assert wire.waiting <= 61


@given(st.text(max_size=50))
def test_a_string_comes_back_as_it_was(text: str) -> None:
    octets = response.string(text)
    line = octets.replace(b"}\r\n", b"+}\r\n", 1) if octets.startswith(b"{") else octets
    (event,) = _events(b"X " + line + b"\r\n", 1)
    assert isinstance(event, Line)
    assert event.words[1] == text.encode("utf-8", "replace")


def test_answers() -> None:
    assert response.ok() == b"OK\r\n"
    assert response.no("a\r\nb", b"TRYLATER") == b"NO (TRYLATER) {4}\r\na\r\nb\r\n"
    assert response.bye('say "so"') == b'BYE "say \\"so\\""\r\n'


def test_T4_capabilities_follow_the_state() -> None:
    session = Session(Rules())
    assert b'"SASL" ""\r\n' in session.capabilities()
    assert b'"STARTTLS"\r\n' in session.capabilities()
    session.secure = True
    assert b'"SASL" "PLAIN"\r\n' in session.capabilities()
    assert b"STARTTLS" not in session.capabilities()
