"""What may stand in a cleaned message: elements, attributes with the form of their values, CSS properties.

Promises: tables only, read by every step of the cleaning (`markup`, `rewrite`, `sanitize`, `styles`), so that no step
allows what another forbids. There is no element here whose content a parser reads in another state (script, style, title,
textarea, xmp, iframe, noscript, plaintext), none of another namespace (svg, math), none that loads, posts, refreshes or
overlays, and no attribute that names an element (id, name) or runs (on...).

May not: hold an entry whose safety depends on its value and no pattern for that value.
"""

from __future__ import annotations

import re
from typing import Final

VOID: Final = frozenset({"br", "col", "hr", "img", "wbr"})
FORMATTING: Final = frozenset(
    {
        "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd",
        "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var",
    }
)  # fmt: skip
CELLS: Final = frozenset({"td", "th", "caption"})
TABLE_PARTS: Final = frozenset({"table", "thead", "tbody", "tfoot", "tr", "colgroup"}) | CELLS
BLOCKS: Final = frozenset(
    {
        "address", "article", "aside", "blockquote", "center", "dd", "details", "dir", "div", "dl", "dt", "figcaption",
        "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "li", "main", "menu", "nav",
        "ol", "p", "pre", "section", "summary", "table", "ul",
    }
)  # fmt: skip
TAGS: Final = VOID | FORMATTING | TABLE_PARTS | BLOCKS | {"ruby", "rt", "rp"}

_LENGTH = re.compile(r"\d{1,4}(?:\.\d{1,4})?(?:%|px)?\Z")
_COUNT = re.compile(r"\d{1,4}\Z")
_COLOUR = re.compile(r"#?[0-9A-Za-z]{1,24}\Z")
_WORD = re.compile(r"[A-Za-z]{1,16}\Z")
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,35}\Z")
_FACE = re.compile(r"[\w ,.'-]{1,200}\Z")
_SIZE = re.compile(r"[+-]?\d\Z")
_MARKER = re.compile(r"[1aAiI]\Z|disc\Z|circle\Z|square\Z", re.IGNORECASE)
_TIME = re.compile(r"[0-9A-Za-z:+. -]{1,40}\Z")
_FLAG = re.compile(r"\w{0,12}\Z", re.ASCII)
_TEXT = re.compile(r"[^\x00]{0,2000}\Z")
STYLE: Final = re.compile(r"[^&<>\"\\@]{0,20000}\Z")

GLOBAL_ATTRIBUTES: Final = {"align": _WORD, "dir": _WORD, "lang": _LANGUAGE, "title": _TEXT, "style": STYLE}
_BOX = {"width": _LENGTH, "height": _LENGTH, "bgcolor": _COLOUR, "valign": _WORD}
ATTRIBUTES: Final = {
    "br": {"clear": _WORD},
    "col": {**_BOX, "span": _COUNT},
    "colgroup": {**_BOX, "span": _COUNT},
    "details": {"open": _FLAG},
    "div": {"bgcolor": _COLOUR},
    "font": {"color": _COLOUR, "face": _FACE, "size": _SIZE},
    "hr": {"color": _COLOUR, "noshade": _FLAG, "size": _LENGTH, "width": _LENGTH},
    "img": {"alt": _TEXT, "border": _COUNT, "height": _LENGTH, "hspace": _COUNT, "vspace": _COUNT, "width": _LENGTH},
    "li": {"type": _MARKER, "value": _COUNT},
    "ol": {"reversed": _FLAG, "start": _COUNT, "type": _MARKER},
    "table": {**_BOX, "border": _COUNT, "cellpadding": _LENGTH, "cellspacing": _LENGTH},
    "tbody": _BOX,
    "td": {**_BOX, "colspan": _COUNT, "nowrap": _FLAG, "rowspan": _COUNT},
    "tfoot": _BOX,
    "th": {**_BOX, "colspan": _COUNT, "nowrap": _FLAG, "rowspan": _COUNT},
    "thead": _BOX,
    "time": {"datetime": _TIME},
    "tr": _BOX,
    "ul": {"type": _MARKER},
}  # type: Final[dict[str, dict[str, re.Pattern[str]]]]

LINK_SCHEMES: Final = frozenset({"http", "https", "mailto"})
# Read from the source beside what stays: they steer the rewriting and are gone after it.
READ_ONLY: Final = {"*": frozenset({"class", "id"}), "a": frozenset({"href"}), "img": frozenset({"src"})}

CSS_PROPERTIES: Final = frozenset(
    {
        "background-color", "border", "border-bottom", "border-bottom-color", "border-bottom-left-radius",
        "border-bottom-right-radius", "border-bottom-style", "border-bottom-width", "border-collapse", "border-color",
        "border-left", "border-left-color", "border-left-style", "border-left-width", "border-radius", "border-right",
        "border-right-color", "border-right-style", "border-right-width", "border-spacing", "border-style", "border-top",
        "border-top-color", "border-top-left-radius", "border-top-right-radius", "border-top-style", "border-top-width",
        "border-width", "box-sizing", "caption-side", "clear", "color", "direction", "display", "empty-cells", "float",
        "font", "font-family", "font-size", "font-style", "font-variant", "font-weight", "height", "letter-spacing",
        "line-height", "list-style", "list-style-position", "list-style-type", "margin", "margin-bottom", "margin-left",
        "margin-right", "margin-top", "max-height", "max-width", "min-height", "min-width", "overflow-wrap", "padding",
        "padding-bottom", "padding-left", "padding-right", "padding-top", "table-layout", "text-align",
        "text-decoration", "text-indent", "text-transform", "vertical-align", "visibility", "white-space", "width",
        "word-break", "word-spacing", "word-wrap",
    }
)  # fmt: skip
CSS_FUNCTIONS: Final = frozenset({"rgb", "rgba", "hsl", "hsla"})
CSS_DISPLAY: Final = frozenset(
    {
        "block", "inherit", "initial", "inline", "inline-block", "inline-table", "list-item", "none", "table",
        "table-caption", "table-cell", "table-column", "table-column-group", "table-footer-group",
        "table-header-group", "table-row", "table-row-group",
    }
)  # fmt: skip


def attribute(tag: str, name: str, value: str) -> bool:
    """Whether an element may carry this attribute with this value; `href` and `src` are judged elsewhere."""
    pattern = ATTRIBUTES.get(tag, {}).get(name) or GLOBAL_ATTRIBUTES.get(name)
    return pattern is not None and pattern.match(value) is not None


def read(tag: str, name: str) -> bool:
    """Whether the first pass hands this attribute on at all."""
    if name in GLOBAL_ATTRIBUTES or name in READ_ONLY["*"]:
        return True
    return name in ATTRIBUTES.get(tag, {}) or name in READ_ONLY.get(tag, ())
