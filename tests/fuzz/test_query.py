"""Anything typed into the search box is a query: no exception, bounded, and the hints are the documented ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data.index.match import leaf_of
from data.store import keys as k
from data.store.query import TERMS, VALUE, parse

PIECES = st.sampled_from(
    [
        *('"', "“", "-", ":", "：", " ", "\t", "　", "OR", "or", "(", ")", "*", "\\", "\x00", "'", "//"),
        *("from:", "to:", "subject:", "has:", "in:", "is:", "before:", "after:", "x:", "from:-", "-in:"),
        *("attachment", "unread", "2026-02-30", "2026-02-03", "99999", "ann@example.test", "月度报告", "é", "\ud800"),
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=60).map("".join)
HINTS = {"search.quote", "search.operator", "search.value", "search.empty", "search.or", "search.long", "search.many"}


def leaves(key: k.SearchKey) -> list[k.SearchKey]:
    match key:
        case k.And(found):
            return [leaf for one in found for leaf in leaves(one)]
        case k.Or(left, right):
            return leaves(left) + leaves(right)
        case k.Not(inner):
            return leaves(inner)
        case _:
            return [key]


@given(TEXTS)
def test_anything_is_a_query(text: str) -> None:
    found = parse(text)
    assert {hint.code for hint in found.hints} <= HINTS
    assert len(leaves(found.key)) <= 3 * TERMS + 2
    for leaf in leaves(found.key):
        if isinstance(leaf, k.AnyText | k.Stored):
            assert 0 < len(leaf.value) <= VALUE + 21
            leaf_of(leaf)


@given(st.lists(st.from_regex(r"[a-np-z]{1,8}", fullmatch=True), max_size=10))
def test_plain_words_are_themselves(words: list[str]) -> None:
    found = parse(" ".join(words))
    assert found.hints == ()
    assert leaves(found.key) == [k.AnyText(word) for word in words]
