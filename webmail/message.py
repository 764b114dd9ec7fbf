"""What can be seen of one message besides its text.

    GET  /headers/<box>/<uid>               its header fields as they came

Promises: fields are shown as text, each on its line, bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Response

from appliance.web.access import Access, Routes
from appliance.web.apps import here, page
from data.errors import NotFound
from data.ids import MailboxId
from data.mime.decode import unlabelled
from data.mime.headers import decode_words, split, unfold
from webmail.reading import root_of, visible

FIELDS_MOST: Final = 300
VALUE_MOST: Final = 8_000
HEADER_MOST: Final = 256 * 1024
_AS_WRITTEN: Final = frozenset({b"received", b"dkim-signature", b"arc-seal", b"arc-message-signature", b"return-path"})


@dataclass(frozen=True, slots=True)
class Field:
    """One header field as text."""

    name: str
    value: str


def header_fields(block: bytes) -> tuple[Field, ...]:
    """The fields of a header block for people: unfolded, words decoded where a field may hold any."""
    found = []
    for name, raw in split(block)[:FIELDS_MOST]:
        plain = unfold(raw[: 4 * VALUE_MOST])
        text = unlabelled(plain) if name.lower() in _AS_WRITTEN else decode_words(plain)
        found.append(Field(visible(unlabelled(name))[:200], visible(text.replace("\t", " "))[:VALUE_MOST]))
    return tuple(found)


def routes_of_message() -> Routes:
    """The routes."""
    routes = Routes("message")

    @routes.get("/headers/<int:box>/<int:uid>", Access.USER)
    def headers(box: int, uid: int) -> Response:
        return _headers(MailboxId(box), uid)

    return routes


def _headers(box: MailboxId, uid: int) -> Response:
    current = here()
    store = current.parts.store
    letter = store.listing.letter(current.principal, box, uid)
    root = root_of(letter.layout)
    if root is None:
        raise NotFound(f"message {letter.message} has no layout")
    block = store.messages.content(letter.blob).read(0, min(root.body_start, HEADER_MOST))
    return page("mail/message_headers.html", letter=letter, fields=header_fields(letter.prefix + block))
