"""What accounts teach about junk: messages they move, and the counts of words that come of it.

Promises: a move into Junk, out of it, or into a place of one's own is noted in the transaction that moves; a message
counts once, as what it was last said to be, and what was counted before is taken back. Words are keyed hashes: a store
without its key tells nothing. The words of an account are bounded. May not: read messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update

from data.disk import tables as t
from data.disk.db import Reader, Tx
from data.ids import AccountId, BlobId, MailboxId, OrganisationId
from data.store.changes import Taught

WORDS_OF_ACCOUNT = 60_000
"""Hashes of words that an account keeps; the longest unseen go."""
AT_ONCE = 500
"""Messages of one move that are noted: who clears out a mailbox does not judge each."""
_PRUNED_EVERY = 25
_SILENT = frozenset({"\\Trash", "\\Drafts", "\\Sent", "\\All"})
_b = bindparam
_m, _w, _c = t.mailbox.c, t.bayes_word.c, t.bayes_total.c
_USE = select(_m.special_use, _m.name).where(_m.id == _b("mailbox"))
_NOTE = insert(t.bayes_todo).values(account_id=_b("account"), message_id=_b("message"), spam=_b("spam"))
_d = t.bayes_todo.c
_WAITING = (
    select(
        _d.id,
        _d.account_id,
        t.account.c.organisation_id,
        _d.message_id,
        _d.spam,
        t.message.c.blob_id,
        t.message.c.layout,
    )
    .select_from(
        t.bayes_todo.join(t.account, t.account.c.id == _d.account_id).outerjoin(
            t.message, t.message.c.id == _d.message_id
        )
    )
    .order_by(_d.id)
    .limit(_b("most"))
)
_DONE = delete(t.bayes_todo).where(_d.id == _b("p_id"))
_TRAINED = select(t.bayes_message.c.spam).where(
    t.bayes_message.c.account_id == _b("account"), t.bayes_message.c.message_id == _b("p_message")
)
_SET = (
    update(t.bayes_message)
    .where(t.bayes_message.c.account_id == _b("account"), t.bayes_message.c.message_id == _b("p_message"))
    .values(spam=_b("new_spam"))
)
_PUT = insert(t.bayes_message).values(account_id=_b("account"), message_id=_b("p_message"), spam=_b("new_spam"))
_FORGET = delete(t.bayes_message).where(
    ~select(t.message.c.id).where(t.message.c.id == t.bayes_message.c.message_id).exists()
)
_TOTALS = select(_c.spam, _c.ham).where(_c.account_id == _b("account"))
_MORE = (
    update(t.bayes_total)
    .where(_c.account_id == _b("account"))
    .values(spam=_c.spam + _b("by_spam"), ham=_c.ham + _b("by_ham"))
)
_FIRST = insert(t.bayes_total).values(account_id=_b("account"), spam=_b("by_spam"), ham=_b("by_ham"))
_WORD = select(_w.spam, _w.ham).where(_w.account_id == _b("account"), _w.word == _b("p_word"))
_CHANGE = (
    update(t.bayes_word)
    .where(_w.account_id == _b("account"), _w.word == _b("p_word"))
    .values(spam=_b("new_spam"), ham=_b("new_ham"), at=_b("now"))
)
_ADD = insert(t.bayes_word).values(
    account_id=_b("account"), word=_b("p_word"), spam=_b("new_spam"), ham=_b("new_ham"), at=_b("now")
)
_EMPTY = delete(t.bayes_word).where(_w.account_id == _b("account"), _w.spam == 0, _w.ham == 0)
_OLDEST_KEPT = select(_w.at).where(_w.account_id == _b("account")).order_by(_w.at.desc()).limit(1).offset(_b("kept"))
_DROP_OLD = delete(t.bayes_word).where(_w.account_id == _b("account"), _w.at <= _b("before"))
_COUNT = select(func.count()).select_from(t.bayes_word).where(_w.account_id == _b("account"))


def teach_in(tx: Tx, account: AccountId, source: MailboxId, target: MailboxId, messages: Sequence[int]) -> None:
    """Messages go from one mailbox of an account to another: note what that says of them, if anything."""
    spam = _says(tx, source, target)
    if spam is None or not messages:
        return
    rows = [{"account": account, "message": message, "spam": int(spam)} for message in messages[-AT_ONCE:]]
    tx.many(_NOTE, rows)
    tx.publish(Taught(account))


def _says(tx: Tx, source: MailboxId, target: MailboxId) -> bool | None:
    """Junk (True), wanted (False), or nothing: into Junk, out of it, or filed somewhere to keep it."""
    was, came_from = tx.first(_USE, {"mailbox": source}) or (None, "")
    use, name = tx.first(_USE, {"mailbox": target}) or (None, "")
    if use == "\\Junk":
        return True if was != "\\Junk" else None
    if use in _SILENT or was in _SILENT:
        return None
    if was == "\\Junk":
        return False
    return False if came_from == "INBOX" and name != "INBOX" else None


@dataclass(frozen=True, slots=True)
class Lesson:
    """One message to train: `blob` and `layout` are None where it is gone."""

    id: int
    account: AccountId
    organisation: OrganisationId
    message: int
    spam: bool
    blob: BlobId | None
    layout: bytes | None


def lessons(reader: Reader, most: int = 20) -> list[Lesson]:
    """What is to be trained, oldest first."""
    return [
        Lesson(ident, AccountId(account), OrganisationId(organisation), message, bool(spam), blob, layout)
        for ident, account, organisation, message, spam, blob, layout in reader.all(_WAITING, {"most": most})
    ]


def totals(reader: Reader, account: AccountId) -> tuple[int, int]:
    """How many messages an account trained: junk, wanted."""
    found = reader.first(_TOTALS, {"account": account})
    return (int(found[0]), int(found[1])) if found is not None else (0, 0)


def counts(reader: Reader, account: AccountId, word: int) -> tuple[int, int] | None:
    """How many trained messages of each kind have a word; None for a word that was not seen."""
    found = reader.first(_WORD, {"account": account, "p_word": word})
    return (int(found[0]), int(found[1])) if found is not None else None


def learn_in(tx: Tx, lesson: Lesson, words: Iterable[int]) -> int | None:
    """Count a message once, as what it is said to be now; returns what it was trained as before, -1 for not at all, None
    where nothing changed."""
    tx.run(_DONE, {"p_id": lesson.id})
    key = {"account": lesson.account, "p_message": lesson.message}
    before = tx.value(_TRAINED, key)
    if before is not None and bool(before) == lesson.spam:
        return None
    tx.run(_PUT if before is None else _SET, {**key, "new_spam": int(lesson.spam)})
    gained = (1, 0) if lesson.spam else (0, 1)
    lost = (0, 0) if before is None else (1, 0) if before else (0, 1)
    by = (gained[0] - lost[0], gained[1] - lost[1])
    total = {"account": lesson.account, "by_spam": by[0], "by_ham": by[1]}
    if not tx.run(_MORE, total):
        tx.run(_FIRST, total)
    _count_in(tx, lesson.account, words, by)
    if sum(totals(tx, lesson.account)) % _PRUNED_EVERY == 0:
        _prune_in(tx, lesson.account)
    return -1 if before is None else int(before)


def skip_in(tx: Tx, lesson: Lesson) -> None:
    """The message is gone, or cannot be read: there is nothing to learn from it."""
    tx.run(_DONE, {"p_id": lesson.id})


def _count_in(tx: Tx, account: AccountId, words: Iterable[int], by: tuple[int, int]) -> None:
    changed: list[Mapping[str, int]] = []
    added: list[Mapping[str, int]] = []
    for word in dict.fromkeys(words):
        held = counts(tx, account, word)
        spam, ham = held or (0, 0)
        row = {
            "account": account,
            "p_word": word,
            "new_spam": max(spam + by[0], 0),
            "new_ham": max(ham + by[1], 0),
            "now": tx.now,
        }
        (added if held is None else changed).append(row)
    if changed:
        tx.many(_CHANGE, changed)
    if added:
        tx.many(_ADD, added)


def _prune_in(tx: Tx, account: AccountId) -> None:
    tx.run(_EMPTY, {"account": account})
    if int(tx.value(_COUNT, {"account": account}) or 0) > WORDS_OF_ACCOUNT:
        before = tx.value(_OLDEST_KEPT, {"account": account, "kept": WORDS_OF_ACCOUNT * 9 // 10})
        if before is not None:
            tx.run(_DROP_OLD, {"account": account, "before": before})


def forget_gone_in(tx: Tx) -> int:
    """Forget what messages were trained as that are no more; their words stay."""
    return tx.run(_FORGET)
