"""Pages of a mailbox for a screen: conversations, newest first, and the messages of one of them.

Promises: a page costs the same wherever it begins (keyset: the date and UID of the last row, never an offset); a
conversation stands where its newest message of this mailbox stands, once, on one page. What is read is bounded whatever a
mailbox or a conversation holds. Rights are checked here. May not: open a message, or know how a row looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, literal_column, or_, select

from data.disk import tables as t
from data.disk.db import Database, Reader, Row
from data.errors import NotFound
from data.ids import AccountId, BlobId, MailboxId, MessageId, ThreadId
from data.principal import Principal
from data.store import rights
from data.store.keys import Flag

PAGE: Final = 50
WALK_MOST: Final = 20_000
"""Messages looked at for one page; a mailbox where more of them belong to few conversations shows a short page."""
CONVERSATION_MOST: Final = 500
_BATCH: Final = 200


class Show(StrEnum):
    """Which messages of a mailbox: all, or those that are unread, starred, carry a file, or name the reader."""

    ALL = "all"
    UNREAD = "unread"
    STARRED = "starred"
    FILES = "files"
    TO_ME = "me"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind which row a page begins."""

    date: int
    uid: int

    def __str__(self) -> str:
        return f"{self.date}.{self.uid}"

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """A cursor as it was written; None for anything else."""
        date, dot, uid = (text or "")[:40].partition(".")
        plain = date.removeprefix("-")
        if not dot or not (plain.isascii() and plain.isdigit() and uid.isascii() and uid.isdigit()):
            return None
        return cls(min(int(date), 2**62), min(int(uid), 2**32))


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row of a list. `uid` and `date` are of its newest message in `mailbox`; `people` are From texts, oldest first, each
    once; `count` is its messages here and in other mailboxes that are not Trash or Junk. `to` is the newest message's."""

    mailbox: MailboxId
    thread: ThreadId
    uid: int
    date: int
    subject: str
    preview: str
    people: tuple[str, ...]
    to: str
    count: int
    unread: int
    starred: bool
    answered: bool
    files: bool
    keywords: tuple[str, ...]
    message_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and behind which row the next page begins (None: this is the last)."""

    rows: tuple[Conversation, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a conversation, as it lies in one mailbox."""

    mailbox: MailboxId
    uid: int
    message: MessageId
    flags: Flag
    keywords: tuple[str, ...]
    date: int
    size: int
    subject: str
    from_: str
    to: str
    cc: str
    preview: str
    files: bool
    blob: BlobId
    prefix: bytes
    layout: bytes
    thread: ThreadId
    message_id: str

    @property
    def draft(self) -> bool:
        """Is it still being written?"""
        return Flag.DRAFT in self.flags


_b = bindparam
_e, _m = t.entry.c, t.message.c
_UNSEEN = literal_column("(entry.flags & 1)") == literal_column("0")
_FLAGGED = literal_column("(entry.flags & 4)") != literal_column("0")
_LIVE = literal_column("(entry.flags & 8)") == literal_column("0")
_MINE = or_(_m.to_text.ilike(_b("me"), escape="\\"), _m.cc_text.ilike(_b("me"), escape="\\"))
_SHOWN: Final[dict[Show, tuple[ColumnElement[bool], ...]]] = {
    Show.ALL: (_LIVE,),
    Show.UNREAD: (_LIVE, _UNSEEN),
    Show.STARRED: (_LIVE, _FLAGGED),
    Show.FILES: (_LIVE, _m.has_attachment == literal_column("1")),
    Show.TO_ME: (_LIVE, _MINE),
}
_JOINED = t.entry.join(t.message, _m.id == _e.message_id)
# the first half is what an index can begin at: without it a walk reads everything before the cursor
_BEFORE = and_(_e.internal_date <= _b("date"), or_(_e.internal_date < _b("same_date"), _e.uid < _b("uid")))
_AFTER = or_(_e.internal_date > _b("date"), and_(_e.internal_date == _b("same_date"), _e.uid >= _b("uid")))
# a sum, so that SQLite finds a conversation by its number and does not go through the mailbox
_INSIDE = literal_column("(entry.mailbox_id + 0)") == _b("mailbox")


def _walk(show: Show) -> Select[Any]:
    """Entries of a mailbox behind a cursor, newest first."""
    return (
        select(_e.internal_date, _e.uid, _m.thread_id, _m.subject, _m.preview, _m.to_text)
        .select_from(_JOINED)
        .where(_e.mailbox_id == _b("mailbox"), _BEFORE, *_SHOWN[show])
        .order_by(_e.internal_date.desc(), _e.uid.desc())
        .limit(_b("most"))
    )


def _newer(show: Show) -> Select[Any]:
    """Did a conversation stand before the cursor already?"""
    return (
        select(_e.uid).select_from(_JOINED).where(_m.thread_id == _b("thread"), _INSIDE, _AFTER, *_SHOWN[show]).limit(1)
    )


def _newest(show: Show) -> Select[Any]:
    """The newest message of a conversation in a mailbox."""
    return (
        select(_e.internal_date, _e.uid, _m.thread_id, _m.subject, _m.preview, _m.to_text)
        .select_from(_JOINED)
        .where(_m.thread_id == _b("thread"), _INSIDE, *_SHOWN[show])
        .order_by(_e.internal_date.desc(), _e.uid.desc())
        .limit(1)
    )


_NEWEST: Final = {show: _newest(show) for show in Show}
_WALKS: Final = {show: _walk(show) for show in Show}
_NEWERS: Final = {show: _newer(show) for show in Show}
_MEMBERS = (
    select(_e.mailbox_id, _e.uid, _e.flags, _e.keywords, _m.id, _m.from_text, _m.has_attachment, _m.message_id)
    .select_from(_JOINED)
    .where(_m.thread_id == _b("thread"), _LIVE)
    .order_by(_e.internal_date.desc(), _e.uid.desc())
    .limit(CONVERSATION_MOST)
)
_LETTERS = (
    select(
        _e.mailbox_id, _e.uid, _m.id, _e.flags, _e.keywords, _e.internal_date, _e.size, _m.subject, _m.from_text,
        _m.to_text, _m.cc_text, _m.preview, _m.has_attachment, _m.blob_id, _m.prefix, _m.layout, _m.thread_id,
        _m.message_id,
    )
    .select_from(_JOINED)
)  # fmt: skip
_OF_THREAD = (
    _LETTERS.where(_m.thread_id == _b("thread"), _LIVE)
    .order_by(_e.internal_date.desc(), _e.uid.desc())
    .limit(CONVERSATION_MOST)
)
_ONE = _LETTERS.where(_e.mailbox_id == _b("mailbox"), _e.uid == _b("uid"))
_HEAD = (
    select(_e.internal_date, _e.uid, _m.thread_id, _m.subject, _m.preview, _m.to_text)
    .select_from(_JOINED)
    .where(_e.mailbox_id == _b("mailbox"), _e.uid == _b("uid"), _LIVE)
)
_UIDS = select(_e.uid).select_from(_JOINED).where(_m.thread_id == _b("thread"), _INSIDE).order_by(_e.uid)
_STARS = (
    select(_e.internal_date, _m.id, _m.thread_id, _e.mailbox_id)
    .select_from(_JOINED.join(t.mailbox, t.mailbox.c.id == _e.mailbox_id))
    .where(
        t.mailbox.c.account_id == _b("account"),
        or_(
            t.mailbox.c.special_use.is_(None),
            and_(t.mailbox.c.special_use != _b("trash"), t.mailbox.c.special_use != _b("junk")),
        ),
        *_SHOWN[Show.STARRED],
    )
    .order_by(_e.internal_date.desc(), _m.id.desc())
    .limit(WALK_MOST)
)
_HOMES = (
    select(_e.mailbox_id, _e.flags)
    .select_from(_JOINED.join(t.mailbox, t.mailbox.c.id == _e.mailbox_id))
    .where(_m.thread_id == _b("thread"), literal_column("(mailbox.account_id + 0)") == _b("account"), _LIVE)
    .order_by(_e.internal_date.desc(), _e.uid.desc())
    .limit(CONVERSATION_MOST)
)
_BOXES = select(t.mailbox.c.id, t.mailbox.c.special_use).where(t.mailbox.c.account_id == _b("account"))
_ASIDE: Final = frozenset({"\\Trash", "\\Junk"})
_OUTGOING: Final = frozenset({"\\Sent", "\\Drafts"})
_END: Final = Cursor(2**62, 2**33)


class Listing:
    """Conversations of every account, for screens."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def page(
        self,
        principal: Principal,
        mailbox: MailboxId,
        *,
        before: Cursor | None = None,
        show: Show = Show.ALL,
        size: int = PAGE,
    ) -> Page:
        """The conversations behind a cursor, newest first. Raises NotFound, Refused."""
        with self._db.read() as reader:
            account = rights.require(reader, principal, mailbox, rights.READ)
            boxes = self._readable(reader, principal, account)
            heads, following = self._heads(reader, principal, mailbox, before or _END, show, size)
            return Page(tuple(self._row(reader, head, mailbox, boxes) for head in heads), following)

    def some(
        self, principal: Principal, mailbox: MailboxId, threads: Sequence[ThreadId], *, show: Show = Show.ALL
    ) -> tuple[Conversation, ...]:
        """Those of these conversations that a page of the mailbox would show, newest first. Raises NotFound, Refused."""
        with self._db.read() as reader:
            account = rights.require(reader, principal, mailbox, rights.READ)
            boxes = self._readable(reader, principal, account)
            fixed = {"mailbox": mailbox, **_mine(principal, show)}
            found = (reader.first(_NEWEST[show], {**fixed, "thread": thread}) for thread in dict.fromkeys(threads))
            heads = sorted((row for row in found if row is not None), key=lambda row: (row[0], row[1]), reverse=True)
            return tuple(self._row(reader, head, mailbox, boxes) for head in heads)

    def starred(self, principal: Principal, *, before: Cursor | None = None, size: int = PAGE) -> Page:
        """Conversations of one's own with a star, wherever they lie (Trash and Junk are aside), the latest star first.

        A row tells of the mailbox its newest starred message lies in. The cursor's UID is a message's number here.
        """
        with self._db.read() as reader:
            boxes = self._readable(reader, principal, principal.account)
            stars: dict[int, Row] = {}
            for row in reader.all(_STARS, {"account": principal.account, "trash": "\\Trash", "junk": "\\Junk"}):
                stars.setdefault(row[2], row)
            end = before or _END
            left = [row for row in stars.values() if (row[0], row[1]) < (end.date, end.uid)]
            heads = [
                (reader.first(_NEWEST[Show.STARRED], {"mailbox": row[3], "thread": row[2]}), MailboxId(row[3]))
                for row in left[:size]
            ]
            rows = tuple(self._row(reader, head, mailbox, boxes) for head, mailbox in heads if head is not None)
        return Page(rows, Cursor(left[size - 1][0], left[size - 1][1]) if len(left) > size else None)

    def by_message(self, principal: Principal, places: Sequence[tuple[MailboxId, int]]) -> tuple[Conversation, ...]:
        """The conversations of messages (mailbox, UID), in that order; each row tells of its message. What is gone or may
        not be read is left out."""
        found = []
        with self._db.read() as reader:
            boxes = self._readable(reader, principal, principal.account)
            for mailbox, uid in places:
                head = reader.first(_HEAD, {"mailbox": mailbox, "uid": uid}) if mailbox in boxes else None
                if head is not None:
                    found.append(self._row(reader, head, mailbox, boxes))
        return tuple(found)

    def home(self, principal: Principal, thread: ThreadId, *, stars: bool = True) -> MailboxId:
        """Where a conversation of one's own lies: its newest star, else its newest message; rather not aside.

        Without `stars`: its newest message that came in, else its newest. Raises NotFound.
        """
        with self._db.read() as reader:
            boxes = self._readable(reader, principal, principal.account)
            rows = reader.all(_HOMES, {"thread": thread, "account": principal.account})
        if not rows:
            raise NotFound(f"conversation {thread} is nowhere")

        def rank(row: Row) -> tuple[bool, bool]:
            use = boxes.get(row[0])
            return use in _ASIDE, (not row[1] & Flag.FLAGGED) if stars else use in _OUTGOING

        return MailboxId(min(rows, key=rank)[0])

    def conversation(self, principal: Principal, mailbox: MailboxId, thread: ThreadId) -> tuple[Letter, ...]:
        """Its messages, oldest first, each once: as it lies in `mailbox` or, if not there, in another that is not aside.

        Raises NotFound when none of them lies in `mailbox`.
        """
        with self._db.read() as reader:
            account = rights.require(reader, principal, mailbox, rights.READ)
            boxes = self._readable(reader, principal, account)
            rows = reader.all(_OF_THREAD, {"thread": thread})
        chosen: dict[int, Letter] = {}
        for letter in map(_letter, rows):
            if letter.mailbox != mailbox and (letter.mailbox not in boxes or boxes[letter.mailbox] in _ASIDE):
                continue
            if letter.message not in chosen or letter.mailbox == mailbox:
                chosen[letter.message] = letter
        if not any(letter.mailbox == mailbox for letter in chosen.values()):
            raise NotFound(f"conversation {thread} is not in mailbox {mailbox}")
        return tuple(sorted(chosen.values(), key=lambda letter: (letter.date, letter.uid)))

    def letter(self, principal: Principal, mailbox: MailboxId, uid: int) -> Letter:
        """One message. Raises NotFound, Refused."""
        with self._db.read() as reader:
            rights.require(reader, principal, mailbox, rights.READ)
            row = reader.first(_ONE, {"mailbox": mailbox, "uid": uid})
        if row is None:
            raise NotFound(f"UID {uid} of mailbox {mailbox}")
        return _letter(row)

    def uids(self, principal: Principal, mailbox: MailboxId, thread: ThreadId) -> tuple[int, ...]:
        """The UIDs of a conversation in one mailbox, ascending."""
        with self._db.read() as reader:
            rights.require(reader, principal, mailbox, rights.READ)
            return tuple(uid for (uid,) in reader.all(_UIDS, {"mailbox": mailbox, "thread": thread}))

    # --- how a page is found --------------------------------------------------------------------------------------------

    @staticmethod
    def _readable(reader: Reader, principal: Principal, account: AccountId) -> dict[int, str | None]:
        """The mailboxes of an account that the principal may read, with their special use."""
        found = reader.all(_BOXES, {"account": account})
        return {
            ident: use
            for ident, use in found
            if rights.READ in rights.of_mailbox(reader, principal, MailboxId(ident), account)
        }

    def _heads(
        self, reader: Reader, principal: Principal, mailbox: MailboxId, before: Cursor, show: Show, size: int
    ) -> tuple[list[Row], Cursor | None]:
        """The newest message of each conversation of the page, and where the next begins."""
        heads: list[Row] = []
        seen: set[int] = set()
        at, walked = before, 0
        fixed = {"mailbox": mailbox, **_mine(principal, show)}
        while walked < WALK_MOST:
            rows = reader.all(_WALKS[show], {**fixed, **_bounds(at), "most": _BATCH})
            for row in rows:
                thread = row[2]
                if thread in seen:
                    at = Cursor(row[0], row[1])
                    continue
                if len(heads) == size:
                    return heads, at
                seen.add(thread)
                at = Cursor(row[0], row[1])
                stood = before is not _END and reader.first(
                    _NEWERS[show], {**fixed, **_bounds(before), "thread": thread}
                )
                if not stood:
                    heads.append(row)
            walked += len(rows)
            if len(rows) < _BATCH:
                return heads, None
        return heads, at

    def _row(self, reader: Reader, head: Row, mailbox: MailboxId, boxes: dict[int, str | None]) -> Conversation:
        date, uid, thread, subject, preview, to = head
        members = reader.all(_MEMBERS, {"thread": thread})
        here = [row for row in members if row[0] == mailbox]
        counted = {row[4] for row in here}
        counted |= {row[4] for row in members if row[0] in boxes and boxes[row[0]] not in _ASIDE}
        flags = [Flag(row[2]) for row in here]
        words = dict.fromkeys(word for row in here for word in row[3].split())
        return Conversation(
            mailbox=mailbox,
            thread=ThreadId(thread),
            uid=uid,
            date=date,
            subject=subject,
            preview=preview,
            people=tuple(dict.fromkeys(row[5] for row in reversed(members) if row[4] in counted)),
            to=to,
            count=len(counted),
            unread=len({row[4] for row in here if not row[2] & Flag.SEEN}),
            starred=any(Flag.FLAGGED in one for one in flags),
            answered=bool(flags) and Flag.ANSWERED in flags[0],
            files=any(row[6] for row in here),
            keywords=tuple(words),
            message_id=(here[0][7] or "") if here else "",
        )


def _bounds(cursor: Cursor) -> dict[str, int]:
    return {"date": cursor.date, "same_date": cursor.date, "uid": cursor.uid}


def _mine(principal: Principal, show: Show) -> dict[str, str]:
    """The pattern of the reader's address, where it is asked for."""
    if show is not Show.TO_ME:
        return {}
    plain = principal.address.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {"me": f"%{plain}%"}


def _letter(row: Row) -> Letter:
    (
        mailbox,
        uid,
        message,
        flags,
        keywords,
        date,
        size,
        subject,
        from_,
        to,
        cc,
        preview,
        files,
        blob,
        prefix,
        layout,
        th,
        message_id,
    ) = row
    return Letter(
        MailboxId(mailbox), uid, MessageId(message), Flag(flags), tuple(keywords.split()), date, size, subject, from_, to, cc,
        preview, bool(files), BlobId(blob), bytes(prefix), bytes(layout), ThreadId(th),
        message_id or "",
    )  # fmt: skip
