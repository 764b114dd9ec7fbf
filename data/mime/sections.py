"""BODY[...] sections as byte ranges (RFC 9051 §6.4.5), and the choice of header fields.

Offsets are of the message as stored. Where a message has trace fields kept apart from it, the caller puts them before
the top-level header itself. Promises: a range lies inside the message; a section that does not exist is None.
"""

from __future__ import annotations

import re

from data.mime.part import Part

Range = tuple[int, int]

HEADER_KINDS = frozenset({"HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT"})


def locate(root: Part, path: tuple[int, ...], kind: str) -> Range | None:
    """The range [start, end) of a section: `path` is its part numbers, `kind` what follows them ("" for the part).

    Kinds: "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT (the header block to choose from), TEXT, MIME. HEADER and TEXT
    of a part exist for an embedded message alone, MIME needs part numbers.
    """
    if not path:
        return _of_message(root, kind)
    part = find(root, path)
    if part is None:
        return None
    if not kind:
        return part.body_start, part.body_end
    if kind == "MIME":
        return part.header_start, part.body_start
    return _of_message(part.parts[0], kind) if part.is_message else None


def _of_message(message: Part, kind: str) -> Range | None:
    """A section of a whole message, the top-level or an embedded one."""
    if not kind:
        return message.header_start, message.body_end
    if kind in HEADER_KINDS:
        return message.header_start, message.body_start
    return (message.body_start, message.body_end) if kind == "TEXT" else None


def find(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part of that number: of a message that is no multipart, 1 is its body (RFC 9051 §6.4.5)."""
    here: Part | None = root
    # Whether the next number is counted in a message, whose single part has the number 1 and no header of its own.
    in_message = True
    for number in path:
        if here is None:
            return None
        if not in_message and here.is_message:
            here, in_message = here.parts[0], True
        if here.is_multipart:
            here = here.parts[number - 1] if 1 <= number <= len(here.parts) else None
        elif not in_message or number != 1:
            return None
        in_message = False
    return here


_FIELD = re.compile(rb"^(?:([!-9;-~]++)[ \t]*+:)?+[^\n]*+(?:\n[ \t][^\n]*+)*+\n?", re.MULTILINE)


def select_fields(header: bytes, names: frozenset[bytes], invert: bool) -> bytes:
    """The fields of a header block whose lower-case name is (or, inverted, is not) among `names`, as they stand.

    The blank line that ends the block is always part of it (RFC 9051 §6.4.5), unless the block has none. A line that is
    no field goes with the inverted choice.
    """
    out = []
    at, end = 0, len(header)
    while at < end:
        if header.startswith((b"\r\n", b"\n"), at):
            out.append(header[at:])
            break
        match = _FIELD.match(header, at)
        if match is None or match.end() == at:
            break
        name = match[1]
        if (name is not None and name.lower() in names) is not invert:
            out.append(match[0])
        at = match.end()
    return b"".join(out)
