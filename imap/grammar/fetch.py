"""FETCH: data items, sections and partials (RFC 9051 §6.4.5; RFC 3501 §6.4.5; RFC 7162 §3.1.4; RFC 8474; RFC 8970)."""

from __future__ import annotations

import re

from imap.command import Att, Fetch, Form, Kind, Section
from imap.errors import Bad
from imap.grammar.sequence import sequence_set
from imap.grammar.tokens import MAX_NUMBER, Cursor
from imap.response import astring

MAX_DEPTH = 100
"""Part numbers in one section: no message of ours nests deeper (data.mime), so that more name nothing."""
MAX_ITEMS = 1000

_ITEM = re.compile(rb"[A-Za-z0-9.]+")
_ATTS = {
    b"FLAGS": Att.FLAGS,
    b"UID": Att.UID,
    b"INTERNALDATE": Att.INTERNALDATE,
    b"RFC822.SIZE": Att.SIZE,
    b"ENVELOPE": Att.ENVELOPE,
    b"BODYSTRUCTURE": Att.BODYSTRUCTURE,
    b"MODSEQ": Att.MODSEQ,
    b"EMAILID": Att.EMAILID,
    b"THREADID": Att.THREADID,
    b"SAVEDATE": Att.SAVEDATE,
    b"PREVIEW": Att.PREVIEW,
}
_FAST = (Att.FLAGS, Att.INTERNALDATE, Att.SIZE)
_MACROS: dict[bytes, tuple[Att, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Att.ENVELOPE),
    b"FULL": (*_FAST, Att.ENVELOPE, Att.BODY),
}
_OLD = {
    b"RFC822": Section(b"RFC822"),
    b"RFC822.HEADER": Section(b"RFC822.HEADER", kind=Kind.HEADER, peek=True),
    b"RFC822.TEXT": Section(b"RFC822.TEXT", kind=Kind.TEXT),
}
_BODIES: dict[bytes, tuple[bytes, bool, Form]] = {
    b"BODY": (b"BODY", False, Form.STORED),
    b"BODY.PEEK": (b"BODY", True, Form.STORED),
    b"BINARY": (b"BINARY", False, Form.DECODED),
    b"BINARY.PEEK": (b"BINARY", True, Form.DECODED),
    b"BINARY.SIZE": (b"BINARY.SIZE", True, Form.SIZE),
}
_KINDS = {
    b"HEADER": Kind.HEADER,
    b"HEADER.FIELDS": Kind.FIELDS,
    b"HEADER.FIELDS.NOT": Kind.FIELDS_NOT,
    b"TEXT": Kind.TEXT,
    b"MIME": Kind.MIME,
}


def fetch(cursor: Cursor, *, uid: bool) -> Fetch:
    """The arguments of FETCH and UID FETCH."""
    cursor.space()
    sequence = sequence_set(cursor)
    cursor.space()
    items = _items(cursor)
    changed_since = _modifiers(cursor)
    cursor.end()
    if changed_since is not None and Att.MODSEQ not in items:
        items = (*items, Att.MODSEQ)  # RFC 7162 §3.1.4.1
    if uid and Att.UID not in items:
        items = (Att.UID, *items)  # RFC 9051 §6.4.9
    return Fetch(sequence, uid, items, changed_since)


def _items(cursor: Cursor) -> tuple[Att | Section, ...]:
    if not cursor.accept(b"("):
        start = cursor.at
        macro = _MACROS.get(cursor.match(_ITEM, "a data item").upper())
        if macro is not None:
            return macro
        cursor.at = start
        return (_item(cursor),)
    found = [_item(cursor)]
    while not cursor.accept(b")"):
        cursor.space()
        found.append(_item(cursor))
        if len(found) > MAX_ITEMS:
            raise Bad("Too many data items")
    return tuple(dict.fromkeys(found))


def _item(cursor: Cursor) -> Att | Section:
    name = cursor.match(_ITEM, "a data item").upper()
    if name in _BODIES and cursor.peek(b"["):
        return _section(cursor, *_BODIES[name])
    if name == b"BODY":
        return Att.BODY
    if name == b"PREVIEW" and cursor.accept(b" ("):  # RFC 8970 §3.1: previews are made at append, LAZY changes nothing
        cursor.expect(b"LAZY)")
    found = _ATTS.get(name) or _OLD.get(name)
    if found is None:
        raise Bad("Unknown data item")
    return found


def _section(cursor: Cursor, name: bytes, peek: bool, form: Form) -> Section:
    start = cursor.at
    cursor.expect(b"[")
    path = _path(cursor)
    kind, names, told = Kind.ALL, frozenset[bytes](), b""
    if not cursor.peek(b"]"):
        if form is not Form.STORED:
            raise Bad("BINARY takes part numbers alone")
        kind, names, told = _text(cursor, bool(path))
    numbers = cursor.data[start + 1 : cursor.at] if not told else b"".join(b"%d." % n for n in path) + told
    cursor.expect(b"]")
    offset, count = _partial(cursor) if form is not Form.SIZE else (None, 0)
    label = b"%b[%b]" % (name, numbers)
    if offset is not None:
        label += b"<%d>" % offset
    return Section(label, path, kind, names, peek, offset, count, form)


def _path(cursor: Cursor) -> tuple[int, ...]:
    """Part numbers `1.2.3`; a dot behind the last one belongs to the word that follows."""
    path: list[int] = []
    while not cursor.done and cursor.data[cursor.at : cursor.at + 1].isdigit():
        path.append(cursor.number(MAX_NUMBER, least=1))
        if len(path) > MAX_DEPTH:
            raise Bad("The section names too many levels")
        if not cursor.accept(b"."):
            return tuple(path)
    if path and cursor.peek(b"]"):
        raise Bad("Expected a part number")
    return tuple(path)


def _text(cursor: Cursor, nested: bool) -> tuple[Kind, frozenset[bytes], bytes]:
    word = cursor.match(_ITEM, "a section").upper()
    kind = _KINDS.get(word)
    if kind is None or (kind is Kind.MIME and not nested):
        raise Bad("Unknown section")
    if kind not in (Kind.FIELDS, Kind.FIELDS_NOT):
        return kind, frozenset(), word
    cursor.space()
    cursor.expect(b"(")
    fields = [cursor.astring()]
    while not cursor.accept(b")"):
        cursor.space()
        fields.append(cursor.astring())
    told = b"%b (%b)" % (word, b" ".join(map(astring, fields)))
    return kind, frozenset(name.lower() for name in fields), told


def _partial(cursor: Cursor) -> tuple[int | None, int]:
    if not cursor.accept(b"<"):
        return None, 0
    offset = cursor.modseq()  # RFC 9051 §9: number64
    cursor.expect(b".")
    count = cursor.modseq(least=1)
    cursor.expect(b">")
    return offset, count


def _modifiers(cursor: Cursor) -> int | None:
    """`(CHANGEDSINCE n)` (RFC 7162 §3.1.4.1)."""
    if cursor.done:
        return None
    cursor.space()
    cursor.expect(b"(")
    if cursor.word() != b"CHANGEDSINCE":
        raise Bad("Unknown FETCH modifier")
    cursor.space()
    since = cursor.modseq(least=1)
    cursor.expect(b")")
    return since
