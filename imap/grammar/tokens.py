"""Tokens: a cursor over one framed command (RFC 9051 §9).

Promises: every method either returns a value and moves on, or raises Bad and says what was expected; work is linear in
what is read. A literal is read exactly as the wire counted it: `{n}` CRLF at the cursor and n octets behind it.
"""

from __future__ import annotations

import datetime
import re

from data.store.keys import Flag
from imap.errors import Bad

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_PATTERN = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_QUOTED = re.compile(rb'"((?:[^"\\\x00\r\n]|\\["\\])*)"')
_UNESCAPE = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"~?\{([0-9]+)\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]+")
_WORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.\-=]*")
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_DATE = re.compile(rb'"?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})"?(?=[ )]|\Z)')
_DATE_TIME = re.compile(
    rb'"([0-9 ]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)

MONTHS = {m: n for n, m in enumerate(b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}
MAX_NUMBER = (1 << 32) - 1
MAX_MODSEQ = (1 << 63) - 1
EPOCH = 719_163
"""date(1970, 1, 1).toordinal()"""

_SYSTEM = {
    b"\\ANSWERED": Flag.ANSWERED,
    b"\\FLAGGED": Flag.FLAGGED,
    b"\\DELETED": Flag.DELETED,
    b"\\SEEN": Flag.SEEN,
    b"\\DRAFT": Flag.DRAFT,
}
MAX_KEYWORD = 255


class Cursor:
    """A place in one framed command."""

    __slots__ = ("at", "data", "utf8")

    def __init__(self, data: bytes, *, utf8: bool = False) -> None:
        """`utf8`: mailbox names are UTF-8, because the client enabled IMAP4rev2."""
        self.data = data
        self.at = 0
        self.utf8 = utf8

    # --- punctuation ------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.data)

    def peek(self, mark: bytes) -> bool:
        """Whether `mark` comes next."""
        return self.data.startswith(mark, self.at)

    def accept(self, mark: bytes) -> bool:
        """Step over `mark` if it comes next."""
        if self.data.startswith(mark, self.at):
            self.at += len(mark)
            return True
        return False

    def expect(self, mark: bytes) -> None:
        """Step over `mark`, which must come next."""
        if not self.accept(mark):
            raise Bad(f"Expected {_told(mark)}")

    def space(self) -> None:
        """One space."""
        if not self.accept(b" "):
            raise Bad("Expected a space and an argument" if self.done else "Expected a space")

    def end(self) -> None:
        """Nothing may be left."""
        if not self.done:
            raise Bad("Too many arguments")

    # --- words ------------------------------------------------------------------------------------------------------

    def match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        """What `pattern` matches here, all of it."""
        found = pattern.match(self.data, self.at)
        if found is None:
            raise Bad(f"Expected {what}")
        self.at = found.end()
        return found[0]

    def tag(self) -> bytes:
        """The tag of a command."""
        return self.match(_TAG, "a tag")

    def atom(self) -> bytes:
        """An atom as sent."""
        return self.match(_ATOM, "an atom")

    def word(self) -> bytes:
        """A keyword of the protocol, in capitals."""
        return self.match(_WORD, "a keyword").upper()

    def astring(self) -> bytes:
        """An atom (`]` allowed), a quoted string or a literal."""
        found = _ASTRING.match(self.data, self.at)
        if found is not None:
            self.at = found.end()
            return found[0]
        return self.string()

    def string(self) -> bytes:
        """A quoted string or a literal."""
        found = _QUOTED.match(self.data, self.at)
        if found is not None:
            self.at = found.end()
            value: bytes = found[1]
            return _UNESCAPE.sub(rb"\1", value) if b"\\" in value else value
        return self._literal()

    def nstring(self) -> bytes | None:
        """A string or NIL."""
        if self.data[self.at : self.at + 3].upper() == b"NIL":
            self.at += 3
            return None
        return self.string()

    def _literal(self) -> bytes:
        found = _LITERAL.match(self.data, self.at)
        if found is None:
            raise Bad("Expected a string")
        stop = found.end() + int(found[1][:20])
        if stop > len(self.data):
            raise Bad("Expected a literal")
        self.at = stop
        return self.data[found.end() : stop]

    def pattern(self) -> bytes:
        """A LIST pattern: an astring in which wildcards may stand bare."""
        found = _PATTERN.match(self.data, self.at)
        if found is not None:
            self.at = found.end()
            return found[0]
        return self.string()

    def text(self) -> str:
        """An astring that is UTF-8."""
        return utf8(self.astring())

    # --- numbers and dates --------------------------------------------------------------------------------------------

    def number(self, top: int = MAX_NUMBER, *, least: int = 0) -> int:
        """A number between `least` and `top`."""
        digits = self.match(_NUMBER, "a number")
        value = int(digits) if len(digits) <= 20 else top + 1
        if not least <= value <= top:
            raise Bad("The number is out of range")
        return value

    def modseq(self, *, least: int = 0) -> int:
        """A mod-sequence value (RFC 7162 §7): 63 bits."""
        return self.number(MAX_MODSEQ, least=least)

    def date(self) -> int:
        """A date as days since 1970-01-01."""
        found = _DATE.match(self.data, self.at)
        if found is None:
            raise Bad("Expected a date such as 1-Feb-1994")
        self.at = found.end()
        return _ordinal(found[3], found[2], found[1]) - EPOCH

    def date_time(self) -> int:
        """A quoted date-time as milliseconds since the epoch, UTC."""
        found = _DATE_TIME.match(self.data, self.at)
        if found is None:
            raise Bad('Expected a date such as "17-Jul-1996 02:44:25 -0700"')
        self.at = found.end()
        day, month, year, hour, minute, second, sign, zh, zm = found.groups()
        days = _ordinal(year, month, day) - EPOCH
        if int(hour) > 23 or int(minute) > 59 or int(second) > 60 or int(zh) > 23 or int(zm) > 59:
            raise Bad("There is no such time")
        zone = (int(zh) * 60 + int(zm)) * (-60 if sign == b"+" else 60)
        return 1000 * (days * 86_400 + int(hour) * 3600 + int(minute) * 60 + int(second) + zone)

    # --- flags --------------------------------------------------------------------------------------------------------

    def flag_list(self) -> tuple[Flag, tuple[str, ...]]:
        """`(\\Seen keyword ...)`."""
        self.expect(b"(")
        names: list[bytes] = []
        while not self.accept(b")"):
            if names:
                self.space()
            names.append(self.match(_FLAG, "a flag"))
        return sort_flags(names)

    def bare_flags(self) -> tuple[Flag, tuple[str, ...]]:
        """`\\Seen keyword ...` up to the end, as STORE allows."""
        names = [self.match(_FLAG, "a flag")]
        while not self.done:
            self.space()
            names.append(self.match(_FLAG, "a flag"))
        return sort_flags(names)


def sort_flags(names: list[bytes]) -> tuple[Flag, tuple[str, ...]]:
    r"""System flags and keywords apart. \Recent and unknown system flags cannot be stored (RFC 9051 §2.3.2)."""
    mask = Flag(0)
    keywords: dict[bytes, str] = {}
    for name in names:
        if name.startswith(b"\\"):
            flag = _SYSTEM.get(name.upper())
            if flag is None:
                raise Bad(f"The flag {_told(name)} cannot be set")
            mask |= flag
        elif len(name) > MAX_KEYWORD:
            raise Bad("The keyword is too long")
        else:
            keywords.setdefault(name.lower(), name.decode("ascii"))
    return mask, tuple(keywords.values())


def utf8(value: bytes) -> str:
    """The value as text; what is not UTF-8 or holds NUL is Bad."""
    if b"\0" in value:
        raise Bad("A string may not hold a NUL")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Bad("A string is not UTF-8") from None


def _ordinal(year: bytes, month: bytes, day: bytes) -> int:
    number = MONTHS.get(month.upper())
    try:
        return datetime.date(int(year), number or 0, int(day)).toordinal()
    except ValueError:
        raise Bad("There is no such date") from None


def _told(mark: bytes) -> str:
    return mark[:40].decode("ascii", "replace")
