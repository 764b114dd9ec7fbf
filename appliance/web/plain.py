"""Plain text as HTML: escaped first, links found in text, quotes nested and folded, signatures set apart.

Promises: takes time in proportion to the text, of which at most 512 KB are shown (`cut` says so); every character of the
message passes html.escape, and only http, https and mailto addresses that `links.target` accepts become links; no other
markup than this module's own is made. format=flowed is joined (RFC 3676 §4); quote depth is counted to 16.

May not: guess Markdown or links in brackets: text is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from appliance.web import links
from appliance.web.markup import SIZE, usable
from appliance.web.rewrite import REL

DEPTH: Final = 16
FOLD_LINES: Final = 4
LINKS: Final = 5_000

_QUOTE = re.compile(r"(?:> ?)++")
_URL = re.compile(
    r"https?://[^\s<>\"'`{}|\\^\u3000-\u303f\uff00-\uffef]{1,2000}+"
    r"|(?<![\w.@/%+-])[\w.+%-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}+",
    re.IGNORECASE,
)
_TAIL = ".,;:!?'\""
_PAIRS: Final = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class Plain:
    """Text as HTML; `cut` when the message was longer than what is shown."""

    html: str
    cut: bool


@dataclass(frozen=True, slots=True)
class _Line:
    depth: int
    text: str


def clean(text: str, *, flowed: bool = False, delsp: bool = False, fold: str = "...") -> Plain:
    """Text of a part (decoded) to HTML. `fold` is the label of what hides a quoted block, in the reader's language."""
    cut = len(text) > SIZE
    lines = _lines(usable(text[:SIZE]))
    if flowed:
        lines = _joined(lines, delsp=delsp)
    return Plain(f'<div class="text">{_Writer(fold).run(list(lines))}</div>', cut)


def _lines(text: str) -> Iterator[_Line]:
    for line in text.rstrip("\n").split("\n"):
        found = _QUOTE.match(line)
        marks = found[0] if found else ""
        yield _Line(min(marks.count(">"), DEPTH), line[len(marks) :] if marks else line)


def _joined(lines: Iterator[_Line], *, delsp: bool) -> Iterator[_Line]:
    """Join soft line breaks of equal quote depth and take off space-stuffing (RFC 3676 §4.1, §4.4)."""
    parts: list[str] = []
    depth, soft = 0, False
    for line in lines:
        text = line.text if line.depth else line.text.removeprefix(" ")
        if parts and (not soft or line.depth != depth or text == "-- "):
            yield _Line(depth, "".join(parts))
            parts = []
        depth, soft = line.depth, text.endswith(" ") and text != "-- "
        parts.append(text[:-1] if soft and delsp else text)
    if parts:
        yield _Line(depth, "".join(parts))


class _Writer:
    """Lines to HTML; a quoted block of more than a few lines with text after it is folded."""

    def __init__(self, fold: str) -> None:
        self.fold = escape(fold)
        self.links = 0

    def run(self, lines: list[_Line]) -> str:
        out: list[str] = []
        at, signed = 0, False
        while at < len(lines):
            end = at
            while end < len(lines) and bool(lines[end].depth) == bool(lines[at].depth):
                end += 1
            if lines[at].depth:
                out.append(self.quoted(lines[at:end]))
            else:
                for line in lines[at:end]:
                    if line.text.rstrip("\r") == "-- " and not signed and end == len(lines):
                        signed = True
                        out.append('<div class="signature">')
                    out.append(f"{self.linked(line.text)}\n")
            at = end
        return "".join(out) + ("</div>" if signed else "")

    def quoted(self, lines: list[_Line]) -> str:
        out: list[str] = []
        depth = 0
        for line in lines:
            out.append('<blockquote class="quote">' * (line.depth - depth) + "</blockquote>" * (depth - line.depth))
            depth = line.depth
            out.append(f"{self.linked(line.text)}\n")
        out.append("</blockquote>" * depth)
        whole = "".join(out)
        return f"<details><summary>{self.fold}</summary>{whole}</details>" if len(lines) > FOLD_LINES else whole

    def linked(self, text: str) -> str:
        """One line, escaped, its addresses made links."""
        out: list[str] = []
        at = 0
        for found in _URL.finditer(text):
            if self.links >= LINKS:
                break
            shown = _trimmed(found[0])
            link = links.target(shown if "://" in shown else f"mailto:{shown}", shown)
            if link is None:
                continue
            self.links += 1
            out.append(escape(text[at : found.start()]))
            out.append(_anchor(link, shown))
            at = found.start() + len(shown)
        out.append(escape(text[at:]))
        return "".join(out)


def _anchor(link: links.Target, shown: str) -> str:
    warn = f' data-warn="{link.warning}" data-host="{escape(link.host)}"' if link.warning else ""
    return f'<a href="{escape(link.href)}" rel="{REL}" target="_blank"{warn}>{escape(shown)}</a>'


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence around it; a closing bracket stays when its opening one is inside."""
    while url:
        last = url[-1]
        if last in _TAIL or (last in _PAIRS and url.count(last) > url.count(_PAIRS[last])):
            url = url[:-1]
        else:
            break
    return url
