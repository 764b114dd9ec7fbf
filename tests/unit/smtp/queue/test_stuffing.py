"""Dot-stuffing: what the receiver un-stuffs is what we had, however it was cut; no bare line end leaves."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp.queue.stuffing import BareLineEnd, Stuffer


def stuff(pieces: list[bytes]) -> bytes:
    stuffer = Stuffer()
    return b"".join([stuffer.feed(piece) for piece in pieces]) + stuffer.finish()


def received(wire: bytes) -> bytes:
    """RFC 5321 §4.5.2 from the receiver's side: lines up to the lone dot, one leading dot removed."""
    message = b""
    for line in wire.split(b"\r\n"):
        if line == b".":
            break
        message += line.removeprefix(b".") + b"\r\n"
    assert wire == b".\r\n" or wire.endswith(b"\r\n.\r\n")
    return message


@given(
    lines=st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a.", b"text", b" .", b"\x00"]), max_size=12),
    ended=st.booleans(),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_the_receiver_gets_what_we_had(lines: list[bytes], ended: bool, cuts: list[int]) -> None:
    """Cut anywhere, also between CR and LF, the wire is the same and un-stuffs to the message."""
    message = b"\r\n".join(lines) + (b"\r\n" if ended and lines else b"")
    edges = [0, *sorted(min(c, len(message)) for c in cuts), len(message)]
    pieces = [message[a:b] for a, b in itertools.pairwise(edges)]
    whole = stuff([message])
    assert stuff(pieces) == whole
    expected = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    assert received(whole) == expected
    assert whole.count(b"\r\n.\r\n") + (whole == b".\r\n") == 1


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r.\n", b"\n.\r", b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n"],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_S2_bare_line_ends_never_leave(end: bytes, bytewise: bool) -> None:
    """Every smuggling end-of-data raises before the piece that holds it is given out."""
    message = b"hello" + end + b"MAIL FROM:<evil@example.test>\r\n"
    stuffer = Stuffer()
    out = b""
    with pytest.raises(BareLineEnd):
        for piece in [message[i : i + 1] for i in range(len(message))] if bytewise else [message]:
            out += stuffer.feed(piece)
        out += stuffer.finish()
    assert out.count(b"\r") == out.count(b"\n") == out.count(b"\r\n")
    assert b"MAIL" not in out
