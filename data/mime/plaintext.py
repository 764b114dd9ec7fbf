"""Readable text out of a Part tree: for the preview, for searching bodies, for people without HTML.

Promises: bounded input and linear work whatever the bytes; HTML is reduced to its text by a scanner of our own that
never goes back (script, style and comments dropped; it cleans nothing and its result is never shown as HTML).
RFC 8970 §3.1 (preview), RFC 3676 §4 (format=flowed).
"""

from __future__ import annotations

import html
import re
from collections import deque
from collections.abc import Callable, Iterator

from data.mime.decode import to_text, transfer_decode
from data.mime.part import Part

Fetch = Callable[[int, int], bytes]

TEXT_LIMIT = 256 * 1024
PREVIEW_LENGTH = 200
_PREVIEW_SOURCE = 16 * 1024


def text_of(root: Part, fetch: Fetch, limit: int = TEXT_LIMIT) -> str:
    """The text a person would read: the first text/plain that is not an attachment, else the first text/html, stripped.

    At most `limit` bytes of the part are read.
    """
    plain, rich = _readable(root)
    if plain is not None:
        text = part_text(plain, fetch, limit)
        if rich is None or (text and not text.isspace()):
            return text
    return part_text(rich, fetch, limit) if rich is not None else ""


def _readable(root: Part) -> tuple[Part | None, Part | None]:
    """The first text/plain and the first text/html that are no attachments.

    The message's own text goes before that of messages embedded in it.
    """
    here, embedded = [root], deque[Part]()
    while True:
        plain = rich = None
        while here:
            part = here.pop()
            if part.is_message:
                embedded.append(part.parts[0])
            elif part.type == "text" and not part.opaque and part.disposition != "attachment":
                plain = part if plain is None and part.subtype == "plain" else plain
                rich = part if rich is None and part.subtype == "html" else rich
            here.extend(reversed(part.parts if part.is_multipart else ()))
            if plain is not None and rich is not None:
                break
        if plain is not None or rich is not None or not embedded:
            return plain, rich
        here = [embedded.popleft()]


def part_text(part: Part, fetch: Fetch, limit: int = TEXT_LIMIT) -> str:
    """The text of one text part: decoded, HTML stripped, at most `limit` bytes of it read."""
    raw = fetch(part.body_start, min(part.body_end, part.body_start + limit))
    text = to_text(transfer_decode(raw, part.encoding), part.param("charset"))
    if part.size > limit:
        text = text.rstrip("\ufffd")
    if part.subtype == "html":
        return strip_html(text)
    if part.param("format") == "flowed":
        text = _unflow(text, delsp=part.param("delsp") == "yes")
    return text


def texts(root: Part, fetch: Fetch, limit: int = 16 * TEXT_LIMIT) -> Iterator[tuple[Part, str]]:
    """Every text part with its text, at most `limit` bytes of each, for a search of bodies."""
    for part in root.walk():
        if part.type == "text" and not part.opaque:
            yield part, part_text(part, fetch, limit)


def _unflow(text: str, *, delsp: bool) -> str:
    """Join the soft line breaks of format=flowed and take off its space-stuffing (RFC 3676 §4).

    Quoted lines keep their breaks; the signature's `-- ` is no soft break.
    """
    out: list[str] = []
    soft = False
    for line in text.replace("\r\n", "\n").split("\n"):
        fixed = line.startswith(">") or line == "-- "
        if out and (fixed or not soft):
            out.append("\n")
        soft = line.endswith(" ") and not fixed
        content = line.removeprefix(" ")
        out.append(content[:-1] if soft and delsp else content)
    return "".join(out)


# Elements whose content is not text for readers.
_SILENT = frozenset({"script", "style", "title", "template", "noscript", "svg", "math", "object", "iframe", "textarea"})
_BREAKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "br", "center", "dd", "div", "dl", "dt", "fieldset", "footer",
        "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section",
        "table", "tbody", "tfoot", "thead", "tr", "ul",
    }
)  # fmt: skip
_SPACED = frozenset({"td", "th", "option", "img", "input", "button"})

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]{0,40}+)")
# The end of a tag; a `>` inside a quoted attribute does not end it. No match when such a quote never ends.
_TAG_END = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])))*+>""")
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_LINES = re.compile(r" ?\n[ \n]*")
_ENTITY_OUT_OF_RANGE = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9A-Fa-f]{7,}+);?")


def strip_html(source: str, enough: int | None = None) -> str:
    """The text of an HTML document, one line per block; stops once about `enough` characters were gathered."""
    reader = _Html(source, enough)
    text = "".join(reader.run())
    text = _unescape(text)
    return _LINES.sub("\n", text.replace("\x00", "")).strip()


def _unescape(text: str) -> str:
    if "&" not in text:
        return text
    # int() refuses thousands of digits: what is out of range by its length is replaced before.
    return html.unescape(_ENTITY_OUT_OF_RANGE.sub("\ufffd", text)).replace("\u00a0", " ")


class _Html:
    """Goes over an HTML source once, from `<` to `<`, never back."""

    def __init__(self, source: str, enough: int | None) -> None:
        self.source = source
        self.enough = enough if enough is not None else len(source) + 1
        self.quotes_end = True

    def run(self) -> Iterator[str]:
        source, at, gathered = self.source, 0, 0
        while gathered < self.enough:
            start = source.find("<", at)
            text = source[at : start if start >= 0 else len(source)]
            if text:
                folded = _SPACE.sub(" ", text)
                gathered += len(folded)
                yield folded
            if start < 0:
                return
            at, separator = self.markup(start)
            if separator:
                yield separator

    def markup(self, start: int) -> tuple[int, str]:
        """Where text goes on after the `<` at `start`, and what stands in place of the markup."""
        source = self.source
        tag = _TAG.match(source, start)
        if tag is None:
            if source.startswith("<!--", start):
                return self.past("-->", start + 4), ""
            if source.startswith(("<!", "<?", "</"), start):
                return self.past(">", start + 2), ""
            return start + 1, "<"
        at = self.tag_end(tag.end())
        name = tag[2].lower()
        if name in _SILENT and not tag[1] and not source.startswith("/>", at - 2):
            at = self.silent_end(name, at)
        return at, "\n" if name in _BREAKS else " " if name in _SPACED and not tag[1] else ""

    def past(self, sign: str, at: int) -> int:
        """After the next `sign`; without one, everything up to the end belongs to it."""
        found = self.source.find(sign, at)
        return found + len(sign) if found >= 0 else len(self.source)

    def tag_end(self, at: int) -> int:
        if self.quotes_end:
            match = _TAG_END.match(self.source, at)
            if match is not None:
                return match.end()
            # A quote that never ends: from here on quotes are not heeded, or each tag would search to the end.
            self.quotes_end = False
        return self.past(">", at)

    def silent_end(self, name: str, at: int) -> int:
        """After the end tag of an element without readable content; without one, the rest of the source is in it."""
        match = _SILENT_ENDS[name].search(self.source, at)
        return self.past(">", match.end()) if match is not None else len(self.source)


_SILENT_ENDS = {name: re.compile(rf"</{name}", re.IGNORECASE | re.ASCII) for name in _SILENT}


_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u034f\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_QUOTED_LINE = re.compile(r"^>.*$", re.MULTILINE)


def preview(text: str) -> str:
    """At most 200 characters on one line, for a list of messages (RFC 8970 §3.1).

    Quoted lines are left out unless there is nothing else.
    """
    text = text[: 20 * PREVIEW_LENGTH]
    unquoted = _QUOTED_LINE.sub("", text) if text.startswith(">") or "\n>" in text else text
    return _folded(unquoted) or _folded(text)


def _folded(text: str) -> str:
    """The beginning of a text on one line, without what cannot be seen."""
    folded = " ".join(text.split())
    if not folded[: 2 * PREVIEW_LENGTH].isprintable():
        folded = " ".join(_INVISIBLE.sub("", folded).split())
    return folded[:PREVIEW_LENGTH].rstrip()


def preview_of(root: Part, fetch: Fetch) -> str:
    """The preview of a message, reading only the beginning of its text."""
    plain, rich = _readable(root)
    if plain is not None:
        found = preview(part_text(plain, fetch, _PREVIEW_SOURCE))
        if found:
            return found
    return preview(_rich_start(rich, fetch)) if rich is not None else ""


def _rich_start(part: Part, fetch: Fetch) -> str:
    raw = fetch(part.body_start, min(part.body_end, part.body_start + TEXT_LIMIT))
    source = to_text(transfer_decode(raw, part.encoding), part.param("charset"))
    return strip_html(source, enough=20 * PREVIEW_LENGTH)
