"""The verbs of SMTP in their order (RFC 5321 §4.1.4), over the wire, for a role.

Promises: one answer for each command, in order; commands that came as a group are answered as a group (RFC 2920). A
refused DATA never lets message text be read as commands. A session ends after so many errors, unknown recipients, failed
sign-ins or commands without mail. May not: decide about mail; a role does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Protocol

from appliance.log import new_id
from appliance.loop import Workers
from data.disk.crashpoints import hit
from data.errors import StoreError
from data.store.messages import Messages
from smtp import reply
from smtp.listener.reading import chunk, read_chunk, read_data, read_last, skip
from smtp.listener.reception import Reception, refusal_of
from smtp.listener.role import Role
from smtp.listener.wire import Desk, Gone, Wire
from smtp.policy import stages
from smtp.reply import Refused, Reply
from smtp.transaction.data import ChunkDecoder
from smtp.transaction.facts import Envelope, Peer, Session
from smtp.transaction.parameters import mail_parameters, rcpt_parameters

Ask = Callable[[bytes], Awaitable[bytes]]
"""Sends a SASL challenge, returns the response; both in base64."""
_TALK = frozenset({"NOOP", "RSET", "HELP", "VRFY", "EXPN", "HELO", "EHLO"})
_HTTP = frozenset({"GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT"})
_BREATH = 64
"""Commands after which a long pipeline lets others have the loop."""
_CRASHING = "MAILSTEAD_CRASHPOINT" in os.environ


class Office(Desk, Protocol):
    """What the conversation asks of its listener, besides what the wire asks."""

    role: Role
    workers: Workers
    messages: Messages

    def capabilities(self, session: Session) -> bytes:
        """The answer to EHLO, whole."""
        ...

    def offers_sign_in(self, session: Session) -> bool:
        """Is AUTH possible in this session as it stands?"""
        ...

    async def sign_in(self, session: Session, mechanism: str, initial: bytes | None, ask: Ask) -> None:
        """Run a SASL exchange; the session has a principal afterwards, or Refused is raised."""
        ...

    def may_guess(self, peer: Peer) -> bool:
        """One more unknown recipient from that network; False when it has used them up."""
        ...

    def refused(self, session: Session, verb: str, said: str, no: Refused) -> None:
        """A client was told no to a verb with that argument."""
        ...


class Conversation(Wire):
    """One client, one role."""

    def __init__(self, office: Office, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(office, loop)
        self._office = office
        self.talk: Session  # set when the conversation begins, and anew after STARTTLS
        self._mail: Envelope | None = None
        self._chunks: tuple[Reception, ChunkDecoder] | None = None
        self._errors = 0
        self._chatter = 0
        self._sign_ins = 0
        self._distrust = False

    # --- the loop ---------------------------------------------------------------------------------------------------

    async def converse(self) -> None:
        """Commands until the client leaves, is silent for too long or is sent away."""
        assert self.peer is not None
        self.talk = Session(new_id(), self.peer, tls=self.tls_facts)
        count = 0
        while not self.closing:
            if self.finishing:
                self._answer(reply.SHUTTING_DOWN)
                return
            try:
                await self._obey(await self.line())
            except Refused as no:
                self._refuse("", "", no)
            count += 1
            if count % _BREATH == 0:
                await self.flush()
                await asyncio.sleep(0)

    async def over(self) -> None:
        """Forget what was in hand."""
        await self._forget()

    async def _obey(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        name = verb.decode("ascii", "replace").upper()
        said = rest.decode("utf-8", "replace").strip(" ")
        if self.talk.unheard:
            self._office.role.heard(self.talk)
            self.talk.unheard = ()
        method = _VERBS.get(name)
        try:
            if method is None:
                raise self._unknown(name)
            if name in _TALK:
                self._count_talk()
            if "\ufffd" in said:
                raise Refused(reply.NOT_UTF8, "line.utf8")
            await method(self, said)
            self._distrust = False
        except Refused as no:
            self._refuse(name, said, no)
        except StoreError as error:
            self._office.failed(self, error)
            self._refuse(name, said, refusal_of(error))
        except (Gone, ConnectionError):
            raise
        except Exception as error:
            await self.push(await self.handle_exception(error))

    def _unknown(self, name: str) -> Refused:
        """Text after a refused DATA may be the message itself: it is not given a second line to be obeyed."""
        if name in _HTTP:
            return Refused(reply.NOT_HTTP, "command.http")
        return Refused(reply.EARLY_DATA if self._distrust else reply.UNKNOWN_COMMAND, "command.unknown")

    def _answer(self, answer: Reply) -> None:
        self.say(answer.wire)
        if answer.closes:
            self.closing = True
            self.hasty = answer not in (reply.BYE, reply.SHUTTING_DOWN)

    def _refuse(self, verb: str, said: str, no: Refused) -> None:
        self._answer(no.reply)
        self._office.refused(self.talk, verb, said, no)
        self._errors += 1
        if self.limits.errors and self._errors >= self.limits.errors and not self.closing:
            self._answer(reply.TOO_MANY_ERRORS)

    def _count_talk(self) -> None:
        self._chatter += 1
        if self.limits.talk and self._chatter > self.limits.talk:
            raise Refused(reply.TOO_MUCH_TALK, "talk")

    async def handle_exception(self, error: Exception) -> str:
        """An error of ours: told as temporary, written down in the log alone."""
        self._office.failed(self, error)
        return reply.TRY_LATER.wire.decode("ascii").rstrip()

    async def _forget(self) -> None:
        """End the transaction, if there is one (RSET, EHLO, STARTTLS, the end)."""
        self._mail = None
        if self._chunks is not None:
            (reception, _), self._chunks = self._chunks, None
            await reception.drop()

    # --- hello ------------------------------------------------------------------------------------------------------

    async def smtp_HELO(self, arg: str) -> None:
        """RFC 5321 §4.1.1.1."""
        self.talk.helo = stages.hello_name(arg)
        self.talk.extended = False
        await self._forget()
        self._answer(reply.hello(self._office.hostname))

    async def smtp_EHLO(self, arg: str) -> None:
        """RFC 5321 §4.1.1.1; ends a transaction like RSET (§4.1.4)."""
        self.talk.helo = stages.hello_name(arg)
        self.talk.extended = True
        await self._forget()
        self.say(self._office.capabilities(self.talk))

    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207. What was said before is forgotten; what was sent too early ends the connection."""
        if arg:
            raise Refused(reply.NO_ARGUMENT, "starttls.argument")
        if self.tls_facts is not None:
            raise Refused(reply.TLS_ALREADY, "starttls.again")
        context = self._office.tls()
        if context is None:
            raise Refused(reply.TLS_UNAVAILABLE, "starttls.none")
        if self.unread():
            raise Refused(reply.TLS_PIPELINED, "starttls.pipelined")
        await self._forget()
        self._answer(reply.START_TLS)
        try:
            await self.begin_tls(context)
        except (OSError, TimeoutError) as error:
            raise Gone from error
        old = self.talk
        self.talk = Session(old.id, old.peer, tls=self.tls_facts, unknown=old.unknown, transactions=old.transactions)

    async def smtp_AUTH(self, arg: str) -> None:
        """RFC 4954."""
        session = self.talk
        if not self._office.offers_sign_in(session):
            raise Refused(reply.AUTH_NEEDS_TLS if session.tls is None else reply.AUTH_NOT_HERE, "auth.offered")
        if session.principal is not None:
            raise Refused(reply.AUTH_ALREADY, "auth.again")
        if not session.extended:
            raise Refused(reply.EHLO_FIRST, "auth.order")
        if self._mail is not None:
            raise Refused(reply.AUTH_IN_MAIL, "auth.order")
        words = arg.split(" ")
        if not words[0] or len(words) > 2:
            raise Refused(reply.AUTH_SYNTAX, "auth.syntax")
        initial = words[1].encode("utf-8") if len(words) == 2 else None
        await self._sign_in(words[0].upper(), initial)
        self.established = True
        self._answer(reply.SIGNED_IN)

    async def _sign_in(self, mechanism: str, initial: bytes | None) -> None:
        self.busy = True
        try:
            await self._office.sign_in(self.talk, mechanism, initial, self._ask)
        except Refused as no:
            self._sign_ins += no.reply.code == reply.AUTH_FAILED.code
            if self.limits.sign_ins and self._sign_ins >= self.limits.sign_ins:
                raise Refused(reply.AUTH_TOO_OFTEN, no.why) from no
            raise
        finally:
            self.busy = False

    async def _ask(self, challenge: bytes) -> bytes:
        """One more exchange of a SASL dialogue, in base64 both ways."""
        self.say(reply.challenge(challenge))
        return await self.line(self.limits.sasl_line)

    # --- the transaction --------------------------------------------------------------------------------------------

    async def smtp_MAIL(self, arg: str) -> None:
        """RFC 5321 §4.1.1.2."""
        session = self.talk
        if session.helo is None:
            raise Refused(reply.HELLO_FIRST, "mail.order")
        if self._mail is not None:
            raise Refused(reply.NESTED_MAIL, "mail.order")
        path, rest = stages.sender(arg)
        parameters = mail_parameters(rest)
        if rest.strip(" ") and not session.extended:
            raise Refused(reply.MAIL_SYNTAX, "mail.syntax")
        stages.require_tls(parameters, tls=session.tls is not None)
        stages.require_size(parameters.size, self.limits.message)
        self._mail = self._office.role.mail(session, path, parameters)
        self.established = True
        self._answer(reply.SENDER_OK)

    async def smtp_RCPT(self, arg: str) -> None:
        """RFC 5321 §4.1.1.3."""
        if self._mail is None or self._chunks is not None:
            raise Refused(reply.MAIL_FIRST, "rcpt.order")
        path, rest = stages.recipient(arg)
        parameters = rcpt_parameters(rest)
        if rest.strip(" ") and not self.talk.extended:
            raise Refused(reply.RCPT_SYNTAX, "rcpt.syntax")
        if len(self._mail.recipients) >= self.limits.recipients:
            raise Refused(reply.TOO_MANY_RECIPIENTS, "rcpt.many")
        try:
            await self._office.role.rcpt(self.talk, self._mail, path, parameters)
        except Refused as no:
            raise self._penalised(no) from no
        self._answer(reply.RECIPIENT_OK)

    def _penalised(self, no: Refused) -> Refused:
        """Who tries name after name is sent away, and so is the next from the same network (RELIABILITY: A4)."""
        bound = self.limits.unknown
        if no.reply is not reply.USER_UNKNOWN or not bound:
            return no
        self.talk.unknown += 1
        known_guesser = not self._office.may_guess(self.talk.peer)
        return Refused(reply.TOO_MANY_UNKNOWN, no.why) if known_guesser or self.talk.unknown >= bound else no

    async def smtp_DATA(self, arg: str) -> None:
        """RFC 5321 §4.1.1.4, read in large pieces."""
        envelope = self._require_recipients(arg)
        if self._chunks is not None:
            raise self._no_data(reply.MIXED_DATA)
        self._answer(reply.GO_AHEAD)
        await self._work(read_data(self, self._receive(envelope)))

    def _require_recipients(self, arg: str) -> Envelope:
        if arg:
            raise self._no_data(reply.NO_ARGUMENT)
        if self._mail is None:
            raise self._no_data(reply.MAIL_FIRST)
        if not self._mail.recipients:
            raise self._no_data(reply.NO_RECIPIENTS)
        return self._mail

    def _no_data(self, answer: Reply) -> Refused:
        """DATA is refused; if octets came along with it, they are a message: nothing more is read."""
        self._distrust = True
        return Refused(reply.EARLY_DATA if self.unread() else answer, "data.order")

    def _receive(self, envelope: Envelope) -> Reception:
        office = self._office
        return Reception(
            office.role,
            self.talk,
            envelope,
            limits=self.limits,
            workers=office.workers,
            messages=office.messages,
        )

    async def _work(self, reading: Awaitable[Reply]) -> None:
        """Read a message and answer it; a drain waits for this."""
        self.busy = True
        try:
            answer = await reading
        except StoreError as error:
            self._office.failed(self, error)
            raise refusal_of(error) from error
        finally:
            self.busy = False
            await self._forget()
        self._chatter = 0
        hit("C7")
        if self.unread():
            self.talk.unheard = ()  # the next command was sent before the answer: it proves nothing
        self._answer(answer)
        if _CRASHING:
            await self.flush()
            await asyncio.sleep(0.1)
            hit("C8")

    async def smtp_BDAT(self, arg: str) -> None:
        """RFC 3030 §2. The octets of a chunk are always read, whatever the answer."""
        size, last = chunk(arg)
        if size > self.limits.message + self.limits.drain:
            raise Refused(reply.TOO_BIG_CLOSING, "message.size")
        if self._mail is None or not self._mail.recipients:
            await skip(self, size)
            raise Refused(reply.CHUNK_OUT_OF_PLACE if self._mail is None else reply.NO_RECIPIENTS, "bdat.order")
        if self._chunks is None:
            self._chunks = (self._receive(self._mail), ChunkDecoder())
        reception, decoder = self._chunks
        if last:
            self._chunks = None
            await self._work(read_last(self, reception, decoder, size))
            return
        await read_chunk(self, reception, decoder, size)
        if reception.refused is not None:
            raise reception.refused
        self._answer(reply.chunk_taken(size))

    # --- the rest ---------------------------------------------------------------------------------------------------

    async def smtp_RSET(self, arg: str) -> None:
        """RFC 5321 §4.1.1.5."""
        if arg:
            raise Refused(reply.NO_ARGUMENT, "rset.argument")
        await self._forget()
        self._answer(reply.RESET)

    async def smtp_NOOP(self, arg: str) -> None:
        """RFC 5321 §4.1.1.9."""
        self._answer(reply.OK)

    async def smtp_QUIT(self, arg: str) -> None:
        """RFC 5321 §4.1.1.10."""
        if arg:
            raise Refused(reply.NO_ARGUMENT, "quit.argument")
        self._answer(reply.BYE)

    async def smtp_VRFY(self, arg: str) -> None:
        """RFC 5321 §3.5.3: the same answer for everybody."""
        self._answer(reply.CANNOT_VERIFY)

    async def smtp_EXPN(self, arg: str) -> None:
        """RFC 5321 §3.5.3: never."""
        raise Refused(reply.NOT_IMPLEMENTED, "expn")

    async def smtp_HELP(self, arg: str) -> None:
        """RFC 5321 §4.1.1.8."""
        self._answer(reply.HELP)


_VERBS: dict[str, Callable[[Conversation, str], Awaitable[None]]] = {
    name.removeprefix("smtp_"): verb for name, verb in vars(Conversation).items() if name.startswith("smtp_")
}
"""The table of verbs: what a client may say."""
