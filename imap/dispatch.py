"""One conversation: events of the wire become commands, commands become actions, and every answer is tagged.

Promises: commands are carried out one after the other, in the order in which they came; those that need nothing but the
session run at once, without a task or a thread. Behind each command the client is told what happened meanwhile, own
changes and those of others in the order of their commits, and then the tagged response. Whatever goes wrong, the client
gets a fixed text and the log the rest. STARTTLS forgets what was sent behind it (attack T1).

May not: know Twisted. A Line below carries octets; tests give their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

from appliance.log import new_id
from data.errors import StoreError
from data.ids import AccountId
from imap import response, wire
from imap.actions import append, select
from imap.actions.call import After, Call, Done, Gone, ImapParts
from imap.actions.input import TOO_LONG, Input, Source
from imap.command import Append
from imap.errors import Bad, Bye, ImapError, No, from_store, serverbug
from imap.grammar import commands
from imap.session import Rules, Session, State
from imap.table import RULES, Rule

GREETING = "Mailstead ready"
_BREATH = 32
"""Commands carried out at once after which a long pipeline lets others have the loop."""


class Transport(Source, Protocol):
    """A Source with the handles that only the conversation as a whole may use."""

    def start_tls(self) -> None:
        """Begin TLS behind what was written."""
        ...

    def close(self) -> None:
        """Close once everything written was sent."""
        ...


class Dialogue:
    """The server's side of one connection."""

    __slots__ = (
        "_bad",
        "_closing",
        "_failed",
        "_farewell",
        "_idle",
        "_input",
        "_parts",
        "_task",
        "id",
        "line",
        "session",
    )

    def __init__(self, line: Transport, parts: ImapParts, rules: Rules, *, secure: bool) -> None:
        self.line = line
        self.id = new_id()
        self.session = Session(rules, secure=secure)
        self._parts = parts
        self._input = Input(line, wire.BEFORE_LOGIN.literal)
        self._task: asyncio.Task[None] | None = None
        self._idle: Call | None = None
        self._bad = 0
        self._failed = 0
        self._closing = False
        self._farewell: tuple[str, bytes | None] | None = None

    # --- what the transport says --------------------------------------------------------------------------------------

    def open(self) -> None:
        """The connection is there: greet (RFC 9051 §7.1)."""
        code = b"CAPABILITY " + b" ".join(self.session.capabilities())
        self.line.write(response.untagged(b"OK", GREETING, code))

    def received(self, data: bytes) -> None:
        """Octets of the client."""
        if self._closing:
            return
        self._input.feed(data)
        if self._task is None:
            self._pump()
        if self._task is not None:
            self._input.hold()

    def lost(self) -> None:
        """The connection is gone."""
        self._closing = True
        self._input.close()
        self._idle = None
        view = self.session.deselected()
        if view is not None:
            view.wake = None
            self._parts.hub.leave(view)
        self.session.ended()

    def readable(self) -> None:
        """The client reads again: what was held back while it idles can be told."""
        if self._idle is not None:
            self._tell_idler()

    # --- what the house says ------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a command is being carried out."""
        return self._task is not None

    @property
    def waiting(self) -> bool:
        """Whether that command waits for its client to say more."""
        return self._input.waiting

    @property
    def inside(self) -> bool:
        """Whether a command has begun and its end is not here, or waits for its turn."""
        return self._input.wire.inside

    @property
    def account(self) -> AccountId | None:
        """Whose mail this is, once somebody is signed in."""
        return self.session.principal.account if self.logged_in and self.session.principal is not None else None

    @property
    def logged_in(self) -> bool:
        """Whether somebody is."""
        return self.session.state in (State.AUTHENTICATED, State.SELECTED)

    def bye(self, public: str, code: bytes | None = None) -> None:
        """End the conversation from our side."""
        if not self._closing:
            self.line.write(response.untagged(b"BYE", public, code))
            self._close()

    def drain(self) -> None:
        """The server stops: a command under way is finished, then BYE."""
        self._take_leave("The server is going down", b"UNAVAILABLE")

    def end_access(self) -> None:
        """The account was suspended or deleted, or its password changed: as `drain`, for this one."""
        self._take_leave("Please sign in again", None)

    def _take_leave(self, public: str, code: bytes | None) -> None:
        self._farewell = (public, code)
        if self._task is None:
            self.bye(public, code)

    def _close(self) -> None:
        self._closing = True
        self._input.close()
        self.session.ended()
        self.line.close()

    # --- events -------------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Work off what came, until a command needs time, nothing is left or others had to wait for long enough."""
        count = 0
        while self._task is None and not self._closing:
            if self._farewell is not None:
                self.bye(*self._farewell)
                return
            if self.line.congested:
                self._start(self.line.room())  # nothing more is answered to a client that does not read
                return
            if count >= _BREATH and self._idle is None:
                self._start(asyncio.sleep(0))
                return
            event = self._input.wire.next()
            if event is None:
                return
            self._handle(event)
            count += 1

    def _handle(self, event: wire.Event) -> None:
        if isinstance(event, wire.Text):
            if self._idle is not None:
                self._end_idle(event.data)
            elif event.data:
                self._command(event.data)
        elif isinstance(event, wire.Literal):
            self._literal(event)
        elif isinstance(event, wire.Overlong):
            self._answer_bad(event.head, Bad(TOO_LONG))
        elif isinstance(event, wire.Lost):
            self.bye("The command cannot be read", b"TOOBIG")

    def _command(self, data: bytes) -> None:
        try:
            tagged = commands.parse(data, utf8_names=self.session.utf8)
            rule = RULES[tagged.name]
            if self.session.state not in rule.states:
                raise Bad("The command is not allowed now")
        except ImapError as error:
            self._answer_bad(data, error)
            return
        self._bad = 0
        call = self._call(tagged.tag)
        if rule.slow is not None:
            self._start(self._slow(call, tagged.name, rule.slow(call, tagged.command)))
            return
        assert rule.quick is not None
        try:
            done: Done | ImapError = rule.quick(call, tagged.command)
        except ImapError as error:
            done = error
        self._finish(call, rule, tagged.name, done)

    def _call(self, tag: bytes) -> Call:
        return Call(self.line, self._parts, self.session, tag, self._input.ask, self.id)

    def _answer_bad(self, data: bytes, error: ImapError) -> None:
        """A command that could not be understood; too many in a row, and it was no mail client that called."""
        tag, _ = commands.head(data)
        self.line.write(_refusal(tag, error))
        self._bad += isinstance(error, Bad)
        if self._bad > self.session.rules.bad_commands and not self.logged_in:
            self.bye("Too many commands that cannot be understood")

    # --- literals -----------------------------------------------------------------------------------------------------

    def _literal(self, event: wire.Literal) -> None:
        """A literal comes: the message of an APPEND is streamed, any other is part of its command."""
        if self._idle is not None:
            self.bye("Expected DONE")
            return
        tag, name = commands.head(event.head)
        try:
            if name == b"APPEND" and self.session.state in RULES[name].states:
                command = commands.append_head(event.head, utf8_names=self.session.utf8)
                if command is not None:
                    self._append(self._call(tag), command, event)
                    return
        except ImapError as error:
            self._decline(event, error)
            return
        if not self._input.wire.admits(event):
            self._decline(event, Bad("The literal is too large", b"TOOBIG"))
            return
        if event.sync:
            self.line.write(response.CONTINUE)
        self._input.wire.collect()

    def _append(self, call: Call, command: Append, event: wire.Literal) -> None:
        self._start(self._slow(call, b"APPEND", append.append(call, command, event, self._input)))

    def _decline(self, event: wire.Literal, error: ImapError) -> None:
        """A literal that is not taken, nor the command it belongs to."""
        if event.sync:
            self._input.wire.refuse()
            self._answer_bad(event.head, error)
        else:
            self._start(self._declined(event, error))

    async def _declined(self, event: wire.Literal, error: ImapError) -> None:
        tag, _ = commands.head(event.head)
        try:
            await self._input.decline(event, error)
        except Bye:
            self.line.write(_refusal(tag, error))
            raise
        self._answer_bad(event.head, error)

    # --- carrying out ---------------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with a command in a task of its own; the next one waits for it."""
        self._task = asyncio.get_running_loop().create_task(self._run(work))

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Gone:
            return
        except Bye as error:
            self._log_private(error)
            self.bye(error.public, error.code)
        except Exception as error:
            self._parts.log.failure(error, id=self.id)
            self.bye("An internal error happened", b"SERVERBUG")
        finally:
            self._task = None
        self._input.release()
        self._pump()

    async def _slow(self, call: Call, name: bytes, work: Awaitable[Done]) -> None:
        try:
            outcome = await self._outcome(name, work)
        except Bye as error:
            if error.first is not None:
                self.line.write(_refusal(call.tag, error.first))
            raise
        await self._settle(call, RULES[name])
        self._complete(call, name, outcome)

    async def _outcome(self, name: bytes, work: Awaitable[Done]) -> Done | ImapError:
        """How a command ended; what nobody expected is logged, and told by a fixed text."""
        try:
            return await work
        except (Gone, Bye):
            raise
        except (ImapError, StoreError) as error:
            return _known(error)
        except Exception as error:
            self._parts.log.failure(error, id=self.id, command=name)
            return serverbug()

    async def _settle(self, call: Call, rule: Rule) -> None:
        """Tell what happened meanwhile, piece by piece."""
        self._parts.hub.catch_up()
        view = self.session.view
        if view is None:
            return
        if view.lost:
            try:
                await select.resync(call, self.session)
            except StoreError as error:
                self._parts.log.failure(error, id=self.id)
        for piece in view.flush(rule.renumbers, self.session.shape):
            call.send(piece)
            await call.flow()

    def _finish(self, call: Call, rule: Rule, name: bytes, outcome: Done | ImapError) -> None:
        """A quick command: the same at once, unless the mailbox has to be read again."""
        view = self.session.view
        if view is not None and view.lost:
            self._start(self._finish_later(call, rule, name, outcome))
            return
        if view is not None and view.pending:
            for piece in view.flush(rule.renumbers, self.session.shape):
                call.send(piece)
        self._complete(call, name, outcome)

    async def _finish_later(self, call: Call, rule: Rule, name: bytes, outcome: Done | ImapError) -> None:
        await self._settle(call, rule)
        self._complete(call, name, outcome)

    def _complete(self, call: Call, name: bytes, outcome: Done | ImapError) -> None:
        """The tagged response, and what happens to the connection behind it."""
        if isinstance(outcome, ImapError):
            self._log_private(outcome)
            call.send(_refusal(call.tag, outcome))
            call.flush()
            self._count_failure(name, outcome)
            return
        if outcome.after is After.IDLE:
            self._begin_idle(call)
            return
        text = outcome.text or f"{name.decode('ascii')} completed"
        call.send(response.tagged(call.tag, b"OK", text, outcome.code))
        call.flush()
        if name in (b"LOGIN", b"AUTHENTICATE"):
            self._input.wire.limits = wire.AFTER_LOGIN
            self._input.bearable = self.session.rules.message_size
        if outcome.after is After.CLOSE:
            self._close()
        elif outcome.after is After.TLS:
            self._start_tls()

    def _start_tls(self) -> None:
        self._input.wire.drop()
        self.session.secured()
        self._bad = 0
        self.line.start_tls()

    def _count_failure(self, name: bytes, error: ImapError) -> None:
        if name in (b"LOGIN", b"AUTHENTICATE") and isinstance(error, No):
            self._failed += 1
            if self._failed >= self.session.rules.failed_logins:
                self.bye("Too many failed logins")

    def _log_private(self, error: ImapError) -> None:
        if error.private:
            self._parts.log.debug("failure", id=self.id, why=error.private)

    # --- IDLE -----------------------------------------------------------------------------------------------------------

    def _begin_idle(self, call: Call) -> None:
        call.flush()
        self._idle = call
        view = self.session.view
        if view is not None:
            view.wake = self._tell_idler

    def _tell_idler(self) -> None:
        """The hub noted something, or the client reads again."""
        view, call = self.session.view, self._idle
        if view is None or call is None or self._task is not None or self.line.congested:
            return
        if view.lost:
            self._start(self._resync_idler(call))
            return
        if view.pending:
            pieces = list(view.flush(True, self.session.shape))
            if pieces:
                self.line.write(b"".join(pieces))

    async def _resync_idler(self, call: Call) -> None:
        await self._settle(call, RULES[b"IDLE"])
        call.flush()

    def _end_idle(self, data: bytes) -> None:
        call, self._idle = self._idle, None
        view = self.session.view
        if view is not None:
            view.wake = None
        assert call is not None
        outcome = Done("Idle terminated") if data.strip().upper() == b"DONE" else Bad("Expected DONE")
        self._finish(call, RULES[b"IDLE"], b"IDLE", outcome)


def _known(error: ImapError | StoreError) -> ImapError:
    return from_store(error) if isinstance(error, StoreError) else error


def _refusal(tag: bytes, error: ImapError) -> bytes:
    """BAD or NO; without a tag it is untagged BAD (RFC 9051 §7.1.3)."""
    condition = b"NO" if isinstance(error, No) and tag != b"*" else b"BAD"
    return response.tagged(tag, condition, error.public, error.code)
