"""COPY and MOVE with COPYUID (RFC 9051 §6.4.7, §6.4.8; RFC 4315 §3; RFC 6851).

Promises: one transaction for all messages; a message that moves is in exactly one mailbox at any time (crash point C18).
"""

from __future__ import annotations

from data.errors import StoreError
from data.ids import MailboxId
from data.store.moving import Copied
from imap import response
from imap.actions.call import DONE, Call, Done
from imap.command import Copy
from imap.errors import from_store


async def copy(call: Call, command: Copy) -> Done:
    """COPY, UID COPY, MOVE and UID MOVE."""
    view = call.writable if command.move else call.view
    ranges = view.ranges(command.sequence, command.uid, call.session.saved)
    if not ranges:
        return DONE
    target = await _target(call, command.mailbox)
    messages = call.parts.store.messages
    work = messages.move if command.move else messages.copy
    copied = await call.parts.workers.blocking(work, call.principal, view.mailbox, ranges, target)
    if not copied.source:
        return DONE
    code = _copyuid(copied)
    if command.move:  # RFC 6851 §4.3: before the EXPUNGE responses
        call.send(response.untagged(b"OK", "Moved", code))
        return DONE
    return Done("Copied", code)


async def _target(call: Call, name: str) -> MailboxId:
    """The mailbox to copy to; a missing one may be made by the client."""
    who = call.principal
    try:
        found = await call.parts.workers.blocking(call.parts.store.mailboxes.get, who, who.account, name)
    except StoreError as error:
        raise from_store(error, target=True) from None
    return found.id


def _copyuid(copied: Copied) -> bytes:
    source, target = response.sequence_set(copied.source), response.sequence_set(copied.target)
    return b"COPYUID %d %b %b" % (copied.uidvalidity, source, target)
