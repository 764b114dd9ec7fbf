"""Responses as octets (RFC 9051 §7): strings, lists, status lines, and the values that FETCH and SEARCH speak of.

Promises: pure functions from values to octets; what is asked for again and again (flags, days) is remembered in bounded
caches. A string is quoted where the grammar allows it and a literal where not, so that no value can end a response
early. May not: know the session; the caller says how mailbox names are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from data.store.keys import Flag

CRLF = b"\r\n"
CONTINUE = b"+ OK\r\n"

_PLAIN = re.compile(rb"[ !#-\[\]-~]*\Z")
_QUOTABLE = re.compile(rb"[ -~]*\Z")
_ESCAPED = re.compile(rb'(["\\])')
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]+\Z")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

SYSTEM_FLAGS: tuple[tuple[Flag, bytes], ...] = (
    (Flag.ANSWERED, b"\\Answered"),
    (Flag.FLAGGED, b"\\Flagged"),
    (Flag.DELETED, b"\\Deleted"),
    (Flag.SEEN, b"\\Seen"),
    (Flag.DRAFT, b"\\Draft"),
)
_ALL_SYSTEM = b" ".join(name for _, name in SYSTEM_FLAGS)


# --- strings ----------------------------------------------------------------------------------------------------------


def literal(value: bytes) -> bytes:
    """`{n}` CRLF and the octets."""
    return b"{%d}\r\n%b" % (len(value), value)


def string(value: bytes) -> bytes:
    """A quoted string, or a literal when a quoted one may not hold the value."""
    if len(value) > 1000:
        return literal(value)
    if _PLAIN.match(value):
        return b'"%b"' % value
    if _QUOTABLE.match(value):
        return b'"%b"' % _ESCAPED.sub(rb"\\\1", value)
    return literal(value)


def nstring(value: bytes | None) -> bytes:
    """A string or NIL."""
    return b"NIL" if value is None else string(value)


def utf8_string(value: str) -> bytes:
    """A quoted string that may hold UTF-8 (only for clients that enabled IMAP4rev2)."""
    raw = value.encode("utf-8", "replace")
    if len(raw) > 1000 or any(c in raw for c in b"\r\n\0"):
        return literal(raw)
    return b'"%b"' % _ESCAPED.sub(rb"\\\1", raw)


def astring(value: bytes) -> bytes:
    """An atom where the value is one, else a string."""
    return value if _ATOM.match(value) else string(value)


def text(public: str) -> bytes:
    """Human-readable text: one line of printable ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in public).encode("ascii")


# --- lines ------------------------------------------------------------------------------------------------------------


def tagged(tag: bytes, condition: bytes, public: str, code: bytes | None = None) -> bytes:
    """`tag OK [CODE] text` (RFC 9051 §7.1)."""
    return b"%b %b %b%b\r\n" % (tag, condition, b"[%b] " % code if code else b"", text(public))


def untagged(condition: bytes, public: str, code: bytes | None = None) -> bytes:
    """`* OK [CODE] text`."""
    return tagged(b"*", condition, public, code)


def capability(names: Iterable[bytes]) -> bytes:
    """`* CAPABILITY ...`."""
    return b"* CAPABILITY %b\r\n" % b" ".join(names)


# --- flags ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def flags(mask: int, keywords: str, recent: bool = False) -> bytes:
    r"""A parenthesized flag list: `(\Seen $Forwarded \Recent)`."""
    names = [name for flag, name in SYSTEM_FLAGS if mask & flag]
    if keywords:
        names.append(keywords.encode("ascii", "replace"))
    if recent:
        names.append(b"\\Recent")
    return b"(%b)" % b" ".join(names)


def mailbox_flags(keywords: Iterable[str], writable: bool) -> bytes:
    r"""The FLAGS response and PERMANENTFLAGS of a mailbox; `\*`: a client may invent keywords (RFC 9051 §7.3.5)."""
    known = b"".join(b" " + keyword.encode("ascii", "replace") for keyword in keywords)
    permanent = b"%b%b \\*" % (_ALL_SYSTEM, known) if writable else b""
    told = "Flags are kept" if writable else "No flags can be changed"
    return b"* FLAGS (%b%b)\r\n%b" % (
        _ALL_SYSTEM, known, untagged(b"OK", told, b"PERMANENTFLAGS (%b)" % permanent),
    )  # fmt: skip


# --- numbers and dates ------------------------------------------------------------------------------------------------


def sequence_set(numbers: Sequence[int]) -> bytes:
    """Ascending numbers as a sequence-set: 1, 2, 3, 5 -> `1:3,5`. The caller makes sure there is one at least."""
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in runs(numbers))


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers in order as inclusive runs of consecutive ones."""
    found: list[tuple[int, int]] = []
    first = last = -1
    for number in numbers:
        if number != last + 1:
            if first >= 0:
                found.append((first, last))
            first = number
        last = number
    if first >= 0:
        found.append((first, last))
    return found


def uid_list(numbers: Sequence[int]) -> bytes:
    """Numbers in the order given, runs written as ranges (COPYUID keeps the order of its source)."""
    return sequence_set(numbers)


@lru_cache(maxsize=1024)
def _day(days: int) -> bytes:
    """Days since 1970-01-01 as ` 1-Jan-1970` (the proleptic calendar, without time zones)."""
    era, rest = divmod(days + 719_468, 146_097)
    year = (rest - rest // 1460 + rest // 36_524 - rest // 146_096) // 365
    day = rest - (365 * year + year // 4 - year // 100)
    month = (5 * day + 2) // 153
    date = day - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return b"%2d-%b-%04d" % (date, _MONTHS[month - 1], era * 400 + year + (1 if month <= 2 else 0))


def date_time(millis: int) -> bytes:
    """INTERNALDATE as a quoted date-time in UTC: `"17-Jul-1996 02:44:25 +0000"`."""
    days, seconds = divmod(millis // 1000, 86_400)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(days), hour, minute, second)
