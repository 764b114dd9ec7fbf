"""What may be asked of a mailbox: SearchKey trees, shared by IMAP SEARCH and the webmail's search box.

Promises: plain frozen values; sequence numbers, `$` and \\Recent were already turned into UID ranges by whoever asks.
Text values are what the user typed; IMAP SEARCH matches them by substring without regard to case (RFC 9051 §6.4.4), the
search box by words and phrases (data.index). Days are counted from 1970-01-01 (date.toordinal() - 719163), without regard
to time zone, unless a key says by how much one differs. `begun` on a text key: its last word is the beginning of one (the
search box searches while it is typed into; for IMAP, where any part of a text is found, it changes nothing).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum

Ranges = tuple[tuple[int, int], ...]
"""Inclusive UID ranges, ascending, without overlap: ((1, 4), (7, 7))."""


class Flag(IntFlag):
    """The system flags as they are kept in a row (RFC 9051 §2.3.2)."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


class When(StrEnum):
    """How a date is compared: strictly before, on, or on and after."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


class Field(StrEnum):
    """The stored header texts that can be searched without opening the message."""

    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """All of the keys hold; an empty tuple holds always."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the two holds."""

    left: SearchKey
    right: SearchKey


@dataclass(frozen=True, slots=True)
class Not:
    """The key does not hold."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class Uids:
    """UID in one of the ranges; an empty tuple holds never."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class HasFlag:
    """A system flag is set."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """A keyword is set (compared without regard to case)."""

    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored header text contains the value."""

    field: Field
    value: str
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """A header field of that name exists and its decoded value contains `value` (empty: exists)."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Body:
    """The text of the body contains the value."""

    value: str
    begun: bool = False


@dataclass(frozen=True, slots=True)
class AnyText:
    """The header or the body contains the value (SEARCH TEXT)."""

    value: str
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Internal:
    """INTERNALDATE compared with a day, which begins `offset` milliseconds before that day in UTC."""

    when: When
    day: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """The Date header compared with a day."""

    when: When
    day: int


@dataclass(frozen=True, slots=True)
class Saved:
    """The date of saving compared with a day (RFC 8514)."""

    when: When
    day: int


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE is more than `octets`."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE is less than `octets`."""

    octets: int


@dataclass(frozen=True, slots=True)
class Within:
    """Received less (younger) or at least (older) `seconds` ago (RFC 5032)."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class ModSeqSince:
    """MODSEQ is `modseq` or more (RFC 7162 §3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class HasAttachment:
    """Something is attached, as a person would say."""


@dataclass(frozen=True, slots=True)
class EmailId:
    """The message with that EMAILID (RFC 8474 §7)."""

    value: str


@dataclass(frozen=True, slots=True)
class ThreadKey:
    """The messages of that THREADID (RFC 8474 §7)."""

    value: str


SearchKey = (
    All
    | And
    | Or
    | Not
    | Uids
    | HasFlag
    | HasKeyword
    | Stored
    | Header
    | Body
    | AnyText
    | Internal
    | Sent
    | Saved
    | Larger
    | Smaller
    | Within
    | ModSeqSince
    | HasAttachment
    | EmailId
    | ThreadKey
)
