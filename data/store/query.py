"""The search box's language: what a person types to a SearchKey tree.

    word  "a phrase"  -not  this OR that  begin*
    from:  to:  cc:  subject:  body:  in:  is:  has:attachment  before:  after:
                                                    (each also with - before it, or "quoted words")

Words beside each other must all be found; OR binds closer than that. Quotes may be curly, the colon full width. Dates are
YYYY, YYYY-MM or YYYY-MM-DD (also with / or . or 年月日), after: includes the day, before: does not; they mean the day of
arrival where the reader is. `is:` knows unread, read, starred, answered, draft. `in:` takes a mailbox's name or inbox,
sent, drafts, junk, trash, archive, or anywhere; several of them are alternatives. Operators and values have Chinese names
as well (NAMES, and the tables of values). A word with a star behind it is the beginning of a word; so is, for a box that
searches while it is typed into (`begun`), the last one, as long as no space or quote ends it.

Promises: closed, and never an error: what is not understood is searched as words, with a hint that says so; bounds on
length and number, beyond them a hint; linear. Sans-io; shared by whoever offers a search box.

Hints: search.quote (a quote does not end), search.operator (no such operator), search.value (the value of `operator` is
not understood), search.empty (`operator` has no value), search.or (OR without something on both sides, or with in:),
search.long (only the first `most` characters count), search.many (only the first `most` terms count).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo

from data.reason import Reason
from data.store import keys as k

LENGTH = 1000
"""Characters of a query that count."""
VALUE = 200
"""Characters of one word or phrase that count."""
TERMS = 32
"""Terms that count."""

NAMES: dict[str, str] = {
    "发件人": "from", "来自": "from", "收件人": "to", "发给": "to", "抄送": "cc", "主题": "subject", "标题": "subject",
    "正文": "body", "位于": "in", "文件夹": "in", "状态": "is", "包含": "has", "含有": "has", "早于": "before", "晚于": "after",
}  # fmt: skip
"""Operators by their Chinese names."""

_EPOCH = 719163
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "＂": '"', "：": ":", "－": "-"})
_TERM = re.compile(
    rf"""\s*+(?P<minus>-?)
        (?:(?P<name>[A-Za-z]{{1,20}}|{"|".join(NAMES)}):(?!//))?
        (?:"(?P<quoted>[^"]*+)"|(?P<bare>[^\s"]*+))""",
    re.VERBOSE,
)
_DATE = re.compile(r"([0-9]{4})(?:[-/.年]([0-9]{1,2})(?:[-/.月]([0-9]{1,2})日?)?月?)?年?\Z", re.ASCII)

_UNREAD, _READ = k.Not(k.HasFlag(k.Flag.SEEN)), k.HasFlag(k.Flag.SEEN)
_STARRED, _ANSWERED = k.HasFlag(k.Flag.FLAGGED), k.HasFlag(k.Flag.ANSWERED)
_DRAFT = k.HasFlag(k.Flag.DRAFT)
IS: dict[str, tuple[str, k.SearchKey]] = {
    **dict.fromkeys(("unread", "unseen", "未读"), ("unread", _UNREAD)),
    **dict.fromkeys(("read", "seen", "已读"), ("read", _READ)),
    **dict.fromkeys(("starred", "flagged", "星标", "加星", "已加星标"), ("starred", _STARRED)),
    **dict.fromkeys(("answered", "replied", "已回复", "已答复"), ("answered", _ANSWERED)),
    **dict.fromkeys(("draft", "草稿"), ("draft", _DRAFT)),
}
"""What `is:` knows: the word's usual form and what it asks."""
_HAS: dict[str, k.SearchKey] = dict.fromkeys(("attachment", "attachments", "附件"), k.HasAttachment())


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that was asked, as it stands in `Query.text` from `start` to `end`.

    `name` is the operator ("" for words, "or" for alternatives), `value` what was typed behind it, or the whole text;
    the value of is: is its usual form. `minus` when it must not be found.
    """

    name: str
    value: str
    minus: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked. `mailboxes`: only in those of these names (any of them), `without`: not in those; both are
    case-folded names as typed, resolved by who searches. `hints` say what was not understood. `pieces` are the terms in
    their order, `text` what they are places in."""

    key: k.SearchKey
    mailboxes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    hints: tuple[Reason, ...] = ()
    pieces: tuple[Piece, ...] = field(default=(), compare=False)
    text: str = field(default="", compare=False)

    @property
    def is_empty(self) -> bool:
        """Nothing was asked for: every message would be found."""
        return self.key == k.And(()) and not self.mailboxes and not self.without

    def less(self, piece: Piece) -> str:
        """The text of the query without one of its pieces."""
        return " ".join((self.text[: piece.start] + " " + self.text[piece.end :]).split())


@dataclass(frozen=True, slots=True)
class _Term:
    minus: bool
    name: str
    said: str
    value: str
    quoted: bool
    begun: bool
    start: int
    end: int

    @property
    def text(self) -> str:
        """As typed, for a search of words."""
        return f"{self.said}:{self.value}" if self.said else self.value


def parse(text: str, *, begun: bool = False, zone: tzinfo = UTC) -> Query:
    """Read what was typed; never raises. `begun`: the last word may go on; `zone`: where the reader's days begin."""
    reading = _Reading(zone)
    for term in reading.terms(text, begun):
        reading.take(term)
    return reading.query()


class _Reading:
    """One query on its way through."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._text = ""
        self._hints: list[Reason] = []
        self._groups: list[k.SearchKey] = []
        self._or = False
        self._after_key = False
        self._in: list[str] = []
        self._without: list[str] = []
        self._pieces: list[Piece] = []

    # --- text to terms -----------------------------------------------------------------------------------------------

    def terms(self, text: str, begun: bool) -> Iterator[_Term]:
        """The terms, bounded in length and number."""
        if len(text) > LENGTH:
            self._hint("search.long", most=LENGTH)
        self._text = text = self._balanced(text[:LENGTH].translate(_QUOTES))
        at = count = 0
        while at < len(text):
            match = _TERM.match(text, at)
            if match is None or match.end() == at:
                return
            at = match.end()
            term = self._term(match, begun and at == len(text))
            if not any(map(str.isalnum, term.text)):
                continue
            count += 1
            if count > TERMS:
                self._hint("search.many", most=TERMS)
                return
            yield term

    def _balanced(self, text: str) -> str:
        """Without a quote that has no partner."""
        if text.count('"') % 2 == 0:
            return text
        self._hint("search.quote")
        head, _, tail = text.rpartition('"')
        opens = not head or head[-1].isspace() or head[-1] in ":-"
        return f"{head}{'' if opens else ' '}{tail}"

    def _term(self, match: re.Match[str], last: bool) -> _Term:
        quoted = match["quoted"] is not None
        value = match["quoted"] if quoted else match["bare"]
        if len(value) > VALUE:
            self._hint("search.long", most=VALUE)
        said = (match["name"] or "").lower()
        start = match.start("minus")
        return _Term(
            minus=bool(match["minus"]),
            name=NAMES.get(said, said),
            said=said,
            value=value[:VALUE],
            quoted=quoted,
            begun=not quoted and (last or value.endswith("*")),
            start=start,
            end=match.end(),
        )

    # --- terms to keys -----------------------------------------------------------------------------------------------

    def take(self, term: _Term) -> None:
        """The next term."""
        if term.text == "OR" and not term.quoted and not term.minus:
            self._take_or(term)
        elif term.name == "in" and term.value.strip():
            self._take_mailbox(term)
        else:
            key = self._key(term)
            self._add(k.Not(key) if term.minus else key, term)

    def query(self) -> Query:
        """Everything was taken."""
        if self._or:
            self._or = False
            self._take_word_or(self._pieces.pop())
        key = self._groups[0] if len(self._groups) == 1 else k.And(tuple(self._groups))
        found = tuple(self._pieces)
        return Query(key, tuple(self._in), tuple(self._without), tuple(self._hints), found, self._text)

    def _take_or(self, term: _Term) -> None:
        piece = Piece("", "OR", False, term.start, term.end)
        if self._or or not self._after_key:
            self._take_word_or(piece)
        else:
            self._or = True
            self._pieces.append(piece)

    def _take_word_or(self, piece: Piece) -> None:
        self._hint("search.or")
        self._put(k.AnyText("OR"), piece)

    def _take_mailbox(self, term: _Term) -> None:
        piece = self._piece(term)
        if self._or:
            self._hint("search.or")
            self._or = False
            piece = replace(piece, start=self._pieces.pop().start)
        (self._without if term.minus else self._in).append(term.value.strip().casefold())
        self._pieces.append(piece)
        self._after_key = False

    def _add(self, key: k.SearchKey, term: _Term) -> None:
        self._put(key, self._piece(term))

    def _put(self, key: k.SearchKey, piece: Piece) -> None:
        if self._or:
            key = k.Or(self._groups.pop(), key)
            del self._pieces[-1]
            start = self._pieces.pop().start
            piece = Piece("or", self._text[start : piece.end], False, start, piece.end)
        self._groups.append(key)
        self._pieces.append(piece)
        self._or, self._after_key = False, True

    def _piece(self, term: _Term) -> Piece:
        value = term.value.strip()
        known = term.name in _OPERATORS and self._reads(term) is not None
        if not known:
            return Piece("", term.text, term.minus, term.start, term.end)
        if term.name == "is":
            value = IS[value.lower()][0]
        return Piece(term.name, value, term.minus, term.start, term.end)

    def _reads(self, term: _Term) -> k.SearchKey | None:
        """What an operator makes of its value; None when it makes nothing of it."""
        if not any(map(str.isalnum, term.value)):
            return None
        return _OPERATORS[term.name](term.value, self._zone)

    def _key(self, term: _Term) -> k.SearchKey:
        if not term.name:
            return _begun(k.AnyText(term.value), term.begun)
        if term.name not in _OPERATORS:
            if term.value:
                self._hint("search.operator")
        elif not any(map(str.isalnum, term.value)):
            self._hint("search.empty", operator=term.name)
        else:
            key = self._reads(term)
            if key is not None:
                return _begun(key, term.begun)
            self._hint("search.value", operator=term.name)
        return _begun(k.AnyText(term.text), term.begun)

    def _hint(self, code: str, **params: str | int) -> None:
        """Say something once."""
        reason = Reason(code, params)
        if reason not in self._hints:
            self._hints.append(reason)


def _begun(key: k.SearchKey, begun: bool) -> k.SearchKey:
    """The same key, its last word being the beginning of one."""
    if not begun:
        return key
    match key:
        case k.Or(left, right):
            return k.Or(_begun(left, True), _begun(right, True))
        case k.AnyText() | k.Body() | k.Stored():
            return replace(key, begun=True)
        case _:
            return key


def _recipient(value: str, zone: tzinfo) -> k.SearchKey:
    to, cc, bcc = (k.Stored(field, value) for field in (k.Field.TO, k.Field.CC, k.Field.BCC))
    return k.Or(k.Or(to, cc), bcc)


def _arrived(when: k.When) -> Callable[[str, tzinfo], k.SearchKey | None]:
    def make(value: str, zone: tzinfo) -> k.SearchKey | None:
        match = _DATE.match(value.strip())
        try:
            day = date(*(int(part or 1) for part in match.groups())) if match else None
            return None if day is None else k.Internal(when, day.toordinal() - _EPOCH, _offset(day, zone))
        except (ValueError, OverflowError):
            return None

    return make


def _offset(day: date, zone: tzinfo) -> int:
    """How much earlier than in UTC a day begins in a zone, in milliseconds."""
    offset = datetime(day.year, day.month, day.day, tzinfo=zone).utcoffset()
    return int(offset.total_seconds() * 1000) if offset else 0


_OPERATORS: dict[str, Callable[[str, tzinfo], k.SearchKey | None]] = {
    "from": lambda value, zone: k.Stored(k.Field.FROM, value),
    "to": _recipient,
    "cc": lambda value, zone: k.Stored(k.Field.CC, value),
    "subject": lambda value, zone: k.Stored(k.Field.SUBJECT, value),
    "body": lambda value, zone: k.Body(value),
    "has": lambda value, zone: _HAS.get(value.strip().lower()),
    "is": lambda value, zone: IS.get(value.strip().lower(), ("", None))[1],
    "before": _arrived(k.When.BEFORE),
    "after": _arrived(k.When.SINCE),
    "in": lambda value, zone: k.All(),
}
