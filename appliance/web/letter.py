"""What of a message is shown: its HTML cleaned, or its text, and what the page has to say about it.

Promises: HTML within the bounds is shown as HTML; beyond them the text part is, and without one the text of the HTML;
`notes` says so in codes that the page puts into the reader's language: `refused.BOUND` (size, references, depth, tags,
attributes, formatting, length), `styles` (the sheets were too large and are not applied), `cut` (a text longer than what
is shown). CPU-bound as `sanitize` is: call it off the loop, keep the result.

May not: read parts or decode them; it is given text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.web import plain, sanitize
from appliance.web.frame import Kind
from appliance.web.sanitize import Clean
from data.mime.plaintext import strip_html


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to be put into the frame, the same for every reader; plain text is a Clean without pictures."""

    kind: Kind
    body: Clean
    notes: frozenset[str]

    @property
    def remote(self) -> int:
        """How many remote pictures are left out until the reader asks for them."""
        return len(self.body.remote)

    def html(
        self, *, inline: Callable[[str], str | None] | None = None, remote: Callable[[str], str | None] | None = None
    ) -> str:
        """The body for `frame.document`; the two functions as in `Clean.shown`."""
        return self.body.shown(inline=inline, remote=remote)


def of(html: str | None, text: str | None, *, flowed: bool = False, delsp: bool = False, fold: str = "...") -> Letter:
    """The letter of a message by its HTML and its plain text part (None where it has none)."""
    if html is None:
        return _plain(text or "", frozenset(), flowed=flowed, delsp=delsp, fold=fold)
    found = sanitize.clean(html)
    if isinstance(found, Clean):
        return Letter("html", found, found.notes)
    notes = frozenset({f"refused.{found.bound}"})
    if text is not None and text.strip():
        return _plain(text, notes, flowed=flowed, delsp=delsp, fold=fold)
    return _plain(strip_html(html), notes, flowed=False, delsp=False, fold=fold)


def _plain(text: str, notes: frozenset[str], *, flowed: bool, delsp: bool, fold: str) -> Letter:
    shown = plain.clean(text, flowed=flowed, delsp=delsp, fold=fold)
    return Letter("plain", Clean((shown.html,), ()), notes | ({"cut"} if shown.cut else set()))
