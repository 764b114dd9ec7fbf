"""What is shown of a stored message: people, attachments, and the part that is its text. Pure.

Promises: nothing here trusts a message: names are text without control characters, files have a name that is only a name,
of a bounded length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from appliance.web.links import name_warning
from data.mime.headers import filename_text
from data.mime.mailboxes import Address, Group, parse_list
from data.mime.part import LayoutError, Part, decode_layout

NAME_MOST: Final = 120
KINDS: Final[Mapping[str, str]] = {
    "pdf": "c5", "doc": "c1", "docx": "c1", "odt": "c1", "xls": "c7", "xlsx": "c7", "ods": "c7", "csv": "c7", "ppt": "c3",
    "pptx": "c3", "zip": "c8", "gz": "c8", "7z": "c8", "jpg": "c2", "jpeg": "c2", "png": "c2", "gif": "c2", "webp": "c2",
    "txt": "c6", "eml": "c4", "ics": "c4", "vcf": "c4",
}  # fmt: skip
"""The colour of an attachment's badge by its extension."""
_HIDDEN: Final = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\x00-\x1f\x7f-\x9f]")
_HIDDEN_IN_PROSE: Final = re.compile(
    "(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
    "|[\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\x00-\x1f\x7f-\x9f]"
)
_RTL: Final = re.compile("[\u200f\u202b\u202e\u2067]")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a header: a name to show and an address."""

    name: str
    address: str

    @property
    def short(self) -> str:
        """How a list calls them."""
        return self.name or self.address.partition("@")[0] or self.address

    @property
    def posing(self) -> bool:
        """Does the name pretend to be another address (RELIABILITY N12)?"""
        return bool(self.name) and name_warning(self.name, self.address)


@dataclass(frozen=True, slots=True)
class File:
    """One attachment. `turned` when its name was written to be read backwards; `number` is its place in the message."""

    number: int
    name: str
    kind: str
    colour: str
    type: str
    size: int
    turned: bool


def visible(text: str) -> str:
    """Text without characters that hide, reverse or break what is shown."""
    return _HIDDEN.sub("", text).strip()


def readable(text: str) -> str:
    """As `visible`, for a subject: what joins or parts two characters stays (a family of emoji, Persian, Indic scripts)."""
    return _HIDDEN_IN_PROSE.sub("", text).strip()


def people(text: str) -> tuple[Person, ...]:
    """The mailboxes of a stored header text."""
    found = []
    for item in parse_list(text):
        for one in item.members if isinstance(item, Group) else (item,):
            found.append(_person(one))
    return tuple(found)


def _person(address: Address) -> Person:
    return Person(visible(address.name or "")[:NAME_MOST], visible(address.spec)[:320])


def root_of(layout: bytes) -> Part | None:
    """The parts of a stored message; None when what is kept of them is damaged."""
    try:
        return decode_layout(layout)
    except LayoutError:
        return None


def leaves(root: Part) -> Iterator[tuple[int, Part]]:
    """Every part that is not a multipart, numbered in the order of the message; embedded messages stay whole."""
    stack, number = [root], 0
    while stack:
        part = stack.pop()
        if part.is_multipart:
            stack.extend(reversed(part.parts))
            continue
        yield number, part
        number += 1


def text_parts(root: Part) -> tuple[Part | None, Part | None]:
    """The first text/plain and the first text/html that are not attachments."""
    plain = rich = None
    for _, part in leaves(root):
        if part.type != "text" or part.disposition == "attachment":
            continue
        plain = part if plain is None and part.subtype == "plain" else plain
        rich = part if rich is None and part.subtype == "html" else rich
    return plain, rich


def files(root: Part, inline: frozenset[str] = frozenset()) -> tuple[File, ...]:
    """What can be saved: every part that is not the text; pictures of the text (`inline`: their Content-IDs) not."""
    shown = {id(part) for part in text_parts(root) if part is not None}
    found = []
    for number, part in leaves(root):
        if id(part) in shown or (part.content_id or "").strip("<>") in inline:
            continue
        if part.type == "text" and part.disposition != "attachment" and part.filename is None:
            continue
        found.append(_file(number, part))
    return tuple(found)


def _file(number: int, part: Part) -> File:
    raw = filename_text(part.filename) or ""
    name = clean_name(raw, part)
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    # four characters are three octets, without the line ends (RFC 2045 §6.8: lines of 76)
    size = (part.size - 2 * -(-part.size // 78)) * 3 // 4 if part.encoding == "base64" else part.size
    kind = (extension or ("file" if part.subtype == "octet-stream" else part.subtype))[:4].upper()
    return File(
        number, name, kind, KINDS.get(extension, "c4"), f"{part.type}/{part.subtype}", size, bool(_RTL.search(raw))
    )


def clean_name(raw: str, part: Part) -> str:
    """A file name that is only a name: no path, no hidden characters, no leading dots, at most 120 characters."""
    name = visible(unicodedata.normalize("NFC", raw)).replace("\\", "/").rpartition("/")[2].lstrip(".").strip()
    name = re.sub(r'[<>:"|?*]', "_", name)
    if len(name) > NAME_MOST:
        stem, dot, extension = name.rpartition(".")
        keep = f".{extension}" if dot and len(extension) <= 10 else ""
        name = (stem if keep else name)[: NAME_MOST - len(keep)] + keep
    if name:
        return name
    return "message.eml" if part.is_message or part.type == "message" else f"attachment-{part.subtype[:20]}"
