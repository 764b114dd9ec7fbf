"""The search box's language: what each form means, and that nothing typed is an error."""

from __future__ import annotations

from datetime import UTC, date, timedelta, timezone

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
    ("cc:bob", Stored(Field.CC, "bob")),
    ("body:hello", k.Body("hello")),
    ("invoi*", AnyText("invoi*", begun=True)),
    ("subject:invoi*", Stored(Field.SUBJECT, "invoi*", begun=True)),
    ('"invoi*"', AnyText("invoi*")),
    ("发件人：李静", Stored(Field.FROM, "李静")),
    ("来自:ann", Stored(Field.FROM, "ann")),
    ("收件人:bob", to("bob")),
    ("抄送:bob", Stored(Field.CC, "bob")),
    ("主题：报告", Stored(Field.SUBJECT, "报告")),
    ("正文:发票", k.Body("发票")),
    ("包含:附件", k.HasAttachment()),
    ("－状态:未读", Not(UNREAD)),
    ("状态:已读", HasFlag(Flag.SEEN)),
    ("is:星标", HasFlag(Flag.FLAGGED)),
    ("状态:已回复", HasFlag(Flag.ANSWERED)),
    ("晚于:2026年2月3日", Internal(When.SINCE, day(2026, 2, 3))),
    ("早于:2026年2月", Internal(When.BEFORE, day(2026, 2))),
    ("会议纪要：周会", AnyText("会议纪要:周会")),
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


def test_chinese_mailboxes_are_named() -> None:
    assert parse("位于:收件箱 -文件夹:垃圾邮件 a") == Query(AnyText("a"), mailboxes=("收件箱",), without=("垃圾邮件",))


BEGUN = [
    ("invoi", AnyText("invoi", begun=True)),
    ("the invoi", both(AnyText("the"), AnyText("invoi", begun=True))),
    ("invoice ", AnyText("invoice")),
    ('"the invoi"', AnyText("the invoi")),
    ("from:ma", Stored(Field.FROM, "ma", begun=True)),
    ("-dra", Not(AnyText("dra", begun=True))),
    ("a OR b", Or(AnyText("a"), AnyText("b", begun=True))),
    ("is:unread", UNREAD),
    ("colour:re", AnyText("colour:re", begun=True)),
]


@pytest.mark.parametrize(("text", "key"), BEGUN, ids=[text for text, _ in BEGUN])
def test_the_last_word_may_go_on_while_it_is_typed(text: str, key: k.SearchKey) -> None:
    assert parse(text, begun=True).key == key
    assert "begun=True" not in repr(parse(text).key)


def test_days_begin_where_the_reader_is() -> None:
    east, west = timezone(timedelta(hours=8)), timezone(timedelta(hours=-5))
    assert parse("after:2026-02-03", zone=east).key == Internal(When.SINCE, day(2026, 2, 3), 8 * 3_600_000)
    assert parse("before:2026-02-03", zone=west).key == Internal(When.BEFORE, day(2026, 2, 3), -5 * 3_600_000)
    assert parse("after:0001-01-01", zone=east).hints == ()
    assert parse("after:2026-02-03", zone=UTC) == parse("after:2026-02-03")


PIECES = [
    ("from:Maria  offer", [("from", "Maria", False), ("", "offer", False)]),
    ("-is:UNSEEN 状态:未读", [("is", "unread", True), ("is", "unread", False)]),
    ("a OR b OR c d", [("or", "a OR b OR c", False), ("", "d", False)]),
    ("x a OR -b", [("", "x", False), ("or", "a OR -b", False)]),
    ("a OR", [("", "a", False), ("", "OR", False)]),
    ("OR a", [("", "OR", False), ("", "a", False)]),
    ("a OR in:work b", [("", "a", False), ("in", "work", False), ("", "b", False)]),
    ("is:lost from: -in:trash", [("", "is:lost", False), ("", "from:", False), ("in", "trash", True)]),
    ('-"two words" has:attachment', [("", "two words", True), ("has", "attachment", False)]),
    ("before:2026-02 after:soon", [("before", "2026-02", False), ("", "after:soon", False)]),
    ('no" end', [("", "no", False), ("", "end", False)]),
    ("... !", []),
]


@pytest.mark.parametrize(("text", "pieces"), PIECES, ids=[text for text, _ in PIECES])
def test_the_pieces_of_a_query_can_be_taken_away(text: str, pieces: list[tuple[str, str, bool]]) -> None:
    query = parse(text)
    assert [(one.name, one.value, one.minus) for one in query.pieces] == pieces
    whole = {(one.name, one.value, one.minus) for one in query.pieces}
    for one in query.pieces:
        left = {(piece.name, piece.value, piece.minus) for piece in parse(query.less(one)).pieces}
        dangling = {("", "OR", False)} if " OR in:" in text else set()
        assert left - dangling == whole - {(one.name, one.value, one.minus)} or len(whole) < len(pieces), one
