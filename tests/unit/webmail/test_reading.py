"""What is shown of names and subjects: nothing that hides or reverses, and letters that join stay joined."""

from __future__ import annotations

import pytest

from data.mime.part import Part
from webmail.reading import files, readable, visible
from webmail.rows import headline

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def file(size: int, name: str = "", subtype: str = "octet-stream") -> Part:
    return Part(
        0,
        0,
        size,
        type="application",
        subtype=subtype,
        encoding="base64",
        disposition="attachment",
        disposition_params=((("filename", name),) if name else ()),
    )


@pytest.mark.parametrize("text", [f"We are {FAMILY}", "می\u200cخواهم", "ක්\u200dෂ"])
def test_a_subject_keeps_what_joins_its_letters(text: str) -> None:
    assert readable(text) == text and headline(text, 1) == text


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\u2066", "\ufeff", "\x07", "\u200d", "\u200c"])
def test_a_subject_keeps_nothing_that_hides_or_reverses(hidden: str) -> None:
    assert readable(f"pay{hidden}pal {hidden}") == "paypal"


def test_names_and_addresses_keep_no_joiners() -> None:
    assert visible("a\u200db\u200cc") == "abc" and visible("李\u200c雷") == "李雷"


def test_a_file_of_no_known_kind_is_a_file() -> None:
    shown = [files(file(100, name, subtype))[0].kind for name, subtype in (("", "octet-stream"), ("", "pdf"))]
    assert shown == ["FILE", "PDF"]


@pytest.mark.parametrize("octets", [0, 3, 57, 300, 20_971_520])
def test_sizes_do_not_count_line_ends(octets: int) -> None:
    """As a base64 body of 76 characters a line, each with its CRLF, is stored."""
    characters = octets // 3 * 4 + (4 if octets % 3 else 0)
    stored = characters + 2 * -(-characters // 76)
    assert 0 <= files(file(stored))[0].size - octets <= 2
