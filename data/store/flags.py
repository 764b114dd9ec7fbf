"""Flags and keywords of messages (RFC 9051 §6.4.6) and conditional STORE (RFC 7162 §3.1.3).

Promises: a message whose flags did not change keeps its MODSEQ; all that one STORE changes share one. Rights: \\Seen
needs `s`, \\Deleted `t`, everything else `w` (RFC 4314 §4); a flag one may not set is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, update

from data.disk import tables as t
from data.disk.db import Database, Tx
from data.errors import Refused
from data.ids import AccountId, MailboxId
from data.principal import Principal
from data.store import rights
from data.store.changes import FlagsChanged
from data.store.entries import Entry, deleted, entries, register_keywords, spell, unseen
from data.store.keys import Flag, Ranges
from data.store.modseq import count, next_modseq, record_change, sequence_set

Mode = Literal["+", "-", "="]
FlagState = tuple[int, int, str, int]
"""(UID, flags, keywords, MODSEQ)"""

_UPDATE = (
    update(t.entry)
    .where(t.entry.c.mailbox_id == bindparam("mailbox"), t.entry.c.uid == bindparam("p_uid"))
    .values(flags=bindparam("new_flags"), keywords=bindparam("new_keywords"), modseq=bindparam("new_modseq"))
)


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What a STORE did: what changed, what was as asked already, and which UIDs failed UNCHANGEDSINCE."""

    changed: tuple[FlagState, ...]
    unchanged: tuple[FlagState, ...]
    modified: tuple[int, ...]


class Flags:
    """Changes of flags."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def store(
        self,
        principal: Principal,
        mailbox: MailboxId,
        ranges: Ranges,
        mode: Mode,
        flags: Flag,
        keywords: Iterable[str] = (),
        *,
        unchanged_since: int | None = None,
    ) -> StoreResult:
        """Add, remove or replace flags; messages of a higher MODSEQ than `unchanged_since` are left and told."""
        wanted = tuple(keywords)
        return self._db.write(
            lambda tx: self.store_in(tx, principal, mailbox, ranges, mode, flags, wanted, unchanged_since)
        )

    def store_in(
        self,
        tx: Tx,
        principal: Principal,
        mailbox: MailboxId,
        ranges: Ranges,
        mode: Mode,
        flags: Flag,
        keywords: tuple[str, ...] = (),
        unchanged_since: int | None = None,
    ) -> StoreResult:
        """The same inside a transaction."""
        owner = rights.require(tx, principal, mailbox, rights.READ)
        may = _may_change(rights.of_mailbox(tx, principal, mailbox, owner))
        if not may.anything:
            raise Refused(f"account {principal.account} may not change flags in mailbox {mailbox}")
        known = register_keywords(tx, mailbox, keywords if mode != "-" and may.keywords else ())
        named = {k.lower() for k in keywords if k.lower() in known} if may.keywords else set()
        found = entries(tx, mailbox, ranges)
        modified = tuple(e.uid for e in found if unchanged_since is not None and e.modseq > unchanged_since)
        failed = frozenset(modified)
        before, after, same = _work_out(found, failed, mode, int(flags), may, named, known)
        states = self._write_in(tx, owner, mailbox, before, after)
        return StoreResult(states, tuple((e.uid, e.flags, e.keywords, e.modseq) for e in same), modified)

    def _write_in(
        self, tx: Tx, account: AccountId, mailbox: MailboxId, before: list[Entry], after: list[tuple[int, str]]
    ) -> tuple[FlagState, ...]:
        if not before:
            return ()
        modseq = next_modseq(tx, account)
        states = tuple((e.uid, f, k, modseq) for e, (f, k) in zip(before, after, strict=True))
        tx.many(
            _UPDATE,
            [
                {"mailbox": mailbox, "p_uid": uid, "new_flags": f, "new_keywords": k, "new_modseq": m}
                for uid, f, k, m in states
            ],
        )
        count(
            tx,
            mailbox,
            modseq,
            unseen=sum(unseen(f) for f, _ in after) - sum(unseen(e.flags) for e in before),
            deleted=sum(deleted(f) for f, _ in after) - sum(deleted(e.flags) for e in before),
        )
        record_change(tx, account, modseq, mailbox, "flags", sequence_set([e.uid for e in before]))
        tx.publish(FlagsChanged(account, mailbox, modseq, tuple(s[:3] for s in states)))
        return states


@dataclass(frozen=True, slots=True)
class _May:
    mask: int
    keywords: bool

    @property
    def anything(self) -> bool:
        return bool(self.mask) or self.keywords


def _may_change(held: frozenset[str]) -> _May:
    """Which flags a holder of these rights may change."""
    mask = 0
    if rights.SEEN in held:
        mask |= Flag.SEEN
    if rights.MARK in held:
        mask |= Flag.DELETED
    if rights.WRITE in held:
        mask |= Flag.ANSWERED | Flag.FLAGGED | Flag.DRAFT
    return _May(int(mask), rights.WRITE in held)


def _work_out(
    found: list[Entry],
    failed: frozenset[int],
    mode: Mode,
    flags: int,
    may: _May,
    named: set[str],
    known: dict[str, str],
) -> tuple[list[Entry], list[tuple[int, str]], list[Entry]]:
    """(entries that change, their new flags and keywords, entries that are as asked already)"""
    before: list[Entry] = []
    after: list[tuple[int, str]] = []
    same: list[Entry] = []
    asked = flags & may.mask
    memo: dict[str, str] = {}
    for e in found:
        if e.uid in failed:
            continue
        if mode == "+":
            new = e.flags | asked
        elif mode == "-":
            new = e.flags & ~asked
        else:
            new = (e.flags & ~may.mask) | asked
        words = memo.get(e.keywords)
        if words is None:
            words = memo[e.keywords] = _new_keywords(e.keywords, mode, named, known) if may.keywords else e.keywords
        if new == e.flags and words == e.keywords:
            same.append(e)
        else:
            before.append(e)
            after.append((new, words))
    return before, after, same


def _new_keywords(now: str, mode: Mode, named: set[str], known: dict[str, str]) -> str:
    held = {k.lower() for k in now.split(" ")} if now else set()
    if mode == "+":
        held = held | named
    elif mode == "-":
        held = held - named
    else:
        held = named
    return spell(known, held)
