"""What a port is for: the questions the conversation asks the MX or submission."""

from __future__ import annotations

from typing import Protocol

from data.store.intake import Prepared
from smtp.reply import Reply
from smtp.transaction.facts import Envelope, Session
from smtp.transaction.parameters import MailParameters, RcptParameters
from smtp.transaction.path import Path


class Role(Protocol):
    """smtp.mx.Mx and smtp.submission's Msa. Everything may raise Refused; StoreError becomes 4xx."""

    @property
    def name(self) -> str:
        """For logs and metrics: mx, submission."""
        ...

    @property
    def signs_in(self) -> bool:
        """Is AUTH offered here?"""
        ...

    def mail(self, session: Session, path: Path, parameters: MailParameters) -> Envelope:
        """MAIL: a transaction begins."""
        ...

    async def rcpt(self, session: Session, envelope: Envelope, path: Path, parameters: RcptParameters) -> None:
        """RCPT: the recipient is added to the envelope."""
        ...

    def opening(self, session: Session, envelope: Envelope, header: bytes) -> bytes:
        """The header of a large message as it is to be stored; in a worker thread."""
        ...

    async def whole(self, session: Session, envelope: Envelope, data: bytes) -> Reply:
        """A small message is here. The answer follows the commit."""
        ...

    def heard(self, session: Session) -> None:
        """The client had the answer to its last message, for it went on."""
        ...

    def settle(self) -> None:
        """The listener stops: write down what waits."""
        ...

    async def streamed(self, session: Session, envelope: Envelope, prepared: Prepared) -> Reply:
        """A large message is in the store, with its opening. The answer follows the commit."""
        ...
