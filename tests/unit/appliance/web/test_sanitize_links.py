"""appliance.web.links and plain: targets, warnings (RELIABILITY N12), text as HTML."""

from __future__ import annotations

import pytest

from appliance.web import links, plain

TARGETS = [
    ("https://example.test/a?b=c#d", "https://example.test/a?b=c#d"),
    (" \x01http://example.test/", "http://example.test/"),
    ("ht\ntps://example.test/", "https://example.test/"),
    ("https://example.test/a b", "https://example.test/a%20b"),
    ("https://例子.test/", "https://例子.test/"),
    ("mailto:a@b.test", "mailto:a@b.test"),
    ("javascript:x", None),
    ("java\tscript:x", None),
    ("data:text/html,x", None),
    ("vbscript:x", None),
    ("file:///etc/passwd", None),
    ("/relative", None),
    ("//example.test/", None),
    ("#x", None),
    ("", None),
    ("http:example.test", None),
    ("http:/example.test", None),
    ("http:///x", None),
    ("http://", None),
    ("http://[::1", None),
    ("http://exa\u202emple.test/", None),
    ("http://example.test:99999/", None),
    ("https://" + "a" * 2_000, None),
    ("mailto:", None),
    ("mailto:a", None),
    ("mailto:a@b.test,c@d.test", None),
]


@pytest.mark.parametrize(("href", "expected"), TARGETS)
def test_targets(href: str, expected: str | None) -> None:
    found = links.target(href)
    assert (found.href if found else None) == expected


WARNINGS = [
    ("https://example.test/", "example.test", None),
    ("https://www.example.test/", "https://example.test/x", None),
    ("https://example.test/", "news.example.test", None),
    ("https://news.example.test/", "example.test", None),
    ("https://evil.test/", "example.test", "mismatch"),
    ("https://evil.test/", "https://www.example.test/login", "mismatch"),
    ("https://example.test.evil.test/", "example.test", "mismatch"),
    ("https://evil.test/", "click here", None),
    ("https://evil.test/", "Version 1.2", None),
    ("https://аpple.com/", "apple", "lookalike"),
    ("https://xn--pple-43d.com/", "apple", "lookalike"),
    ("https://аррӏе.com/", "x", "lookalike"),
    ("https://gοοgle.com/", "x", "lookalike"),
    ("https://xn--a.test/", "x", None),
    ("https://bücher.test/", "x", None),
    ("https://例子.test/", "x", None),
    ("https://日本ひらカタ.test/", "x", None),
    ("https://правда.test/", "x", None),
    ("https://bank.test@evil.test/", "x", "userinfo"),
]


@pytest.mark.parametrize(("href", "text", "warning"), WARNINGS)
def test_N12_a_link_that_does_not_say_where_it_leads(href: str, text: str, warning: str | None) -> None:
    found = links.target(href, text)
    assert (found.warning if found else None) == warning


NAMES = [
    ("Anna Berg", "anna@example.test", False),
    ("李 明", "li@example.test", False),
    ("Иван Петров", "ivan@example.test", False),
    ("ceo@example.test", "ceo@evil.test", True),
    ("ceo＠example.test", "ceo@evil.test", True),
    ("anna@example.test", "anna@example.test", False),
    ("An\u202ena", "anna@example.test", True),
    ("Pаypal", "x@evil.test", True),
]


@pytest.mark.parametrize(("name", "address", "warned"), NAMES)
def test_N12_a_name_that_poses_as_another(name: str, address: str, warned: bool) -> None:
    assert links.name_warning(name, address) is warned


REL = 'rel="noopener noreferrer nofollow" target="_blank"'
TEXTS = [
    ('a <b> & "c"', "a &lt;b&gt; &amp; &quot;c&quot;\n"),
    (
        "see https://example.test/a_(b).",
        f'see <a href="https://example.test/a_(b)" {REL}>https://example.test/a_(b)</a>.\n',
    ),
    ("(http://example.test/x)", f'(<a href="http://example.test/x" {REL}>http://example.test/x</a>)\n'),
    ("请看https://example.test/。谢谢", f'请看<a href="https://example.test/" {REL}>https://example.test/</a>。谢谢\n'),
    ("a@b.test, x", f'<a href="mailto:a@b.test" {REL}>a@b.test</a>, x\n'),
    ("[x]: javascript:alert(1)", "[x]: javascript:alert(1)\n"),
    ("a\n> b", 'a\n<blockquote class="quote">b\n</blockquote>'),
    (
        ">> b\n> c",
        '<blockquote class="quote"><blockquote class="quote">b\n</blockquote>c\n</blockquote>',
    ),
    ("a\n-- \nMe", 'a\n<div class="signature">-- \nMe\n</div>'),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_plain_text(text: str, expected: str) -> None:
    assert plain.clean(text).html == f'<div class="text">{expected}</div>'


def test_long_quotes_are_folded() -> None:
    html = plain.clean("> a\n" * 5 + "b", fold="<5 lines>").html
    assert "<details><summary>&lt;5 lines&gt;</summary>" in html
    assert "<details>" not in plain.clean("> a\n" * 4 + "b").html


def test_flowed_text_is_joined() -> None:
    assert "soft line\n next\n" in plain.clean("soft \nline\n  next", flowed=True).html
    assert "ab\n" in plain.clean("a \nb", flowed=True, delsp=True).html
    assert ">q r\n</blockquote>s" in plain.clean("> q \n> r\ns", flowed=True).html


def test_long_text_is_cut_and_says_so() -> None:
    assert plain.clean("x\n" * 300_000).cut
    assert not plain.clean("x\n" * 1_000).cut
    assert plain.clean(">" * 5_000 + "x").html.count("<blockquote") == plain.DEPTH
