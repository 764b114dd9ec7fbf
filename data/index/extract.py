"""The words of a stored message: what is indexed, and what is scanned as long as it is not.

Promises: bounded work for a message of any size (so many octets of each text part, so many parts, so many characters in
all; names of attachments cut as well); nothing raises for anything a message says. A message whose octets are damaged
is found by what the rows keep of it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, select

from data.disk import tables as t
from data.disk.blobs import Blobs
from data.disk.db import Reader
from data.errors import Corrupt
from data.ids import BlobId
from data.index.match import Section, end_of
from data.index.words import Words, gather
from data.mime.headers import decode_words
from data.mime.part import LayoutError, Part, decode_layout
from data.mime.plaintext import texts

PART_OCTETS = 256 * 1024
PARTS = 200
CHARACTERS = 1_000_000
NAMES = 4_000
_APART = 10

_m = t.message.c
_HEADERS = (
    (Section.SENDER, "from_text"),
    (Section.TO, "to_text"),
    (Section.CC, "cc_text"),
    (Section.BCC, "bcc_text"),
    (Section.SUBJECT, "subject"),
)
_MESSAGE = select(
    _m.blob_id, _m.layout, _m.from_text, _m.to_text, _m.cc_text, _m.bcc_text, _m.subject
).where(_m.id == bindparam("message"))  # fmt: skip
_FIRST = 2


def words_of(reader: Reader, blobs: Blobs, message: int) -> Words | None:
    """The words of a message; None when there is no such message any more."""
    row = reader.first(_MESSAGE, {"message": message})
    if row is None:
        return None
    words: Words = {}
    for nth, (section, _) in enumerate(_HEADERS):
        gather(row[_FIRST + nth], words, int(section), end_of(section))
    try:
        root = decode_layout(row[1])
        _gather_names(root, words)
        _gather_body(root, _guarded(reader, blobs, BlobId(row[0])), words)
    except LayoutError:
        pass  # what the rows say is all there is
    return words


def _guarded(reader: Reader, blobs: Blobs, blob: BlobId) -> Callable[[int, int], bytes]:
    """Reads ranges of a message; damaged octets are none."""
    opened: list[Any] = []

    def fetch(start: int, stop: int) -> bytes:
        try:
            if not opened:
                opened.append(blobs.content_in(reader, blob))
            return bytes(opened[0].read(start, stop))
        except Corrupt:
            return b""

    return fetch


def _gather_names(root: Part, words: Words) -> None:
    at, room = int(Section.NAMES), NAMES
    for part in islice(root.walk(), PARTS):
        name = part.filename
        if name and room > 0:
            shown = decode_words(name.encode("utf-8", "replace")) if "=?" in name else name
            at = gather(shown[:room], words, at, end_of(Section.NAMES)) + _APART
            room -= len(shown)


def _gather_body(root: Part, fetch: Callable[[int, int], bytes], words: Words) -> None:
    at, room = int(Section.BODY), CHARACTERS
    for _, text in islice(texts(root, fetch, PART_OCTETS), PARTS):
        at = gather(text[:room], words, at, end_of(Section.BODY)) + _APART
        room -= len(text)
        if room <= 0:
            return
