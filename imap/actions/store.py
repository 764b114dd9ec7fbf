"""STORE and EXPUNGE (RFC 9051 §6.4.3, §6.4.6, §6.4.9; RFC 7162 §3.1.3).

Promises: the OK comes after the commit. What the STORE itself changed is told as its responses, in the order in which
everything happened, changes of others included; .SILENT keeps back what this session did alone.
"""

from __future__ import annotations

from typing import cast

from data.errors import Invalid
from data.store.flags import Mode, StoreResult
from data.store.keys import Flag
from data.store.store import Store as MailStore
from imap.actions.call import DONE, Call, Done
from imap.command import Expunge, Store
from imap.errors import No
from imap.response import sequence_set
from imap.view import View

_MISSING = Done("Some of the messages are no longer there", b"EXPUNGEISSUED")


async def store(call: Call, command: Store) -> Done:
    """STORE and UID STORE."""
    view, parts = call.writable, call.parts
    if command.unchanged_since is not None:
        call.session.condstore = True  # RFC 7162 §3.1
    ranges = view.ranges(command.sequence, command.uid, call.session.saved)
    if not ranges:
        return DONE

    def change() -> StoreResult:
        flags: MailStore = parts.store
        return flags.flags.store(
            call.principal,
            view.mailbox,
            ranges,
            cast(Mode, command.mode),
            Flag(command.flags),
            command.keywords,
            unchanged_since=command.unchanged_since,
        )

    try:
        result = await parts.workers.blocking(change)
    except Invalid as error:
        raise No(error.public, b"LIMIT", error.private) from None
    parts.hub.catch_up()
    if command.silent:
        view.silence(result.changed)
    else:
        view.show(result.unchanged)
    return _outcome(view, result, view.count(ranges), command)


def _outcome(view: View, result: StoreResult, asked: int, command: Store) -> Done:
    if result.modified:
        failed = result.modified if command.uid else tuple(filter(None, map(view.number, result.modified)))
        code = b"MODIFIED " + sequence_set(failed) if failed else None
        return Done("Some of the messages have changed", code)
    if len(result.changed) + len(result.unchanged) < asked:
        return _MISSING
    return DONE


async def expunge(call: Call, command: Expunge) -> Done:
    r"""EXPUNGE all \Deleted messages, UID EXPUNGE those of them that are named."""
    view, parts = call.writable, call.parts
    ranges = None
    if command.uids is not None:
        ranges = view.ranges(command.uids, True, call.session.saved)
        if not ranges:
            return DONE
    await parts.workers.blocking(parts.store.messages.expunge, call.principal, view.mailbox, ranges)
    return DONE
