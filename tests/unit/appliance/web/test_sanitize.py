"""appliance.web.sanitize: what stays, what goes, slots, bounds; each step alone and all together."""

from __future__ import annotations

import pytest

from appliance.web import allow, sanitize
from appliance.web.markup import TooMuch, read
from appliance.web.sanitize import BLANK, Clean, Refused, Slot, clean
from tests.html_payloads import HTML, armed

REL = 'rel="noopener noreferrer nofollow" target="_blank"'


def cleaned(source: str) -> Clean:
    found = clean(source)
    assert isinstance(found, Clean)
    return found


STAYS = [
    ("plain words", "plain words"),
    ("<p>a<b>b</b></p>", "<p>a<b>b</b></p>"),
    ("<P ALIGN=CENTER>x", '<p align="CENTER">x</p>'),
    ("a &amp; b &lt;c&gt; &copy; &#x4e2d;", "a &amp; b &lt;c&gt; © 中"),
    ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
    (
        '<table border=1 cellpadding="2" width="100%"><tr><td colspan=2 bgcolor=#ffffff>x',
        '<table border="1" cellpadding="2" width="100%"><tbody><tr><td colspan="2" bgcolor="#ffffff">x</td></tr></tbody>'
        "</table>",
    ),
    ('<font color="red" face="Arial" size="+1">x</font>', '<font color="red" face="Arial" size="+1">x</font>'),
    ('<p style="color: RED; margin:0 auto">x</p>', '<p style="color:RED;margin:0 auto">x</p>'),
    ("<p style=\"font-family:'Segoe UI', Arial\">x</p>", "<p style=\"font-family:'Segoe UI', Arial\">x</p>"),
    ("<a href=https://example.test/?a=1&amp;b=2>x</a>", f'<a href="https://example.test/?a=1&amp;b=2" {REL}>x</a>'),
    ("<a href='mailto:a@b.test?subject=x'>x</a>", f'<a href="mailto:a@b.test?subject=x" {REL}>x</a>'),
    (
        "<img src=data:image/png;base64,iVBORw0KGgoAAAAA alt=x>",
        '<img alt="x" src="data:image/png;base64,iVBORw0KGgoAAAAA">',
    ),
    ('<p dir="rtl" lang="ar" title="t">x</p>', '<p dir="rtl" lang="ar" title="t">x</p>'),
    ("<pre>\n\n  a\n  b</pre>", "<pre>  a\n  b</pre>"),
    ("a<br/>b<hr>c", "a<br>b<hr>c"),
]
GOES = [
    ("<script>x</script>a", "a"),
    ("<style>x</style>a", "a"),
    ("<title>x</title>a", "a"),
    ("<svg><circle/></svg>a", "a"),
    ("<svg>a", "a"),
    ("<form><input>a<button>b</button></form>", "ab"),
    ("<object><p>fallback</p></object>a", "a"),
    ("<!-- x -->a<!doctype html><?x?>", "a"),
    ("<p onclick=x id=y name=z class=c data-a=b>a</p>", "<p>a</p>"),
    ("<a href=javascript:x>a</a>", "<a>a</a>"),
    ("<a href=/x>a</a><a href=//b.test>b</a><a href=#c>c</a>", "<a>a</a><a>b</a><a>c</a>"),
    ("<img src=/x>a<img src=x>", "a"),
    ('<img src="data:image/svg+xml;base64,PHN2Zz4=" alt=x>', '<img alt="x">'),
    ("<p style='position:fixed;color:red;z-index:9'>a</p>", '<p style="color:red">a</p>'),
    ("<p width=1e9 align='x y'>a</p>", "<p>a</p>"),
    ("<td background=x bgcolor=red>a</td>", "a"),
    ("</div></p>a</b>", "a"),
    ("a\x00b\x1bc", "a\ufffdb\ufffdc"),
]


@pytest.mark.parametrize(("source", "expected"), STAYS)
def test_what_stays(source: str, expected: str) -> None:
    assert cleaned(source).html == expected


@pytest.mark.parametrize(("source", "expected"), GOES)
def test_what_goes(source: str, expected: str) -> None:
    assert cleaned(source).html == expected


# --- style sheets -------------------------------------------------------------------------------------------------------

SHEETS = [
    ("p{color:red}", "<p>x</p>", '<p style="color:red">x</p>'),
    (".a{color:red}#b{color:blue}", "<p class='a' id=b>x</p>", '<p style="color:blue">x</p>'),
    (".a p{margin:0}", "<div class=a><b><p>x</p></b></div>", '<p style="margin:0">'),
    (".a>p{margin:0}", "<div class=a><div><p>x</p></div></div>", "<p>x</p>"),
    ("p.a.b{margin:0}", "<p class='b a'>x</p><p class=a>y</p>", '<p style="margin:0">x</p><p>y</p>'),
    ("p{color:red!important}", "<p style='color:blue'>x</p>", '<p style="color:red">'),
    ("p{color:red}", "<p style='color:blue;margin:0'>x</p>", '<p style="color:blue;margin:0">'),
    (
        "body{color:red} body p{margin:0}",
        "<body><p>x</p></body>",
        '<div style="color:red"><p style="margin:0">x</p></div>',
    ),
    ("p:hover{color:red} p[title]{color:red} p+p{color:red}", "<p>x</p>", "<p>x</p>"),
    ("@media print{p{color:red}} p{margin:0}", "<p>x</p>", '<p style="margin:0">x</p>'),
    ("<!-- p{color:red} -->", "<p>x</p>", '<p style="color:red">x</p>'),
    ("*{color:red}", "<b>x</b>", '<b style="color:red">x</b>'),
]


@pytest.mark.parametrize(("sheet", "body", "expected"), SHEETS)
def test_sheets_are_inlined(sheet: str, body: str, expected: str) -> None:
    assert expected in cleaned(f"<style>{sheet}</style>{body}").html


DROPPED_CSS = [
    "background:url(http://x.test/)", "background-image:image-set('x' 1x)", "color:var(--x)", "background:url(",
    "width:expression(1)", "c\\6flor:red", "color:r\\65 d", "position:absolute", "z-index:1", "-moz-binding:url(x)",
    "behavior:url(x)", "filter:blur(1px)", "content:'x'", "cursor:pointer", "animation:x 1s", "transform:scale(2)",
    "width:calc(100% - 1px)", "color:env(x)", "display:flex", "display:grid", "height:100vh", "width:99999px",
    "margin:-99px", "font-family:'a\"b'", "font-family:'</style>'", "--x:1", "opacity:0", "inset:0", "top:0",
]  # fmt: skip


@pytest.mark.parametrize("style", DROPPED_CSS)
def test_css_that_is_dropped(style: str) -> None:
    for source in (f'<p style="{style.replace(chr(34), "&quot;")}">x</p>', f"<style>p{{{style}}}</style><p>x</p>"):
        html = cleaned(source).html
        assert "style" not in html


def test_one_bad_declaration_does_not_take_the_others() -> None:
    assert cleaned("<p style='margin:0;background:url(x);color:red'>x").html == '<p style="margin:0;color:red">x</p>'


# --- pictures -------------------------------------------------------------------------------------------------------------


def test_pictures_are_slots() -> None:
    found = cleaned(
        "<img src=cid:a%40b alt=1><img src=http://x.test/1.png><img SRC='//x.test/2'><img src=http://x.test/1.png>"
    )
    assert found.slots == (
        Slot("inline", "a@b"),
        Slot("remote", "http://x.test/1.png"),
        Slot("remote", "https://x.test/2"),
        Slot("remote", "http://x.test/1.png"),
    )
    assert found.remote == ("http://x.test/1.png", "https://x.test/2")
    assert found.inline == ("a@b",)
    assert "x.test" not in found.html
    assert found.html.count(BLANK) == 4
    shown = found.shown(inline=lambda cid: "/part/1", remote=lambda url: f"/remote/{len(url)}")
    assert shown == '<img alt="1" src="/part/1"><img src="/remote/19"><img src="/remote/16"><img src="/remote/19">'


@pytest.mark.parametrize(
    "url", ["http://x.test/", "//x.test/", "javascript:x", '/a"onerror="x', "/a b", "", "/a<b", "/\\x"]
)
def test_only_our_own_paths_fill_a_slot(url: str) -> None:
    found = cleaned("<img src=http://x.test/>")
    assert found.shown(remote=lambda _: url) == found.html


def test_a_message_cannot_write_a_slot() -> None:
    found = cleaned('src="slot0" <img src="slot0"><img src="slot00112233445566770"> <b title=\'src="slot0"\'>x</b>')
    assert found.slots == ()
    assert "<img" not in found.html


# --- bounds ---------------------------------------------------------------------------------------------------------------

BOUNDS = [
    ("size", "x" * (512 * 1024 + 1)),
    ("depth", "<div>" * 257),
    ("attributes", "<p " + " ".join(f"a{n}" for n in range(65)) + ">"),
    ("tags", "<br>" * 12_001),
    ("references", "&lt;" * 32_001),
    ("formatting", "<b>" * 200 + "<br>" * 600),
]


@pytest.mark.parametrize(("bound", "source"), BOUNDS, ids=[bound for bound, _ in BOUNDS])
def test_beyond_a_bound_the_text_part_is_shown(bound: str, source: str) -> None:
    assert clean(source) == Refused(bound)


def test_within_the_bounds_nothing_is_refused() -> None:
    for source in (
        "x" * 512 * 1024,
        "<div>" * 256,
        "<p " + " ".join(f"a{n}" for n in range(64)) + ">",
        "<br>" * 12_000,
    ):
        assert isinstance(clean(source), Clean)


def test_styles_beyond_their_bound_are_left_out_and_noted() -> None:
    found = cleaned("<style>" + "p{color:red}" * 9_000 + "</style><p>x</p>")
    assert found.notes == {"styles"}
    assert found.html == "<p>x</p>"


# --- the walls one by one -------------------------------------------------------------------------------------------------


def test_the_linear_pass_writes_balanced_allowed_markup() -> None:
    """Whatever the source, each `<` of the result begins a tag of the list, and the tags are well nested."""
    import re

    for payload in HTML:
        try:
            html = read(armed(payload)).html
        except TooMuch:
            continue
        stack: list[str] = []
        for end, name in re.findall(r"<(/?)([^ >]*)", html):
            assert name in allow.TAGS, payload.name
            if end:
                assert stack.pop() == name, payload.name
            elif name not in allow.VOID:
                stack.append(name)
        assert not stack


@pytest.mark.parametrize("payload", HTML, ids=lambda one: one.name)
def test_cleaning_twice_changes_nothing(payload: object) -> None:
    found = clean(armed(payload))  # type: ignore[arg-type]
    if isinstance(found, Clean):
        again = cleaned(found.html)
        assert again.html == found.html
        assert sanitize.second(found.html, "none") == found.html
