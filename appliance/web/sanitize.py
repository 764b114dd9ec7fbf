"""HTML mail made safe: bounds, nh3, inlined styles, bleach; the one door of both sanitisers.

    markup.read    bounds and balanced markup of allowed elements
    nh3            an HTML parser, allow-list of elements, attributes and URL schemes
    rewrite        styles of sheets and attributes, links, pictures as slots
    bleach         another HTML parser, the same allow-list again, its CSS sanitiser with our filter

Promises: never raises, whatever the source; takes time in proportion to its length, which is bounded; the last thing that
touches the text is a sanitiser: pictures are put in by joining pieces, never by search and replace. Cleaning what was
cleaned changes nothing. `Clean` holds neither the place where the message is read nor whether remote pictures are
allowed, so that one cleaning serves every reading. CPU-bound: a second for the worst source; call it off the loop.

May not: fetch anything, or decide whether remote pictures are shown. bleach is at its last release: what it is trusted
with alone is nothing, since the markup it gets is what two steps before it wrote.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

import bleach.sanitizer
import nh3

from appliance.web import allow, links, rewrite
from appliance.web.markup import TooMuch, read
from appliance.web.rewrite import BLANK, Slot
from appliance.web.styles import MailCss, Sheet

__all__ = ["BLANK", "Clean", "Refused", "Slot", "clean"]

_MARK: Final = "slot"
_OUR_URL = re.compile(r"/[A-Za-z0-9/._~=-]{1,6000}(?:\?[A-Za-z0-9._~=-]{1,200})?\Z")
_EMPTY: Final = f'src="{BLANK}"'


@dataclass(frozen=True, slots=True)
class Refused:
    """A source beyond a bound (size, depth, tags, attributes, formatting, length): show the text part, and say so."""

    bound: str


@dataclass(frozen=True, slots=True)
class Clean:
    """A cleaned message: `pieces` of HTML with a picture between each two of them.

    `notes` names what was left out though it was harmless: "styles" when the style sheets were beyond their bounds.
    """

    pieces: tuple[str, ...]
    slots: tuple[Slot, ...]
    notes: frozenset[str] = field(default_factory=frozenset)

    @property
    def remote(self) -> tuple[str, ...]:
        """The URLs of remote pictures, each once, in order."""
        return tuple(dict.fromkeys(slot.value for slot in self.slots if slot.kind == "remote"))

    @property
    def inline(self) -> tuple[str, ...]:
        """The Content-IDs of the parts that are shown inside the text, each once, in order."""
        return tuple(dict.fromkeys(slot.value for slot in self.slots if slot.kind == "inline"))

    @property
    def html(self) -> str:
        """The message with no picture of a part and no remote one."""
        return self.shown()

    def shown(
        self, *, inline: Callable[[str], str | None] | None = None, remote: Callable[[str], str | None] | None = None
    ) -> str:
        """The message with its pictures: `inline` makes the URL of a part out of its Content-ID, `remote` that of our proxy
        out of a remote URL; without them, or where they say None, an empty picture stands. URLs are paths of ours;
        anything else is not written.
        """
        makers = {"inline": inline, "remote": remote}
        out = [self.pieces[0]]
        for slot, piece in zip(self.slots, self.pieces[1:], strict=True):
            make = makers[slot.kind]
            url = make(slot.value) if make is not None else None
            if url is not None and _OUR_URL.match(url) and not url.startswith("//"):
                out.append(f'src="{escape(url)}"')
            else:
                out.append(_EMPTY)
            out.append(piece)
        return "".join(out)


def clean(source: str) -> Clean | Refused:
    """Clean one HTML document or fragment."""
    try:
        markup = read(source)
        sheet = Sheet(markup.sheets)
        word = _MARK + secrets.token_hex(8)
        rewriter = rewrite.Rewriter(sheet, word)
        styled = rewriter.run(first(markup.html), markup.body)
        final = second(styled, word)
    except TooMuch as error:
        return Refused(error.bound)
    except rewrite.TooLong:
        return Refused("length")
    except (RecursionError, MemoryError):
        return Refused("depth")
    notes = frozenset({"styles"} if markup.sheets_cut or sheet.cut else ())
    return _pieces(final, word, tuple(rewriter.slots), notes)


def _pieces(final: str, word: str, slots: tuple[Slot, ...], notes: frozenset[str]) -> Clean:
    """Cut the markers out; a slot whose picture did not survive the last sanitiser goes with it."""
    parts = re.split(rf'src="{word}([0-9]+)"', final)
    kept = tuple(slots[int(number)] for number in parts[1::2])
    return Clean(tuple(parts[::2]), kept, notes)


# --- the first sanitiser ------------------------------------------------------------------------------------------------

_NH3: Final = nh3.Cleaner(
    tags=set(allow.TAGS),
    clean_content_tags={"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "template"},
    attributes={
        "*": {*allow.GLOBAL_ATTRIBUTES, *allow.READ_ONLY["*"]},
        **{
            tag: {*allow.ATTRIBUTES.get(tag, ()), *allow.READ_ONLY.get(tag, ())}
            for tag in {*allow.ATTRIBUTES, *allow.READ_ONLY} - {"*"}
        },
    },
    url_schemes={"http", "https", "mailto", "cid", "data"},
    link_rel=None,
    strip_comments=True,
)


def first(markup: str) -> str:
    """nh3 over the balanced markup: what is not listed is gone, what is left is well-formed."""
    return _NH3.clean(markup)


# --- the second sanitiser -----------------------------------------------------------------------------------------------

_PLAIN_DATA = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/=]+\Z", re.IGNORECASE)
_WARN = re.compile(r"(?:mismatch|lookalike|userinfo)\Z")
_WARNED_HOST = re.compile(r"[a-z0-9._:\[\]-]{1,255}\Z")
_FIXED = {"rel": rewrite.REL, "target": "_blank"}


class _Attributes:
    """The attribute filter for one message: the same tables, and the forms that our own pass wrote."""

    def __init__(self, word: str) -> None:
        self._slot = re.compile(rf"{re.escape(word)}[0-9]{{1,6}}\Z")

    def __call__(self, tag: str, name: str, value: str) -> bool:
        if tag == "a" and name == "href":
            return links.target(_unescaped(value)) is not None
        if tag == "a" and name in {"rel", "target"}:
            return value == _FIXED[name]
        if tag == "a" and name == "data-warn":
            return _WARN.match(value) is not None
        if tag == "a" and name == "data-host":
            return _WARNED_HOST.match(value) is not None
        if tag == "img" and name == "src":
            return bool(self._slot.match(value) or _PLAIN_DATA.match(value))
        return allow.attribute(tag, name, value if name == "style" else _unescaped(value))


def _unescaped(value: str) -> str:
    """bleach hands values over with the references that our own pass wrote."""
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&amp;", "&")):
        value = value.replace(entity, character)
    return value


class _PerThread(threading.local):
    """bleach's parser holds state: one cleaner for each thread."""

    def __init__(self) -> None:
        self.cleaner: Any = bleach.sanitizer.Cleaner(
            tags=allow.TAGS,
            attributes=lambda tag, name, value: False,
            protocols={*allow.LINK_SCHEMES, "data"},
            strip=True,
            strip_comments=True,
            css_sanitizer=MailCss(),
        )


_thread: Final = _PerThread()


def second(styled: str, word: str) -> str:
    """bleach over what the first pass wrote: another parser, the same lists, the style attributes filtered again."""
    cleaner = _thread.cleaner
    cleaner.attributes = _Attributes(word)
    cleaner.css_sanitizer = MailCss()
    cleaned: str = cleaner.clean(styled)
    return cleaned
