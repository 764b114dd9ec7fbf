"""LIST, LSUB and STATUS (RFC 9051 §6.3.9, §6.3.11; RFC 5258; RFC 5819; RFC 6154; RFC 8438)."""

from __future__ import annotations

from imap.command import Item, List, Status
from imap.errors import Bad
from imap.grammar import names
from imap.grammar.tokens import Cursor

_SELECT = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_RETURN = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS"})
MAX_PATTERNS = 100


def list_(cursor: Cursor) -> List:
    """The arguments of LIST, in the old form and the extended one."""
    cursor.space()
    select: frozenset[str] | None = None
    if cursor.peek(b"("):
        select = _options(cursor, _SELECT, "selection")
        cursor.space()
    reference = names.reference(cursor)
    cursor.space()
    several = cursor.peek(b"(")
    patterns = _patterns(cursor) if several else (names.pattern(cursor),)
    returns: frozenset[str] | None = None
    status: tuple[Item, ...] = ()
    if not cursor.done:
        cursor.space()
        if cursor.word() != b"RETURN":
            raise Bad("Expected RETURN")
        cursor.space()
        returns, status = _returns(cursor)
    cursor.end()
    chosen = select or frozenset()
    if chosen and chosen <= {"RECURSIVEMATCH", "REMOTE"} and "RECURSIVEMATCH" in chosen:
        raise Bad("RECURSIVEMATCH needs another selection option")  # RFC 5258 §3
    extended = select is not None or several or returns is not None
    return List(reference, patterns, chosen, returns or frozenset(), status, extended)


def lsub(cursor: Cursor) -> List:
    """The arguments of LSUB (RFC 3501 §6.3.9)."""
    cursor.space()
    reference = names.reference(cursor)
    cursor.space()
    pattern = names.pattern(cursor)
    cursor.end()
    return List(reference, (pattern,), frozenset({"SUBSCRIBED"}), lsub=True)


def status(cursor: Cursor) -> Status:
    """The arguments of STATUS."""
    cursor.space()
    mailbox = names.mailbox(cursor)
    cursor.space()
    items = _items(cursor)
    cursor.end()
    return Status(mailbox, items)


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    cursor.expect(b"(")
    found = [names.pattern(cursor)]
    while not cursor.accept(b")"):
        cursor.space()
        found.append(names.pattern(cursor))
        if len(found) > MAX_PATTERNS:
            raise Bad("Too many patterns")
    return tuple(found)


def _options(cursor: Cursor, known: frozenset[str], what: str) -> frozenset[str]:
    cursor.expect(b"(")
    found: set[str] = set()
    while not cursor.accept(b")"):
        if found:
            cursor.space()
        name = cursor.word().decode("ascii")
        if name not in known:
            raise Bad(f"Unknown {what} option")
        found.add(name)
    return frozenset(found)


def _returns(cursor: Cursor) -> tuple[frozenset[str], tuple[Item, ...]]:
    cursor.expect(b"(")
    found: set[str] = set()
    items: tuple[Item, ...] = ()
    while not cursor.accept(b")"):
        if found:
            cursor.space()
        name = cursor.word().decode("ascii")
        if name not in _RETURN:
            raise Bad("Unknown return option")
        found.add(name)
        if name == "STATUS":
            cursor.space()
            items = _items(cursor)
    return frozenset(found), items


def _items(cursor: Cursor) -> tuple[Item, ...]:
    cursor.expect(b"(")
    found: list[Item] = []
    while not found or not cursor.accept(b")"):
        if found:
            cursor.space()
        name = cursor.word().decode("ascii")
        if name not in Item.__members__:
            raise Bad("Unknown status item")
        found.append(Item[name])
    return tuple(dict.fromkeys(found))
