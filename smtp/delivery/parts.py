"""What the roles and the door for outgoing mail work with; what both ask at RCPT (is there room?) and before delivery (what
do the rules of the recipients want?)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.loop import Workers
from appliance.maillog import MailLog
from appliance.space import Space
from data.clock import Clock
from data.directory.facts import Resolution
from data.disk.db import Database
from data.ids import AccountId
from data.store.quota import usage
from smtp import reply
from smtp.delivery.deliver import DeliveryParts, Letter, sent_to
from smtp.delivery.ruling import Ruling
from smtp.reply import Refused
from smtp.screening.screen import Screen
from smtp.transaction.facts import Envelope, Recipient


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
    screen: Screen | None = None
    """What looks at content and senders; None: nobody does."""


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


async def rulings_of(parts: RoleParts, letter: Letter, recipients: Iterable[Recipient]) -> dict[AccountId, Ruling]:
    """What the rules of the recipients want done with the letter; without a thread where nobody has any."""
    sent = sent_to(recipients)
    if parts.delivery.quiet(sent):
        return {}
    return await parts.workers.blocking(parts.delivery.rule, letter, sent)


async def may_refuse(parts: RoleParts, resolutions: Iterable[Resolution]) -> bool:
    """Whether a recipient's rules may refuse the message as a whole, which is told for a message of its own only."""
    rules = parts.delivery.rules
    alone = [one.deliveries[0] for one in resolutions if len(one.deliveries) == 1 and not one.forwards]
    if rules is None or rules.quiet(alone):
        return False
    return await parts.workers.blocking(rules.reject, alone)
