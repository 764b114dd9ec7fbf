"""Prove that rows, blobs and counters agree; say what is broken, in a closed list of findings.

Promises: reads only; one short snapshot for each check, so that it can run beside a working server (what moves while it
looks is looked at again before it is reported). A damaged or missing blob is found whatever its kind (RELIABILITY
C14, C15, G8). May not: mend anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, select

from data.disk import tables as t
from data.disk.blobs import Blobs, Content
from data.disk.db import Database
from data.errors import Corrupt

_PAGE = 500
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a code of the closed list, the thing, and what was expected and found."""

    code: str
    subject: str
    detail: str = ""


def _flag_count(mask: int, *, absent: bool = False) -> ColumnElement[Any]:
    held = t.entry.c.flags.op("&")(mask)
    return func.coalesce(func.sum(case((held == 0 if absent else held != 0, 1), else_=0)), 0)


_e = t.entry.c
_COUNTED = (
    select(
        func.count(_e.uid),
        _flag_count(1, absent=True),
        _flag_count(8),
        func.coalesce(func.sum(_e.size), 0),
        func.coalesce(func.max(_e.uid), 0),
        func.coalesce(func.max(_e.modseq), 0),
    )
    .select_from(t.entry)
    .where(_e.mailbox_id == bindparam("mailbox"))
)
_m = t.mailbox.c
_MAILBOXES = select(_m.id, _m.account_id, _m.name).order_by(_m.id)
_MAILBOX = select(_m.messages, _m.unseen, _m.deleted, _m.octets, _m.uidnext, _m.highestmodseq).where(
    _m.id == bindparam("mailbox")
)
_ACCOUNTS = select(t.counter.c.account_id)
_COUNTER = select(t.counter.c.messages, t.counter.c.octets, t.counter.c.modseq).where(
    t.counter.c.account_id == bindparam("account")
)
_USAGE = (
    select(func.count(_e.uid), func.coalesce(func.sum(_e.size), 0))
    .select_from(t.entry.join(t.mailbox, _m.id == _e.mailbox_id))
    .where(_m.account_id == bindparam("account"))
)
_TOP = select(func.coalesce(func.max(_m.highestmodseq), 0)).where(_m.account_id == bindparam("account"))
_ENTRY_COUNT = select(func.count(_e.uid)).where(_e.message_id == t.message.c.id).correlate(t.message).scalar_subquery()
_MESSAGE_REFS = (
    select(t.message.c.id, t.message.c.refs, _ENTRY_COUNT)
    .where(t.message.c.id > bindparam("after"), t.message.c.refs != _ENTRY_COUNT)
    .order_by(t.message.c.id)
    .limit(_PAGE)
)
_MESSAGE_COUNT = (
    select(func.count(t.message.c.id)).where(t.message.c.blob_id == t.blob.c.id).correlate(t.blob).scalar_subquery()
)
# a finished item keeps its blob until it is forgotten: its row names it
_ITEM_COUNT = (
    select(func.count(t.spool_item.c.id))
    .where(t.spool_item.c.blob_id == t.blob.c.id)
    .correlate(t.blob)
    .scalar_subquery()
)
_KEPT_BACK = (
    select(func.count(t.quarantine.c.id))
    .where(t.quarantine.c.blob_id == t.blob.c.id)
    .correlate(t.blob)
    .scalar_subquery()
)
_NAMED = _MESSAGE_COUNT + _ITEM_COUNT + _KEPT_BACK
_BLOB_REFS = (
    select(t.blob.c.id, t.blob.c.refs, _NAMED)
    .where(t.blob.c.id > bindparam("after"), t.blob.c.refs != _NAMED)
    .order_by(t.blob.c.id)
    .limit(_PAGE)
)
_b = t.blob.c
_BLOBS = (
    select(_b.id, _b.digest, _b.stored_size, _b.name, _b.wrapped, _b.plain_size, _b.inline, t.blob_data.c.data)
    .select_from(t.blob.outerjoin(t.blob_data, t.blob_data.c.blob_id == _b.id))
    .where(_b.id > bindparam("after"))
    .order_by(_b.id)
    .limit(50)
)
_SIZES = (
    select(t.message.c.id, t.message.c.size, func.length(t.message.c.prefix) + _b.plain_size)
    .select_from(t.message.join(t.blob, _b.id == t.message.c.blob_id))
    .where(t.message.c.id > bindparam("after"), t.message.c.size != func.length(t.message.c.prefix) + _b.plain_size)
    .order_by(t.message.c.id)
    .limit(_PAGE)
)
_STILL = select(_b.id).where(_b.id == bindparam("p_id"))
_KNOWN = select(_b.id).where(_b.name == bindparam("p_name")).limit(1)


class Repair:
    """Checks of one store."""

    def __init__(self, db: Database, blobs: Blobs) -> None:
        self._db = db
        self._blobs = blobs

    def verify(self, tell: Callable[[str, int], None] = lambda what, done: None) -> Iterator[Finding]:
        """Everything that is wrong. `tell(what, done)` hears of progress."""
        for name, check in (
            ("mailboxes", self._mailboxes),
            ("accounts", self._accounts),
            ("messages", self._messages),
            ("references", self._references),
            ("blobs", self._contents),
            ("files", self._files),
        ):
            done = 0
            tell(name, done)
            for finding in check():
                yield finding
                done += 1

    def _mailboxes(self) -> Iterator[Finding]:
        with self._db.read() as reader:
            found = reader.all(_MAILBOXES)
        for mailbox, account, name in found:
            with self._db.read() as reader:
                kept = reader.first(_MAILBOX, {"mailbox": mailbox})
                counted = reader.first(_COUNTED, {"mailbox": mailbox})
            if kept is None or counted is None:
                continue
            subject = f"account {account} mailbox {mailbox} ({name})"
            names = ("messages", "unseen", "deleted", "octets")
            for what, a, b in zip(names, kept, counted, strict=False):
                if a != b:
                    yield Finding(f"mailbox.{what}", subject, f"says {a}, holds {b}")
            if kept[4] <= counted[4]:
                yield Finding("mailbox.uidnext", subject, f"says {kept[4]}, highest UID {counted[4]}")
            if kept[5] < counted[5]:
                yield Finding("mailbox.highestmodseq", subject, f"says {kept[5]}, highest {counted[5]}")

    def _accounts(self) -> Iterator[Finding]:
        with self._db.read() as reader:
            found = reader.all(_ACCOUNTS)
        for (account,) in found:
            with self._db.read() as reader:
                kept = reader.first(_COUNTER, {"account": account})
                counted = reader.first(_USAGE, {"account": account})
                top = reader.value(_TOP, {"account": account})
            if kept is None or counted is None:
                continue
            for what, a, b in (("messages", kept[0], counted[0]), ("octets", kept[1], counted[1])):
                if a != b:
                    yield Finding(f"account.{what}", f"account {account}", f"says {a}, holds {b}")
            if kept[2] < top:
                yield Finding("account.modseq", f"account {account}", f"says {kept[2]}, highest {top}")

    def _messages(self) -> Iterator[Finding]:
        for message, kept, counted in self._paged(_SIZES):
            yield Finding("message.size", f"message {message}", f"says {kept}, holds {counted}")

    def _references(self) -> Iterator[Finding]:
        for message, kept, counted in self._paged(_MESSAGE_REFS):
            yield Finding("message.refs", f"message {message}", f"says {kept}, named {counted} times")
        for blob, kept, counted in self._paged(_BLOB_REFS):
            yield Finding("blob.refs", f"blob {blob}", f"says {kept}, named {counted} times")

    def _paged(self, statement: Any) -> Iterator[tuple[Any, ...]]:
        after = 0
        while True:
            with self._db.read() as reader:
                rows = reader.all(statement, {"after": after})
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def _contents(self) -> Iterator[Finding]:
        after = 0
        while True:
            with self._db.read() as reader:
                rows = reader.all(_BLOBS, {"after": after})
            for blob, digest, stored_size, *place in rows:
                why = self._damage(digest, stored_size, tuple(place))
                if why and self._still_there(blob):
                    yield Finding("blob.damaged", f"blob {blob}", why)
            if not rows:
                return
            after = rows[-1][0]

    def _damage(self, digest: bytes, stored_size: int, place: tuple[Any, ...]) -> str:
        name, _, _, inline, data = place
        try:
            content = self._blobs.open(*place)
            if self._digest(content) != digest:
                return "the octets have another digest"
            held = len(data) if inline else self._blobs.path(name).stat().st_size
        except (Corrupt, OSError) as error:
            return error.private if isinstance(error, Corrupt) else repr(error)
        return "" if held == stored_size else f"stored size says {stored_size}, is {held}"

    def _digest(self, content: Content) -> bytes:
        digest = self._blobs.keys.new_digest()
        for piece in content.pieces(0, content.size, _PIECE):
            digest.update(piece)
        return digest.digest()

    def _still_there(self, blob: int) -> bool:
        with self._db.read() as reader:
            return reader.value(_STILL, {"p_id": blob}) is not None

    def _files(self) -> Iterator[Finding]:
        for path in self._blobs.files():
            with self._db.read() as reader:
                known = reader.value(_KNOWN, {"p_name": path.name})
            if known is None and self._blobs.is_old(path):
                yield Finding("file.unknown", path.name, "no row names it")
