"""Native resources of a message: the frame in which its text is read, its parts, its source.

Promises (RELIABILITY W1, W3): the text leaves only as a document that `frame` made of what `sanitize` or `plain` cleaned; a
part leaves as a download without a type a browser acts on, pictures of the text alone in place, and only when their first
octets say that they are pictures. Cleaning happens off the loop, its result is kept for the messages read last.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from appliance.web import frame, plain, sanitize
from appliance.web.access import Access
from appliance.web.images import picture_type
from appliance.web.native import Call, Native, attachment
from appliance.web.parts import WebParts
from data.errors import NotFound
from data.ids import MailboxId
from data.mime.decode import to_text, transfer_decode
from data.mime.part import Part
from data.mime.plaintext import part_text
from data.principal import Principal
from data.store.listing import Letter
from webmail import pictures, senders
from webmail.reading import clean_name, leaves, root_of, text_parts

TEXT_MOST: Final = 1024 * 1024
PICTURE_MOST: Final = 10 * 1024 * 1024
PART_MOST: Final = 64 * 1024 * 1024
KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that was looked up: its parts, and how to read its octets."""

    letter: Letter
    root: Part
    read: Callable[[int, int], bytes]
    size: int


@dataclass(frozen=True, slots=True)
class Text:
    """The cleaned text of a message: HTML in pieces, or plain text as HTML; `bound` when HTML was beyond a bound."""

    rich: sanitize.Clean | None
    plain: str
    bound: str = ""


class Bodies:
    """Opens messages for reading."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._kept: OrderedDict[tuple[int, str], Text] = OrderedDict()
        self._guard = threading.Lock()
        self._seals = pictures.seals_of(parts)

    def natives(self) -> tuple[Native, ...]:
        """What the webmail registers."""
        return (
            Native("/body/", Access.USER, "GET", self._body),
            Native("/part/", Access.USER, "GET", self._part),
            Native("/source/", Access.USER, "GET", self._source),
        )

    def open(self, principal: Principal, mailbox: MailboxId, uid: int) -> Opened:
        """A message the principal may read. Raises NotFound, Refused, Corrupt."""
        store = self._parts.store
        letter = store.listing.letter(principal, mailbox, uid)
        root = root_of(letter.layout)
        if root is None:
            raise NotFound(f"message {letter.message} has no layout")
        content = store.messages.content(letter.blob)
        return Opened(letter, root, content.read, content.size)

    def text(self, opened: Opened, fold: str) -> Text:
        """Its text, cleaned; from memory when it was read a while ago. CPU-bound the first time."""
        key = (opened.letter.message, fold)
        with self._guard:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = _text(opened, fold)
        with self._guard:
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    # --- answers --------------------------------------------------------------------------------------------------------

    async def _body(self, call: Call) -> None:
        mailbox, uid, _ = _place(call.rest)
        principal = call.account.principal()
        opened: Opened = await call.blocking(self.open, principal, mailbox, uid)
        pages = self._parts.pages
        language = pages.language(call.asked.header("Accept-Language"))
        made: Text = await self._parts.workers.heavy(self.text, opened, "…")
        theme: frame.Theme = (
            "dark" if call.query.get("t") == "dark" else "light" if call.query.get("t") == "light" else "auto"
        )
        title = opened.letter.subject
        if made.rich is not None:
            paths = _inline_paths(opened)
            # the reader's wish holds in our own frame: a link of a message to this place shows no picture
            letter, framed = opened.letter, (call.asked.header("Sec-Fetch-Dest") or "iframe") == "iframe"
            asked_for = call.query.get("remote") == "1" or await call.blocking(
                senders.shows, self._parts.settings, call.account.id, letter.prefix, letter.from_
            )
            wanted = framed and asked_for
            remote = pictures.paths(self._seals, call.account.id, opened.letter.message) if wanted else None
            html = made.rich.shown(inline=paths.get, remote=remote)
            blocked = 0 if wanted else len(made.rich.remote)
            data = frame.document(html, kind="html", language=language, title=title, blocked=blocked)
        else:
            data = frame.document(
                made.plain, kind="plain", language=language, title=title, theme=theme, bound=bool(made.bound)
            )
        call.send(200, data, dict(frame.HEADERS) | {"X-Frame-Options": "SAMEORIGIN"})

    async def _part(self, call: Call) -> None:
        mailbox, uid, number = _place(call.rest)
        opened: Opened = await call.blocking(self.open, call.account.principal(), mailbox, uid)
        part = next((one for place, one in leaves(opened.root) if place == number), None)
        if part is None or part.size > PART_MOST:
            raise NotFound(f"part {number}")
        data = await call.blocking(_decoded, opened, part)
        picture = picture_type(data[:16]) if len(data) <= PICTURE_MOST else None
        if call.query.get("show") == "1" and picture is not None:
            call.send(
                200,
                data,
                {**attachment("picture", picture), "Content-Disposition": "inline", "Cache-Control": "private"},
            )
            return
        call.send(200, data, attachment(clean_name(part.filename or "", part)))

    async def _source(self, call: Call) -> None:
        mailbox, uid, _ = _place(call.rest)
        opened: Opened = await call.blocking(self.open, call.account.principal(), mailbox, uid)
        prefix = opened.letter.prefix

        def read(start: int, stop: int) -> bytes:
            head = prefix[start:stop]
            rest: bytes = opened.read(max(0, start - len(prefix)), max(0, stop - len(prefix)))
            return head + rest

        await call.stream(len(prefix) + opened.size, read, attachment("message.eml", "application/octet-stream"))


def _place(rest: str) -> tuple[MailboxId, int, int]:
    """`<mailbox>/<uid>[/<part>]` out of a path. Raises NotFound."""
    words = rest.split("/")
    if not 2 <= len(words) <= 3 or not all(w.isascii() and w.isdigit() and len(w) < 19 for w in words):
        raise NotFound(rest)
    return MailboxId(int(words[0])), int(words[1]), int(words[2]) if len(words) == 3 else -1


def _inline_paths(opened: Opened) -> dict[str, str]:
    """The paths of the pictures a text may show, by Content-ID."""
    base = f"/webmail/part/{opened.letter.mailbox}/{opened.letter.uid}"
    return {
        part.content_id.strip("<>"): f"{base}/{number}?show=1"
        for number, part in leaves(opened.root)
        if part.content_id and part.type == "image"
    }


def _decoded(opened: Opened, part: Part) -> bytes:
    if part.is_message or part.type == "message":
        return bytes(opened.read(part.body_start, part.body_end))
    data: bytes = transfer_decode(opened.read(part.body_start, part.body_end), part.encoding)
    return data


def _text(opened: Opened, fold: str) -> Text:
    flat, rich = text_parts(opened.root)
    bound = ""
    if rich is not None:
        raw = opened.read(rich.body_start, min(rich.body_end, rich.body_start + TEXT_MOST))
        cleaned = sanitize.clean(to_text(transfer_decode(raw, rich.encoding), rich.param("charset")))
        if isinstance(cleaned, sanitize.Clean):
            return Text(cleaned, "")
        bound = cleaned.bound
    part = flat if flat is not None else rich
    if part is None:
        return Text(None, "", bound)
    if part.subtype == "html":
        return Text(None, plain.clean(part_text(part, opened.read), fold=fold).html, bound)
    raw = opened.read(part.body_start, min(part.body_end, part.body_start + TEXT_MOST))
    text = to_text(transfer_decode(raw, part.encoding), part.param("charset")).replace("\r\n", "\n")
    flowed = part.param("format") == "flowed"
    return Text(None, plain.clean(text, flowed=flowed, delsp=part.param("delsp") == "yes", fold=fold).html, bound)
