"""The commands: one frozen dataclass for each, as the grammar makes them and the actions take them (RFC 9051 §6).

Mailbox names are decoded text; user names, passwords and search strings are what the client sent, decoded as UTF-8.
Sequence sets are unresolved: what `*` means is known only against a selected mailbox.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from data.store.keys import Flag, SearchKey

NO_FLAGS = Flag(0)
STAR = 1 << 32
"""`*` in a sequence set: larger than any number."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as written, each (low, high) with STAR for `*`; `saved` is `$`, the saved search result (RFC 9051 §6.4.4.1)."""

    ranges: tuple[tuple[int, int], ...] = ()
    saved: bool = False


# --- any state --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capability:
    """CAPABILITY."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP and CHECK."""


@dataclass(frozen=True, slots=True)
class Logout:
    """LOGOUT."""


@dataclass(frozen=True, slots=True)
class Id:
    """ID (RFC 2971): what the client says of itself."""

    fields: tuple[tuple[str, str], ...]


# --- not authenticated ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE; `initial` is the initial response as sent, still base64, `=` for an empty one (RFC 4959)."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """LOGIN; not printable, so that the password reaches no log by accident."""

    user: str
    password: str


# --- authenticated ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE (RFC 5161)."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT and EXAMINE."""

    mailbox: str
    readonly: bool
    condstore: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE, with the special use asked for (RFC 6154 §3)."""

    mailbox: str
    special_use: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE and UNSUBSCRIBE."""

    mailbox: str
    on: bool


class Item(Enum):
    """What STATUS can tell (RFC 9051 §6.3.11, RFC 7162 §3.1.7, RFC 8474 §4.3, RFC 7889 §4)."""

    MESSAGES = auto()
    RECENT = auto()
    UIDNEXT = auto()
    UIDVALIDITY = auto()
    UNSEEN = auto()
    DELETED = auto()
    SIZE = auto()
    HIGHESTMODSEQ = auto()
    MAILBOXID = auto()
    APPENDLIMIT = auto()


@dataclass(frozen=True, slots=True)
class List:
    """LIST and LSUB (RFC 9051 §6.3.9). `select` and `returns` hold option names in capitals; the reference and the
    patterns are in the form of the wire."""

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[Item, ...] = ()
    extended: bool = False
    lsub: bool = False


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE."""


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS."""

    mailbox: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND up to its literal; `date` in milliseconds, or None for now."""

    mailbox: str
    flags: Flag = NO_FLAGS
    keywords: tuple[str, ...] = ()
    date: int | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE."""


# --- selected ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE (expunges) and UNSELECT (does not)."""

    expunge: bool


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE, and UID EXPUNGE with its UIDs."""

    uids: SequenceSet | None = None


class Join(Enum):
    """What combines the search keys before it in a program."""

    OR = auto()
    NOT = auto()


@dataclass(frozen=True, slots=True)
class AndOf:
    """The last `count` keys must hold together."""

    count: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """A leaf: messages by sequence number or UID."""

    sequence: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class Recent:
    r"""A leaf: messages with \Recent."""


Op = SearchKey | Numbers | Recent | Join | AndOf
"""One step of a search program: leaves push a key, the others combine what was pushed (postfix order)."""


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH; `returns` is None without RETURN; `modseq` says that the key MODSEQ was used."""

    program: tuple[Op, ...]
    uid: bool
    returns: frozenset[str] | None = None
    modseq: bool = False


class Att(Enum):
    """Data items of FETCH that are one stored value (RFC 9051 §6.4.5 and its extensions)."""

    FLAGS = auto()
    UID = auto()
    INTERNALDATE = auto()
    SIZE = auto()
    ENVELOPE = auto()
    BODYSTRUCTURE = auto()
    BODY = auto()
    MODSEQ = auto()
    EMAILID = auto()
    THREADID = auto()
    SAVEDATE = auto()
    PREVIEW = auto()


class Kind(Enum):
    """What of a part a section names."""

    ALL = auto()
    HEADER = auto()
    FIELDS = auto()
    FIELDS_NOT = auto()
    TEXT = auto()
    MIME = auto()


class Form(Enum):
    """How a section is given back: as stored, with its transfer encoding undone, or as a size alone."""

    STORED = auto()
    DECODED = auto()
    SIZE = auto()


@dataclass(frozen=True, slots=True)
class Section:
    """BODY[section]<partial>; `label` is how the response names it; `names` are header names in lower case."""

    label: bytes
    path: tuple[int, ...] = ()
    kind: Kind = Kind.ALL
    names: frozenset[bytes] = frozenset()
    peek: bool = False
    offset: int | None = None
    count: int = 0
    form: Form = Form.STORED


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH; `changed_since` limits it to messages of a higher MODSEQ (RFC 7162 §3.1.4)."""

    sequence: SequenceSet
    uid: bool
    items: tuple[Att | Section, ...]
    changed_since: int | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """STORE."""

    sequence: SequenceSet
    uid: bool
    mode: str
    silent: bool
    flags: Flag
    keywords: tuple[str, ...] = ()
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and MOVE."""

    sequence: SequenceSet
    uid: bool
    mailbox: str
    move: bool


Command = (
    Capability | Noop | Logout | Id | StartTls | Authenticate | Login | Enable | Select | Create | Delete | Rename
    | Subscribe | List | Namespace | Status | Append | Idle | Close | Expunge | Search | Fetch | Store | Copy
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tagged:
    """A command with its tag and its name as on the wire, in capitals (`UID FETCH`)."""

    tag: bytes
    name: bytes
    command: Command = field(repr=False)
