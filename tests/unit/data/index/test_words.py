"""Text to words: folding, scripts, addresses, positions and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.index.match import LEAF_WORDS, Leaf, Section, end_of, holds, leaf_of
from data.index.words import WORD_LENGTH, Words, fold, gather, phrase_of
from data.store import keys as k

END = 1_000_000


def words(text: str) -> Words:
    found: Words = {}
    gather(text, found, 0, END)
    return found


FOLDED = [
    ("Müller", "muller"),
    ("MU\u0308LLER", "muller"),
    ("Straße", "strasse"),
    ("Łódź", "lodz"),
    ("Ærø", "aero"),
    ("İstanbul", "istanbul"),
    ("ＡＢＣ１２３", "abc123"),
    ("ﬁle", "file"),
    ("ΣΑΣ", "σασ"),
    ("σας", "σασ"),
    ("がぎ", "がぎ"),
    ("ｶﾞ", "ガ"),
    ("한국어", "한국어"),
]


@pytest.mark.parametrize(("text", "folded"), FOLDED)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_words_have_positions() -> None:
    assert words("One two, one_2") == {"one": [0, 2], "two": [1], "2": [3]}


def test_numbers_are_words() -> None:
    assert words("RE-2026/0815: 1.234,56") == {"re": [0], "2026": [1], "0815": [2], "1": [3], "234": [4], "56": [5]}
    assert holds(leaf_of(k.AnyText("2026/0815")), words("Invoice RE-2026-0815 of May"))


def test_cjk_is_cut_into_characters_and_pairs() -> None:
    assert words("a月度报告b") == {
        "a": [0], "月": [1], "月度": [1], "度": [2], "度报": [2], "报": [3], "报告": [3], "告": [4], "b": [5]
    }  # fmt: skip


@pytest.mark.parametrize("part", ["月", "度报", "月度报告", "告", "2026年月", "年月度报告书"])
def test_any_part_of_a_cjk_text_is_found(part: str) -> None:
    assert holds(leaf_of(k.AnyText(part)), words("公司2026年月度报告书"))


@pytest.mark.parametrize("other", ["度月", "月报", "报告月", "年度"])
def test_what_is_not_part_of_it_is_not_found(other: str) -> None:
    assert not holds(leaf_of(k.AnyText(other)), words("公司2026年月度报告书"))


def test_an_address_is_a_whole_and_its_parts() -> None:
    found = words("From Ann <Ann.Lee@Mail.example.test>, or mailto:bob@example.org.")
    assert found["ann.lee@mail.example.test"] == [2]
    assert found["bob@example.org"] == [9]
    assert found["lee"] == [3]
    assert phrase_of("ANN.LEE@mail.example.test") == (("ann.lee@mail.example.test", 0),)
    for asked in ("ann.lee", "mail.example", "lee@mail", "example.org", "bob"):
        assert holds(leaf_of(k.AnyText(asked)), found), asked
    assert not holds(leaf_of(k.AnyText("lee@mail.example.test")), found)


def test_a_phrase_stays_inside_its_field() -> None:
    found: Words = {}
    gather("quick brown", found, Section.SUBJECT, end_of(Section.SUBJECT))
    gather("fox quick", found, Section.BODY, end_of(Section.BODY))
    assert holds(leaf_of(k.AnyText("quick brown")), found)
    assert not holds(leaf_of(k.AnyText("brown fox")), found)
    assert holds(leaf_of(k.Stored(k.Field.SUBJECT, "brown")), found)
    assert not holds(leaf_of(k.Stored(k.Field.SUBJECT, "fox")), found)
    assert holds(leaf_of(k.Body("fox quick")), found)
    assert not holds(leaf_of(k.Stored(k.Field.FROM, "quick")), found)


def test_bounds() -> None:
    assert list(words("x" * 200)) == ["x" * WORD_LENGTH]
    assert phrase_of("x" * 200) == (("x" * WORD_LENGTH, 0),)
    assert len(leaf_of(k.AnyText("a " * 500)).phrase) == LEAF_WORDS
    crowded: Words = {}
    assert gather("a b c d e", crowded, 0, 3) == 3
    assert crowded == {"a": [0], "b": [1], "c": [2]}


def test_nothing_to_look_for_is_everywhere() -> None:
    assert holds(leaf_of(k.AnyText("!?")), words("hello"))


TEXTS = st.text(st.sampled_from("ab éßA月度报1@.-_ \n'\u0301"), max_size=40)


@given(TEXTS, st.data())
def test_what_was_cut_out_of_a_text_at_words_is_found_in_it(text: str, data: st.DataObject) -> None:
    parts = text.split()
    if not parts:
        return
    first = data.draw(st.integers(0, len(parts) - 1))
    last = data.draw(st.integers(first, len(parts) - 1))
    asked = " ".join(parts[first : last + 1])
    assert holds(leaf_of(k.AnyText(asked)), words(text))


@given(st.text(max_size=200))
def test_any_text_has_words(text: str) -> None:
    found = words(text)
    assert all(word and places == sorted(places) for word, places in found.items())
    assert isinstance(leaf_of(k.AnyText(text)), Leaf)


def test_long_texts_are_cut_between_words() -> None:
    text = "alpha beta " * 20_000
    found = words(text)
    assert set(found) == {"alpha", "beta"}
    assert len(found["alpha"]) == 20_000
    assert found["beta"][-1] == 39_999
