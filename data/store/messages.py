"""Messages: append, copy, move, expunge and read. The only place that hands out a UID.

Promises: what `append`, `copy`, `move` and `expunge` return was committed; blob, row, UID, MODSEQ, usage, change log and
the index's outbox move in one transaction. Reads are batches of rows or ranges of octets; no read outlives its call.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, insert, literal_column, select

from data.disk import tables as t
from data.disk.blobs import Blobs, Content
from data.disk.crashpoints import hit
from data.disk.db import Database, Reader, Tx
from data.errors import Corrupt, DiskFull, NotFound, TooBig, Unavailable
from data.ids import AccountId, BlobId, MailboxId, MessageId, OrganisationId
from data.principal import Principal
from data.store import rights
from data.store.changes import Added
from data.store.entries import (
    LAST_UID,
    Entry,
    Within,
    deleted,
    insert_entries,
    known_keywords,
    register_keywords,
    spans,
    spell,
    unseen,
)
from data.store.expunge import expunge_in
from data.store.intake import Intake, Prepared, prepare
from data.store.keys import Flag, Ranges
from data.store.mailboxes import COLUMNS as MAILBOX_COLUMNS
from data.store.mailboxes import Mailbox
from data.store.modseq import count, next_modseq, record_change
from data.store.moving import Copied, copy_in, move_in
from data.store.quota import require_room
from data.store.threads import thread_in

NO_FLAGS = Flag(0)
MAX_SIZE = 50 * 1024 * 1024
"""Octets of the largest message (APPENDLIMIT, SIZE)."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message came to rest (APPENDUID, RFC 4315 §3)."""

    mailbox: MailboxId
    uidvalidity: int
    uid: int
    modseq: int
    message: MessageId


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mailbox as a session sees it when it opens it: UIDs ascending; UIDs from `recent_from` on are \\Recent."""

    mailbox: Mailbox
    uids: array[int]
    recent_from: int
    first_unseen: int | None
    keywords: tuple[str, ...]


Known = tuple[int, "array[int]"]
"""HIGHESTMODSEQ and the UIDs that were there at it."""

_OWNER = (
    select(t.mailbox.c.account_id, t.account.c.organisation_id)
    .select_from(t.mailbox.join(t.account, t.account.c.id == t.mailbox.c.account_id))
    .where(t.mailbox.c.id == bindparam("mailbox"))
)
_WRITTEN = tuple(c.name for c in t.message.c if c.name != "id")
_INSERT = insert(t.message).values({name: bindparam(name) for name in _WRITTEN}).returning(t.message.c.id)
_TODO = insert(t.index_todo).values(account_id=bindparam("account"), message_id=bindparam("message"))
_MAILBOX = select(*MAILBOX_COLUMNS).where(t.mailbox.c.id == bindparam("mailbox"))
_TAKE_RECENT = (
    t.mailbox.update()
    .where(t.mailbox.c.id == bindparam("p_mailbox"), t.mailbox.c.recent_from < t.mailbox.c.uidnext)
    .values(recent_from=t.mailbox.c.uidnext)
)
_UIDS = select(t.entry.c.uid).where(t.entry.c.mailbox_id == bindparam("mailbox")).order_by(t.entry.c.uid)
_FIRST_UNSEEN = (
    select(t.entry.c.uid)
    .where(t.entry.c.mailbox_id == bindparam("mailbox"), literal_column("(entry.flags & 1)") == literal_column("0"))
    .order_by(t.entry.c.uid)
    .limit(1)
)
_ENTRY_COLUMNS = ("flags", "keywords", "modseq", "internal_date", "save_date", "size", "message_id")
_MESSAGE_COLUMNS = (
    "thread_id",
    "envelope",
    "structure",
    "layout",
    "preview",
    "prefix",
    "header_size",
    "blob_id",
    "sent_at",
    "has_attachment",
    "subject",
    "base_subject",
    "from_text",
    "to_text",
    "cc_text",
    "bcc_text",
    "verdict",
)
_LARGE = frozenset({"envelope", "structure", "layout", "preview"})
_BLOB_COLUMNS = (t.blob.c.name, t.blob.c.wrapped, t.blob.c.plain_size, t.blob.c.inline, t.blob_data.c.data)
_LAZY = 4096
"""What a body outside the database counts against a budget: nothing of it is read before it is asked for."""


def _bodies_statement(columns: tuple[str, ...]) -> Select[Any]:
    chosen = [(t.entry if name in _ENTRY_COLUMNS else t.message).c[name] for name in columns]
    return (
        select(t.entry.c.uid, *chosen, *_BLOB_COLUMNS)
        .select_from(
            t.entry.join(t.message, t.message.c.id == t.entry.c.message_id)
            .join(t.blob, t.blob.c.id == t.message.c.blob_id)
            .outerjoin(t.blob_data, t.blob_data.c.blob_id == t.blob.c.id)
        )
        .where(t.entry.c.mailbox_id == bindparam("mailbox"), t.entry.c.uid.between(bindparam("lo"), bindparam("hi")))
        .order_by(t.entry.c.uid)
    )


def _rows_statement(columns: tuple[str, ...]) -> Select[Any]:
    chosen = [t.entry.c.uid]
    joined = False
    for name in columns:
        if name in _ENTRY_COLUMNS:
            chosen.append(t.entry.c[name])
        else:
            chosen.append(t.message.c[name])
            joined = True
    source = t.entry.join(t.message, t.message.c.id == t.entry.c.message_id) if joined else t.entry
    return (
        select(*chosen)
        .select_from(source)
        .where(
            t.entry.c.mailbox_id == bindparam("mailbox"),
            t.entry.c.uid.between(bindparam("lo"), bindparam("hi")),
            t.entry.c.modseq > bindparam("since"),
        )
        .order_by(t.entry.c.uid)
        .limit(bindparam("most"))
    )


class _Allowance:
    """How many rows may still be read, and how many octets of their large columns."""

    __slots__ = ("_large", "_octets", "rows")

    def __init__(self, rows: int, octets: int | None, columns: tuple[str, ...]) -> None:
        self.rows = rows
        self._octets = octets or 0
        self._large = [at for at, name in enumerate(columns, 1) if name in _LARGE] if octets is not None else []

    def spent(self) -> bool:
        """Whether reading ends here."""
        return self.rows <= 0 or (bool(self._large) and self._octets <= 0)

    @property
    def counts_octets(self) -> bool:
        """Whether rows must be looked at one by one."""
        return bool(self._large)

    def take(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Rows while the allowance lasts; the one that uses it up is the last."""
        if self.spent():
            return
        for row in rows:
            yield row
            self.rows -= 1
            for at in self._large:
                self._octets -= len(row[at])
            if self.spent():
                return


class Messages:
    """The messages of every account."""

    def __init__(self, db: Database, blobs: Blobs) -> None:
        self._db = db
        self.blobs = blobs
        self._statements: dict[tuple[str, ...], Select[Any]] = {}

    # --- coming in --------------------------------------------------------------------------------------------------

    def prepare(self, data: bytes) -> Prepared:
        """Scan and seal a message that is in memory. Off the loop; raises TooBig."""
        if len(data) > MAX_SIZE:
            raise TooBig(f"{len(data)} octets")
        return prepare(self.blobs, data)

    def intake(self) -> Intake:
        """Begin a message that comes in pieces."""
        return Intake(self.blobs)

    def discard(self, prepared: Prepared) -> None:
        """Forget a prepared message that was not appended."""
        self.blobs.discard(prepared.staged)

    def discard_after(self, error: Exception, prepared: Prepared) -> None:
        """Forget a prepared message whose transaction failed; after an error of the disk it stays for the sweep, for
        the row may have been written all the same (RELIABILITY §1.2 step 7)."""
        if isinstance(error, DiskFull) or not isinstance(error, Unavailable):
            self.discard(prepared)

    def put_in(self, tx: Tx, organisation: OrganisationId, prepared: Prepared) -> BlobId:
        """The blob row of a prepared message, made once in a transaction however often it is asked for."""
        found: BlobId | None = tx.memo.get(prepared.staged)
        if found is None:
            found = tx.memo[prepared.staged] = self.blobs.put_in(tx, organisation, prepared.staged)
        return found

    def append_in(
        self,
        tx: Tx,
        mailbox: MailboxId,
        prepared: Prepared,
        *,
        prefix: bytes = b"",
        flags: Flag = NO_FLAGS,
        keywords: Iterable[str] = (),
        internal_date: int | None = None,
        verdict: str = "",
    ) -> Appended:
        """Append to a mailbox inside a transaction; neither rights nor room are asked for. `verdict` is what was found
        about it, as text."""
        owner = tx.first(_OWNER, {"mailbox": mailbox})
        if owner is None:
            raise NotFound(f"mailbox {mailbox} is gone")
        account, organisation = AccountId(owner[0]), OrganisationId(owner[1])
        size = len(prefix) + prepared.size
        modseq = next_modseq(tx, account, octets=size, messages=1)
        uidnext, uidvalidity = count(
            tx, mailbox, modseq, uids=1, messages=1, unseen=unseen(flags), deleted=deleted(flags), octets=size
        )
        blob = self.put_in(tx, organisation, prepared)
        self.blobs.refer_in(tx, blob, 1)
        message = self._insert_in(tx, account, blob, prepared, prefix, verdict)
        words = tuple(keywords)
        spelled = spell(register_keywords(tx, mailbox, words), words) if words else ""
        uid = uidnext - 1
        when = tx.now if internal_date is None else internal_date
        insert_entries(tx, mailbox, [Entry(uid, message, int(flags), spelled, modseq, when, size)])
        tx.run(_TODO, {"account": account, "message": message})
        record_change(tx, account, modseq, mailbox, "added", str(uid))
        tx.publish(Added(account, mailbox, modseq, ((uid, int(flags), spelled),)))
        hit("C5")
        return Appended(mailbox, uidvalidity, uid, modseq, MessageId(message))

    def append(
        self,
        principal: Principal,
        mailbox: MailboxId,
        prepared: Prepared,
        *,
        flags: Flag = NO_FLAGS,
        keywords: Iterable[str] = (),
        internal_date: int | None = None,
    ) -> Appended:
        """APPEND by a client; raises NotFound, Refused, OverQuota, Unavailable. When it is refused the prepared octets
        are forgotten; when the disk failed they stay for the sweep, for the row may have been written all the same."""

        def op(tx: Tx) -> Appended:
            owner = rights.require(tx, principal, mailbox, rights.INSERT)
            require_room(tx, owner, prepared.size)
            return self.append_in(tx, mailbox, prepared, flags=flags, keywords=keywords, internal_date=internal_date)

        try:
            return self._db.write(op)
        except Exception as error:
            self.discard_after(error, prepared)
            raise

    def _insert_in(
        self, tx: Tx, account: AccountId, blob: BlobId, prepared: Prepared, prefix: bytes, verdict: str
    ) -> int:
        f = prepared.facts
        row = {
            "account_id": account,
            "blob_id": blob,
            "thread_id": thread_in(tx, account, f.message_id, f.references, f.base_subject),
            "refs": 1,
            "size": len(prefix) + prepared.size,
            "header_size": f.header_size,
            "sent_at": f.sent_at,
            "has_attachment": int(f.has_attachment),
            "prefix": prefix,
            "envelope": f.envelope,
            "structure": f.bodystructure,
            "layout": f.layout,
            "preview": f.preview,
            "message_id": f.message_id,
            "subject": f.subject,
            "base_subject": f.base_subject,
            "from_text": f.from_,
            "to_text": f.to,
            "cc_text": f.cc,
            "bcc_text": f.bcc,
            "created_at": tx.now,
            "verdict": verdict,
        }
        return int(tx.value(_INSERT, row))

    # --- copying and going ------------------------------------------------------------------------------------------

    def copy(self, principal: Principal, source: MailboxId, ranges: Ranges, target: MailboxId) -> Copied:
        """COPY; raises NotFound, Refused, OverQuota (RFC 9051 §6.4.7)."""

        def op(tx: Tx) -> Copied:
            account = rights.require(tx, principal, source, rights.READ)
            to = rights.require(tx, principal, target, rights.INSERT)
            copied, found = copy_in(tx, account, source, ranges, target)
            if found:
                require_room(tx, to, 0)
            return copied

        return self._db.write(op)

    def move(self, principal: Principal, source: MailboxId, ranges: Ranges, target: MailboxId) -> Copied:
        """MOVE; raises NotFound, Refused (RFC 9051 §6.4.8)."""

        def op(tx: Tx) -> Copied:
            account = rights.require(tx, principal, source, rights.READ)
            rights.require(tx, principal, source, rights.EXPUNGE)
            rights.require(tx, principal, target, rights.INSERT)
            return move_in(tx, account, source, ranges, target)

        return self._db.write(op)

    def expunge(self, principal: Principal, mailbox: MailboxId, ranges: Ranges | None) -> tuple[int, ...]:
        """EXPUNGE what has \\Deleted, within ranges or (None) everywhere. Returns the UIDs, ascending."""

        def op(tx: Tx) -> tuple[int, ...]:
            account = rights.require(tx, principal, mailbox, rights.EXPUNGE)
            return expunge_in(tx, account, mailbox, ranges)

        return self._db.write(op)

    # --- reading ----------------------------------------------------------------------------------------------------

    def snapshot(
        self, principal: Principal, mailbox: MailboxId, *, take_recent: bool, known: Known | None = None
    ) -> Snapshot:
        """Open a mailbox; with `take_recent` its new messages are \\Recent for this session alone (RFC 3501 §2.3.2).

        `known` are the UIDs at some HIGHESTMODSEQ, as the caller has them: they are not read again while it stands.
        """
        seen = self._snapshot(principal, mailbox, known)
        if not take_recent or seen.recent_from >= seen.mailbox.uidnext:
            return seen
        known = (seen.mailbox.highestmodseq, seen.uids)
        return self._db.write(lambda tx: self._taking(tx, principal, mailbox, known))

    def _taking(self, tx: Tx, principal: Principal, mailbox: MailboxId, known: Known) -> Snapshot:
        found = self._snapshot_in(tx, principal, mailbox, known)
        tx.run(_TAKE_RECENT, {"p_mailbox": mailbox})
        return found

    def _snapshot(self, principal: Principal, mailbox: MailboxId, known: Known | None) -> Snapshot:
        with self._db.read() as reader:
            return self._snapshot_in(reader, principal, mailbox, known)

    def _snapshot_in(self, reader: Reader, principal: Principal, mailbox: MailboxId, known: Known | None) -> Snapshot:
        rights.require(reader, principal, mailbox, rights.READ)
        row = reader.first(_MAILBOX, {"mailbox": mailbox})
        assert row is not None
        found = Mailbox(*row)
        if known is not None and known[0] == found.highestmodseq:
            uids = known[1]
        else:
            uids = array("I", [uid for (uid,) in reader.all(_UIDS, {"mailbox": mailbox})])
        first_unseen = reader.value(_FIRST_UNSEEN, {"mailbox": mailbox}) if found.unseen else None
        keywords = tuple(sorted(known_keywords(reader, mailbox).values()))
        return Snapshot(found, uids, found.recent_from, first_unseen, keywords)

    def rows(
        self,
        principal: Principal,
        mailbox: MailboxId,
        ranges: Ranges,
        columns: tuple[str, ...],
        *,
        changed_since: int = 0,
        limit: int = 2000,
        budget: int | None = None,
    ) -> list[tuple[Any, ...]]:
        """At most `limit` rows (uid, *columns), ascending; ask again from the last UID + 1.

        With a `budget` they end, one row at least, where envelopes, structures, layouts and previews have so many octets.
        """
        statement = self._statements.get(columns)
        if statement is None:
            statement = self._statements[columns] = _rows_statement(columns)
        found: list[tuple[Any, ...]] = []
        wanted = Within(ranges)
        asked = spans(ranges)
        allowance = _Allowance(limit, budget, columns)
        with self._db.read() as reader:
            rights.require(reader, principal, mailbox, rights.READ)
            for lo, hi in asked:
                row = {"mailbox": mailbox, "lo": lo, "hi": hi, "since": changed_since, "most": allowance.rows}
                if asked is not ranges:
                    rows = reader.each(statement, {**row, "most": LAST_UID})
                    found += allowance.take(r for r in rows if r[0] in wanted)
                elif allowance.counts_octets:
                    found += allowance.take(reader.each(statement, row))
                else:
                    found += reader.all(statement, row)
                    allowance.rows = limit - len(found)
                if allowance.spent():
                    break
        return found

    def content(self, blob: BlobId) -> Content:
        """The octets of a blob that a row named; raises Corrupt."""
        with self._db.read() as reader:
            return self.blobs.content_in(reader, blob)

    def contents(
        self,
        principal: Principal,
        mailbox: MailboxId,
        ranges: Ranges,
        columns: tuple[str, ...] = ("flags", "keywords", "prefix"),
        *,
        budget: int = 1 << 20,
    ) -> list[tuple[Any, ...]]:
        """Bodies from the first UID of the ranges on: (uid, *columns, content), at least one, holding about `budget`
        octets in all; the content is None where the stored octets are damaged. Ask again from the last UID + 1; an
        empty list is the end."""
        key = ("", *columns)
        statement = self._statements.get(key)
        if statement is None:
            statement = self._statements[key] = _bodies_statement(columns)
        out: list[tuple[Any, ...]] = []
        wanted = Within(ranges)
        with self._db.read() as reader:
            rights.require(reader, principal, mailbox, rights.READ)
            for lo, hi in spans(ranges):
                for row in reader.each(statement, {"mailbox": mailbox, "lo": lo, "hi": hi}):
                    if row[0] not in wanted:
                        continue
                    name, wrapped, size, inline, data = row[-5:]
                    out.append((*row[:-5], self._open(name, wrapped, size, inline, data)))
                    budget -= size if inline else _LAZY
                    if budget <= 0:
                        return out
        return out

    def _open(self, name: str, wrapped: bytes, plain_size: int, inline: int, data: bytes | None) -> Content | None:
        try:
            return self.blobs.open(name, wrapped, plain_size, inline, data)
        except Corrupt:
            return None
