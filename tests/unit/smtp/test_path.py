"""Reverse-paths and forward-paths."""

from __future__ import annotations

import pytest

from smtp.transaction.path import MAX_PATH, NULL, POSTMASTER, Path, quoted_local, split_path

GOOD = [
    ("<ann@example.test>", Path("ann", "example.test"), ""),
    ("<Ann.B@Example.TEST> SIZE=1", Path("Ann.B", "Example.TEST"), " SIZE=1"),
    (" <ann@example.test>", Path("ann", "example.test"), ""),
    ("ann@example.test", Path("ann", "example.test"), ""),
    ("ann@example.test BODY=8BITMIME", Path("ann", "example.test"), " BODY=8BITMIME"),
    ('<"ann b"@example.test>', Path("ann b", "example.test"), ""),
    (r'<"a\"b"@example.test>', Path('a"b', "example.test"), ""),
    ('<"a>b"@example.test>', Path("a>b", "example.test"), ""),
    ("<ann+tag@example.test>", Path("ann+tag", "example.test"), ""),
    ("<@a.test,@b.test:ann@example.test>", Path("ann", "example.test", routed=True), ""),
    ("<ann@[192.0.2.1]>", Path("ann", "[192.0.2.1]"), ""),
    ("<ann@[IPv6:2001:db8::1]>", Path("ann", "[IPv6:2001:db8::1]"), ""),
    ("<用户@例子.测试> SMTPUTF8", Path("用户", "例子.测试"), " SMTPUTF8"),
    ("<>", NULL, ""),
    ("<> BODY=7BIT", NULL, " BODY=7BIT"),
    ("<postmaster>", POSTMASTER, ""),
    ("<PostMaster>", POSTMASTER, ""),
]
BAD = [
    "",
    "<",
    ">",
    "<ann>",
    "ann",
    "<ann@>",
    "<@example.test>",
    "<ann@example.test",
    "<ann@example.test>x",
    "<ann@example.test.>",
    "<ann@.example.test>",
    "<ann..b@example.test>",
    "<.ann@example.test>",
    "<ann@a@example.test>",
    '<"x@ext.org">',
    '<""@example.test>',
    "<ann b@example.test>",
    "<ann@exam ple.test>",
    "<ann\\@example.test>",
    "<@a.test:>",
    "<ann@[192.0.2.1>",
    "<ann@example.test\x00>",
    "<" + "a" * MAX_PATH + "@example.test>",
]


@pytest.mark.parametrize(("text", "path", "rest"), GOOD)
def test_good(text: str, path: Path, rest: str) -> None:
    assert split_path(text) == (path, rest)


@pytest.mark.parametrize("text", BAD)
def test_bad(text: str) -> None:
    assert split_path(text) is None


def test_forms_that_ask_for_relaying() -> None:
    for text in (
        "<a%b.test@us.test>",
        "<b.test!a@us.test>",
        '<"a@b.test"@us.test>',
        "<@us.test:a@b.test>",
        "<a|b@us.test>",
    ):
        found = split_path(text)
        assert found is not None and found[0].relaying, text
    plain = split_path("<a.b+c@us.test>")
    assert plain is not None and not plain[0].relaying


def test_text_quotes_where_it_must() -> None:
    assert Path("ann", "Example.test").text("example.test") == "ann@example.test"
    assert Path('a "b\\', "x.test").text() == '"a \\"b\\\\"@x.test'
    assert POSTMASTER.text() == "postmaster"
    assert quoted_local("a..b") == '"a..b"'


def test_facts_of_a_path() -> None:
    assert NULL.null and not POSTMASTER.null
    assert Path("a", "[192.0.2.1]").literal
    assert not Path("ü", "x.test").ascii
