"""Between the two sanitisers: styles inlined, links judged, pictures made into slots, class and id gone.

Promises: one pass over markup that the first sanitiser wrote (well nested, every value in double quotes); a `<` that does
not begin such a tag is text. A picture that is part of the message, or that lies elsewhere, becomes a slot: a marker that
holds a random word of this run, which `sanitize` cuts out after the last sanitiser, so that whoever shows the message
decides what stands there and cleaned text is never searched or replaced afterwards. Pictures in data: URLs stay when they
are small PNG, JPEG, GIF or WebP.

May not: keep anything that `allow` does not list.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

from appliance.web import allow, links
from appliance.web.markup import Attributes
from appliance.web.styles import Element, Sheet

SlotKind = Literal["inline", "remote"]
REL: Final = "noopener noreferrer nofollow"
BLANK: Final = "data:image/gif;base64,R0lGODlhAQABAIAAAG1zdP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="
"""A transparent picture of one pixel, of colours nobody else uses: what stands where a picture is not shown."""
OUTPUT: Final = 1024 * 1024
REFERENCES: Final = 16_000
_TEXT_OF_LINK: Final = 300

_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"]*+")*+)>')
_PAIR = re.compile(r' ([a-z-]+)="([^"]*+)"')
_DATA = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/]{8,90000}={0,2}\Z", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


class TooLong(ValueError):
    """The inlined styles, or the character references, are more than the second sanitiser takes in a second."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A picture: `inline` by the Content-ID of a part, `remote` by its URL."""

    kind: SlotKind
    value: str


@dataclass(slots=True)
class _Link:
    """A link that is open: where its start tag stands in the output, its target, and the text it shows."""

    at: int
    href: str
    text: list[str]
    size: int = 0


class Rewriter:
    """One message; call `run` once. `slots` are the pictures in the order of their markers."""

    def __init__(self, sheet: Sheet, word: str) -> None:
        """`word` marks the slots of this run: random letters, so that no message can hold it."""
        self.slots: list[Slot] = []
        self.pictures = 0
        self._sheet = sheet
        self._word = word
        self._out: list[str] = []
        self._above: list[Element] = []
        self._size = self._references = 0
        self._link: _Link | None = None

    def run(self, clean: str, body: Attributes | None) -> str:
        """The markup to give to the second sanitiser. Raises TooLong."""
        self._above = [Element("html")]
        wrapper = self._body(body)
        at = 0
        for found in _TAG.finditer(clean):
            self._text(clean[at : found.start()])
            at = found.end()
            if found[1]:
                self._end(found[2])
            else:
                self._start(found[2], {name: html.unescape(value) for name, value in _PAIR.findall(found[3])})
        self._text(clean[at:])
        inner = "".join(self._out)
        return f"{wrapper}{inner}</div>" if wrapper else inner

    def _body(self, said: Attributes | None) -> str:
        """The start tag of what stands for <body>, when it has a look of its own."""
        attributes = {name: html.unescape(value) for name, value in (said or {}).items()}
        element = _element("body", attributes)
        self._above.append(element)
        kept = self._kept("div", attributes)
        style = self._sheet.style(element, self._above[:1], attributes.get("style", ""))
        if style:
            kept["style"] = style
        return _written("div", kept) if kept else ""

    def _text(self, text: str) -> None:
        if not text:
            return
        if self._link is not None and self._link.size <= _TEXT_OF_LINK:
            self._link.text.append(text)
            self._link.size += len(text)
        text = text.replace("&nbsp;", "\u00a0").replace("<", "&lt;").replace(">", "&gt;")
        self._references += text.count("&")
        if self._references > REFERENCES:
            raise TooLong
        self._add(text)

    def _add(self, text: str) -> None:
        self._size += len(text)
        if self._size > OUTPUT:
            raise TooLong
        self._out.append(text)

    def _start(self, tag: str, attributes: Attributes) -> None:
        if tag not in allow.TAGS:
            return
        element = _element(tag, attributes)
        kept = self._kept(tag, attributes)
        style = self._sheet.style(element, self._above, attributes.get("style", ""))
        if style:
            kept["style"] = style
        if tag == "img" and not self._picture(attributes, kept):
            return
        if tag == "a":
            self._link = _Link(len(self._out), attributes.get("href", ""), [])
        self._add(_written(tag, kept))
        if tag not in allow.VOID:
            self._above.append(element)

    def _end(self, tag: str) -> None:
        if tag not in allow.TAGS or tag in allow.VOID:
            return
        if tag == "a" and self._link is not None:
            self._settle(self._link)
        if len(self._above) > 2:
            self._above.pop()
        self._add(f"</{tag}>")

    @staticmethod
    def _kept(tag: str, attributes: Attributes) -> Attributes:
        return {n: v for n, v in attributes.items() if n != "style" and allow.attribute(tag, n, v)}

    def _settle(self, link: _Link) -> None:
        """Write the target into the start tag of a link, now that its text is known."""
        self._link = None
        text = _SPACES.sub(" ", html.unescape("".join(link.text))).strip()
        found = links.target(link.href, text)
        if found is None:
            return
        added = {"href": found.href, "rel": REL, "target": "_blank"}
        if found.warning:
            added |= {"data-warn": found.warning, "data-host": found.host}
        self._out[link.at] = _written("a", added)[:-1] + self._out[link.at][2:]

    def _picture(self, attributes: Attributes, kept: Attributes) -> bool:
        """Give a picture its source or its slot; False when there is nothing to show and nothing to say."""
        source = attributes.get("src", "").strip()
        if source == BLANK or _DATA.match(source):
            kept["src"] = source
        elif source[:4].lower() == "cid:":
            kept["src"] = self._slot(Slot("inline", unquote(source[4:])[:998]))
        else:
            found = links.target("https:" + source if source.startswith("//") else source)
            if found is not None and found.host:
                kept["src"] = self._slot(Slot("remote", found.href))
            elif not kept.get("alt"):
                return False
        return True

    def _slot(self, slot: Slot) -> str:
        self.slots.append(slot)
        return f"{self._word}{len(self.slots) - 1}"


def _element(tag: str, attributes: Attributes) -> Element:
    return Element(tag, attributes.get("id", "").lower(), frozenset(attributes.get("class", "").lower().split()[:32]))


def _written(tag: str, attributes: Attributes) -> str:
    return "".join([f"<{tag}", *(f' {name}="{_escaped(value)}"' for name, value in attributes.items()), ">"])


def _escaped(value: str) -> str:
    """Inside double quotes; an apostrophe stays, so that quoted font names hold no reference."""
    return html.escape(value, quote=False).replace('"', "&quot;")
