"""What can be seen of one message besides its text, and where its conversation can be put.

    GET  /headers/<box>/<uid>               its header fields as they came
    GET  /move/<mailbox>/t<thread>          the folders a conversation may go to
    POST /move/<mailbox>/t<thread>          to=<mailbox id>

Promises: fields are shown as text, each on its line, bounded; moving asks for the rights of both folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Response, request

from appliance.web.access import Access, Routes
from appliance.web.apps import here, moved, page
from data.errors import Invalid, NotFound
from data.ids import MailboxId, ThreadId
from data.mime.decode import unlabelled
from data.mime.headers import decode_words, split, unfold
from webmail.folders import find, folder_of, folders
from webmail.mailbox import ranges_of
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

    @routes.get("/move/<box>/t<int:thread>", Access.USER)
    def choose(box: str, thread: int) -> Response:
        current = here()
        store, principal = current.parts.store, current.principal
        special, others = folders(store.mailboxes.list(principal, principal.account))
        source = find(store.mailboxes, principal, box)
        uids = store.listing.uids(principal, source.id, ThreadId(thread))
        if not uids:
            raise NotFound(f"conversation {thread} is not in {box}")
        letter = store.listing.letter(principal, source.id, uids[-1])
        return page(
            "mail/message_move.html",
            source=folder_of(source),
            thread=thread,
            folders=(*special, *others),
            letter=letter,
        )

    @routes.post("/move/<box>/t<int:thread>", Access.USER)
    def move(box: str, thread: int) -> Response:
        current = here()
        store, principal = current.parts.store, current.principal
        target = request.form.get("to", "")
        if not (target.isascii() and target.isdigit() and len(target) < 19):
            raise Invalid(f"no folder {target[:40]}")
        source = find(store.mailboxes, principal, box)
        uids = store.listing.uids(principal, source.id, ThreadId(thread))
        if uids and int(target) != source.id:
            store.messages.move(principal, source.id, ranges_of(uids), MailboxId(int(target)))
        return moved(f"/mail/{box}")

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
