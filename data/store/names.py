"""Names of mailboxes: what is allowed, and how they nest.

A name is UTF-8 text with `/` between its levels; INBOX is the same in any case (RFC 9051 §5.1). Names never become
paths: they are values in a row. Refused are control characters, `%` and `*` (they would be patterns), empty levels,
directional overrides and characters without width (they would let one name look like another), more than 100 levels
and more than 1000 octets.
"""

from __future__ import annotations

import unicodedata

from data.errors import Invalid

SEPARATOR = "/"
INBOX = "INBOX"
MAX_OCTETS = 1000
MAX_LEVELS = 100
_FORBIDDEN = frozenset("%*\x7f") | {chr(c) for c in range(32)}
_FORBIDDEN_CATEGORIES = frozenset({"Cf", "Cc", "Cs", "Zl", "Zp"})


def normal(name: str) -> str:
    """The name as it is kept: NFC, INBOX in capitals. Raises Invalid."""
    name = unicodedata.normalize("NFC", name)
    if not name or len(name.encode("utf-8", "replace")) > MAX_OCTETS:
        raise Invalid(public="A mailbox name has between 1 and 1000 octets")
    levels = name.split(SEPARATOR)
    if len(levels) > MAX_LEVELS:
        raise Invalid(public="A mailbox name has at most 100 levels")
    if any(level == "" or level in (".", "..") for level in levels):
        raise Invalid(public="A mailbox name has an empty level")
    if any(c in _FORBIDDEN or unicodedata.category(c) in _FORBIDDEN_CATEGORIES for c in name):
        raise Invalid(public="A mailbox name holds a character that is not allowed")
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    return SEPARATOR.join(levels)


def lookup(name: str) -> str:
    """The name as it would be kept, for a look-up: never raises, finds nothing when it is not allowed."""
    try:
        return normal(name)
    except Invalid:
        return name


def parents(name: str) -> list[str]:
    """The names above, outermost first: `a/b/c` -> [`a`, `a/b`]."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:n]) for n in range(1, len(levels))]
