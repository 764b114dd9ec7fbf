"""One connection to one host: the dialogue driven over a socket, within the time limits of RFC 5321 §4.5.3.2.

Promises: TLS is taken where it is offered, unverified (RFC 7435); where its handshake fails the host is tried once more
in the clear, before any envelope was told, and never after an injected reply. A host that has to prove itself
(smtp.queue.hop.Need) is told nothing before it has, and what it lacked is said. A message is read piece by piece and never
held as a whole. No CR or LF leaves that is not part of a CRLF: such a message is broken off and failed.
May not: touch rows, or decide when the next attempt is due.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from appliance.log import Log
from appliance.net.tls import verifying_context
from data.disk.crashpoints import hit
from data.errors import StoreError
from data.reason import Reason
from smtp.queue.dialogue import Dialogue
from smtp.queue.events import (
    Broken,
    Closed,
    Done,
    Envelope,
    Event,
    Problem,
    Ready,
    Result,
    SendBody,
    Stage,
    Tls,
    UpgradeTls,
    Write,
)
from smtp.queue.hop import Hop, Level, Login, Need
from smtp.queue.hosts import Hosts
from smtp.queue.line import Line
from smtp.queue.route import Plan, Router
from smtp.queue.stuffing import BareLineEnd, Stuffer
from smtp.queue.tlspolicy import anything_goes

Body = AsyncGenerator[bytes, None]
_NOT_THE_HOST = ("dns.", "queue.tls.", "queue.auth.")
"""Reasons that do not mean that a host is down: another domain's mail, or another answer of DNS, may go there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds (RFC 5321 §4.5.3.2, which gives the least; connect, TLS and QUIT are ours)."""

    connect: float = 30.0
    greeting: float = 300.0
    ehlo: float = 300.0
    tls: float = 60.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0
    final: float = 600.0
    quit: float = 5.0

    def of(self, stage: Stage) -> float:
        """How long to wait for what the server owes us now."""
        named: dict[Stage, float] = {
            Stage.GREETING: self.greeting,
            Stage.EHLO: self.ehlo,
            Stage.STARTTLS: self.data,
            Stage.AUTH: self.ehlo,
            Stage.RCPT: self.rcpt,
            Stage.DATA: self.data,
            Stage.FINAL: self.final,
            Stage.QUIT: self.quit,
        }
        return named.get(stage, self.mail)


class TlsFailed(Exception):
    """The handshake did not work out, or (`code` queue.tls.certificate) the host is not who it has to be; the text says why."""

    def __init__(self, why: str, code: str = "queue.tls.failed") -> None:
        super().__init__(why)
        self.code = code


class Session:
    """A connection over which messages can be sent one after the other. `host` is the name it was reached under;
    `key` its name in smtp.queue.hosts, `revived`: it had been down before."""

    def __init__(self, line: Line, dialogue: Dialogue, hop: Hop, limits: Limits, context: ssl.SSLContext) -> None:
        self._line = line
        self._dialogue = dialogue
        self._hop = hop
        self._limits = limits
        self._context = context
        self._todo: deque[Event] = deque()
        self._body: Body | None = None
        self._results: tuple[Result, ...] = ()
        self._ready = False
        self.host = hop.host
        self.key = hop.key
        self.revived = False
        self.relaxed = False
        self.problem: Problem | None = None
        self.sent = 0
        self.body_begun = False

    @property
    def usable(self) -> bool:
        """Whether another message may be sent."""
        return self._ready and self.problem is None

    @property
    def tls(self) -> str | None:
        """The version of TLS in use."""
        return self._line.tls_version()

    @property
    def secured(self) -> dict[str, str | int]:
        """What protects it, for the story: the version of TLS, and who says that the host is the right one."""
        version = self.tls
        if version is None:
            return {}
        return {"tls": version, "proof": self._hop.need.by} if self._hop.need.by else {"tls": version}

    async def open(self) -> Problem | None:
        """Greet until a message may begin; the problem if it may not. Raises TlsFailed."""
        if self._hop.tls_first:
            await self._secure()
        await self._run([])
        return self.problem

    async def send(self, envelope: Envelope, body: Body) -> tuple[Result, ...]:
        """Send one message; a result for each recipient, whatever happens."""
        self._ready, self._results, self._body, self.body_begun = False, (), body, False
        await self._run(self._dialogue.begin(envelope))
        self.sent += 1
        return self._results

    async def quit(self) -> None:
        """Take leave, briefly."""
        if self.usable:
            self._ready = False
            await self._run(self._dialogue.quit())
        self._line.close()

    def abort(self) -> None:
        """Break off at once."""
        self._line.abort()

    # --- driving ----------------------------------------------------------------------------------------------------

    async def _run(self, events: list[Event]) -> None:
        """Do what the dialogue asks and hear what the server says, until a message may begin or all is over."""
        self._todo += events
        while True:
            while self._todo:
                await self._do(self._todo.popleft())
            if self._ready or self._dialogue.stage is Stage.OVER:
                return
            await self._hear()

    async def _hear(self) -> None:
        try:
            async with asyncio.timeout(self._limits.of(self._dialogue.stage)):
                data = await self._line.receive()
        except TimeoutError:
            self._todo += self._dialogue.lost("queue.timeout")
            return
        self._todo += self._dialogue.feed(data) if data else self._dialogue.lost()

    async def _do(self, event: Event) -> None:
        match event:
            case Write(data):
                await self._write(data)
            case UpgradeTls():
                await self._secure()
            case SendBody():
                await self._stream()
            case Done(results):
                self._results = results
            case Ready():
                self._ready = True
            case Broken(problem):
                self.problem = problem
                self._line.abort()
            case Closed():
                self._line.close()

    async def _write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._limits.block):
                await self._line.write(data)
        except TimeoutError:
            self._todo += self._dialogue.lost("queue.timeout")
        except OSError:
            self._todo += self._dialogue.lost()

    async def _secure(self) -> None:
        if self._line.pending:
            # octets after the 220, in a segment of their own: the dialogue knows what that means
            await self._hear()
            return
        try:
            await self._line.start_tls(self._context, self.host, self._limits.tls)
        except ssl.SSLCertVerificationError as error:
            self._line.abort()
            raise TlsFailed(error.verify_message, "queue.tls.certificate") from error
        except (OSError, ValueError) as error:
            self._line.abort()
            raise TlsFailed(type(error).__name__ + f" {getattr(error, 'reason', '') or ''}".rstrip()) from error
        self._todo += self._dialogue.tls_started(verified=self._verified(self._hop.need))

    def _verified(self, need: Need) -> bool:
        """Whether the host proved its name, as it had to; a context that verifies did so in the handshake. Raises TlsFailed."""
        if need.satisfied is not None and (why := need.satisfied(self._line.certificates())) is not None:
            self._line.abort()
            raise TlsFailed(why, "queue.tls.certificate")
        return need.level in (Level.PROVEN, Level.DANE)

    async def _stream(self) -> None:
        """The message, dot-stuffed, up to the final dot."""
        assert self._body is not None
        self.body_begun = True
        stuffer = Stuffer()
        try:
            async with aclosing(self._body) as pieces:
                async for piece in pieces:
                    if self._line.pending:
                        await self._hear()
                    if self._dialogue.stage is Stage.OVER:
                        return
                    await self._write(stuffer.feed(piece))
            await self._write(stuffer.finish())
        except BareLineEnd:
            self._todo += self._dialogue.lost("queue.bare", permanent=True)
        except StoreError:
            self._todo += self._dialogue.lost("queue.corrupt")
        if self._dialogue.stage is not Stage.OVER:
            hit("C9")
            self._todo += self._dialogue.body_sent()


async def nobody(host: str, port: int) -> Login | None:
    """No host asks for a password."""
    return None


@dataclass(frozen=True, slots=True)
class Calling:
    """What calling a host needs. `own_machine_ok`: an exchanger may be this machine (trial and bench); `proving` makes the
    context for hosts that must prove their names, `login` gives the password for a named host, `policy` says what an
    exchanger of a domain has to prove."""

    router: Router
    hosts: Hosts
    hostname: str
    log: Log
    context: Callable[[], ssl.SSLContext]
    limits: Limits = Limits()
    own_machine_ok: bool = False
    proving: Callable[[], ssl.SSLContext] = verifying_context
    login: Callable[[str, int], Awaitable[Login | None]] = nobody
    policy: Callable[[str, Hop, bool], Awaitable[Need | Problem]] = anything_goes


@dataclass(frozen=True, slots=True)
class NoSession:
    """No host could be reached: why, and the host that the reason is about."""

    problem: Problem
    host: str | None = None


async def call(calling: Calling, domain: str, *, relaxed: bool = False) -> Session | NoSession:
    """An open session with the first host for `domain` that takes mail, or why there is none. `relaxed`: the sender would
    rather have it arrive than arrive safely (RFC 8689 §3)."""
    plan = await calling.router.find(domain)
    if isinstance(plan, Problem):
        return NoSession(plan)
    if relaxed:
        calling = replace(calling, policy=anything_goes)
    reached = await _first(calling, domain, plan)
    if isinstance(reached, Session):
        reached.relaxed = relaxed
    return reached


async def _first(calling: Calling, domain: str, plan: Plan) -> Session | NoSession:
    """Try hosts in order. Temporary causes count before permanent ones: another day another host may take it."""
    failures: list[NoSession] = []
    for hop in plan.hops:
        if not calling.hosts.may_try(hop.key):
            failures.append(NoSession(Problem(Reason("queue.resting", {"host": hop.host}), permanent=False), hop.host))
            continue
        reached = await _reach(calling, domain, hop, secure=plan.secure)
        if isinstance(reached, Session):
            reached.key = hop.key
            reached.revived = calling.hosts.worked(reached.key)
            return reached
        if reached.problem.permanent or reached.problem.reason.code.startswith(_NOT_THE_HOST):
            calling.hosts.unclear(hop.key)
        else:
            calling.hosts.failed(hop.key)
        failures.append(NoSession(reached.problem, hop.host))
    told = [one for one in failures if not one.problem.permanent] or failures
    # what a host said tells more than that another is left alone for now
    return next((one for one in told if one.problem.reason.code != "queue.resting"), told[0])


async def _reach(calling: Calling, domain: str, hop: Hop, *, secure: bool) -> Session | NoSession:
    found = await calling.router.addresses(hop)
    if isinstance(found, Problem):
        return NoSession(found)
    if not hop.fixed:
        need = await calling.policy(domain, hop, secure)
        if isinstance(need, Problem):
            return NoSession(need)
        hop = replace(hop, need=need)
    elif (login := await calling.login(hop.host, hop.port)) is not None:
        hop = replace(hop, login=login, need=Need(Level.PROVEN, by="authority"))
    last = NoSession(Problem(Reason("queue.connect", {"host": hop.host}), permanent=False))
    for address in found:
        reached = await _open(calling, hop, address)
        if isinstance(reached, Session):
            return reached
        last = reached
    return last


async def _open(calling: Calling, hop: Hop, address: str) -> Session | NoSession:
    """One address; a second time in the clear when TLS was offered and did not work, and nobody asks for it."""
    free = hop.need.level is Level.MAY and not hop.tls_first
    try:
        return await _greet(
            calling, hop, address, Tls.FIRST if hop.tls_first else Tls.OFFERED if free else Tls.REQUIRED
        )
    except TlsFailed as error:
        calling.log.warning("tls.failed", host=hop.host, peer=address, why=str(error))
        if not free:
            reason = Reason(error.code, {"host": hop.host, "why": str(error)[:200], "by": hop.need.by})
            return NoSession(Problem(reason, permanent=False))
    try:
        return await _greet(calling, hop, address, Tls.NEVER)
    except TlsFailed as error:
        return NoSession(Problem(Reason("queue.tls.failed", {"host": hop.host, "why": str(error)}), permanent=False))


async def _greet(calling: Calling, hop: Hop, address: str, tls: Tls) -> Session | NoSession:
    try:
        async with asyncio.timeout(calling.limits.connect):
            line = await Line.connect(address, hop.port)
    except (OSError, TimeoutError) as error:
        why = "timeout" if isinstance(error, TimeoutError) else (error.strerror or type(error).__name__)
        reason = Reason("queue.connect", {"host": hop.host, "address": address, "why": why})
        return NoSession(Problem(reason, permanent=False))
    if line.same_machine() and not (hop.fixed or calling.own_machine_ok):
        line.abort()
        return NoSession(Problem(Reason("queue.loop", {"address": address}), permanent=True))
    dialogue = Dialogue(calling.hostname, tls=tls, own_name_is_loop=not hop.fixed, login=hop.login)
    context = calling.proving() if hop.need.level is Level.PROVEN else calling.context()
    session = Session(line, dialogue, hop, calling.limits, context)
    try:
        problem = await session.open()
    except BaseException:
        session.abort()
        raise
    return session if problem is None else NoSession(problem)
