"""One message while it is received: small ones in memory, large ones into the store as they come.

Promises: what is held is bounded; a refusal is remembered and told at the end of the data, when the client listens; what
went to the store and was not accepted is forgotten there. A failure of the store is a refusal like any other.
"""

from __future__ import annotations

from appliance.loop import Workers
from data.disk.crashpoints import hit
from data.errors import DiskFull, StoreError, TooBig
from data.store.intake import Intake, Prepared
from data.store.messages import Messages
from smtp import reply
from smtp.listener.role import Role
from smtp.policy.limits import Limits
from smtp.reply import Refused, Reply
from smtp.transaction.assembly import Assembly
from smtp.transaction.facts import Envelope, Session


def refusal_of(error: StoreError) -> Refused:
    """What the client is told of a failure of the store."""
    if isinstance(error, DiskFull):
        return Refused(reply.NO_SPACE, "disk.full")
    if isinstance(error, TooBig):
        return Refused(reply.TOO_BIG, "message.size")
    return Refused(reply.TRY_LATER, "store")


class Reception:
    """Feed it decoded octets with `put`, then `finish` or `drop`."""

    __slots__ = (
        "_assembly",
        "_envelope",
        "_intake",
        "_limits",
        "_messages",
        "_role",
        "_session",
        "_workers",
        "octets",
        "refused",
    )

    def __init__(
        self, role: Role, session: Session, envelope: Envelope, *, limits: Limits, workers: Workers, messages: Messages
    ) -> None:
        self._role, self._session, self._envelope = role, session, envelope
        self._limits, self._workers, self._messages = limits, workers, messages
        self._assembly = Assembly(
            max_size=limits.message, max_header=limits.header, max_line=limits.header_line, hops=limits.hops
        )
        self._intake: Intake | None = None
        self.octets = 0
        """Octets that came, those passed over after a refusal as well."""
        self.refused: Refused | None = None

    async def put(self, piece: bytes) -> None:
        """More of the message; after a refusal it is passed over."""
        self.octets += len(piece)
        if self.refused is not None or not piece:
            return
        try:
            self._assembly.feed(piece)
            if self._assembly.header is not None and self._assembly.held > self._limits.small:
                await self._workers.blocking(self._store, self._assembly.take())
        except (Refused, StoreError) as error:
            self.refused = refusal_of(error) if isinstance(error, StoreError) else error
            await self.drop()

    async def finish(self) -> Reply:
        """The message is complete: what becomes of it. Raises Refused, StoreError."""
        hit("C2")
        if self.refused is not None:
            raise self.refused
        self._assembly.finish()
        octets = self._assembly.take()
        if self._intake is None:
            return await self._role.whole(self._session, self._envelope, octets)
        prepared = await self._workers.blocking(self._complete, octets)
        return await self._role.streamed(self._session, self._envelope, prepared)

    async def drop(self) -> None:
        """Forget what came; the store may hold part of it."""
        if self._intake is not None:
            intake, self._intake = self._intake, None
            await self._workers.blocking(intake.discard)

    # --- in a worker thread -------------------------------------------------------------------------------------------

    def _store(self, octets: bytes) -> None:
        if self._intake is None:
            header = self._assembly.header or b""
            opening = self._role.opening(self._session, self._envelope, header)
            self._intake = self._messages.intake()
            self._intake.feed(opening)
            octets = octets[len(header) :]
        self._intake.feed(octets)

    def _complete(self, octets: bytes) -> Prepared:
        assert self._intake is not None
        intake, self._intake = self._intake, None
        try:
            intake.feed(octets)
            return intake.finish()
        except BaseException:
            intake.discard()
            raise
