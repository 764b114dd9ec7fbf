"""The search box's language: what each form means, and that nothing typed is an error."""

from __future__ import annotations

from datetime import date

import pytest

from data.reason import Reason
from data.store import keys as k
from data.store.keys import AnyText, Field, Flag, HasFlag, Internal, Not, Or, Stored, When
from data.store.query import LENGTH, TERMS, VALUE, Query, parse

UNREAD = Not(HasFlag(Flag.SEEN))


def day(y: int, m: int = 1, d: int = 1) -> int:
    return date(y, m, d).toordinal() - date(1970, 1, 1).toordinal()


def both(*found: k.SearchKey) -> k.SearchKey:
    return k.And(found)


def to(value: str) -> k.SearchKey:
    return Or(Or(Stored(Field.TO, value), Stored(Field.CC, value)), Stored(Field.BCC, value))


MEANINGS: list[tuple[str, k.SearchKey]] = [
    ("", both()),
    ("   ", both()),
    ("invoice", AnyText("invoice")),
    ("two words", both(AnyText("two"), AnyText("words"))),
    ('"two words"', AnyText("two words")),
    ("“two words”", AnyText("two words")),
    ("-draft", Not(AnyText("draft"))),
    ('-"not this"', Not(AnyText("not this"))),
    ("e-mail", AnyText("e-mail")),
    ("a OR b", Or(AnyText("a"), AnyText("b"))),
    ("a OR b OR c", Or(Or(AnyText("a"), AnyText("b")), AnyText("c"))),
    ("x a OR b y", both(AnyText("x"), Or(AnyText("a"), AnyText("b")), AnyText("y"))),
    ("a OR -b", Or(AnyText("a"), Not(AnyText("b")))),
    ('"OR"', AnyText("OR")),
    ("or", AnyText("or")),
    ("from:ann", Stored(Field.FROM, "ann")),
    ("FROM:ann", Stored(Field.FROM, "ann")),
    ("from：ann", Stored(Field.FROM, "ann")),
    ('from:"ann lee"', Stored(Field.FROM, "ann lee")),
    ("-from:ann", Not(Stored(Field.FROM, "ann"))),
    ("to:bob", to("bob")),
    ("subject:report", Stored(Field.SUBJECT, "report")),
    ("has:attachment", k.HasAttachment()),
    ("-has:Attachments", Not(k.HasAttachment())),
    ("is:unread", UNREAD),
    ("is:read", HasFlag(Flag.SEEN)),
    ("is:starred", HasFlag(Flag.FLAGGED)),
    ("is:answered", HasFlag(Flag.ANSWERED)),
    ("is:draft", HasFlag(Flag.DRAFT)),
    ("before:2026-02-03", Internal(When.BEFORE, day(2026, 2, 3))),
    ("after:2026/2/3", Internal(When.SINCE, day(2026, 2, 3))),
    ("after:2026.02", Internal(When.SINCE, day(2026, 2))),
    ("before:2026", Internal(When.BEFORE, day(2026))),
    ("https://example.org/a", AnyText("https://example.org/a")),
    ("12:30", AnyText("12:30")),
    ("!!! ...", both()),
    ("- -", both()),
    ("月度报告", AnyText("月度报告")),
    ("报告　月度", both(AnyText("报告"), AnyText("月度"))),
]


@pytest.mark.parametrize(("text", "key"), MEANINGS, ids=[text or "empty" for text, _ in MEANINGS])
def test_what_is_typed_has_a_meaning(text: str, key: k.SearchKey) -> None:
    assert parse(text) == Query(key)


MISTAKES: list[tuple[str, k.SearchKey, list[Reason]]] = [
    ('"no end', both(AnyText("no"), AnyText("end")), [Reason("search.quote")]),
    ('from:"ann lee', both(Stored(Field.FROM, "ann"), AnyText("lee")), [Reason("search.quote")]),
    ('monitor 27" wide', both(AnyText("monitor"), AnyText("27"), AnyText("wide")), [Reason("search.quote")]),
    ("colour:red", AnyText("colour:red"), [Reason("search.operator")]),
    ("Re: hello", both(AnyText("re:"), AnyText("hello")), []),
    ("before:yesterday", AnyText("before:yesterday"), [Reason("search.value", {"operator": "before"})]),
    ("after:2026-13-01", AnyText("after:2026-13-01"), [Reason("search.value", {"operator": "after"})]),
    ("after:0000", AnyText("after:0000"), [Reason("search.value", {"operator": "after"})]),
    ("is:lost", AnyText("is:lost"), [Reason("search.value", {"operator": "is"})]),
    ("has:nothing", AnyText("has:nothing"), [Reason("search.value", {"operator": "has"})]),
    ("from:", AnyText("from:"), [Reason("search.empty", {"operator": "from"})]),
    ("in:", AnyText("in:"), [Reason("search.empty", {"operator": "in"})]),
    ("OR a", both(AnyText("OR"), AnyText("a")), [Reason("search.or")]),
    ("a OR", both(AnyText("a"), AnyText("OR")), [Reason("search.or")]),
    ("a OR OR b", both(Or(AnyText("a"), AnyText("OR")), AnyText("b")), [Reason("search.or")]),
]


@pytest.mark.parametrize(("text", "key", "hints"), MISTAKES, ids=[text for text, _, _ in MISTAKES])
def test_what_is_not_understood_is_searched_as_words(text: str, key: k.SearchKey, hints: list[Reason]) -> None:
    assert parse(text) == Query(key, hints=tuple(hints))


def test_mailboxes_are_named_apart_from_the_tree() -> None:
    assert parse('in:Work in:"My Things" -in:trash hello') == Query(
        AnyText("hello"), mailboxes=("work", "my things"), without=("trash",)
    )
    assert parse("in:inbox OR hello").hints == (Reason("search.or"),)
    assert parse("hello OR in:inbox") == Query(AnyText("hello"), mailboxes=("inbox",), hints=(Reason("search.or"),))


def test_nothing_asked_is_known() -> None:
    assert parse(" ... ").is_empty
    assert not parse("in:inbox").is_empty
    assert not parse("a").is_empty


def test_bounds() -> None:
    many = parse(" ".join(f"w{n}" for n in range(TERMS + 5)))
    assert isinstance(many.key, k.And)
    assert len(many.key.keys) == TERMS
    assert many.hints == (Reason("search.many", {"most": TERMS}),)
    long = parse("x" * (LENGTH + 1))
    assert long.key == AnyText("x" * VALUE)
    assert long.hints == (Reason("search.long", {"most": LENGTH}), Reason("search.long", {"most": VALUE}))
