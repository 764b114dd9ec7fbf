"""The single door for outgoing mail (RFC 6409): from 587 and 465 now, from webmail and robots later.

Promises: nobody sends as an address that is not theirs, neither in the envelope nor in the header, in whatever form it
is written. A message gets a Date and a Message-ID, loses Bcc, and becomes an item of the spool; recipients of ours that
are due now are delivered in the same transaction, so that undo, schedule and approval hold colleagues' copies as well.
The same idempotency key of the same account is the same sending. What `submit` returned was committed.
May not: connect anywhere (the queue does), or trust a Return-Path that a client wrote.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from appliance.log import new_id
from appliance.maillog import Event
from data.directory.facts import Status, Where
from data.disk.db import Tx
from data.errors import NotFound
from data.ids import AccountId, ItemId, Millis
from data.principal import Principal
from data.reason import Reason
from data.spool.envelope import AT_ONCE, NewItem, NewRecipient, wants
from data.store.correspondents import count_in
from data.store.intake import Prepared
from smtp import reply
from smtp.delivery.deliver import Letter, deliver_in, original_recipient, rejection_of
from smtp.delivery.onward import send_on_in
from smtp.delivery.parts import RoleParts, rulings_of
from smtp.delivery.ruling import Ruling
from smtp.delivery.trace import received_line
from smtp.policy import stages
from smtp.policy.fixups import fixed
from smtp.policy.identity import fields, require_identity
from smtp.policy.limits import Outflow
from smtp.reply import Refused
from smtp.screening.scanners import Told
from smtp.transaction.data import ChunkDecoder, Damaged
from smtp.transaction.facts import Recipient, Tls
from smtp.transaction.path import split_path

__all__ = ["HEADER_MOST", "Refused", "Submission", "SubmitRecipient", "SubmitRequest", "Submitted", "Via"]

HEADER_MOST = 96 * 1024
"""Octets of a submitted header: all of it is looked at, again when the message is in the store."""
_BLANK = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Via:
    """How the message came to the door: the name behind `with` in its Received field (RFC 3848), and the TLS."""

    protocol: str
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class SubmitRecipient:
    """One recipient: `address` as written; `notify` and `orcpt` as RCPT takes them."""

    address: str
    notify: str | None = None
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """A message to send. `content` is the whole message in octets, or one that went to the store after `opening`."""

    principal: Principal
    return_path: str
    recipients: tuple[SubmitRecipient, ...]
    content: bytes | Prepared
    via: Via
    trail: str = ""
    envid: str | None = None
    ret: str | None = None
    smtputf8: bool = False
    requiretls: bool = False
    not_before: Millis = AT_ONCE
    hold: Reason | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """Taken: the spool item, and the trail that names the message in story and log. `again`: it was taken before."""

    item: ItemId
    trail: str
    again: bool = False


class Submission:
    """The door; one for the process."""

    def __init__(self, parts: RoleParts, outflow: Outflow) -> None:
        self._parts = parts
        self._directory = parts.delivery.directory
        self._messages = parts.delivery.store.messages
        self._outflow = outflow

    # --- what a face may ask beforehand -------------------------------------------------------------------------------

    def require_sender(self, principal: Principal, return_path: str) -> None:
        """The account may send, and use this return-path; the null one is anybody's (RFC 8098 §2.1). Raises Refused."""
        self._require_active(principal)
        if return_path and not self._directory.may_use(principal.account, return_path):
            raise Refused(reply.NOT_YOUR_RETURN_PATH, "identity.return-path")

    def _require_active(self, principal: Principal) -> None:
        """An account that was suspended or deleted after it signed in sends nothing more, nor a password that was revoked."""
        try:
            active = self._directory.account_by_id(principal.account).status is Status.ACTIVE
            active = active and self._directory.still_proves(principal)
        except NotFound:
            active = False
        if not active:
            raise Refused(reply.MAY_NOT_SEND, "account.inactive")

    def recipient(self, one: SubmitRecipient, *, smtputf8: bool) -> Recipient:
        """Where a recipient leads: elsewhere, or to somebody we know. Raises Refused."""
        found = split_path(f"<{one.address}>")
        if found is None or found[1] or found[0].null:
            raise Refused(reply.BAD_RECIPIENT, "rcpt.path")
        path = found[0]
        if path.routed or path.literal:
            raise Refused(reply.RELAY_DENIED, "rcpt.form")
        address = stages.address(path)
        resolution = self._directory.resolve(address)
        if resolution.status is not Where.REMOTE:
            stages.require_plain(path)
            stages.require_ours(resolution)
        if not path.ascii and not smtputf8:
            raise Refused(reply.RECIPIENT_NEEDS_UTF8, "rcpt.utf8")
        text = path.text(address.domain) if address.domain else path.local
        return Recipient(text, address, resolution, one.notify, one.orcpt)

    def opening(self, principal: Principal, header: bytes) -> bytes:
        """The header of a large message as it is to be stored, checked and fixed. Raises Refused."""
        if len(header) > HEADER_MOST:
            raise Refused(reply.HEADER_TOO_BIG, "message.header")
        found = fields(header)
        require_identity(found, lambda address: self._directory.may_use(principal.account, address))
        domain = principal.address.rpartition("@")[2]
        return fixed(
            found,
            now=self._parts.clock.now(),
            message_id=f"<{secrets.token_hex(16)}@{domain}>",
            hostname=self._parts.hostname,
            sender=principal.address,
        )

    # --- the door -----------------------------------------------------------------------------------------------------

    async def submit(self, request: SubmitRequest) -> Submitted:
        """Take a message; returns after the commit. Raises Refused, StoreError."""
        if not request.recipients:
            raise Refused(reply.NO_RECIPIENTS, "rcpt.none")
        self.require_sender(request.principal, request.return_path)
        recipients = [self.recipient(one, smtputf8=request.smtputf8) for one in request.recipients]
        request = request if request.trail else replace(request, trail=new_id())
        prepared = await self._parts.workers.blocking(self._ready, request)
        if not self._outflow.takes(request.principal.account, len(recipients)):
            await self._parts.workers.blocking(self._messages.discard, prepared)
            raise Refused(reply.TOO_MANY_TODAY, "outflow")
        request = await self._screened(request, prepared)
        unruled = Letter(request.trail, request.return_path, b"", prepared, smtputf8=request.smtputf8)
        rulings = await rulings_of(self._parts, unruled, recipients)
        done = await self._parts.workers.landed(
            self._parts.db.submit(lambda tx: self._take_in(tx, request, recipients, prepared, rulings))
        )
        if done.again:
            await self._parts.workers.blocking(self._messages.discard, prepared)
        self._tell(request, done, prepared)
        return done

    async def _screened(self, request: SubmitRequest, prepared: Prepared) -> SubmitRequest:
        """The request, held where its content would harm whoever gets it, and us who sign it."""
        if self._parts.screen is None or request.hold is not None:
            return request
        to = tuple(one.address for one in request.recipients)
        told = Told(sender=request.return_path, recipients=to, trail=request.trail)
        hold = await self._parts.screen.outgoing(prepared, told)
        return request if hold is None else replace(request, hold=hold)

    def _ready(self, request: SubmitRequest) -> Prepared:
        """Check, fix and prepare, in a worker thread."""
        content = request.content
        if isinstance(content, Prepared):
            try:
                self._require_checked(request.principal, content)
            except Refused:
                self._messages.discard(content)
                raise
            return content
        end = content.find(_BLANK)
        cut = 2 if content.startswith(b"\r\n") else len(content) if end < 0 else end + len(_BLANK)
        _require_lines(content)
        return self._messages.prepare(self.opening(request.principal, content[:cut]) + content[cut:])

    def _require_checked(self, principal: Principal, prepared: Prepared) -> None:
        """What went to the store went through `opening`: the door looks for itself."""
        header = prepared.header
        if self.opening(principal, header) != header:
            raise Refused(reply.BAD_HEADER, "header.unchecked")

    def _take_in(
        self,
        tx: Tx,
        request: SubmitRequest,
        recipients: list[Recipient],
        prepared: Prepared,
        rulings: Mapping[AccountId, Ruling],
    ) -> Submitted:
        principal = request.principal
        spool = self._parts.delivery.spool
        before = spool.find_in(tx, principal.account, request.idempotency_key)
        if before is not None:
            return Submitted(before, request.trail, again=True)
        due = request.hold is None and request.not_before <= tx.now
        # whoever refuses is left to the queue, which tells the sender
        at_once = [
            one
            for one in recipients
            if due
            and _is_ours(one)
            and not wants(one.notify, "SUCCESS")
            and rejection_of(one.resolution, rulings) is None
        ]
        letter = self._letter(tx, request, recipients, prepared)
        item = spool.put_in(tx, self._item(tx, request, letter, _rows(recipients, at_once)))
        self._parts.delivery.story.record_in(
            tx,
            organisation=principal.organisation,
            account=principal.account,
            trail=request.trail,
            event="submitted",
            sender=request.return_path,
            recipient=recipients[0].text if len(recipients) == 1 else "",
        )
        if request.hold is not None:
            self._parts.delivery.story.record_in(
                tx,
                organisation=principal.organisation,
                account=principal.account,
                trail=request.trail,
                event="held",
                sender=request.return_path,
                reason=request.hold,
            )
        else:
            written_to = [one.text for one in recipients]
            count_in(tx, principal.account, principal.organisation, written_to, sent=1)
        targets = [target for one in at_once for target in one.resolution.deliveries]
        delivered = deliver_in(tx, self._parts.delivery, letter, targets, rulings)
        send_on_in(tx, self._parts.delivery, letter, delivered)
        return Submitted(item, request.trail)

    def _letter(self, tx: Tx, request: SubmitRequest, recipients: list[Recipient], prepared: Prepared) -> Letter:
        received = received_line(
            "",
            hostname=self._parts.hostname,
            with_protocol=request.via.protocol,
            trail=request.trail,
            tls=request.via.tls,
            recipients=[one.text for one in recipients],
            now=tx.now,
        )
        return Letter(request.trail, request.return_path, received, prepared, smtputf8=request.smtputf8)

    def _item(self, tx: Tx, request: SubmitRequest, letter: Letter, rows: tuple[NewRecipient, ...]) -> NewItem:
        prepared = letter.prepared
        organisation = request.principal.organisation
        return NewItem(
            organisation=organisation,
            account=request.principal.account,
            blob=self._messages.put_in(tx, organisation, prepared),
            size=prepared.size,
            return_path=request.return_path,
            recipients=rows,
            trail=request.trail,
            prefix=letter.received,
            envid=request.envid,
            ret=request.ret,
            requiretls=request.requiretls,
            smtputf8=request.smtputf8,
            eightbit=prepared.eightbit,
            not_before=request.not_before,
            hold=request.hold,
            idempotency_key=request.idempotency_key,
        )

    def _tell(self, request: SubmitRequest, done: Submitted, prepared: Prepared) -> None:
        self._parts.maillog.event(
            Event.SUBMITTED,
            id=request.trail,
            item=done.item,
            account=request.principal.address,
            sender=request.return_path,
            recipient=request.recipients[0].address,
            recipients=len(request.recipients),
            size=prepared.size,
        )


def _is_ours(one: Recipient) -> bool:
    return one.resolution.status is not Where.REMOTE


def _rows(recipients: list[Recipient], at_once: list[Recipient]) -> tuple[NewRecipient, ...]:
    """The spool's recipients. Those `at_once` are done with this transaction, with their forwards in their place; the
    queue takes care of the others, also of those of ours whose sender wants to hear of success (RFC 3461 §5.2.3)."""
    rows: dict[str, NewRecipient] = {}
    for one in recipients:
        now = one in at_once
        if not now or one.resolution.deliveries:
            rows.setdefault(one.text, NewRecipient(one.text, one.orcpt, one.notify, delivered=now))
        for address in one.resolution.forwards if now else ():
            rows.setdefault(address, NewRecipient(address, one.orcpt or original_recipient(one), one.notify))
    return tuple(rows.values())


def _require_lines(content: bytes) -> None:
    """Octets from a face that is not SMTP meet the same rule (RELIABILITY: S2)."""
    decoder = ChunkDecoder()
    try:
        decoder.feed(content)
        decoder.finish()
    except Damaged as error:
        raise Refused(reply.BAD_LINE_ENDS, "message.octets") from error
