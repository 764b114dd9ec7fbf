"""The commands by name: in which states they are allowed, who carries them out, and whether they may renumber.

An EXPUNGE response changes the numbers of messages. A client that speaks of messages by number must not be told in the
middle of it, so that FETCH, STORE and SEARCH hold EXPUNGE back (RFC 9051 §7.5.1); everything else may tell. The UID
commands are other commands and may tell too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from imap.actions import append, copy, fetch, listing, login, mailbox, misc, search, select, store
from imap.actions.call import Call, Done
from imap.session import State

Quick = Callable[[Call, Any], Done]
Slow = Callable[[Call, Any], Awaitable[Done]]

_ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
_BEFORE = frozenset({State.NOT_AUTHENTICATED})
_AUTHENTICATED = frozenset({State.AUTHENTICATED})
_AFTER = frozenset({State.AUTHENTICATED, State.SELECTED})
_SELECTED = frozenset({State.SELECTED})


@dataclass(frozen=True, slots=True)
class Rule:
    """One command: exactly one of `quick` (runs on the loop at once) and `slow` (a coroutine) is given."""

    states: frozenset[State]
    quick: Quick | None = None
    slow: Slow | None = None
    renumbers: bool = True


RULES: dict[bytes, Rule] = {
    b"CAPABILITY": Rule(_ANY, misc.capability),
    b"NOOP": Rule(_ANY, misc.noop),
    b"CHECK": Rule(_SELECTED, misc.noop),
    b"LOGOUT": Rule(_ANY, misc.logout),
    b"ID": Rule(_ANY, misc.id_),
    b"STARTTLS": Rule(_BEFORE, misc.starttls),
    b"AUTHENTICATE": Rule(_BEFORE, slow=login.authenticate),
    b"LOGIN": Rule(_BEFORE, slow=login.login),
    b"ENABLE": Rule(_AUTHENTICATED, misc.enable),
    b"SELECT": Rule(_AFTER, slow=select.select),
    b"EXAMINE": Rule(_AFTER, slow=select.select),
    b"CREATE": Rule(_AFTER, slow=mailbox.create),
    b"DELETE": Rule(_AFTER, slow=mailbox.delete),
    b"RENAME": Rule(_AFTER, slow=mailbox.rename),
    b"SUBSCRIBE": Rule(_AFTER, slow=mailbox.subscribe),
    b"UNSUBSCRIBE": Rule(_AFTER, slow=mailbox.subscribe),
    b"LIST": Rule(_AFTER, slow=listing.list_),
    b"LSUB": Rule(_AFTER, slow=listing.list_),
    b"NAMESPACE": Rule(_AFTER, listing.namespace),
    b"STATUS": Rule(_AFTER, slow=listing.status),
    b"APPEND": Rule(_AFTER, slow=append.without_message),
    b"IDLE": Rule(_AFTER, misc.idle),
    b"CLOSE": Rule(_SELECTED, slow=select.close),
    b"UNSELECT": Rule(_SELECTED, slow=select.close),
    b"EXPUNGE": Rule(_SELECTED, slow=store.expunge),
    b"UID EXPUNGE": Rule(_SELECTED, slow=store.expunge),
    b"SEARCH": Rule(_SELECTED, slow=search.search, renumbers=False),
    b"UID SEARCH": Rule(_SELECTED, slow=search.search),
    b"FETCH": Rule(_SELECTED, slow=fetch.fetch, renumbers=False),
    b"UID FETCH": Rule(_SELECTED, slow=fetch.fetch),
    b"STORE": Rule(_SELECTED, slow=store.store, renumbers=False),
    b"UID STORE": Rule(_SELECTED, slow=store.store),
    b"COPY": Rule(_SELECTED, slow=copy.copy),
    b"UID COPY": Rule(_SELECTED, slow=copy.copy),
    b"MOVE": Rule(_SELECTED, slow=copy.copy),
    b"UID MOVE": Rule(_SELECTED, slow=copy.copy),
}
