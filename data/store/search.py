"""Finding messages in a mailbox: a SearchKey tree becomes SQL as far as SQL can tell, the rest reads stored text.

Promises: the answer is exact and never stale, for it is read from the rows themselves; text is compared without regard
to case over Unicode, as a substring (RFC 9051 §6.4.4). Bodies are opened only for messages that everything structured
lets through, one at a time. May not: know sequence numbers or sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, and_, false, literal, not_, or_, select, true

from data.disk import tables as t
from data.disk.blobs import Blobs
from data.disk.db import Database, Reader
from data.errors import Corrupt
from data.ids import BlobId, MailboxId
from data.mime.headers import decode_words, split, unfold
from data.mime.part import decode_layout
from data.mime.plaintext import texts
from data.principal import Principal
from data.store import keys as k
from data.store import rights

_DAY = 86_400_000
_BATCH = 500
_TEXT_COLUMNS = {
    k.Field.FROM: "from_text",
    k.Field.TO: "to_text",
    k.Field.CC: "cc_text",
    k.Field.BCC: "bcc_text",
    k.Field.SUBJECT: "subject",
}
_e, _m = t.entry.c, t.message.c
_SOURCE = t.entry.join(t.message, t.message.c.id == t.entry.c.message_id)


class Search:
    """Search over the mailboxes of every account."""

    def __init__(self, db: Database, blobs: Blobs, now: Callable[[], int]) -> None:
        self._db = db
        self._blobs = blobs
        self._now = now

    def find(self, principal: Principal, mailbox: MailboxId, key: k.SearchKey) -> list[int]:
        """The UIDs of the messages for which the key holds, ascending."""
        structured = condition(key, self._now())
        if structured.exact:
            statement = select(_e.uid).select_from(_SOURCE if structured.joins else t.entry)
            statement = statement.where(_e.mailbox_id == mailbox, structured.sql).order_by(_e.uid)
            with self._db.read() as reader:
                rights.require(reader, principal, mailbox, rights.READ)
                return [uid for (uid,) in reader.once(statement)]
        return self._scan(principal, mailbox, key, structured)

    def _scan(self, principal: Principal, mailbox: MailboxId, key: k.SearchKey, structured: Condition) -> list[int]:
        """Test the whole key on each message that the structured part lets through."""
        found: list[int] = []
        after = 0
        while True:
            with self._db.read() as reader:
                rights.require(reader, principal, mailbox, rights.READ)
                rows = reader.once(_candidates(mailbox, structured, after))
                tester = _Tester(self._blobs, reader, self._now())
                found += [row[0] for row in rows if tester.holds(key, row)]
            if len(rows) < _BATCH:
                return found
            after = rows[-1][0]


def _candidates(mailbox: MailboxId, structured: Condition, after: int) -> Any:
    columns = (_e.uid, _e.flags, _e.keywords, _e.modseq, _e.internal_date, _e.save_date, _m.size, _m.sent_at)
    texts_ = (_m.from_text, _m.to_text, _m.cc_text, _m.bcc_text, _m.subject)
    places = (_m.blob_id, _m.prefix, _m.header_size, _m.layout, _m.id, _m.thread_id, _m.has_attachment)
    return (
        select(*columns, *texts_, *places)
        .select_from(_SOURCE)
        .where(_e.mailbox_id == mailbox, _e.uid > after, structured.sql)
        .order_by(_e.uid)
        .limit(_BATCH)
    )


_COLUMN = {
    name: n
    for n, name in enumerate(
        (
            *("uid", "flags", "keywords", "modseq", "internal_date", "save_date", "size", "sent_at"),
            *("from_text", "to_text", "cc_text", "bcc_text", "subject"),
            *("blob_id", "prefix", "header_size", "layout", "id", "thread_id", "has_attachment"),
        )
    )
}


# --- the structured part ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL that holds for at least every message for which the key holds; `exact` when it is the same."""

    sql: ColumnElement[bool]
    exact: bool = True
    joins: bool = False


_ANY = Condition(true(), exact=False)


def condition(key: k.SearchKey, now: int) -> Condition:
    """What SQL over entry and message can tell of a key; `now` is milliseconds."""
    match key:
        case k.And(found):
            parts = [condition(one, now) for one in found]
            return Condition(
                and_(true(), *(p.sql for p in parts)), all(p.exact for p in parts), any(p.joins for p in parts)
            )
        case k.Or(left, right):
            a, b = condition(left, now), condition(right, now)
            return Condition(or_(a.sql, b.sql), a.exact and b.exact, a.joins or b.joins)
        case k.Not(inner):
            c = condition(inner, now)
            return Condition(not_(c.sql), True, c.joins) if c.exact else _ANY
        case _:
            leaf = _LEAVES.get(type(key))
            return leaf(key, now) if leaf is not None else _ANY


def _flag(key: k.HasFlag, now: int) -> Condition:
    return Condition(_e.flags.op("&")(literal(int(key.flag))) != 0)


def _keyword(key: k.HasKeyword, now: int) -> Condition:
    padded = literal(" ") + _e.keywords + literal(" ")
    if not key.name.isascii():
        return _ANY
    wanted = key.name.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Condition(padded.ilike(f"% {wanted} %", escape="\\"))


def _uids(key: k.Uids, now: int) -> Condition:
    if not key.ranges:
        return Condition(false())
    if len(key.ranges) > 100:
        hull = _e.uid.between(key.ranges[0][0], key.ranges[-1][1])
        return Condition(hull, exact=False)
    return Condition(or_(*(_e.uid.between(lo, hi) for lo, hi in key.ranges)))


def _day(column: ColumnElement[Any], when: k.When, day: int, offset: int = 0) -> ColumnElement[bool]:
    start = day * _DAY - offset
    if when is k.When.BEFORE:
        return column < start
    if when is k.When.SINCE:
        return column >= start
    return and_(column >= start, column < start + _DAY)


def _within(key: k.Within, now: int) -> Condition:
    edge = now - key.seconds * 1000
    return Condition(_e.internal_date > edge if key.younger else _e.internal_date <= edge)


def _objectid(column: ColumnElement[Any], letter: str, value: str) -> ColumnElement[bool]:
    digits = value[1:]
    if value[:1] != letter or not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        return false()
    return column == int(digits)


_LEAVES: dict[type, Callable[[Any, int], Condition]] = {
    k.All: lambda key, now: Condition(true()),
    k.Uids: _uids,
    k.HasFlag: _flag,
    k.HasKeyword: _keyword,
    k.Internal: lambda key, now: Condition(_day(_e.internal_date, key.when, key.day, key.offset)),
    k.Saved: lambda key, now: Condition(_day(_e.save_date, key.when, key.day)),
    k.Sent: lambda key, now: Condition(and_(_m.sent_at.is_not(None), _day(_m.sent_at, key.when, key.day)), joins=True),
    k.Larger: lambda key, now: Condition(_e.size > key.octets),
    k.Smaller: lambda key, now: Condition(_e.size < key.octets),
    k.Within: _within,
    k.ModSeqSince: lambda key, now: Condition(_e.modseq >= key.modseq),
    k.HasAttachment: lambda key, now: Condition(_m.has_attachment != 0, joins=True),
    k.EmailId: lambda key, now: Condition(_objectid(_e.message_id, "e", key.value)),
    k.ThreadKey: lambda key, now: Condition(_objectid(_m.thread_id, "t", key.value), joins=True),
}


# --- the text part ------------------------------------------------------------------------------------------------


class _Tester:
    """Tests keys on candidate rows; a body is opened at most once a message."""

    def __init__(self, blobs: Blobs, reader: Reader, now: int) -> None:
        self._blobs = blobs
        self._reader = reader
        self._now = now
        self._opened: tuple[int, _Opened] | None = None

    def holds(self, key: k.SearchKey, row: tuple[Any, ...]) -> bool:
        """Whether a key holds for a row of `_candidates`."""
        match key:
            case k.And(found):
                return all(self.holds(one, row) for one in sorted(found, key=_cost))
            case k.Or(left, right):
                return self.holds(left, row) or self.holds(right, row)
            case k.Not(inner):
                return not self.holds(inner, row)
            case k.Stored(field, value):
                return value.casefold() in row[_COLUMN[_TEXT_COLUMNS[field]]].casefold()
            case k.Header(name, value):
                return self._message(row).header_holds(name, value)
            case k.Body(value):
                return self._message(row).body_holds(value)
            case k.AnyText(value):
                return self._message(row).text_holds(value)
            case _:
                return _row_holds(key, row, self._now)

    def _message(self, row: tuple[Any, ...]) -> _Opened:
        uid = row[0]
        if self._opened is None or self._opened[0] != uid:
            self._opened = (uid, _Opened(self._blobs, self._reader, row))
        return self._opened[1]


def _cost(key: k.SearchKey) -> int:
    if isinstance(key, k.Body | k.AnyText | k.Header):
        return 2
    return 1 if isinstance(key, k.Stored | k.And | k.Or | k.Not) else 0


def _row_holds(key: k.SearchKey, row: tuple[Any, ...], now: int) -> bool:
    """The structured keys again, in Python, for trees that mix them with text."""
    test = _ROW_TESTS[type(key)]
    return test(key, lambda name: row[_COLUMN[name]], now)


def _day_holds(value: int | None, when: k.When, day: int, offset: int = 0) -> bool:
    if value is None:
        return False
    value += offset
    if when is k.When.BEFORE:
        return value < day * _DAY
    if when is k.When.SINCE:
        return value >= day * _DAY
    return value // _DAY == day


_ROW_TESTS: dict[type, Callable[[Any, Callable[[str], Any], int], bool]] = {
    k.All: lambda key, of, now: True,
    k.Uids: lambda key, of, now: any(lo <= of("uid") <= hi for lo, hi in key.ranges),
    k.HasFlag: lambda key, of, now: bool(of("flags") & key.flag),
    k.HasKeyword: lambda key, of, now: key.name.lower() in of("keywords").lower().split(" "),
    k.Internal: lambda key, of, now: _day_holds(of("internal_date"), key.when, key.day, key.offset),
    k.Saved: lambda key, of, now: _day_holds(of("save_date"), key.when, key.day),
    k.Sent: lambda key, of, now: _day_holds(of("sent_at"), key.when, key.day),
    k.Larger: lambda key, of, now: of("size") > key.octets,
    k.Smaller: lambda key, of, now: of("size") < key.octets,
    k.Within: lambda key, of, now: (of("internal_date") > now - key.seconds * 1000) == key.younger,
    k.ModSeqSince: lambda key, of, now: of("modseq") >= key.modseq,
    k.HasAttachment: lambda key, of, now: bool(of("has_attachment")),
    k.EmailId: lambda key, of, now: key.value == f"e{of('id')}",
    k.ThreadKey: lambda key, of, now: key.value == f"t{of('thread_id')}",
}


class _Opened:
    """The decoded text of one message."""

    def __init__(self, blobs: Blobs, reader: Reader, row: tuple[Any, ...]) -> None:
        self._prefix: bytes = row[_COLUMN["prefix"]]
        self._header_size: int = row[_COLUMN["header_size"]]
        self._layout: bytes = row[_COLUMN["layout"]]
        try:
            self._read = blobs.content_in(reader, BlobId(row[_COLUMN["blob_id"]])).read
        except Corrupt:
            self._read = lambda start, stop: b""
        self._header: list[tuple[str, str]] | None = None
        self._texts: Iterator[str] | None = None
        self._seen: list[str] = []

    def header_holds(self, name: str, value: str) -> bool:
        """A field `name` is there and its value contains `value`."""
        wanted, folded = name.lower(), value.casefold()
        return any(field == wanted and folded in text for field, text in self._fields())

    def body_holds(self, value: str) -> bool:
        """One of the text parts contains `value`."""
        folded = value.casefold()
        return any(folded in text for text in self._bodies())

    def text_holds(self, value: str) -> bool:
        """The header or the body contains `value`."""
        folded = value.casefold()
        return any(folded in f"{n}: {v}" for n, v in self._fields()) or self.body_holds(value)

    def _fields(self) -> list[tuple[str, str]]:
        if self._header is None:
            block = self._prefix + self._guarded(0, min(self._header_size, 262144))
            self._header = [
                (name.decode("ascii", "replace").lower(), decode_words(unfold(raw)).strip().casefold())
                for name, raw in split(block)
            ]
        return self._header

    def _bodies(self) -> Iterator[str]:
        yield from self._seen
        if self._texts is None:
            root = decode_layout(self._layout)
            self._texts = (text.casefold() for _, text in texts(root, self._guarded))
        for text in islice(self._texts, 1000):
            self._seen.append(text)
            yield text

    def _guarded(self, start: int, stop: int) -> bytes:
        try:
            return self._read(start, stop)
        except Corrupt:
            return b""
