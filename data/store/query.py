"""The search box's language: what a person types to a SearchKey tree.

    word  "a phrase"  -not  this OR that
    from:  to:  subject:  in:  is:  has:attachment  before:  after:      (each also with - before it, or "quoted words")

Words beside each other must all be found; OR binds closer than that. Quotes may be curly, the colon full width. Dates are
YYYY, YYYY-MM or YYYY-MM-DD (also with / or .), after: includes the day, before: does not; they mean the day of arrival,
UTC. `is:` knows unread, read, starred, answered, draft. `in:` takes a mailbox's name or inbox, sent, drafts, junk, trash,
archive; several of them are alternatives.

Promises: closed, and never an error: what is not understood is searched as words, with a hint that says so; bounds on
length and number, beyond them a hint; linear. Sans-io; shared by whoever offers a search box.

Hints: search.quote (a quote does not end), search.operator (no such operator), search.value (the value of `operator` is
not understood), search.empty (`operator` has no value), search.or (OR without something on both sides, or with in:),
search.long (only the first `most` characters count), search.many (only the first `most` terms count).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from data.reason import Reason
from data.store import keys as k

LENGTH = 1000
"""Characters of a query that count."""
VALUE = 200
"""Characters of one word or phrase that count."""
TERMS = 32
"""Terms that count."""

_EPOCH = 719163
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "＂": '"', "：": ":", "－": "-"})
_TERM = re.compile(
    r"""\s*+(?P<minus>-?)
        (?:(?P<name>[A-Za-z]{1,20}):(?!//))?
        (?:"(?P<quoted>[^"]*+)"|(?P<bare>[^\s"]*+))""",
    re.VERBOSE,
)
_DATE = re.compile(r"([0-9]{4})(?:[-/.]([0-9]{1,2})(?:[-/.]([0-9]{1,2}))?)?\Z", re.ASCII)

_IS: dict[str, k.SearchKey] = {
    "unread": k.Not(k.HasFlag(k.Flag.SEEN)),
    "unseen": k.Not(k.HasFlag(k.Flag.SEEN)),
    "read": k.HasFlag(k.Flag.SEEN),
    "seen": k.HasFlag(k.Flag.SEEN),
    "starred": k.HasFlag(k.Flag.FLAGGED),
    "flagged": k.HasFlag(k.Flag.FLAGGED),
    "answered": k.HasFlag(k.Flag.ANSWERED),
    "replied": k.HasFlag(k.Flag.ANSWERED),
    "draft": k.HasFlag(k.Flag.DRAFT),
}
_HAS: dict[str, k.SearchKey] = {"attachment": k.HasAttachment(), "attachments": k.HasAttachment()}


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked. `mailboxes`: only in those of these names (any of them), `without`: not in those; both are
    case-folded names as typed, resolved by who searches. `hints` say what was not understood."""

    key: k.SearchKey
    mailboxes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    hints: tuple[Reason, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing was asked for: every message would be found."""
        return self.key == k.And(()) and not self.mailboxes and not self.without


@dataclass(frozen=True, slots=True)
class _Term:
    minus: bool
    name: str
    value: str
    quoted: bool

    @property
    def text(self) -> str:
        """As typed, for a search of words."""
        return f"{self.name}:{self.value}" if self.name else self.value


def parse(text: str) -> Query:
    """Read what was typed; never raises."""
    reading = _Reading()
    for term in reading.terms(text):
        reading.take(term)
    return reading.query()


class _Reading:
    """One query on its way through."""

    def __init__(self) -> None:
        self._hints: list[Reason] = []
        self._groups: list[k.SearchKey] = []
        self._or = False
        self._after_key = False
        self._in: list[str] = []
        self._without: list[str] = []

    # --- text to terms -----------------------------------------------------------------------------------------------

    def terms(self, text: str) -> Iterator[_Term]:
        """The terms, bounded in length and number."""
        if len(text) > LENGTH:
            self._hint("search.long", most=LENGTH)
        text = self._balanced(text[:LENGTH].translate(_QUOTES))
        at = count = 0
        while at < len(text):
            match = _TERM.match(text, at)
            if match is None or match.end() == at:
                return
            at = match.end()
            term = self._term(match)
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

    def _term(self, match: re.Match[str]) -> _Term:
        quoted = match["quoted"] is not None
        value = match["quoted"] if quoted else match["bare"]
        if len(value) > VALUE:
            self._hint("search.long", most=VALUE)
        return _Term(bool(match["minus"]), (match["name"] or "").lower(), value[:VALUE], quoted)

    # --- terms to keys -----------------------------------------------------------------------------------------------

    def take(self, term: _Term) -> None:
        """The next term."""
        if term.text == "OR" and not term.quoted and not term.minus:
            self._take_or()
        elif term.name == "in" and term.value.strip():
            self._take_mailbox(term)
        else:
            key = self._key(term)
            self._add(k.Not(key) if term.minus else key)

    def query(self) -> Query:
        """Everything was taken."""
        if self._or:
            self._or = False
            self._take_word_or()
        key = self._groups[0] if len(self._groups) == 1 else k.And(tuple(self._groups))
        return Query(key, tuple(self._in), tuple(self._without), tuple(self._hints))

    def _take_or(self) -> None:
        if self._or or not self._after_key:
            self._take_word_or()
        else:
            self._or = True

    def _take_word_or(self) -> None:
        self._hint("search.or")
        self._add(k.AnyText("OR"))

    def _take_mailbox(self, term: _Term) -> None:
        if self._or:
            self._hint("search.or")
            self._or = False
        (self._without if term.minus else self._in).append(term.value.strip().casefold())
        self._after_key = False

    def _add(self, key: k.SearchKey) -> None:
        if self._or:
            key = k.Or(self._groups.pop(), key)
        self._groups.append(key)
        self._or, self._after_key = False, True

    def _key(self, term: _Term) -> k.SearchKey:
        if not term.name:
            return k.AnyText(term.value)
        make = _OPERATORS.get(term.name)
        if make is None:
            if term.value:
                self._hint("search.operator")
            return k.AnyText(term.text)
        if not any(map(str.isalnum, term.value)):
            self._hint("search.empty", operator=term.name)
            return k.AnyText(term.text)
        key = make(term.value)
        if key is None:
            self._hint("search.value", operator=term.name)
            return k.AnyText(term.text)
        return key

    def _hint(self, code: str, **params: str | int) -> None:
        """Say something once."""
        reason = Reason(code, params)
        if reason not in self._hints:
            self._hints.append(reason)


def _recipient(value: str) -> k.SearchKey:
    to, cc, bcc = (k.Stored(field, value) for field in (k.Field.TO, k.Field.CC, k.Field.BCC))
    return k.Or(k.Or(to, cc), bcc)


def _arrived(when: k.When) -> Callable[[str], k.SearchKey | None]:
    def make(value: str) -> k.SearchKey | None:
        match = _DATE.match(value.strip())
        try:
            return (
                k.Internal(when, date(*(int(part or 1) for part in match.groups())).toordinal() - _EPOCH)
                if match
                else None
            )
        except ValueError:
            return None

    return make


_OPERATORS: dict[str, Callable[[str], k.SearchKey | None]] = {
    "from": lambda value: k.Stored(k.Field.FROM, value),
    "to": _recipient,
    "subject": lambda value: k.Stored(k.Field.SUBJECT, value),
    "has": lambda value: _HAS.get(value.strip().lower()),
    "is": lambda value: _IS.get(value.strip().lower()),
    "before": _arrived(k.When.BEFORE),
    "after": _arrived(k.When.SINCE),
    "in": lambda value: None,
}
