"""Submission over SMTP (RFC 6409, RFC 8314): the role of ports 587 and 465.

Promises: nothing is taken before a sign-in, and no sign-in is possible without TLS; the peer's address gives no right.
Everything else is smtp.submission's: the door that webmail uses as well.
"""

from __future__ import annotations

from collections.abc import Callable

from data.directory.facts import Where
from data.principal import Principal
from data.store.intake import Prepared
from smtp import reply
from smtp.delivery.parts import RoleParts, require_room
from smtp.delivery.trace import protocol
from smtp.policy import stages
from smtp.reply import Refused, Reply
from smtp.submission import Submission, SubmitRecipient, SubmitRequest, Via
from smtp.transaction.facts import Envelope, Recipient, Session
from smtp.transaction.parameters import MailParameters, RcptParameters
from smtp.transaction.path import Path


class Msa:
    """The role; `plaintext` says whether a peer may sign in without TLS (profile bench on loopback)."""

    name = "submission"
    signs_in = True

    def __init__(self, parts: RoleParts, door: Submission, plaintext: Callable[[str], bool]) -> None:
        self._parts = parts
        self._door = door
        self._plaintext = plaintext

    def mail(self, session: Session, path: Path, parameters: MailParameters) -> Envelope:
        """From somebody who signed in, as somebody they may be."""
        if session.principal is None:
            protected = session.tls is not None or self._plaintext(session.peer.host)
            raise Refused(reply.SIGN_IN_FIRST if protected else reply.STARTTLS_FIRST, "auth.missing")
        envelope = stages.begin(session.trail(), path, parameters)
        self._door.require_sender(session.principal, envelope.return_path)
        return envelope

    async def rcpt(self, session: Session, envelope: Envelope, path: Path, parameters: RcptParameters) -> None:
        """Anybody elsewhere; of ours, those who exist and have room."""
        one = SubmitRecipient(path.text(), parameters.notify, parameters.orcpt)
        recipient = self._door.recipient(one, smtputf8=envelope.smtputf8)
        if recipient.resolution.status is not Where.REMOTE:
            await require_room(self._parts, envelope, recipient.resolution)
        elif not self._parts.space.takes(envelope.size or 0):
            raise Refused(reply.NO_SPACE, "disk.floor")
        envelope.recipients.append(recipient)

    def opening(self, session: Session, envelope: Envelope, header: bytes) -> bytes:
        """The header of a large message, checked and fixed before it is stored."""
        return self._door.opening(_principal(session), header)

    async def whole(self, session: Session, envelope: Envelope, data: bytes) -> Reply:
        """A small message."""
        return await self._submit(session, envelope, data)

    async def streamed(self, session: Session, envelope: Envelope, prepared: Prepared) -> Reply:
        """A large one."""
        return await self._submit(session, envelope, prepared)

    async def _submit(self, session: Session, envelope: Envelope, content: bytes | Prepared) -> Reply:
        name = protocol(
            extended=session.extended, tls=session.tls is not None, signed_in=True, smtputf8=envelope.smtputf8
        )
        done = await self._door.submit(
            SubmitRequest(
                principal=_principal(session),
                return_path=envelope.return_path,
                recipients=tuple(_as_written(one) for one in envelope.recipients),
                content=content,
                via=Via(name, session.tls),
                trail=envelope.trail,
                envid=envelope.envid,
                ret=envelope.ret,
                smtputf8=envelope.smtputf8,
                requiretls=envelope.requiretls,
            )
        )
        return reply.taken(done.trail)

    def heard(self, session: Session) -> None:
        """Submission sets no marks: whoever sends twice means it."""

    def settle(self) -> None:
        """Nothing waits."""


def _principal(session: Session) -> Principal:
    if session.principal is None:
        raise Refused(reply.SIGN_IN_FIRST, "auth.missing")
    return session.principal


def _as_written(one: Recipient) -> SubmitRecipient:
    return SubmitRecipient(one.text, one.notify, one.orcpt)
