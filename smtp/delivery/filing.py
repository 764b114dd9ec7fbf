"""A ruling carried out for one account, inside the transaction: into which mailboxes, with which flags, and why.

Promises: a message lies at most once in a mailbox; a mailbox that is not there, or cannot be made, is INBOX. May not:
look at rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from data.disk.db import Tx
from data.errors import Conflict, Invalid, NotFound
from data.ids import AccountId, MailboxId
from data.reason import Reason
from data.rules.sieve.actions import Action, FileInto, Keep
from data.store.entries import register_keywords
from data.store.intake import Prepared
from data.store.keys import Flag
from data.store.messages import NO_FLAGS
from data.store.store import Store

_FLAGS = {
    "\\seen": Flag.SEEN,
    "\\answered": Flag.ANSWERED,
    "\\flagged": Flag.FLAGGED,
    "\\deleted": Flag.DELETED,
    "\\draft": Flag.DRAFT,
}
_SHOWN = 200


@dataclass(slots=True)
class Place:
    """One mailbox that gets the message, with the flags on it there; `reasons` say how it came there."""

    mailbox: MailboxId
    flags: Flag = NO_FLAGS
    keywords: dict[str, str] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)


def file_in(
    tx: Tx,
    store: Store,
    account: AccountId,
    actions: Iterable[Action],
    prepared: Prepared,
    prefix: bytes,
    home: MailboxId,
    verdict: str = "",
) -> list[Place]:
    """Append to each mailbox that the actions name, `home` where they keep it; returns where it lies now."""
    places: dict[MailboxId, Place] = {}
    for action in actions:
        if isinstance(action, Keep):
            _put(places, home, action.flags, None)
        elif isinstance(action, FileInto):
            mailbox, reason = _found_in(tx, store, account, action)
            _put(places, mailbox, action.flags, reason)
    for place in places.values():
        words = _registered(tx, place)
        store.messages.append_in(
            tx, place.mailbox, prepared, prefix=prefix, flags=place.flags, keywords=words, verdict=verdict
        )
    return list(places.values())


def _put(places: dict[MailboxId, Place], mailbox: MailboxId, flags: Iterable[str], reason: Reason | None) -> None:
    place = places.setdefault(mailbox, Place(mailbox))
    for flag in flags:
        known = _FLAGS.get(flag.lower())
        if known is not None:
            place.flags |= known
        elif not flag.startswith("\\"):
            place.keywords.setdefault(flag.lower(), flag)
    if reason is not None:
        place.reasons.append(reason)


def _registered(tx: Tx, place: Place) -> tuple[str, ...]:
    """The keywords, or none of them where a mailbox has too many already: the message is worth more."""
    words = tuple(place.keywords.values())
    try:
        register_keywords(tx, place.mailbox, words)
    except Invalid:
        return ()
    return words


def _found_in(tx: Tx, store: Store, account: AccountId, action: FileInto) -> tuple[MailboxId, Reason]:
    filed = Reason("rules.filed", {"mailbox": action.mailbox[:_SHOWN], "rule": action.label, "line": action.line})
    if action.special_use is not None:
        use = action.special_use[:1] + action.special_use[1:].capitalize()
        special = store.mailboxes.find_special_in(tx, account, use)
        if special is not None:
            return special, filed
    try:
        return store.mailboxes.get_in(tx, account, action.mailbox).id, filed
    except NotFound:
        pass
    if action.create:
        try:
            return store.mailboxes.create_in(tx, account, action.mailbox).id, filed
        except (Invalid, Conflict):
            pass
    missing = Reason("rules.nomailbox", {"mailbox": action.mailbox[:_SHOWN], "rule": action.label, "line": action.line})
    return store.mailboxes.inbox_in(tx, account), missing
