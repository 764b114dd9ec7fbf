"""What is written: the fields of a message in the making, read out of a form, of a draft, or of what is answered. Pure.

Promises (RELIABILITY W5, W6): a value with a line end, or with what somebody may take for one, is refused in an address
field and made one line in every other; an answer quotes the text of a message, never its HTML, so that nothing of hostile
markup reaches the editor or whoever gets the answer. Threads go on by In-Reply-To and References (RFC 5322 §3.6.4).

May not: read the clock, the store or a request.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from appliance.i18n import N_
from appliance.web.forms import Wrong
from data.ids import Millis
from data.mime.address import Address, AddressError, mailboxes, normal, parse_list
from data.mime.compose import Attachment, Draft
from data.mime.decode import transfer_decode
from data.mime.headers import decode_words, first, index
from data.mime.part import Part
from data.mime.plaintext import text_of
from data.mime.threads import message_ids
from webmail.reading import NAME_MOST, leaves, visible

RECIPIENTS_MOST: Final = 100
SUBJECT_MOST: Final = 500
TEXT_MOST: Final = 200_000
QUOTE_MOST: Final = 100_000
REFERENCES_MOST: Final = 50
FILES_MOST: Final = 25 * 1024 * 1024
"""Octets of all attachments of a message together, before they are encoded."""
ORIGIN: Final = "X-Mailstead-Origin"
"""In a draft alone: which message it answers, as `reply|forward MAILBOX UID`."""

_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_AGAIN = re.compile(r"(?:\s*(?:re|aw|antw|sv|回复|答复|fwd?|wg|转发)\s*(?:\[\d+\])?\s*[:：])+\s*", re.IGNORECASE)
_SPECIAL = re.compile(r'[()<>\[\]:;@\\,."]')
_KEY = re.compile(r"[0-9a-f]{32}\Z")
_ORIGIN = re.compile(r"(reply|forward) ([0-9]{1,18}) ([0-9]{1,10})\Z")

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Fields:
    """A message in the making. `key` names it for good, `version` is its last save (0: none); addresses are as typed.

    `source` is the message its attachments lie in (mailbox, UID) and `keep` which of its parts go with it; `origin` is
    what it answers.
    """

    key: str
    version: int = 0
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    origin: str = ""
    source: tuple[int, int] | None = None
    keep: tuple[int, ...] = ()
    errors: Mapping[str, Wrong] = field(default_factory=dict)


# --- out of a form -------------------------------------------------------------------------------------------------------


def read_form(given: Mapping[str, str], keep: Iterable[str]) -> Fields:
    """The fields of a submitted form; a form that is not ours gives empty ones."""
    errors: dict[str, Wrong] = {}
    subject = " ".join(_BREAKS.sub(" ", given.get("subject", "")).split())
    text = given.get("text", "").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if len(subject) > SUBJECT_MOST:
        errors["subject"] = Wrong(N_("At most %(most)s characters."), {"most": SUBJECT_MOST})
    if len(text) > TEXT_MOST:
        errors["text"] = Wrong(N_("At most %(most)s characters."), {"most": TEXT_MOST})
    origin = given.get("origin", "")
    return Fields(
        key=key_of(given.get("key", "")),
        version=number(given.get("version", "")),
        to=given.get("to", "").strip()[:20_000],
        cc=given.get("cc", "").strip()[:20_000],
        bcc=given.get("bcc", "").strip()[:20_000],
        subject=subject,
        text=text,
        in_reply_to=_ids(given.get("in_reply_to", ""))[:1],
        references=_ids(given.get("references", "")),
        origin=origin if _ORIGIN.match(origin) else "",
        source=place_of(given.get("source", "")),
        keep=tuple(int(one) for one in keep if one.isascii() and one.isdigit() and len(one) < 6),
        errors=errors,
    )


def key_of(text: str) -> str:
    """A key as we make them, or nothing."""
    return text if _KEY.match(text) else ""


def number(text: str) -> int:
    """A number of a form; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else 0


def place_of(text: str) -> tuple[int, int] | None:
    """`mailbox/uid`; None for anything else."""
    box, _, uid = text.partition("/")
    return (int(box), int(uid)) if all(w.isascii() and w.isdigit() and len(w) < 19 for w in (box, uid)) else None


def origin_of(text: str) -> tuple[str, int, int] | None:
    """What is answered, and how: (`reply` or `forward`, mailbox, UID)."""
    found = _ORIGIN.match(text)
    return (found[1], int(found[2]), int(found[3])) if found else None


def alike(one: Fields, other: Fields) -> bool:
    """Do both say the same to the same people?"""

    def said(fields: Fields) -> tuple[object, ...]:
        people = {name: tuple(a.spec for a in each) for name, each in recipients(fields)[0].items()}
        return people, fields.subject, fields.text.rstrip("\n"), fields.in_reply_to

    return said(one) == said(other)


def _ids(text: str) -> tuple[str, ...]:
    return message_ids(text[:8_000].encode("utf-8", "replace"))[-REFERENCES_MOST:]


def recipients(fields: Fields) -> tuple[dict[str, tuple[Address, ...]], dict[str, Wrong]]:
    """The addresses of each field, and what is wrong with them."""
    found: dict[str, tuple[Address, ...]] = {}
    wrong: dict[str, Wrong] = {}
    for name in ("to", "cc", "bcc"):
        text = getattr(fields, name)
        if _BREAKS.search(text):
            wrong[name] = Wrong(N_("Control characters are not allowed here."))
            continue
        found[name] = tuple(mailboxes(parse_list(text.replace(";", ",") if "<" not in text else text)))
        bad = next((one for one in found[name] if not _usable(one)), None)
        if bad is not None:
            wrong[name] = Wrong(N_("%(address)s is not an e-mail address."), {"address": bad.spec[:200]})
        elif text and not found[name]:
            wrong[name] = Wrong(N_("%(address)s is not an e-mail address."), {"address": text[:200]})
    if sum(map(len, found.values())) > RECIPIENTS_MOST:
        wrong["to"] = Wrong(N_("At most %(most)s recipients."), {"most": RECIPIENTS_MOST})
    elif not wrong and not any(found.values()):
        wrong["to"] = Wrong(N_("Somebody must get it: enter an address."))
    return found, wrong


def _usable(address: Address) -> bool:
    if address.route is not None:
        return False
    try:
        normal(address.spec)
    except AddressError:
        return False
    return True


# --- to a message --------------------------------------------------------------------------------------------------------


def draft_of(
    fields: Fields, sender: Address, now: Millis, offset: int, files: Iterable[Attachment], *, final: bool
) -> Draft:
    """The message to be written; `final` as it is sent, otherwise with what a draft keeps for itself.

    In a draft, addresses that are none yet are left out of the header fields and kept as text.
    """
    domain = sender.domain or "localhost"
    found, wrong = recipients(fields)
    kept = {name: tuple(one for one in each if _usable(one)) for name, each in found.items()}
    extra = []
    if not final and fields.origin:
        extra.append((ORIGIN, fields.origin))
    if not final and wrong:
        extra += [(f"X-Mailstead-{name}", visible_line(getattr(fields, name))) for name in ("to", "cc", "bcc")]
    return Draft(
        sender=sender,
        date=now,
        offset=offset,
        message_id=f"{fields.key}@{domain}",
        to=kept.get("to", ()),
        cc=kept.get("cc", ()),
        bcc=kept.get("bcc", ()),
        subject=fields.subject,
        in_reply_to=fields.in_reply_to,
        references=fields.references,
        text=fields.text,
        attachments=tuple(files),
        extra=tuple(extra),
    )


def visible_line(text: str) -> str:
    """Text on one line."""
    return " ".join(_BREAKS.sub(" ", text).split())


def file_name(raw: str) -> str:
    """The name of an uploaded file: only a name, on one line, at most 120 characters."""
    name = visible(_BREAKS.sub("", unicodedata.normalize("NFC", raw))).replace("\\", "/").rpartition("/")[2]
    name = name.lstrip(".").strip()
    if len(name) > NAME_MOST:
        stem, dot, extension = name.rpartition(".")
        tail = f".{extension}" if dot and len(extension) <= 10 else ""
        name = (stem if tail else name)[: NAME_MOST - len(tail)] + tail
    return name or "file"


def attachments(root: Part, read: Read, keep: Iterable[int]) -> tuple[Attachment, ...]:
    """The parts of a stored message that go with another one, decoded."""
    wanted = frozenset(keep)
    found = []
    for place, part in leaves(root):
        if place in wanted:
            data = read(part.body_start, part.body_end)
            if part.type != "message":
                data = transfer_decode(data, part.encoding)
            name = file_name(part.filename or ("message.eml" if part.type == "message" else f"file.{part.subtype}"))
            found.append(Attachment(data, f"{part.type}/{part.subtype}", name))
    return tuple(found)


# --- out of a message ----------------------------------------------------------------------------------------------------


def reopened(key: str, place: tuple[int, int], root: Part, read: Read, keep: tuple[int, ...]) -> Fields:
    """The fields of a draft that was saved before; `place` is where it lies."""
    head = index(read(0, root.body_start))
    texts = {name: _list_text(first(head, name.encode()) or b"") for name in ("to", "cc", "bcc")}
    for name in texts:
        typed = first(head, f"x-mailstead-{name}".encode())
        if typed is not None:
            texts[name] = decode_words(typed)
    origin = decode_words(first(head, ORIGIN.lower().encode()) or b"")
    return Fields(
        key=key,
        version=place[1],
        to=texts["to"],
        cc=texts["cc"],
        bcc=texts["bcc"],
        subject=decode_words(first(head, b"subject") or b"")[:SUBJECT_MOST],
        text=text_of(root, read).replace("\r\n", "\n").rstrip("\n"),
        in_reply_to=message_ids(first(head, b"in-reply-to") or b"")[:1],
        references=message_ids(first(head, b"references") or b"")[-REFERENCES_MOST:],
        origin=origin if _ORIGIN.match(origin) else "",
        source=place,
        keep=keep,
    )


def message_id_of(root: Part, read: Read) -> str:
    """The Message-ID of a stored message without angle brackets; empty when it has none."""
    return next(iter(message_ids(first(index(read(0, root.body_start)), b"message-id") or b"")), "")


def answer(key: str, head: bytes, text: str, *, everyone: bool, me: Callable[[str], bool], said: str) -> Fields:
    """A reply to a message by its header and text. `me` tells the writer's own addresses; `said` heads the quote."""
    fields = index(head)
    senders = _people(fields, b"reply-to") or _people(fields, b"from")
    if senders and all(me(one.spec) for one in senders):
        senders = _people(fields, b"to")
    others = (*_people(fields, b"to"), *_people(fields, b"cc")) if everyone else ()
    first_ones = _once(senders, ())
    copies = _once((one for one in others if not me(one.spec)), first_ones)
    own = message_ids(first(fields, b"message-id") or b"")[:1]
    before = message_ids(first(fields, b"references") or first(fields, b"in-reply-to") or b"")
    return Fields(
        key=key,
        to=", ".join(map(shown_address, first_ones)),
        cc=", ".join(map(shown_address, copies)),
        subject=_again("Re", fields),
        text=f"\n\n{said}\n{quoted(text)}\n",
        in_reply_to=own,
        references=(*before, *own)[-REFERENCES_MOST:],
    )


def passed_on(key: str, head: bytes, text: str, *, title: str, names: tuple[str, str, str, str]) -> Fields:
    """A message to be forwarded by its header and text; `names` are From, Date, Subject, To in the writer's language."""
    fields = index(head)
    values = (
        ", ".join(map(shown_address, _people(fields, b"from"))),
        decode_words(first(fields, b"date") or b""),
        decode_words(first(fields, b"subject") or b"")[:SUBJECT_MOST],
        ", ".join(map(shown_address, _people(fields, b"to")[:20])),
    )
    lines = "\n".join(f"{name}: {visible_line(value)}" for name, value in zip(names, values, strict=True) if value)
    body = text[:QUOTE_MOST].replace("\r\n", "\n").rstrip("\n")
    own = message_ids(first(fields, b"message-id") or b"")[:1]
    return Fields(
        key=key,
        subject=_again("Fwd", fields),
        text=f"\n\n---------- {title} ----------\n{lines}\n\n{body}\n",
        references=own,
    )


def quoted(text: str) -> str:
    """Text with a quote sign before each line."""
    lines = text[:QUOTE_MOST].replace("\r\n", "\n").strip("\n").split("\n")
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines)


def with_key(fields: Fields, key: str) -> Fields:
    """The same message under another key, not saved yet."""
    return replace(fields, key=key, version=0)


def _again(word: str, fields: Mapping[bytes, list[bytes]]) -> str:
    subject = visible_line(decode_words(first(dict(fields), b"subject") or b""))
    return f"{word}: {_AGAIN.sub('', subject, count=1) if _AGAIN.match(subject) else subject}"[:SUBJECT_MOST]


def _people(fields: Mapping[bytes, list[bytes]], name: bytes) -> tuple[Address, ...]:
    found = mailboxes(parse_list((first(dict(fields), name) or b"")[:100_000]))
    return tuple(replace(one, name=_name(one)) for one in found if _usable(replace(one, route=None)))[:RECIPIENTS_MOST]


def _name(address: Address) -> str:
    """A display name as text: decoded, and without what poses as an address or hides."""
    return visible_line(visible(decode_words((address.name or "").encode("utf-8", "replace"))))[:NAME_MOST]


def _once(people: Iterable[Address], taken: Iterable[Address]) -> tuple[Address, ...]:
    seen = {one.spec.lower() for one in taken}
    found = []
    for one in people:
        if one.spec.lower() not in seen:
            seen.add(one.spec.lower())
            found.append(one)
    return tuple(found)


def _list_text(raw: bytes) -> str:
    return ", ".join(shown_address(replace(one, name=_name(one))) for one in mailboxes(parse_list(raw)))


def shown_address(address: Address) -> str:
    """An address as an editor shows it and `parse_list` reads it."""
    name = (address.name or "").strip()
    if not name:
        return address.spec
    if _SPECIAL.search(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{address.spec}>"
