"""APPEND: a literal on its way into a mailbox (RFC 9051 §6.3.12; RFC 4315 §3 APPENDUID; RFC 7889 TOOBIG).

Promises: what can be refused is refused before the client is asked for the octets; a small message stays in memory, a
larger one goes to the store piece by piece; nothing is left behind when the client goes away. The message is stored as
it is, only NUL is refused (RFC 9051 §4.3).
"""

from __future__ import annotations

from appliance.maillog import Event
from data.errors import StoreError
from data.ids import MailboxId
from data.store.intake import Intake, Prepared
from data.store.messages import Appended
from imap.actions.call import Call, Done
from imap.actions.input import Input
from imap.command import Append
from imap.errors import Bad, ImapError, No, from_store, serverbug
from imap.wire import Literal, Octets

SMALL = 65_536
"""Octets up to which a message is kept in memory and stored in one go."""
PIECE = 262_144


async def append(call: Call, command: Append, literal: Literal, reading: Input) -> Done:
    """APPEND, from where its message comes next."""
    upload = Upload(call, command, literal.size)
    try:
        _check_size(call, literal.size)
        await upload.begin()
    except Exception as error:
        await reading.decline(literal, _told(error))
        raise
    reading.admit(literal)
    try:
        await _receive(upload, reading)
        return await upload.finish()
    finally:
        await upload.discard()


def _told(error: Exception) -> ImapError:
    if isinstance(error, ImapError):
        return error
    return from_store(error) if isinstance(error, StoreError) else serverbug()


async def _receive(upload: Upload, reading: Input) -> None:
    """The octets of a message as they come, to the end of the command; after a failure they are thrown away."""
    failure: Exception | None = None
    while True:
        event = await reading.event()
        if not isinstance(event, Octets):
            continue
        if failure is None:
            try:
                await upload.feed(event.data)
            except Exception as error:
                failure = error
        if event.last:
            break
    rest = await reading.rest()
    if failure is not None:
        raise failure
    if rest:
        raise Bad("Expected the end of the command behind the message")


def _check_size(call: Call, size: int) -> None:
    """Whether so large a message is taken; raises No, before the client was asked for it (attack I4)."""
    if size > call.session.rules.message_size:
        raise No("The message is too large", b"TOOBIG")
    if call.parts.space is not None and not call.parts.space.takes(size):
        raise No("The server has no disk space left", b"OVERQUOTA")
    if size == 0:
        raise No("An empty message cannot be stored", b"CANNOT")


class Upload:
    """One message that is coming in."""

    __slots__ = ("_call", "_command", "_held", "_intake", "_mailbox", "_nul", "_parts", "_size")

    def __init__(self, call: Call, command: Append, size: int) -> None:
        self._call = call
        self._command = command
        self._size = size
        self._mailbox: MailboxId | None = None
        self._intake: Intake | None = None
        self._parts: list[bytes] = []
        self._held = 0
        self._nul = False

    async def begin(self) -> None:
        """Before the octets: a large message is worth the question whether its mailbox is there."""
        if self._size > SMALL:
            self._mailbox = await self._call.parts.workers.blocking(self._target)

    def _target(self) -> MailboxId:
        """Off the loop: the mailbox; a missing one may be made by the client (TRYCREATE)."""
        who = self._call.principal
        try:
            return self._call.parts.store.mailboxes.get(who, who.account, self._command.mailbox).id
        except StoreError as error:
            raise from_store(error, target=True) from None

    async def feed(self, data: bytes) -> None:
        """Some octets."""
        self._nul = self._nul or b"\0" in data
        self._parts.append(data)
        self._held += len(data)
        if self._size > SMALL and self._held >= PIECE:
            await self._call.parts.workers.blocking(self._spill)

    def _spill(self) -> None:
        """Off the loop: what is held goes to the store."""
        if self._intake is None:
            self._intake = self._call.parts.store.messages.intake()
        if not self._nul:
            self._intake.feed(b"".join(self._parts))
        self._parts.clear()
        self._held = 0

    async def finish(self) -> Done:
        """All octets are there: store the message and say where it is."""
        if self._nul:
            raise No("A message with NUL octets cannot be stored", b"CANNOT")
        call = self._call
        made = await call.parts.workers.blocking(self._store)
        told = {"account": call.principal.address, "mailbox": made.mailbox, "uid": made.uid, "size": self._size}
        call.parts.maillog.event(Event.APPENDED, id=call.id, **told)
        return Done("Appended", b"APPENDUID %d %d" % (made.uidvalidity, made.uid))

    def _store(self) -> Appended:
        """Off the loop: prepare, and append in one transaction."""
        messages, who, command = self._call.parts.store.messages, self._call.principal, self._command
        target = self._mailbox if self._mailbox is not None else self._target()
        prepared = self._prepare()
        try:
            return messages.append(
                who,
                target,
                prepared,
                flags=command.flags,
                keywords=command.keywords,
                internal_date=command.date,
            )
        except StoreError as error:
            raise from_store(error, target=True) from None

    def _prepare(self) -> Prepared:
        messages = self._call.parts.store.messages
        if self._intake is None:
            return messages.prepare(b"".join(self._parts))
        self._spill()
        intake, self._intake = self._intake, None
        try:
            return intake.finish()
        except BaseException:
            intake.discard()
            raise

    async def discard(self) -> None:
        """Forget what came."""
        self._parts.clear()
        if self._intake is not None:
            intake, self._intake = self._intake, None
            await self._call.parts.workers.blocking(intake.discard)


async def without_message(call: Call, command: Append) -> Done:
    """An APPEND that came without a literal; the grammar refuses it before it is carried out."""
    raise Bad("Expected the message as a literal")
