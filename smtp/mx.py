"""The MX (RFC 5321 §2.3.10): mail from anybody, for our own people alone.

Promises: a recipient leads to an account of ours (or through an alias of ours elsewhere), or it is refused at RCPT,
whoever asks and from wherever: there is no trusted network. A stranger's NOTIFY is handed on with a forward and answered
by no report of ours, so that a forged sender is never written to. Quota and disk are looked at before the message comes. A
message has one From; who sent it is checked, the results are written on it, and a domain that wants what fails refused
gets its way (RFC 7489). The message is delivered in one transaction, and the answer follows its commit. Nothing but trace
is added. May not: sign anybody in, or send a message back once it was taken.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from appliance.maillog import Event
from data.disk.db import Tx
from data.ids import AccountId
from data.reason import Reason
from data.store.intake import Prepared
from smtp import reply
from smtp.delivery.deliver import Delivered, Letter, deliver_in, forward_in, quietly, rejection_of
from smtp.delivery.onward import send_on_in
from smtp.delivery.parts import RoleParts, may_refuse, require_room, rulings_of
from smtp.delivery.ruling import Ruling
from smtp.delivery.trace import received, seen_by
from smtp.mailauth import results
from smtp.mailauth.evaluate import Authenticator, Incoming
from smtp.mailauth.facts import Action, Authentication, dmarc_action
from smtp.policy import stages, verdict
from smtp.policy.incoming import admitted, cut
from smtp.policy.verdict import Proofs
from smtp.reply import Refused, Reply
from smtp.screening.scanners import Told
from smtp.screening.screen import Case
from smtp.transaction.facts import Envelope, Recipient, Session
from smtp.transaction.parameters import MailParameters, RcptParameters
from smtp.transaction.path import Path


class Mx:
    """The role of port 25."""

    name = "mx"
    signs_in = False

    def __init__(
        self,
        parts: RoleParts,
        authenticator: Authenticator,
        *,
        bench: bool = False,
        one_from: bool = True,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`bench`: messages are checked, and nothing follows from it. `one_from`: a message has exactly one From. `draw` chooses whom pct= means."""
        self._parts = parts
        self._authenticator = authenticator
        self._bench = bench
        self._one_from = one_from
        self._draw = draw
        self._directory = parts.delivery.directory
        self._messages = parts.delivery.store.messages

    # --- the envelope -----------------------------------------------------------------------------------------------

    def mail(self, session: Session, path: Path, parameters: MailParameters) -> Envelope:
        """Any sender will do, also one of ours: what it is worth is judged later, not here."""
        return stages.begin(session.trail(), path, parameters)

    async def rcpt(self, session: Session, envelope: Envelope, path: Path, parameters: RcptParameters) -> None:
        """Ours, with room; or Refused."""
        stages.require_plain(path)
        address = stages.address(path)
        returned = self._parts.delivery.returned(
            path.local, address.domain, envelope.return_path, self._parts.clock.now()
        )
        resolution = returned or self._directory.resolve(address)
        stages.require_ours(resolution)
        if not path.ascii and not envelope.smtputf8:
            raise Refused(reply.RECIPIENT_NEEDS_UTF8, "rcpt.utf8")
        await require_room(self._parts, envelope, resolution)
        # of several recipients one alone cannot refuse at DATA: whoever may refuse gets the message in a transaction alone
        known = [one.resolution for one in envelope.recipients]
        if known and await may_refuse(self._parts, (*known, resolution)):
            raise Refused(reply.RECIPIENT_ALONE, "rcpt.alone")
        text = path.text(address.domain) if address.domain else path.local
        envelope.recipients.append(Recipient(text, address, resolution, parameters.notify, parameters.orcpt))

    # --- the message ------------------------------------------------------------------------------------------------

    def opening(self, session: Session, envelope: Envelope, header: bytes) -> bytes:
        """The MX adds trace only, and takes off what claims to be ours. Raises Refused."""
        kept = admitted(header, self._parts.hostname, strict=self._one_from)
        envelope.header, envelope.body_at = header, len(kept)
        return kept

    async def whole(self, session: Session, envelope: Envelope, data: bytes) -> Reply:
        """Prepare in a worker, deliver in the writer."""
        at = cut(data)
        opening = self.opening(session, envelope, data[:at])
        message = data if len(opening) == at else opening + data[at:]
        prepared = await self._parts.workers.blocking(self._messages.prepare, message)
        return await self.streamed(session, envelope, prepared)

    async def streamed(self, session: Session, envelope: Envelope, prepared: Prepared) -> Reply:
        """Judge and deliver; 250 after the commit."""
        found = await self._judged(session, envelope, prepared)
        letter = self._letter(session, envelope, prepared, found)
        recipients = [one for one in envelope.recipients if not _saw(one, letter.seen)]
        if not recipients:
            await self._parts.workers.blocking(self._messages.discard, prepared)
            raise Refused(reply.DELIVERY_LOOP, "delivery.loop")
        wanted = Action.NONE if self._bench else dmarc_action(found.dmarc, self._draw())
        if wanted is Action.REJECT:
            await self._refuse(letter, recipients, reply.DMARC_FAILED, Reason("dmarc.rejected", found.told()))
        if wanted is Action.QUARANTINE:
            letter = replace(letter, junk=Reason("dmarc.junk", found.told()))
        letter = await self._screened(session, letter, recipients, found)
        rulings = quietly(letter, await rulings_of(self._parts, letter, recipients))
        words = rejection_of(recipients[0].resolution, rulings) if len(recipients) == 1 else None
        if words is not None:
            await self._refuse(letter, recipients, reply.refused_by_rule(words), Reason("rules.rejected"))
        landing = self._landing(letter, recipients, rulings, Reason("auth.results", found.told()))
        done = await self._parts.workers.landed(self._parts.db.submit(landing))
        session.unheard = tuple(done.marks)
        self._tell(session, envelope, prepared, done)
        return reply.taken(envelope.trail)

    async def _judged(self, session: Session, envelope: Envelope, prepared: Prepared) -> Authentication:
        """Who sent it, as far as that can be known in time."""
        incoming = Incoming(
            address=session.peer.host,
            hello=session.helo,
            return_path=envelope.return_path,
            header=envelope.header,
            prepared=prepared,
            body_at=envelope.body_at,
        )
        return await self._authenticator.judge(incoming)

    async def _screened(
        self, session: Session, letter: Letter, recipients: Sequence[Recipient], found: Authentication
    ) -> Letter:
        """The letter with what its content and its sender come to for each account. Raises Refused."""
        if self._parts.screen is None:
            return letter
        accounts = dict.fromkeys(target.account_id for one in recipients for target in one.resolution.deliveries)
        to = tuple(one.text for one in recipients)
        told = Told(session.peer.host, session.helo or "", letter.return_path, to, letter.trail)
        case = Case(letter.prepared, tuple(accounts), told, session.peer.network, Proofs.of(found.told()))
        screened = await self._parts.screen.incoming(case)
        if screened.put_off:
            why = Reason("spam.put-off", screened.everybody.reason.params)
            await self._refuse(letter, recipients, reply.PUT_OFF, why, event="put-off")
        refusal = screened.refusal
        if refusal is not None:
            await self._refuse(letter, recipients, reply.HARMFUL, refusal.reason)
        junk = screened.everybody.action >= verdict.Action.JUNK
        hold = Reason("spam.held", screened.everybody.reason.params) if junk else None
        return replace(letter, verdicts=screened.accounts, author=screened.author, hold=hold)

    def _letter(self, session: Session, envelope: Envelope, prepared: Prepared, found: Authentication) -> Letter:
        hostname = self._parts.hostname
        trace = received(session, envelope, hostname=hostname, now=self._parts.clock.now())
        return Letter(
            trail=envelope.trail,
            return_path=envelope.return_path,
            received=results.written(found, hostname) + trace,
            prepared=prepared,
            smtputf8=envelope.smtputf8,
            requiretls=envelope.requiretls,
            envid=envelope.envid,
            ret=envelope.ret,
            network=session.peer.network,
            seen=seen_by(prepared.header),
        )

    async def _refuse(
        self,
        letter: Letter,
        recipients: Sequence[Recipient],
        answer: Reply,
        why: Reason,
        event: str = "rejected",
    ) -> NoReturn:
        """Somebody does not want it: told while the sender still has it, so that nobody else is written to."""
        targets = {target.account_id: target for one in recipients for target in one.resolution.deliveries}

        def op(tx: Tx) -> None:
            for target in targets.values():
                self._parts.delivery.story.record_in(
                    tx,
                    organisation=self._directory.account_by_id(target.account_id).organisation,
                    account=target.account_id,
                    trail=letter.trail,
                    event=event,
                    sender=letter.return_path,
                    recipient=target.address,
                    reason=why,
                )

        await self._parts.workers.landed(self._parts.db.submit(op))
        await self._parts.workers.blocking(self._messages.discard, letter.prepared)
        raise Refused(answer, why.code)

    def heard(self, session: Session) -> None:
        """The client went on: a second copy of what it sent would be meant."""
        self._parts.delivery.marks.heard(session.unheard)

    def settle(self) -> None:
        """Write down what was heard since the last delivery."""
        self._parts.db.submit(self._parts.delivery.marks.forget_in)

    def _landing(
        self, letter: Letter, recipients: list[Recipient], rulings: Mapping[AccountId, Ruling], judged: Reason
    ) -> Callable[[Tx], Delivered]:
        def op(tx: Tx) -> Delivered:
            self._parts.delivery.story.record_in(
                tx,
                organisation=self._directory.organisation().id,
                account=None,
                trail=letter.trail,
                event="judged",
                sender=letter.return_path,
                reason=judged,
            )
            targets = (target for one in recipients for target in one.resolution.deliveries)
            done = deliver_in(tx, self._parts.delivery, letter, targets, rulings)
            send_on_in(tx, self._parts.delivery, letter, done)
            done.forwarded = forward_in(tx, self._parts.delivery, letter, recipients, done.marks)
            return done

        return op

    def _tell(self, session: Session, envelope: Envelope, prepared: Prepared, done: Delivered) -> None:
        self._parts.maillog.event(
            Event.RECEIVED,
            id=session.id,
            trail=envelope.trail,
            listener=self.name,
            peer=session.peer.host,
            tls=session.tls.version if session.tls is not None else None,
            sender=envelope.return_path,
            recipient=envelope.recipients[0].text,
            recipients=len(envelope.recipients),
            size=prepared.size,
            copies=len(done.accounts) + done.forwarded,
        )


def _saw(one: Recipient, seen: frozenset[str]) -> bool:
    """Was the message delivered to it before (Delivered-To)?"""
    if one.resolution.forwards:
        return one.address.key_address in seen
    return all(target.address in seen for target in one.resolution.deliveries)
