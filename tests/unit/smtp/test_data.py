"""Message octets off the wire."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp.transaction.data import ChunkDecoder, Damaged, DotDecoder

DOTTED = [
    (b".\r\n", b"", b""),
    (b"a\r\n.\r\n", b"a\r\n", b""),
    (b"a\r\n.\r\nMAIL FROM:<>\r\n", b"a\r\n", b"MAIL FROM:<>\r\n"),
    (b"..a\r\n.\r\n", b".a\r\n", b""),
    (b"...\r\n.\r\n", b"..\r\n", b""),
    (b".a\r\n.\r\n", b"a\r\n", b""),
    (b"\r\n.\r\n", b"\r\n", b""),
    (b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n", b""),
    (b"a.\r\n.b\r\n.\r\n", b"a.\r\nb\r\n", b""),
    (b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n"),
]
# RELIABILITY S1: ends of data that some other server might take for one
SMUGGLED = [
    b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r.\n", b"\n.\r", b"\r\n.\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
    b"\r\n\r.\r\n", b"\r\r\n.\r\n", b"\r\n.\n\r\n", b"\n\n.\r\n",
]  # fmt: skip


def decode(wire: list[bytes]) -> tuple[bytes, bytes, bool]:
    decoder = DotDecoder()
    out = b""
    for at, piece in enumerate(wire):
        out += decoder.feed(piece)
        if decoder.ended:
            return out, decoder.rest + b"".join(wire[at + 1 :]), True
    return out, b"", False


@pytest.mark.parametrize(("wire", "message", "rest"), DOTTED)
def test_dots(wire: bytes, message: bytes, rest: bytes) -> None:
    assert decode([wire]) == (message, rest, True)
    assert decode([wire[i : i + 1] for i in range(len(wire))]) == (message, rest, True)


@pytest.mark.parametrize("end", SMUGGLED)
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, 1000])
def test_S1_no_second_end_of_data(end: bytes, stride: int) -> None:
    wire = b"Subject: one\r\n\r\nbody" + end + b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n"
    with pytest.raises(Damaged):
        decode([wire[i : i + stride] for i in range(0, len(wire), stride)])


@given(
    st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\r\n.", b"\0", b"\r\n.\r\n", b"xyz"]), max_size=30)
)
@example([b"\r\n", b".", b"\r\n"])
def test_whole_is_byte_at_a_time(pieces: list[bytes]) -> None:
    wire = b"".join(pieces) + b"\r\n.\r\n"

    def outcome(parts: list[bytes]) -> object:
        try:
            return decode(parts)
        except Damaged:
            return Damaged

    # what is damaged stays damaged; the split decides nothing
    assert outcome([wire]) == outcome([wire[i : i + 1] for i in range(len(wire))]) == outcome([*pieces, b"\r\n.\r\n"])


@given(st.lists(st.text(alphabet=st.characters(blacklist_characters="\r\n\0"), max_size=20), max_size=20))
def test_round_trip(lines: list[str]) -> None:
    message = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogatepass")
    stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    assert decode([stuffed]) == (message, b"", True)


def test_chunks_check_line_ends_across_their_borders() -> None:
    decoder = ChunkDecoder()
    assert decoder.feed(b"a\r") + decoder.feed(b"\nb\r\n") == b"a\r\nb\r\n"
    assert decoder.finish() == b""


def test_a_last_line_is_completed() -> None:
    decoder = ChunkDecoder()
    assert decoder.feed(b"a\r\n.\r\nb") == b"a\r\n.\r\nb"
    assert decoder.finish() == b"\r\n"


@pytest.mark.parametrize("octets", [b"a\nb", b"a\rb", b"a\0b", b"\n", b"a\r\r\n"])
def test_damaged_chunks(octets: bytes) -> None:
    for parts in ([octets], [octets[i : i + 1] for i in range(len(octets))]):
        with pytest.raises(Damaged):
            decoder = ChunkDecoder()
            for part in parts:
                decoder.feed(part)
            decoder.finish()


def test_a_chunk_that_ends_in_cr() -> None:
    decoder = ChunkDecoder()
    decoder.feed(b"a\r")
    with pytest.raises(Damaged):
        decoder.finish()
