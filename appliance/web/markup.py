"""The linear pass before any parser: an HTML source to balanced markup of allowed elements, or a bound that it broke.

Promises: goes over the source once and never back; the result is well nested and holds allowed elements and attributes
alone, every value quoted, every other `<` escaped, no comment, no raw text, no other namespace: whoever parses it next is
always in the same state, so that parsers cannot be made to disagree. `<style>` sheets and the attributes of `<body>` are
handed out beside it. Bounds: size, references, depth, tags, attributes of a tag, and open formatting elements summed over the tags
(a parser opens those again in every block, which makes products out of sums).

May not: judge values; that is for `rewrite` and the two sanitisers after it. HTML 13.2.5 (tokens), 13.2.6 (implied ends).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from appliance.web import allow

SIZE: Final = 512 * 1024
DEPTH: Final = 256
TAGS: Final = 12_000
ATTRIBUTES: Final = 64
FORMATTING: Final = 100_000
REFERENCES: Final = 32_000
SHEETS: Final = 96 * 1024
_VALUE: Final = 4_000
_DATA_VALUE: Final = 100_000

Attributes = dict[str, str]


class TooMuch(ValueError):
    """A bound is broken: `bound` is size, references, depth, tags, attributes or formatting."""

    def __init__(self, bound: str) -> None:
        super().__init__(bound)
        self.bound = bound


@dataclass(frozen=True, slots=True)
class Markup:
    """Balanced markup, the texts of its style sheets, and what `<body>` said (None: there was none)."""

    html: str
    sheets: tuple[str, ...]
    body: Attributes | None
    sheets_cut: bool


_S = r"[\t\n\f\r ]"
_NEXT = re.compile(r"<(?:(?P<end>/?)(?P<name>[A-Za-z][^\t\n\f\r />\x00]*+)|(?P<mark>[!?/]))")
_ATTRIBUTE = re.compile(
    rf"(?:{_S}|/)*+([^\t\n\f\r />=]++|=[^\t\n\f\r />=]*+)"
    rf"(?:{_S}*+={_S}*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\t\n\f\r >]*+)))?+"
)
_TAG_CLOSE = re.compile(rf"(?:{_S}|/)*+>")
_COMMENT_END = re.compile(r"--!?>")
_NAME = re.compile(r"[a-z][a-z0-9]*\Z")
# What cannot be shown or stored: NUL, other controls, surrogates; CR and form feed become what they mean to a parser.
_UNUSABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Their content is not for readers, or would be read in another state: it goes with them.
_SWALLOWED = frozenset(
    {
        "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "template", "svg", "math",
        "select", "object", "applet", "canvas", "audio", "video",
    }
)  # fmt: skip
_SWALLOWED_END = {name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE | re.ASCII) for name in _SWALLOWED}
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
# An item ends the item before it, unless one of these stands between (HTML 13.2.6.4.7, simplified to lists and tables).
_ITEMS = {"li": frozenset({"li"}), "dd": frozenset({"dd", "dt"}), "dt": frozenset({"dd", "dt"})}
_ITEM_BOUNDS = frozenset({"ul", "ol", "menu", "dir", "dl", "blockquote"}) | allow.TABLE_PARTS
_SECTIONS = frozenset({"thead", "tbody", "tfoot"})
# What must be open, nearest first, for a part of a table; everything above it is closed.
_PARENTS = {
    "td": _SECTIONS | {"tr", "table"},
    "th": _SECTIONS | {"tr", "table"},
    "tr": _SECTIONS | {"table"},
    **dict.fromkeys([*_SECTIONS, "caption", "colgroup"], frozenset({"table"})),
    "col": frozenset({"colgroup", "table"}),
}


def usable(text: str) -> str:
    """Text without what no document may hold; line ends as LF."""
    return _UNUSABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " "))


def read(source: str) -> Markup:
    """Read an HTML document or fragment. Raises TooMuch."""
    if len(source) > SIZE:
        raise TooMuch("size")
    if source.count("&") + source.count("\u00a0") > REFERENCES:
        raise TooMuch("references")  # the parsers after this one are not linear in them
    return _Reader(usable(source)).run()


class _Reader:
    """Goes over one source; `out` grows, `stack` holds the names that are open."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.out: list[str] = []
        self.stack: list[str] = []
        self.parts: list[int] = []  # where in the stack parts of tables stand
        self.formatting = self.summed = self.tags = 0
        self.sheets: list[str] = []
        self.room = SHEETS
        self.cut = self.fresh_pre = False
        self.body: Attributes | None = None
        self.endless: set[str] = set()

    def run(self) -> Markup:
        source, at = self.source, 0
        while True:
            found = _NEXT.search(source, at)
            self.text(source[at : found.start()] if found else source[at:])
            if found is None:
                break
            at = self.tag(found) if found["name"] else self.declaration(found)
        self.close(0)
        return Markup("".join(self.out), tuple(self.sheets), self.body, self.cut)

    def text(self, text: str) -> None:
        if self.fresh_pre:  # parsers drop the first line end of <pre>: without any, all of them read the same
            text = text.lstrip("\n")
        if text:
            self.fresh_pre = False
            self.out.append(text.replace("<", "&lt;").replace(">", "&gt;"))

    def declaration(self, found: re.Match[str]) -> int:
        """Past a comment, a doctype, a CDATA section or whatever else is not text (HTML 13.2.5.41)."""
        start = found.end()
        if self.source.startswith("!--", found.start() + 1):
            start = found.start() + 4
            if self.source.startswith((">", "->"), start):
                return self.source.index(">", start) + 1
            end = _COMMENT_END.search(self.source, start)
            return end.end() if end else len(self.source)
        end_at = self.source.find(">", start)
        return end_at + 1 if end_at >= 0 else len(self.source)

    def tag(self, found: re.Match[str]) -> int:
        self.tags += not found["end"]
        if self.tags > TAGS:
            raise TooMuch("tags")
        name = found["name"].lower()
        attributes, at = self.attributes(found.end(), name)
        if at < 0:
            return len(self.source)
        if found["end"]:
            self.end(name)
        elif name in _SWALLOWED:
            return self.swallow(name, at)
        elif name == "body" and self.body is None:
            self.body = attributes
        elif name in allow.TAGS or name == "image":
            self.start("img" if name == "image" else name, attributes)
        return at

    def attributes(self, at: int, tag: str) -> tuple[Attributes, int]:
        """The attributes that are handed on, the first of each name, and where the tag ended (-1: it never does)."""
        kept: Attributes = {}
        seen = 0
        tag = {"body": "td", "image": "img"}.get(tag, tag)
        while (close := _TAG_CLOSE.match(self.source, at)) is None:
            found = _ATTRIBUTE.match(self.source, at)
            if found is None or found.end() >= len(self.source):
                return {}, -1
            at = found.end()
            seen += 1
            if seen > ATTRIBUTES:
                raise TooMuch("attributes")
            name = found[1].lower()
            if name not in kept and allow.read(tag, name):
                value = next((group for group in found.groups()[1:] if group is not None), "")
                if len(value) <= (_DATA_VALUE if name == "src" else _VALUE):
                    kept[name] = value
        return kept, close.end()

    def swallow(self, name: str, at: int) -> int:
        """Past the content of an element that goes as a whole; a style sheet is kept aside, within its bound."""
        found = None if name in self.endless else _SWALLOWED_END[name].search(self.source, at)
        if found is None:
            self.endless.add(name)
            # A sheet or a script that never ends has the rest; of others only the tag goes, the mail stays readable.
            return len(self.source) if name in {"style", "script"} else at
        if name == "style":
            sheet = self.source[at : found.start()]
            self.cut = self.cut or len(sheet) > self.room
            if len(sheet) <= self.room:
                self.sheets.append(sheet)
                self.room -= len(sheet)
        close = self.source.find(">", found.end())
        return close + 1 if close >= 0 else len(self.source)

    # --- nesting ------------------------------------------------------------------------------------------------------

    def start(self, name: str, attributes: Attributes) -> None:
        if not self.make_room(name):
            return
        self.summed += self.formatting
        if self.summed > FORMATTING:
            raise TooMuch("formatting")
        self.out.append(f"<{name}{''.join(_written(attributes))}>")
        self.fresh_pre = name == "pre"
        if name in allow.VOID:
            return
        self.stack.append(name)
        self.formatting += name in allow.FORMATTING
        if name in allow.TABLE_PARTS:
            self.parts.append(len(self.stack) - 1)
        if len(self.stack) > DEPTH:
            raise TooMuch("depth")

    def make_room(self, name: str) -> bool:
        """Close what a start tag ends; False when the tag has no place here."""
        if name in _PARENTS:
            return self.into_table(name, _PARENTS[name])
        if name == "table" and self.parts and self.stack[self.parts[-1]] not in allow.CELLS:
            self.close(self.last_table())
        if name in allow.BLOCKS:
            self.close_nearest({"p"}, allow.TABLE_PARTS)
        if name in _ITEMS:
            self.close_nearest(_ITEMS[name], _ITEM_BOUNDS)
        elif name in _HEADINGS and self.stack and self.stack[-1] in _HEADINGS:
            self.close(len(self.stack) - 1)
        elif name == "a":
            self.close_nearest({"a"}, allow.TABLE_PARTS)
        return True

    def into_table(self, name: str, parents: frozenset[str]) -> bool:
        at = next((at for at in reversed(self.parts) if self.stack[at] in parents), -1)
        if at < 0:
            return False
        self.close(at + 1)
        return True

    def last_table(self) -> int:
        return next(at for at in reversed(self.parts) if self.stack[at] == "table")

    def close_nearest(self, names: frozenset[str] | set[str], bounds: frozenset[str]) -> None:
        """Close the nearest of `names` with everything in it, unless one of `bounds` stands before it."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] in names:
                self.close(at)
                return
            if self.stack[at] in bounds:
                return

    def end(self, name: str) -> None:
        if name == "br":
            self.start("br", {})
        elif name in allow.TABLE_PARTS:
            self.end_part(name)
        elif name in allow.TAGS:
            self.close_nearest({name}, allow.TABLE_PARTS)

    def end_part(self, name: str) -> None:
        for at in reversed(self.parts):
            if self.stack[at] == name:
                self.close(at)
                return
            if self.stack[at] == "table":
                return

    def close(self, depth: int) -> None:
        """Write end tags until only `depth` elements are open."""
        while len(self.stack) > depth:
            name = self.stack.pop()
            self.formatting -= name in allow.FORMATTING
            if self.parts and self.parts[-1] == len(self.stack):
                self.parts.pop()
            self.out.append(f"</{name}>")
            self.fresh_pre = False


def _written(attributes: Attributes) -> Iterator[str]:
    """Attributes as text; references such as &amp; in a value mean the same as before."""
    for name, value in attributes.items():
        if _NAME.match(name):
            quoted = value.replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
            yield f' {name}="{quoted}"'
