"""What we make of a message, as text: the form of the .expect files beside the messages of this folder.

`python -m tests.corpus.describe tests/corpus/NAME.eml` prints one. An .expect file is read by a person before it is
committed; it is never written by a test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from data.mime.date import format_date
from data.mime.decode import transfer_decode
from data.mime.facts import Facts, facts
from data.mime.headers import filename_text
from data.mime.part import Part
from data.mime.plaintext import texts
from data.mime.scanner import Scan, scan


def describe(message: bytes) -> str:
    """All that is read out of a message."""
    scanned = scan(message)

    def fetch(start: int, end: int) -> bytes:
        return message[start:end]

    known = facts(scanned, fetch)
    lines = [*_octets(scanned, known), *_fields(known), *_parts(scanned.root, "", message)]
    lines += [f"text: {text!r}" for _, text in texts(scanned.root, fetch)]
    return "\n".join(lines) + "\n"


def _octets(scanned: Scan, known: Facts) -> Iterator[str]:
    marks = [name for name in ("eightbit", "nul", "bare") if getattr(scanned, name)]
    yield f"size: {known.size} header: {known.header_size} longest line: {scanned.longest_line} {' '.join(marks)}".rstrip()


def _fields(known: Facts) -> Iterator[str]:
    yield f"subject: {known.subject!r} base: {known.base_subject!r}"
    for name, value in (("from", known.from_), ("to", known.to), ("cc", known.cc), ("bcc", known.bcc)):
        if value:
            yield f"{name}: {value}"
    yield f"sent: {format_date(known.sent_at) if known.sent_at is not None else None}"
    yield f"id: {known.message_id} references: {' '.join(known.references)}".rstrip()
    yield f"attachment: {'yes' if known.has_attachment else 'no'}"
    yield f"preview: {known.preview!r}"
    yield f"envelope: {known.envelope.decode('latin-1')!r}"
    yield f"bodystructure: {known.bodystructure.decode('latin-1')!r}"


def _parts(part: Part, number: str, message: bytes) -> Iterator[str]:
    name = filename_text(part.filename)
    words = [
        f"part {number or 'root'}: {part.type}/{part.subtype} {part.encoding}",
        f"[{part.header_start} {part.body_start} {part.body_end}] lines {part.lines}",
        "opaque" if part.opaque else "",
        f"name {name!r}" if name is not None else "",
        ""
        if part.parts
        else f"octets {transfer_decode(message[part.body_start : part.body_end], part.encoding)[:60]!r}",
    ]
    yield " ".join(word for word in words if word)
    for at, child in enumerate(part.parts, start=1):
        yield from _parts(child, f"{number}.{at}".lstrip("."), message)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        print(describe(Path(each).read_bytes()), end="")
