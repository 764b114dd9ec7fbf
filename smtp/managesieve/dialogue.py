"""One conversation: lines of the wire become commands, commands become answers, in the order in which they came.

Promises: whatever goes wrong, the client gets a fixed text and the log the rest; a password is not looked at without TLS
(attack T4); STARTTLS forgets what was sent behind it (attack T1); who may no longer sign in is sent away. What waits behind
a command under way is bounded. May not: know Twisted. A Transport below carries octets; tests give their own.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from appliance import sasl
from appliance.auth import LoginRefused
from appliance.log import new_id
from data.directory.facts import Status
from data.errors import NotFound
from smtp.managesieve import response, wire
from smtp.managesieve.commands import RULES, TOO_BIG, Call, No, SieveParts, fits, known_failure, refused
from smtp.managesieve.session import Rules, Session

WAITING_MOST = 512 * 1024
"""Octets that a client may send ahead while a command is under way."""
_PLAINTEXT = "A password is taken under TLS alone: use STARTTLS first"


class Transport(Protocol):
    """What lies below."""

    peer: str

    def write(self, data: bytes) -> None:
        """Send octets; never blocks."""
        ...

    async def room(self) -> None:
        """Return when the client has read enough, or is gone."""
        ...

    def start_tls(self) -> None:
        """Begin TLS behind what was written."""
        ...

    def close(self) -> None:
        """Close once everything written was sent."""
        ...


class Dialogue:
    """The server's side of one connection."""

    def __init__(self, line: Transport, parts: SieveParts, rules: Rules) -> None:
        self.line = line
        self.id = new_id()
        self.session = Session(rules)
        self._parts = parts
        self._wire = wire.Wire()
        self._task: asyncio.Task[None] | None = None
        self._asked: asyncio.Future[wire.Line] | None = None
        self._closing = False
        self._farewell: tuple[str, bytes | None] | None = None
        self._bad = 0
        self._failed = 0

    # --- what the transport and the house say ---------------------------------------------------------------------------

    def open(self) -> None:
        """The connection is there (RFC 5804 §1.1)."""
        self._greet("Mailstead ready")

    def _greet(self, text: str) -> None:
        self.line.write(self.session.capabilities() + response.ok(text))

    def received(self, data: bytes) -> None:
        """Octets of the client."""
        if self._closing:
            return
        self._wire.feed(data)
        if self._wire.waiting > WAITING_MOST:
            self.bye("Too much was sent ahead")
        elif self._asked is not None:
            self._answered()
        elif self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    def lost(self) -> None:
        """The connection is gone."""
        self._closing = True
        if self._asked is not None:
            self._asked.cancel()

    @property
    def busy(self) -> bool:
        """Whether a command is being carried out."""
        return self._task is not None

    @property
    def logged_in(self) -> bool:
        """Whether somebody is."""
        return self.session.principal is not None

    def bye(self, public: str, code: bytes | None = None) -> None:
        """End the conversation from our side."""
        if not self._closing:
            self.line.write(response.bye(public, code))
            self._close()

    def drain(self) -> None:
        """The server stops: a command under way is finished, then BYE."""
        self._farewell = ("The server is going down", b"TRYLATER")
        if self._task is None or self._asked is not None:
            self.bye(*self._farewell)

    def _close(self) -> None:
        self._closing = True
        if self._asked is not None:
            self._asked.cancel()
        self.line.close()

    # --- commands -------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Work off what came."""
        try:
            while not self._closing:
                if self._farewell is not None:
                    self.bye(*self._farewell)
                    return
                event = self._wire.next()
                if event is None:
                    return
                await self._event(event)
                await self.line.room()
        except asyncio.CancelledError:
            return
        except Exception as error:
            self._parts.log.failure(error, id=self.id)
            self.bye("An internal error happened")
        finally:
            self._task = None

    async def _event(self, event: wire.Event) -> None:
        if isinstance(event, wire.Lost):
            self.bye(event.public)
        elif isinstance(event, wire.Malformed):
            self._bad_line(refused(TOO_BIG) if event.too_big and self.logged_in else response.no(event.public))
        elif event.words:
            await self._command(event.words)

    def _bad_line(self, answer: bytes) -> None:
        """What could not be understood; too many in a row, and it was no program that speaks this."""
        self.line.write(answer)
        self._bad += 1
        if self._bad > self.session.rules.bad_commands:
            self.bye("Too many commands that cannot be understood")

    async def _command(self, words: tuple[wire.Atom | int | bytes, ...]) -> None:
        head, *rest = words
        name = head.text if isinstance(head, wire.Atom) else ""
        rule = RULES.get(name)
        arguments = tuple(word for word in rest if not isinstance(word, wire.Atom))
        if rule is None or len(arguments) != len(rest) or not fits(rule, arguments):
            self._bad_line(response.no("There is no such command" if rule is None else "The arguments do not fit"))
            return
        self._bad = 0
        if rule.signed_in and not self._still_in():
            return
        if rule.run is not None:
            await self._run(Call(self._parts, self.session, arguments), name)
        elif name == "LOGOUT":
            self.line.write(response.ok("Goodbye"))
            self._close()
        elif name == "STARTTLS":
            self._starttls()
        else:
            await self._authenticate(arguments)

    def _still_in(self) -> bool:
        """Whether somebody is signed in who still may be; says why not."""
        principal = self.session.principal
        if principal is None:
            self.line.write(response.no("Sign in first"))
            return False
        try:
            active = self._parts.directory.account_by_id(principal.account).status is Status.ACTIVE
        except NotFound:
            active = False
        if not active:
            self.bye("Please sign in again")
        return active

    async def _run(self, call: Call, name: str) -> None:
        rule = RULES[name]
        assert rule.run is not None
        try:
            answer = await rule.run(call)
        except Exception as error:
            known = known_failure(error)
            if known is None:
                self._parts.log.failure(error, id=self.id, command=name)
            answer = response.no("An internal error happened", b"TRYLATER") if known is None else refused(known)
        self.line.write(answer)

    # --- signing in -----------------------------------------------------------------------------------------------------

    def _starttls(self) -> None:
        if not self.session.may_starttls:
            self.line.write(response.no("TLS is up already"))
            return
        self.line.write(response.ok("Begin TLS now"))
        self._wire.drop()
        self.session.secure = True
        self.line.start_tls()
        # RFC 5804 §2.2: the capabilities are told again under TLS
        self._greet("TLS is up")

    async def _authenticate(self, arguments: tuple[int | bytes, ...]) -> None:
        try:
            await self._enter(*arguments)
        except No as error:
            self.line.write(refused(error))
            self._failed += error.code != b"ENCRYPT-NEEDED"
            if self._failed >= self.session.rules.failed_logins:
                self.bye("Too many failed sign-ins")

    async def _enter(self, name: int | bytes, initial: int | bytes | None = None) -> None:
        assert isinstance(name, bytes)
        if self.session.principal is not None:
            raise No("You are signed in already")
        if not self.session.may_login:
            raise No(_PLAINTEXT, b"ENCRYPT-NEEDED")
        mechanism = sasl.begin(name.decode("ascii", "replace")) if name.upper() == b"PLAIN" else None
        if mechanism is None:
            raise No("That mechanism is not supported")
        try:
            said = mechanism.step(initial if isinstance(initial, bytes) else None)
            while isinstance(said, sasl.Challenge):
                said = mechanism.step(await self._ask(said.text))
        except sasl.SaslError as error:
            raise No(error.public) from None
        await self._login(said)

    async def _login(self, said: sasl.Credentials) -> None:
        session = self.session
        try:
            session.principal = await self._parts.gate.login(
                said.authcid,
                said.password,
                protocol="managesieve",
                peer=self.line.peer,
                tls=session.secure,
                authzid=said.authzid,
                id=self.id,
            )
        except LoginRefused as error:
            raise No(error.public, b"TRYLATER" if error.temporary else None) from None
        self._wire.limits = wire.AFTER_LOGIN
        self.line.write(response.ok("Signed in"))

    async def _ask(self, challenge: bytes) -> bytes:
        """Send a challenge; the client's next line is one string."""
        self.line.write(response.string(challenge) + b"\r\n")
        self._asked = asyncio.get_running_loop().create_future()
        self._answered()
        try:
            line = await self._asked
        finally:
            self._asked = None
        if len(line.words) != 1 or not isinstance(line.words[0], bytes):
            raise No("A string was expected")
        return line.words[0]

    def _answered(self) -> None:
        """Whether the answer is here."""
        assert self._asked is not None
        if self._asked.done():
            return
        event = self._wire.next()
        if isinstance(event, wire.Line):
            self._asked.set_result(event)
        elif isinstance(event, wire.Malformed):
            self._asked.set_exception(No(event.public))
        elif isinstance(event, wire.Lost):
            self.bye(event.public)
