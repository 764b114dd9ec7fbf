"""What the roles and the door for outgoing mail work with, and the one question both ask at RCPT: is there room?"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.loop import Workers
from appliance.maillog import MailLog
from appliance.space import Space
from data.clock import Clock
from data.directory.facts import Resolution
from data.disk.db import Database
from data.store.quota import usage
from smtp import reply
from smtp.delivery.deliver import DeliveryParts
from smtp.reply import Refused
from smtp.transaction.facts import Envelope


@dataclass(frozen=True, slots=True)
class RoleParts:
    """Built once by the composition root."""

    hostname: str
    db: Database
    delivery: DeliveryParts
    workers: Workers
    space: Space
    clock: Clock
    maillog: MailLog


async def require_room(parts: RoleParts, envelope: Envelope, resolution: Resolution) -> None:
    """Disk and quota have room for the message; of a group, one member with room is enough. Raises Refused."""
    size = envelope.size or 0
    if not parts.space.takes(size):
        raise Refused(reply.NO_SPACE, "disk.floor")
    directory = parts.delivery.directory
    limited = [one.account_id for one in resolution.deliveries if directory.account_by_id(one.account_id).quota]
    if not limited or len(limited) < len(resolution.deliveries) or resolution.forwards:
        return

    def any_takes() -> bool:
        with parts.db.read() as reader:
            held = [usage(reader, account) for account in limited]
        return any(one.takes(max(size, 1)) for one in held)

    if not await parts.workers.blocking(any_takes):
        raise Refused(reply.MAILBOX_FULL, "rcpt.quota")
