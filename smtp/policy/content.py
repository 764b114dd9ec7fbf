"""A message looked at once, for everything that content can say: header, text, links, files, and the words for Bayes.

Promises: what is looked at is bounded (TEXT_MOST octets of text, PARTS_MOST parts, FILES_MOST octets of files, and
SECONDS of CPU, after which what was found so far counts); a message of any size may lie anywhere, for only pieces of it
are read. Nothing that a message says raises. Pure but for `spent`, which tells how much CPU was used.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from data.mime.address import Address, mailboxes, parse_list
from data.mime.decode import to_text, transfer_decode
from data.mime.headers import Index, decode_words, filename_text, first, index
from data.mime.part import Part
from data.mime.plaintext import part_text, strip_html
from smtp.policy import files, links
from smtp.policy.bayes import words
from smtp.policy.files import LOOK_MOST, File
from smtp.policy.likeness import hidden_marks, mixed_script, registrable
from smtp.policy.links import Link
from smtp.policy.verdict import Action, Weighed

TEXT_MOST = 256 * 1024
PARTS_MOST = 200
FILES_MOST = 4 << 20
SECONDS = 2.0
_FIELD = 8192
Fetch = Callable[[int, int], bytes]

_TAG = re.compile(r"<[a-z][^<>]{0,800}>([^<]{0,600})", re.I)
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d])|mso-hide\s*:\s*all",
    re.I,
)
_IMAGE = re.compile(r"<img\s", re.I)
_PASSWORD = re.compile(r"\b(?:password|passcode|passwort|kennwort|pin)\b|密码|口令", re.I)
_FREE = frozenset(
    {"163.com", "126.com", "aol.com", "gmail.com", "gmx.net", "hotmail.com", "icloud.com", "mail.ru", "outlook.com",
     "proton.me", "qq.com", "yahoo.com", "yandex.ru"}
)  # fmt: skip
_GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""The test message of filters of unsolicited bulk mail."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. `author` is the one address of From (lower-case; empty where there is not one), `name` what stands
    beside it; `domains` those of the links."""

    author: str = ""
    name: str = ""
    reply_to: str = ""
    subject: str = ""
    text: str = ""
    links: tuple[Link, ...] = ()
    files: tuple[File, ...] = ()
    words: tuple[str, ...] = ()
    evidence: tuple[Weighed, ...] = ()
    listed: bool = False
    cut: bool = False

    @property
    def author_domain(self) -> str:
        """The domain of From."""
        return self.author.rpartition("@")[2]


@dataclass(slots=True)
class _Seen:
    text: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    evidence: list[Weighed] = field(default_factory=list)
    plain: int = 0
    room: int = TEXT_MOST
    file_room: int = FILES_MOST
    cut: bool = False


def look(header: bytes, root: Part, read: Fetch, spent: Callable[[], float] = time.thread_time) -> Look:
    """Look at a message: its own header, its tree of parts, and its octets by offset."""
    until = spent() + SECONDS
    fields = index(header)
    seen = _parts(root, read, lambda: spent() > until)
    text, source = "\n".join(seen.text), "\n".join(seen.source)
    author, name = _author(fields)
    subject = decode_words((first(fields, b"subject") or b"")[:_FIELD])
    found = links.links_of(source, text)
    evidence = [*seen.evidence, *_header(fields, author, name, subject), *_shape(seen, text, source, subject)]
    evidence += links.weigh(found)
    evidence += files.weigh(seen.files, password_told=_PASSWORD.search(text[:20_000]) is not None)
    hosts = dict.fromkeys(registrable(one.host) for one in found if one.host)
    return Look(
        author=author,
        name=name,
        reply_to=_only(fields, b"reply-to")[0],
        subject=subject,
        text=text,
        links=tuple(found),
        files=tuple(seen.files),
        words=words(subject, text, _marks(fields, author, seen), hosts),
        evidence=tuple(evidence),
        listed=b"list-id" in fields or b"list-unsubscribe" in fields,
        cut=seen.cut,
    )


# --- parts ----------------------------------------------------------------------------------------------------------


def _parts(root: Part, read: Fetch, late: Callable[[], bool]) -> _Seen:
    seen = _Seen()
    for number, part in enumerate(root.walk()):
        if number >= PARTS_MOST or late():
            seen.cut = True
            seen.evidence.append(Weighed("content.cut", 10, {"parts": number}))
            break
        if part.is_multipart or part.is_message:
            continue
        name = filename_text(part.filename) or ""
        if part.type == "text" and not part.opaque and part.disposition != "attachment":
            _text(seen, part, read)
        if name or part.type not in ("text", "multipart") or part.disposition == "attachment":
            _file(seen, part, name, read)
    return seen


def _text(seen: _Seen, part: Part, read: Fetch) -> None:
    if seen.room <= 0:
        seen.cut = True
        return
    if part.subtype == "html":
        raw = read(part.body_start, min(part.body_end, part.body_start + seen.room))
        source = to_text(transfer_decode(raw, part.encoding), part.param("charset"))
        seen.source.append(source)
        seen.text.append(strip_html(source))
    else:
        text = part_text(part, read, seen.room)
        seen.plain += len(text.strip())
        seen.text.append(text)
    seen.room -= part.size


def _file(seen: _Seen, part: Part, name: str, read: Fetch) -> None:
    most = min(LOOK_MOST, seen.file_room)
    if most <= 0:
        seen.cut = True
        return
    encoded = most * 4 // 3 + most // 32 if part.encoding == "base64" else most
    raw = read(part.body_start, min(part.body_end, part.body_start + encoded))
    data = transfer_decode(raw, part.encoding)[:most]
    seen.file_room -= len(data)
    seen.files.append(File(name[:400], f"{part.type}/{part.subtype}", data, part.size <= encoded))


# --- header ---------------------------------------------------------------------------------------------------------


def _only(fields: Index, name: bytes) -> tuple[str, str]:
    """The first address of a field and the name beside it."""
    raw = first(fields, name)
    found: list[Address] = [one for one in mailboxes(parse_list(raw[:_FIELD], 10)) if one.domain] if raw else []
    return (found[0].spec.lower(), found[0].name or "") if found else ("", "")


def _author(fields: Index) -> tuple[str, str]:
    return _only(fields, b"from")


def _header(fields: Index, author: str, name: str, subject: str) -> list[Weighed]:
    out: list[Weighed] = []
    if b"date" not in fields:
        out.append(Weighed("header.no-date", 15))
    if b"message-id" not in fields:
        out.append(Weighed("header.no-message-id", 15))
    if not author:
        out.append(Weighed("header.no-author", 30))
    letters = [char for char in subject if char.isalpha()]
    if len(letters) >= 10 and sum(char.isupper() for char in letters) > 0.8 * len(letters):
        out.append(Weighed("header.shouting", 15))
    if re.match(r"(?:re|aw|回复|答复)\s*[:：]", subject, re.I) and not (
        b"in-reply-to" in fields or b"references" in fields
    ):
        out.append(Weighed("header.no-reply", 15))
    if hidden_marks(subject) > 1:
        out.append(Weighed("header.hidden", 40))
    out += _naming(author, name)
    reply = _only(fields, b"reply-to")[0]
    if reply and author and registrable(reply.rpartition("@")[2]) != registrable(author.rpartition("@")[2]):
        free = reply.rpartition("@")[2] in _FREE
        out.append(Weighed("header.reply-elsewhere", 25 if free else 8, {"reply_to": reply}))
    return out


def _naming(author: str, name: str) -> list[Weighed]:
    """What stands beside the address in From: another address, or letters that are made to look like others."""
    out: list[Weighed] = []
    held = re.search(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", name)
    if (
        held is not None
        and author
        and registrable(held[0].rpartition("@")[2].lower()) != registrable(author.rpartition("@")[2])
    ):
        out.append(Weighed("sender.name-address", 50, {"name": held[0], "address": author}))
    if mixed_script(name) or mixed_script(author):
        out.append(Weighed("sender.mixed", 60, {"name": name, "address": author}, Action.JUNK))
    return out


def _marks(fields: Index, author: str, seen: _Seen) -> list[str]:
    """Words of the header for Bayes."""
    out = [f"from:{author}", f"from:{author.rpartition('@')[2]}"] if author else ["from:none"]
    mailer = first(fields, b"x-mailer") or first(fields, b"user-agent") or b""
    if mailer:
        out.append(
            "mailer:" + mailer[:30].decode("ascii", "replace").strip().lower().partition("/")[0].partition(" ")[0]
        )
    for name in (b"list-id", b"list-unsubscribe", b"in-reply-to", b"references", b"reply-to", b"precedence"):
        if name in fields:
            out.append("has:" + name.decode())
    out += [f"file:{one.extension or one.type}" for one in seen.files[:10]]
    out.append("shape:html" if seen.source and not seen.plain else "shape:both" if seen.source else "shape:plain")
    return out


# --- shape ----------------------------------------------------------------------------------------------------------


def _shape(seen: _Seen, text: str, source: str, subject: str) -> list[Weighed]:
    out: list[Weighed] = []
    if _GTUBE in text:
        out.append(Weighed("content.gtube", 100, {}, Action.JUNK))
    tags = _TAG.finditer(source) if _UNSEEN.search(source) else ()
    hidden = sum(
        len(one[1].strip()) for one in tags if one[1] and _UNSEEN.search(one[0], 0, one.start(1) - one.start())
    )
    if hidden > 150:
        out.append(Weighed("content.hidden", 30, {"characters": hidden}))
    marks = hidden_marks(text)
    if marks > 20 and marks > len(text) / 50:
        out.append(Weighed("content.marks", 40, {"characters": marks}))
    if source and len(text.strip()) < 80 and _IMAGE.search(source):
        out.append(Weighed("content.picture", 25))
    return out
