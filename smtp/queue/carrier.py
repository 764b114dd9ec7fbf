"""One item, one attempt: signed if it was not yet, brought to its next hop, and what came of it.

Promises: every recipient of the work has an outcome, whatever happens; a message is never held as a whole. A session
that the server ended before a reused connection was of use is replaced once. May not: write outcomes (the scheduler does,
in one transaction), or decide which item comes next.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from appliance.log import Log
from appliance.loop import Workers
from data.clock import Clock
from data.disk.blobs import Content
from data.disk.db import Database, Tx
from data.errors import StoreError
from data.mime.headers import find_all, split
from data.reason import Reason
from data.spool.envelope import Item, Outcome, Work
from data.spool.items import Spool
from data.store.messages import Messages
from smtp.queue.attempt import Body, Calling, NoSession, Session, call
from smtp.queue.events import Envelope, Problem, Result, To
from smtp.queue.judge import Judge
from smtp.queue.local import LocalDelivery, LocalPlan, reopened
from smtp.queue.signing import PIECE, KeysOf, Unfit, header_of, made_ready, needs_utf8

_GONE = frozenset({"queue.lost", "queue.closing", "queue.malformed", "queue.timeout"})
_CORRUPT = Problem(Reason("queue.corrupt"), permanent=False)

Also = Callable[[Tx], None]


@dataclass(frozen=True, slots=True)
class CarrierParts:
    """What an attempt works with. `warn` says whether the sender of a work is told of delays, `sender` under which
    return-path it leaves."""

    db: Database
    spool: Spool
    messages: Messages
    keys_of: KeysOf
    local: LocalDelivery
    calling: Calling
    workers: Workers
    clock: Clock
    log: Log
    warn: Callable[[Work], bool] = lambda work: True
    sender: Callable[[Item], str] = lambda item: item.return_path
    draw: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Carried:
    """What an attempt came to. `also` belongs into the transaction of the outcomes; `session` may carry more."""

    outcomes: list[Outcome]
    session: Session | None = None
    also: Also | None = None


class Carrier:
    """Makes attempts."""

    def __init__(self, parts: CarrierParts) -> None:
        self._parts = parts

    async def deliver(self, work: Work) -> Carried:
        """To accounts of ours."""
        blocking = self._parts.workers.blocking
        try:
            plan: LocalPlan = await blocking(self._parts.local.plan, work, self._judge(work))
            if not (plan.targets or plan.forwards):
                return Carried(plan.outcomes)
            content = await blocking(self._parts.messages.content, work.item.blob)
            prepared = await blocking(reopened, content)
            await blocking(self._parts.local.rule, work, plan, prepared)
        except StoreError as error:
            return self._damaged(work, error)
        return Carried(plan.outcomes, also=lambda tx: self._parts.local.carry_out_in(tx, work, plan, prepared))

    async def send(self, work: Work, session: Session | None) -> Carried:
        """To another server, over `session` if it is still of use."""
        try:
            work = await self._signed(work)
            content = await self._parts.workers.blocking(self._parts.messages.content, work.item.blob)
            envelope = await self._parts.workers.blocking(_envelope, work, content, self._parts.sender(work.item))
        except Unfit as error:
            return Carried(self._judge(work).all(work, Problem(error.reason, permanent=True)), session)
        except StoreError as error:
            return self._damaged(work, error, session)
        return await self._transact(work, envelope, content, session)

    def _damaged(self, work: Work, error: StoreError, session: Session | None = None) -> Carried:
        self._parts.log.failure(error, "corrupt", item=work.item.id, trail=work.item.trail)
        return Carried(self._judge(work).all(work, _CORRUPT), session)

    async def _signed(self, work: Work) -> Work:
        """The work with what every attempt sends; it is kept before anything is sent. Raises Unfit, StoreError."""
        item, parts = work.item, self._parts
        if item.prefix_done:
            return work
        content = await parts.workers.blocking(parts.messages.content, item.blob)
        ready = await parts.workers.heavy(
            made_ready, item, content, parts.keys_of, parts.clock.now(), parts.messages.intake
        )
        made = ready.message
        landing = parts.db.submit(lambda tx: parts.spool.ready_in(tx, item, ready.prefix, made))
        try:
            kept, used = await parts.workers.landed(landing)
        except StoreError as error:
            if made is not None:
                await parts.workers.blocking(parts.messages.discard_after, error, made)
            raise
        if made is not None and not used:
            await parts.workers.blocking(parts.messages.discard, made)
        return replace(work, item=kept)

    async def _transact(self, work: Work, envelope: Envelope, content: Content, session: Session | None) -> Carried:
        if session is not None and session.relaxed and not envelope.relaxed:
            # a way that was good enough for its sender is not for others
            await session.quit()
            session = None
        reused = session is not None and session.usable
        if session is None or not session.usable:
            reached = await call(self._parts.calling, work.recipients[0].domain, relaxed=envelope.relaxed)
            if isinstance(reached, NoSession):
                return Carried(self._judge(work).all(work, reached.problem, reached.host))
            session = reached
        try:
            results = await session.send(envelope, _body(work, content, self._parts.workers))
        except BaseException:
            session.abort()
            raise
        if reused and _was_gone(session):
            return await self._transact(work, envelope, content, None)
        return self._transacted(work, session, results)

    def _transacted(self, work: Work, session: Session, results: tuple[Result, ...]) -> Carried:
        broken = session.problem
        if broken is not None and broken.reason.code == "queue.timeout":
            self._parts.calling.hosts.failed(session.key)
        outcomes = self._judge(work).results(work, results, session.host, session.secured)
        revived, session.revived = session.revived, False
        return Carried(outcomes, session, self._waking(work) if revived else None)

    def _waking(self, work: Work) -> Also:
        """The host had been down: what could not be brought to it is due."""
        domain = work.recipients[0].domain
        named = self._parts.calling.router.routes().of(domain) is not None

        def also(tx: Tx) -> None:
            self._parts.spool.again_for_host_in(tx, None if named else domain)

        return also

    def _judge(self, work: Work) -> Judge:
        return Judge(self._parts.clock.now(), self._parts.draw(), self._parts.warn(work))


def _was_gone(session: Session) -> bool:
    """The server had ended a session that was kept for more; nothing of the message was sent."""
    return session.problem is not None and session.problem.reason.code in _GONE and not session.body_begun


def _envelope(work: Work, content: Content, sender: str) -> Envelope:
    item = work.item
    return Envelope(
        return_path=sender,
        recipients=tuple(To(one.address, one.notify, one.orcpt) for one in work.recipients),
        size=item.total,
        eightbit=item.eightbit or not item.prefix.isascii(),
        smtputf8=needs_utf8(work, content),
        requiretls=item.requiretls,
        envid=item.envid,
        ret=item.ret,
        relaxed=not item.requiretls and _prefers_arrival(header_of(content)[0]),
    )


def _prefers_arrival(header: bytes) -> bool:
    """`TLS-Required: No`, once (RFC 8689 §3)."""
    return [value.strip().lower() for value in find_all(split(header), b"tls-required")] == [b"no"]


async def _body(work: Work, content: Content, workers: Workers) -> Body:
    """The message as every attempt sends it, piece by piece."""
    prefix = work.item.prefix
    for at in range(0, content.size, PIECE):
        piece = await workers.blocking(content.read, at, at + PIECE)
        yield prefix + piece if prefix else piece
        prefix = b""
    if prefix:
        yield prefix
