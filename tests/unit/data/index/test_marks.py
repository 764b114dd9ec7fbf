"""What is marked in a line is what was asked, and the line stays the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.index.marks import marks_of
from data.store import keys as k
from data.store.query import parse

CASES = [
    ("invoice", "Invoice 17 invoiced", ["Invoice"]),
    ("muller", "Herr Müller, MULLER", ["Müller", "MULLER"]),
    ("strasse", "Große Straße 7", ["Straße"]),
    ("报告", "月度报告书，报告", ["报告", "报告"]),
    ("月度 度报", "月度报告", ["月度", "报"]),
    ("ann@example.test", "to ann@example.test", ["ann", "example", "test"]),
    ("-invoice bill", "invoice and bill", ["bill"]),
    ("a OR b", "a b c", ["a", "b"]),
    ("is:unread", "unread", []),
    ("colour:red", "red colour", ["red", "colour"]),
    ("!!!", "hey!!!", []),
]


@pytest.mark.parametrize(("query", "text", "marked"), CASES, ids=[query for query, _, _ in CASES])
def test_what_was_asked_is_marked(query: str, text: str, marked: list[str]) -> None:
    pieces = marks_of(parse(query).key).cut(text)
    assert [piece for piece, hit in pieces if hit] == marked
    assert "".join(piece for piece, _ in pieces) == text


def test_the_beginning_of_a_word_is_marked_alone() -> None:
    found = marks_of(parse("the quill", begun=True).key)
    assert found.cut("The quillwort") == (("The", True), (" ", False), ("quill", True), ("wort", False))
    assert found.cut("then") == (("then", False),)
    assert marks_of(parse("stras", begun=True).key).cut("Straße") == (("Straße", True),)


def test_a_field_marks_only_itself() -> None:
    key = parse("from:ann subject:bill").key
    in_subject = marks_of(key, lambda one: not (isinstance(one, k.Stored) and one.field is k.Field.FROM))
    assert in_subject.cut("ann bill") == (("ann ", False), ("bill", True))


@given(st.text(max_size=80), st.text(max_size=30))
def test_the_text_stays(text: str, query: str) -> None:
    pieces = marks_of(parse(query, begun=True).key).cut(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert all(piece for piece, _ in pieces)
