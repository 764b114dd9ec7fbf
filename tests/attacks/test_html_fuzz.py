"""HTML mail from generators: never an error, always the same when cleaned again, time in proportion to the source."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.web import allow, plain, sanitize
from appliance.web.sanitize import Clean, Refused, clean
from tests.html_payloads import HTML, armed

_NAMES = st.sampled_from(
    [*sorted(allow.TAGS), "script", "style", "svg", "math", "title", "textarea", "xmp", "noscript", "template", "select",
     "iframe", "plaintext", "body", "html", "form", "mglyph", "mtext", "annotation-xml", "foreignObject", "frameset", "image"]
)  # fmt: skip
_VALUES = st.sampled_from(
    ["x", "javascript:x", "http://a.test/", "cid:a", "color:red", "background:url(x)", "a&quot;b", "<b>", "-->", "]]>",
     "</style>", "100%", "#fff", "data:image/gif;base64,R0lGODlhAQAB", "font-family:'a b',c", "\\", "&", "&amp;lt;"]
)  # fmt: skip
_ATTRIBUTES = st.lists(
    st.tuples(
        st.sampled_from(
            ["style", "class", "id", "href", "src", "title", "alt", "onload", "width", "bgcolor", "start", "x"]
        ),
        st.sampled_from(["=", ' = "', "='", ""]),
        _VALUES,
    ),
    max_size=3,
)


def _tag(name: str, attributes: list[tuple[str, str, str]]) -> str:
    ends = {"=": "", ' = "': '"', "='": "'", "": " "}
    return f"<{name}{''.join(f' {key}{sign}{value}{ends[sign]}' for key, sign, value in attributes)}>"


_PIECES = st.one_of(
    st.builds(_tag, _NAMES, _ATTRIBUTES),
    _NAMES.map(lambda name: f"</{name}>"),
    st.sampled_from(
        ["<!--", "-->", "--!>", "<![CDATA[", "]]>", "<!", "<?", "</", "<", ">", "&", "&lt;", "&nbsp;", "\u00a0", "\n",
         " ", '"', "'", "=", "/", "\x00", "\x0c", "\r", "p{color:red}", ".x{", "}", "@import 'x';", "&notit;", "&#x80;"]
    ),
    st.text(max_size=6),
)  # fmt: skip
SOURCES = st.lists(_PIECES, max_size=40).map("".join)
_FORBIDDEN = re.compile(r"<\s*/?\s*(?!/?(?:" + "|".join(sorted(allow.TAGS)) + r")[ >])", re.IGNORECASE)


@given(SOURCES)
def test_W2_cleaning_never_fails_and_is_idempotent(source: str) -> None:
    found = clean(source)
    assert isinstance(found, Clean)
    assert not _FORBIDDEN.search(found.html)
    again = clean(found.html)
    assert isinstance(again, Clean)
    assert again.html == found.html
    assert again.slots == ()


@given(SOURCES, SOURCES)
def test_W2_what_follows_cannot_change_what_was_cleaned(one: str, other: str) -> None:
    """A cleaned text is whole: put before another, it leaves no quote, tag or comment open."""
    first, second = clean(one), clean(other)
    assert isinstance(first, Clean)
    assert isinstance(second, Clean)
    both = clean(f"{first.html}<hr>{second.html}")
    assert isinstance(both, Clean)
    assert both.html == f"{first.html}<hr>{second.html}"


@given(st.text(max_size=400))
def test_plain_text_never_fails_and_holds_no_foreign_tag(text: str) -> None:
    html = plain.clean(text, flowed=True).html
    inside = re.sub(
        r"</?(?:div|blockquote|details|summary|a)(?: (?:class|href|rel|target|data-warn|data-host)=\"[^\"<>]*\")*>",
        "",
        html,
    )
    assert "<" not in inside
    assert ">" not in inside


@pytest.mark.parametrize("payload", HTML, ids=lambda one: one.name)
def test_W2_each_sanitiser_alone_drops_scripts(payload: object) -> None:
    """nh3 and bleach without the passes around them: no element, attribute or scheme that runs or loads survives either."""
    source = armed(payload).encode("utf-8", "replace").decode()  # type: ignore[arg-type]
    if len(source) > 40_000:  # beyond the bounds they are never asked
        source = source[:4_000]
    for html in (sanitize.first(source), sanitize.second(source, "none")):
        for tag in re.findall(r"<([a-zA-Z][^\s>]*)", html):
            assert tag in allow.TAGS
        for attributes in re.findall(r"<[a-z][a-z0-9]*((?: [^\s=>]+=\"[^\"]*\")+)", html):
            names = re.findall(r' ([^\s=>]+)="', attributes)
            assert not [name for name in names if name.startswith("on") or name in {"srcset", "background", "ping"}]
            assert not re.search(r'(?:href|src)="\s*(?:java|vb)script:', attributes, re.IGNORECASE)


GROWING = {
    "lt": "<", "tags": "<p>", "unclosed": "<a x='", "amp": "&", "lt-ref": "&lt;", "nbsp": "\u00a0", "comment": "<!--",
    "svg": "<svg>", "style": "<style>", "style-end": "</style>", "cdata": "<![CDATA[", "quotes": "<a x=\"'>", "cell": "<table><td>",
    "formatting": "<b><i><p>", "list": "<ul><li>", "select": "<select><option>", "slash": "</", "attribute": "<p a a=b c='d'>",
    "css": "<style>a b>c.d{color:red}</style><b>", "style-attribute": "<p style='color:red;width:1px'>", "bracket": "<p style='a:(((((((((((('>",
    "link": "<a href=http://www.a.test/>www.b.test</a>", "image": "<img src=http://a.test/x>", "text": "word ", "han": "\u4e2d",
    "idn": "<a href=http://xn--bcher-kva.test/>x</a>", "backslash": "<style>\\;</style>", "h": "<h1><h2>",
}  # fmt: skip


@pytest.mark.parametrize("piece", GROWING.values(), ids=GROWING.keys())
def test_W2_the_worst_source_is_bounded_in_time(piece: str) -> None:
    """512 KB of the same thing over and over: a few seconds on a busy machine, or a bound that was broken at once."""
    started = time.perf_counter()
    found = clean((piece * (512 * 1024))[: 512 * 1024])
    assert isinstance(found, Clean | Refused)
    assert time.perf_counter() - started < 20
