"""What postmaster hears once a day: notifications and answers of this server that could not be delivered.

A message with the null return-path never causes a notification (RFC 5321 §6.1); what became of it is told here, together.
Promises: the summary and the forgetting of what it tells are one transaction. Blocking. May not: write to anybody else.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.i18n import N_, Catalogue
from appliance.log import new_id
from data.clock import Clock
from data.directory.directory import Directory
from data.directory.settings import Scope, Settings
from data.disk.db import Database, Tx
from data.mime.address import Address
from data.mime.compose import Draft, compose
from data.spool import silent
from data.spool.envelope import Kind, NewItem, NewRecipient, domain_of
from data.spool.items import Spool
from data.spool.silent import Day, Silent
from data.store.messages import Messages
from smtp.queue.wording import cause_of

_SUBJECT = N_("Notices that could not be delivered: %(count)s")
_OPENING = N_(
    "These notifications and automatic answers of this server reached nobody. They have no sender to return to, so they are "
    "listed here, once a day. Nothing has to be done; many of one kind may mean that somebody forges your addresses."
)
_MORE = N_("And %(count)s more.")
_SAID = N_("It answered: %(reply)s")
_FROM = N_("Mail delivery")


@dataclass(frozen=True, slots=True)
class Postmaster:
    """Tells postmaster; called by the queue's housekeeping."""

    hostname: str
    db: Database
    spool: Spool
    messages: Messages
    directory: Directory
    settings: Settings
    catalogue: Catalogue
    clock: Clock

    def tell(self) -> bool:
        """Write the summary if one is due; whether one was."""
        day = silent.due(self.db, self.clock.now())
        if day is None:
            return False
        trail = new_id()
        prepared = self.messages.prepare(self._written(day))

        def op(tx: Tx) -> None:
            organisation = day.failures[0].organisation
            self.spool.put_in(
                tx,
                NewItem(
                    organisation=organisation,
                    account=None,
                    blob=self.messages.put_in(tx, organisation, prepared),
                    size=prepared.size,
                    return_path="",
                    recipients=(NewRecipient("postmaster", notify="NEVER"),),
                    trail=trail,
                    kind=Kind.DSN,
                    eightbit=prepared.eightbit,
                ),
            )
            silent.told_in(tx, day)

        try:
            self.db.write(op)
        except Exception:
            self.messages.discard(prepared)
            raise
        return True

    def _written(self, day: Day) -> bytes:
        language = self.settings.text(Scope.organisation(day.failures[0].organisation), "account.language")
        domains = self.directory.domains()
        ours = domains[0].name if domains else self.hostname
        postmaster = Address(self.catalogue.text(language, _FROM), "postmaster", ours)
        draft = Draft(
            sender=postmaster,
            date=self.clock.now(),
            message_id=f"{secrets.token_hex(12)}@{self.hostname}",
            to=(Address("", "postmaster", ours),),
            subject=self.catalogue.text(language, _SUBJECT, count=day.count),
            text="\n".join(self._lines(day, language)) + "\n",
            extra=(("Auto-Submitted", "auto-generated"),),
        )
        return compose(draft)

    def _lines(self, day: Day, language: str) -> Iterator[str]:
        yield from (self.catalogue.text(language, _OPENING), "")
        for one in day.failures:
            yield from self._about(one, language)
        if day.count > len(day.failures):
            yield self.catalogue.text(language, _MORE, count=day.count - len(day.failures))

    def _about(self, one: Silent, language: str) -> Iterator[str]:
        cause = cause_of(one.reason, one.reply)
        when = f"{datetime.fromtimestamp(one.at // 1000, UTC):%Y-%m-%d %H:%M} UTC"
        yield f"{when}  {one.recipient}  ({one.trail})"
        yield "    " + self.catalogue.text(language, cause.text, domain=domain_of(one.recipient))
        if one.reply:
            yield "    " + self.catalogue.text(language, _SAID, reply=one.reply)
