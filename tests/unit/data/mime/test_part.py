"""Parts and their layout."""

from __future__ import annotations

import pytest

from data.mime.part import LayoutError, Part, decode_layout, encode_layout, slim
from data.mime.scanner import scan

TREE = Part(
    0,
    120,
    4_000_000_000,
    "multipart",
    "mixed",
    (("boundary", "b"), ("x", "ü")),
    parts=(
        Part(130, 170, 200, params=(("charset", "UTF-8"),), encoding="base64", lines=3, description="left out"),
        Part(
            *(210, 300, 90_000, "image", "x-unheard-of", (("name", "a.png"),)),
            encoding="x-unheard-of",
            content_id="<cid@x>",
            disposition="inline",
            disposition_params=(("filename", "日本.png"), ("boundary", "")),
            language=("en",),
            md5="x",
            opaque=True,
        ),
        Part(90_010, 90_020, 90_100, "message", "rfc822", parts=(Part(90_020, 90_050, 90_100, lines=5),)),
    ),
)


def test_layout_round_trip() -> None:
    assert decode_layout(encode_layout(TREE)) == slim(TREE)


def test_layout_keeps_what_finds_and_decodes_and_names() -> None:
    kept = decode_layout(encode_layout(TREE))
    assert kept.param("boundary") is None
    assert kept.param("x") == "ü"
    image = kept.parts[1]
    assert (image.content_id, image.filename, image.opaque) == ("<cid@x>", "日本.png", True)
    assert kept.parts[0].description is None


def test_layout_of_a_plain_text_is_small() -> None:
    message = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b"x" * 2_000
    assert len(encode_layout(scan(message).root)) < 24


@pytest.mark.parametrize("cut", range(1, len(encode_layout(TREE))))
def test_a_cut_layout_is_an_error(cut: int) -> None:
    with pytest.raises(LayoutError):
        decode_layout(encode_layout(TREE)[:cut])


def test_foreign_bytes_are_an_error() -> None:
    layout = encode_layout(TREE)
    for damaged in (b"", b"\x02" + layout[1:], layout + b"\0", b"{}", b"\x01\xff\xff\xff"):
        with pytest.raises(LayoutError):
            decode_layout(damaged)


def test_walk_goes_in_the_order_of_the_message() -> None:
    assert [part.header_start for part in TREE.walk()] == [0, 130, 210, 90_010, 90_020]


def test_kinds() -> None:
    assert TREE.is_multipart
    assert TREE.parts[2].is_message
    assert not Part(0, 0, 0, "multipart", "mixed", opaque=True).is_multipart
    assert not Part(0, 0, 0, "message", "rfc822", opaque=True).is_message
    assert Part(0, 0, 0, params=(("name", "n"),)).filename == "n"
    assert Part(0, 0, 0).filename is None
