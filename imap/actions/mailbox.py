"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8; RFC 6154 §3; RFC 8474 §4.1)."""

from __future__ import annotations

from data.errors import Invalid
from data.store import names
from imap.actions.call import DONE, Call, Done
from imap.command import Create, Delete, Rename, Subscribe
from imap.errors import No


async def create(call: Call, command: Create) -> Done:
    """CREATE, with the mailbox's object id."""
    mailboxes, who = call.parts.store.mailboxes, call.principal
    try:
        made = await call.parts.workers.blocking(
            mailboxes.create, who, who.account, command.mailbox, command.special_use
        )
    except Invalid as error:
        if command.special_use is not None and is_name(command.mailbox):  # RFC 6154 §3
            raise No(error.public, b"USEATTR", error.private) from None
        raise
    return Done("Mailbox created", b"MAILBOXID (%b)" % made.objectid.encode("ascii"))


def is_name(name: str) -> bool:
    """Whether a mailbox could be called so."""
    try:
        names.normal(name.removesuffix(names.SEPARATOR))
    except Invalid:
        return False
    return True


async def delete(call: Call, command: Delete) -> Done:
    """DELETE."""
    mailboxes, who = call.parts.store.mailboxes, call.principal
    await call.parts.workers.blocking(mailboxes.delete, who, who.account, command.mailbox)
    return DONE


async def rename(call: Call, command: Rename) -> Done:
    """RENAME; what lies below moves along."""
    mailboxes, who = call.parts.store.mailboxes, call.principal
    await call.parts.workers.blocking(mailboxes.rename, who, who.account, command.old, command.new)
    return DONE


async def subscribe(call: Call, command: Subscribe) -> Done:
    """SUBSCRIBE and UNSUBSCRIBE."""
    mailboxes, who = call.parts.store.mailboxes, call.principal
    await call.parts.workers.blocking(mailboxes.subscribe, who, who.account, command.mailbox, command.on)
    return DONE
