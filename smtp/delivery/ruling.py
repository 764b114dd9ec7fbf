"""What the rules of each recipient want done with a letter: looked at before the transaction, applied in it.

Order: blocked senders, then the active script, then the answer while away. Promises: an account without rules costs
nothing; whatever goes wrong in a script keeps the message, with the cause in the story. A message goes on to nobody who
had it before, and to nobody who does not exist: then it is kept (RFC 5228 §4.2). Suspended accounts send nothing.
Blocks: run it in a worker. May not: write.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from data.clock import Clock
from data.directory.directory import Directory
from data.directory.facts import Account, Resolution, Status, Target, Where
from data.disk.db import Reader
from data.errors import NotFound
from data.ids import AccountId
from data.mime.address import Address, AddressError, normal
from data.reason import Reason
from data.rules import marks
from data.rules.generate import ATTACHMENT
from data.rules.marks import ANSWERED, ANSWERS_A_DAY, SEEN, digest_of
from data.rules.scripts import Programs, Scripts
from data.rules.sieve.actions import Action, Actions, Keep, Mark, Redirect, Reject, Vacation
from data.rules.sieve.check import Script
from data.rules.sieve.message import Envelope, Message
from data.rules.sieve.run import run
from data.store.intake import Prepared
from data.store.store import Store
from smtp.delivery.answering import answer, from_address, refusal
from smtp.delivery.trace import return_path

Sent = tuple[str, Target]
"""A recipient as it was written, and an account it leads to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is ready: to whom, its octets in the store's keeping, and how the sender is remembered."""

    to: str
    prepared: Prepared
    digest: bytes
    seconds: int
    label: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to be done for one account. `notes` are further reasons for the story of the message."""

    actions: tuple[Action, ...]
    seen: tuple[Mark, ...] = ()
    answer: Answer | None = None
    notes: tuple[Reason, ...] = ()

    @property
    def rejection(self) -> Reject | None:
        """The refusal, if there is one."""
        return next((one for one in self.actions if isinstance(one, Reject)), None)


@dataclass(frozen=True, slots=True)
class Matter:
    """The letter as rules look at it. `trace` is our Received field, `seen` who had the message before."""

    sender: str
    prepared: Prepared
    trace: bytes
    seen: frozenset[str]


class Rules:
    """Looks at letters; one for the process."""

    def __init__(self, scripts: Scripts, store: Store, directory: Directory, clock: Clock) -> None:
        self.scripts = scripts
        self._store = store
        self._directory = directory
        self._clock = clock

    def quiet(self, targets: Iterable[Target]) -> bool:
        """Whether nobody among them has rules, for all that is known in memory. Never blocks."""
        return self.scripts.quiet(target.account_id for target in targets)

    def reject(self, targets: Iterable[Target]) -> bool:
        """Whether a script of one of them may refuse a message. Blocks."""
        return any(self.scripts.programs(target.account_id).rejects for target in targets)

    def rule(self, matter: Matter, sent: Sequence[Sent]) -> dict[AccountId, Ruling]:
        """The rulings for those who have rules. Blocks."""
        found: dict[AccountId, Ruling] = {}
        for recipient, target in sent:
            if target.account_id in found or target.address in matter.seen:
                continue
            account = self._account(target.account_id)
            programs = self.scripts.programs(target.account_id)
            if account is not None and account.status is Status.ACTIVE and programs != _NOTHING:
                found[target.account_id] = self._one(matter, recipient, account, programs)
        return found

    def _account(self, ident: AccountId) -> Account | None:
        try:
            return self._directory.account_by_id(ident)
        except NotFound:
            return None

    def _one(self, matter: Matter, recipient: str, account: Account, programs: Programs) -> Ruling:
        message = self._message(matter, recipient)
        with self._store.db.read() as reader:
            world = _House(reader, self._store, account.id, self._clock)
            done = _programmed(programs, message, world)
            ruling = self._without_circles(matter, account, done)
            wanted = next((one for one in ruling.actions if isinstance(one, Vacation)), None)
            if wanted is None:
                return ruling
            others = (*wanted.addresses, *((wanted.sender,) if wanted.sender else ()))
            why = refusal(message, others, self._owned(account)) or self._answered(reader, account, message, wanted)
        if why is not None:
            return replace(ruling, notes=(*ruling.notes, Reason(f"rules.unanswered.{why}")))
        return replace(ruling, answer=self._answer(wanted, message, account))

    def _message(self, matter: Matter, recipient: str) -> Message:
        prepared = matter.prepared
        return Message(
            header=return_path(matter.sender) + matter.trace + prepared.header,
            root=prepared.scan.root,
            read=prepared.read,
            size=prepared.size,
            envelope=Envelope(matter.sender, recipient),
            now=self._clock.now(),
            offset_at=_offsets(self._directory.organisation().timezone),
            environment={
                "location": "MDA",
                "phase": "during",
                "name": "Mailstead",
                "domain": recipient.rpartition("@")[2],
                ATTACHMENT: "yes" if prepared.facts.has_attachment else "no",
            },
        )

    # --- forwarding ---------------------------------------------------------------------------------------------------

    def _without_circles(self, matter: Matter, account: Account, done: Actions) -> Ruling:
        """The actions with a Keep in place of each Redirect that would lead back or nowhere."""
        actions: list[Action] = []
        notes = [Reason(done.failure)] if done.failure is not None else []
        for one in done.actions:
            why = self._circle(matter, account, one.address) if isinstance(one, Redirect) else None
            if why is None:
                actions.append(one)
                continue
            if why != "rules.self":
                notes.append(Reason(why))
            if not any(isinstance(other, Keep) for other in (*done.actions, *actions)):
                actions.append(Keep(implicit=True))
        return Ruling(tuple(actions), done.marks, None, tuple(notes))

    def _circle(self, matter: Matter, account: Account, address: str) -> str | None:
        """Why the message does not go on to that address."""
        resolution = self._directory.resolve(normal(address))
        if resolution.status is Where.REMOTE:
            return "rules.loop" if address.lower() in matter.seen else None
        if resolution.status is not Where.DELIVER:
            return "rules.nobody"
        if _leads_to(resolution, account.address):
            return "rules.self"
        had = [target.address in matter.seen for target in resolution.deliveries]
        return "rules.loop" if had and all(had) and not resolution.forwards else None

    # --- answering ----------------------------------------------------------------------------------------------------

    def _owned(self, account: Account) -> Callable[[str], bool]:
        """Whether mail for an address comes to this account alone."""

        def is_own(address: str) -> bool:
            try:
                return _leads_to(self._directory.resolve(normal(address)), account.address)
            except AddressError:
                return False

        return is_own

    def _answered(self, reader: Reader, account: Account, message: Message, vacation: Vacation) -> str | None:
        now = self._clock.now()
        if marks.holds(reader, account.id, ANSWERED, _remembered(message, vacation), now):
            return "again"
        return "many" if marks.answers(reader, account.id, now) >= ANSWERS_A_DAY else None

    def _answer(self, vacation: Vacation, message: Message, account: Account) -> Answer | None:
        sender = from_address(vacation.sender)
        if sender is None or not self._directory.may_use(account.id, sender.spec):
            sender = Address(account.name or None, account.local, account.domain)
        ident = f"{secrets.token_hex(16)}@{account.domain}"
        try:
            octets = answer(vacation, message, sender, ident, self._clock.now())
        except AddressError:
            return None
        prepared = self._store.messages.prepare(octets)
        digest = _remembered(message, vacation)
        return Answer(message.envelope.sender, prepared, digest, vacation.seconds, vacation.label)


_NOTHING = Programs()


def _programmed(programs: Programs, message: Message, world: _House) -> Actions:
    """The scripts one after the other: a blocked sender is done with, and what is thrown away is not answered."""
    if programs.blocked is not None:
        done = run(programs.blocked, message, world)
        if not all(isinstance(one, Keep) for one in done.actions):
            return done
    done = run(programs.active, message, world) if programs.active is not None else Actions((Keep(implicit=True),))
    return done if programs.away is None else _with_away(done, programs.away, message, world)


def _with_away(done: Actions, script: Script, message: Message, world: _House) -> Actions:
    stays = any(not isinstance(one, Vacation) and one.__class__.__name__ in _STAYING for one in done.actions)
    if not stays or any(isinstance(one, Vacation) for one in done.actions):
        return done
    said = [one for one in run(script, message, world).actions if isinstance(one, Vacation)]
    return replace(done, actions=(*done.actions, *said))


_STAYING = frozenset({"Keep", "FileInto", "Redirect"})


def _leads_to(resolution: Resolution, address: str) -> bool:
    """Whether mail goes to that account, and to nobody else."""
    return not resolution.forwards and [one.address for one in resolution.deliveries] == [address]


def _remembered(message: Message, vacation: Vacation) -> bytes:
    try:
        sender = normal(message.envelope.sender).key_address
    except AddressError:
        sender = message.envelope.sender.lower()
    return digest_of(sender, vacation.handle)


def _offsets(zone: str) -> Callable[[int], int]:
    """Minutes east of UTC in a time zone, at an instant."""
    try:
        known = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return lambda millis: 0

    def offset(millis: int) -> int:
        try:
            there = datetime.fromtimestamp(millis / 1000, UTC).astimezone(known).utcoffset()
        except (OverflowError, ValueError, OSError):
            return 0
        return int(there.total_seconds()) // 60 if there is not None else 0

    return offset


@dataclass(frozen=True, slots=True)
class _House:
    """The account's mailboxes and what was seen before, as a script asks for them."""

    reader: Reader
    store: Store
    account: AccountId
    clock: Clock

    def mailbox_exists(self, name: str) -> bool:
        try:
            self.store.mailboxes.get_in(self.reader, self.account, name)
        except NotFound:
            return False
        return True

    def special_use_exists(self, use: str, mailbox: str | None) -> bool:
        found = self.store.mailboxes.find_special_in(self.reader, self.account, _special(use))
        if found is None or mailbox is None:
            return found is not None
        try:
            return self.store.mailboxes.get_in(self.reader, self.account, mailbox).id == found
        except NotFound:
            return False

    def seen(self, key: str) -> bool:
        return marks.holds(self.reader, self.account, SEEN, digest_of(key), self.clock.now())


def _special(use: str) -> str:
    """A special use as rows spell it (RFC 6154: case does not count)."""
    return use[:1] + use[1:].capitalize()
