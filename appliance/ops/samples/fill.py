"""The sample letters on their way into the store.

Promises: all of them, or none, in one transaction with the note that they are there; the note is looked for first, so
that a second call adds nothing. Accounts that hold mail already are left alone. Everything goes through the store's own
doors, so that counters, conversations, quota and index know of it as of mail that came over the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance.ops.samples import cafe, chinese, journal, office, welcome, workshop
from appliance.ops.samples.letter import ADDRESSES, NEW, PEOPLE, STAFF, Letter, Lies
from appliance.ops.samples.papers import appointment
from appliance.ops.state import Ground
from data.clock import DAY, HOUR
from data.directory import installation
from data.directory.facts import Account
from data.disk.db import Tx
from data.errors import NotFound
from data.ids import MailboxId, Millis
from data.mime.compose import Draft, Report, compose, compose_report
from data.mime.mailboxes import Address
from data.store import names
from data.store.keys import Flag
from data.store.quota import usage

FACT: Final = "samples"
_TABLES: Final = (workshop, cafe, office, journal, chinese, welcome)
_SENT, _DRAFTS = "Sent", "Drafts"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy of a letter lies, and with which flags."""

    person: str
    mailbox: str
    flags: Flag


def fill(ground: Ground) -> int:
    """Put the sample mail into the mailboxes of a new trial; returns how many messages there are now that were not."""
    accounts = {person: ground.directory.account(ADDRESSES[person]) for person in STAFF}
    with ground.db.read() as reader:
        if installation.fact(reader, FACT) is not None:
            return 0
        if any(usage(reader, account.id).messages for account in accounts.values()):
            return 0
    now = ground.clock.now()
    letters = written(now)
    copies = [(letter, place) for letter in letters for place in places(letter, answers(letters))]
    mailboxes = {
        (person, name): _mailbox(ground, accounts[person], name)
        for person, name in dict.fromkeys((place.person, place.mailbox) for _, place in copies)
    }
    ready = {key: ground.store.messages.prepare(octets) for key, octets in sources_of(letters, now).items()}

    def op(tx: Tx) -> int:
        for letter, place in copies:
            mailbox, date = mailboxes[place.person, place.mailbox], letter.date(now)
            ground.store.messages.append_in(tx, mailbox, ready[letter.key], flags=place.flags, internal_date=date)
        installation.put_fact_in(tx, FACT, str(len(copies)))
        return len(copies)

    try:
        return ground.db.write(op)
    except Exception:
        for prepared in ready.values():
            ground.store.messages.discard(prepared)
        raise


def written(now: Millis) -> tuple[Letter, ...]:
    """Every letter, oldest first."""
    every = (*(letter for table in _TABLES for letter in table.letters()), *_invitations(now))
    return tuple(sorted(every, key=lambda letter: letter.date(now)))


def _invitations(now: Millis) -> Iterator[Letter]:
    """Clara's invitation for the fitting: two days from now, at eight."""
    start = Millis(now - now % DAY + 2 * DAY + 8 * HOUR)
    guest = ADDRESSES["ann"]
    place = "Winter Café by the lake"
    invite = appointment(
        "fitting@winter-cafe.example.org", "Fitting the counter", place, ADDRESSES["clara"], guest, start, 180
    )
    text = "Dear Ms Weber,\n\nhere is the date for the calendar. There will be coffee!\n\nClara Winter\n"
    yield Letter(
        "cafe.date",
        "clara",
        ("ann",),
        "Invitation: fitting the counter",
        text,
        0,
        "1:10",
        files=(invite,),
        lies={"ann": NEW},
    )


def sources_of(letters: Iterable[Letter], now: Millis) -> dict[str, bytes]:
    """The octets of each letter by its key; `letters` oldest first, so that whoever answers finds what is answered."""
    known: dict[str, Letter] = {}
    found: dict[str, bytes] = {}
    for letter in letters:
        known[letter.key] = letter
        draft = _draft(letter, known, now)
        if letter.bounced is None:
            found[letter.key] = compose(draft)
        else:
            found[letter.key] = compose_report(draft, _report(known[letter.bounced], found[letter.bounced]))
    return found


def _draft(letter: Letter, known: dict[str, Letter], now: Millis) -> Draft:
    before = known.get(letter.answers or letter.bounced or "")
    line = _line(before, known)
    return Draft(
        sender=_address(letter.sender),
        date=letter.date(now),
        message_id=letter.message_id,
        to=tuple(map(_address, letter.to)),
        cc=tuple(map(_address, letter.cc)),
        subject=letter.subject,
        in_reply_to=line[-1:],
        references=line,
        text=letter.text,
        html=letter.html,
        attachments=letter.files,
        extra=(("Auto-Submitted", "auto-replied"),) if letter.bounced else (),
    )


def _line(letter: Letter | None, known: dict[str, Letter]) -> tuple[str, ...]:
    """The Message-IDs of a letter and of all it goes back to, oldest first."""
    found: list[str] = []
    while letter is not None:
        found.insert(0, letter.message_id)
        letter = known[letter.answers] if letter.answers else None
    return tuple(found)


def _address(person: str) -> Address:
    local, _, domain = ADDRESSES[person].partition("@")
    return Address(PEOPLE[person], local, domain)


def _report(letter: Letter, octets: bytes) -> Report:
    """What programs read about the letter that came back (RFC 3464 §2)."""
    to = ADDRESSES[letter.to[0]]
    fields = (
        ("Final-Recipient", f"rfc822; {to}"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Remote-MTA", f"dns; mx.{to.partition('@')[2]}"),
        ("Diagnostic-Code", f"smtp; 550 5.1.1 <{to}>: no such user here"),
    )
    header = octets[: octets.index(b"\r\n\r\n") + 2]
    return Report(groups=((("Reporting-MTA", "dns; mail.example.test"),), fields), original=header)


# --- into the store --------------------------------------------------------------------------------------------------------


def places(letter: Letter, answered: frozenset[tuple[str, str]]) -> Iterator[Place]:
    """Where its copies lie; `answered` holds (person, key) of what they answered."""
    if letter.sender in STAFF:
        yield Place(
            letter.sender, _DRAFTS if letter.draft else _SENT, Flag.SEEN | (Flag.DRAFT if letter.draft else Flag(0))
        )
    for person in (*letter.to, *letter.cc):
        if person in STAFF and not letter.draft:
            yield _arrived(person, letter, (person, letter.key) in answered)


def _arrived(person: str, letter: Letter, answered: bool) -> Place:
    lies = letter.lies.get(person, Lies())
    flags = Flag(0) if lies.new else Flag.SEEN
    flags |= Flag.FLAGGED if lies.star else Flag(0)
    flags |= Flag.ANSWERED if answered else Flag(0)
    return Place(person, lies.mailbox, flags)


def answers(letters: Iterable[Letter]) -> frozenset[tuple[str, str]]:
    """Who answered what."""
    return frozenset((letter.sender, letter.answers) for letter in letters if letter.answers)


def _mailbox(ground: Ground, account: Account, name: str) -> MailboxId:
    """The mailbox of that name, made and subscribed if it is not there."""
    mailboxes, principal = ground.store.mailboxes, account.principal()
    try:
        return mailboxes.get(principal, account.id, name).id
    except NotFound:
        made = mailboxes.create(principal, account.id, name)
        for each in (*names.parents(made.name), made.name):
            mailboxes.subscribe(principal, account.id, each, True)
        return made.id
