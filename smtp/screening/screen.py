"""The screen: every message that comes in or goes out passes here once.

In: content, lists in DNS, rspamd and clamd, and for each recipient what its own past says; out comes a judgement for
each account, and whether the message is put off first. Promises: never refuses for a fault of ours; where nobody could
look, the message is accepted with a mark. In the bench profile everything is asked and kept, and nothing follows.
May not: deliver, or answer anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from appliance.log import Log
from appliance.loop import Workers
from appliance.net.resolver import Resolver
from data.clock import Clock
from data.directory.settings import Scope, Settings
from data.errors import StoreError
from data.ids import AccountId, OrganisationId
from data.reason import Reason
from data.store.greylist import Greylist, digest_of
from data.store.intake import Prepared
from smtp.policy import verdict
from smtp.policy.content import Look, look
from smtp.policy.verdict import UNPROVED, Action, Judgement, Proofs, Thresholds, Weighed, judge
from smtp.screening.knowledge import Knowledge, shared
from smtp.screening.lists import Lists
from smtp.screening.scanners import Scanners, Told

SMALL = 64 * 1024
"""Octets up to which a message is looked at beside other short work; larger ones wait for their turn."""
GREY_FROM = 0.7
"""The share of the points for Junk from which a message is suspicious."""


NOT_JUDGED = Judgement(Action.ACCEPT, 0, ())


@dataclass(frozen=True, slots=True)
class Parts:
    """What the screen works with. `watch`: nothing follows (the bench profile)."""

    knowledge: Knowledge
    settings: Settings
    resolver: Resolver
    workers: Workers
    clock: Clock
    log: Log
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A message that came in, and for whom."""

    prepared: Prepared
    accounts: tuple[AccountId, ...]
    told: Told = field(default_factory=Told)
    network: str = ""
    proofs: Proofs = UNPROVED


@dataclass(frozen=True, slots=True)
class Screened:
    """What was found. `everybody` is the judgement without anybody's past, for copies that go elsewhere."""

    everybody: Judgement = NOT_JUDGED
    accounts: Mapping[AccountId, Judgement] = field(default_factory=dict)
    put_off: bool = False
    author: str = ""

    @property
    def refusal(self) -> Judgement | None:
        """Why nobody at all takes it; None where somebody does."""
        found = [*self.accounts.values()] or [self.everybody]
        return found[0] if all(one.action is Action.REJECT for one in found) else None


NOTHING = Screened()


class Screen:
    """One for the process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lists = Lists(parts.resolver, parts.clock, parts.log)
        self._greylist = Greylist()

    # --- what comes in ------------------------------------------------------------------------------------------------

    async def incoming(self, case: Case) -> Screened:
        """Look at a message that came in. What an account does not want looked at is not in the outcome."""
        wanted = self._wanted(case.accounts)
        if not wanted and case.accounts:
            return NOTHING
        try:
            return await self._incoming(case, wanted)
        except (StoreError, ValueError, KeyError, IndexError, RecursionError) as error:
            self._parts.log.failure(error, "screen", trail=case.told.trail)
            return NOTHING

    def _wanted(self, accounts: Sequence[AccountId]) -> tuple[AccountId, ...]:
        settings = self._parts.settings
        return tuple(one for one in accounts if settings.enabled(Scope.account(one), "spam.check"))

    async def _incoming(self, case: Case, accounts: tuple[AccountId, ...]) -> Screened:
        looked, asked = await asyncio.gather(self._look(case.prepared), self._ask(case))
        common = [*verdict.authentication(case.proofs), *looked.evidence, *asked]
        screened = await self._parts.workers.blocking(self._judged, looked, case, accounts, common)
        if screened.refusal is None and self._suspicious(screened):
            return replace(screened, put_off=await self._puts_off(case))
        return screened

    async def _look(self, prepared: Prepared) -> Look:
        workers = self._parts.workers
        run = workers.blocking if prepared.size <= SMALL else workers.heavy
        return await run(look, prepared.header, prepared.scan.root, prepared.read)

    async def _ask(self, case: Case) -> list[Weighed]:
        scope = Scope.organisation(self._organisation())
        listed, scanned = await asyncio.gather(
            self._lists.ask(case.told.address, self._parts.settings.text(scope, "spam.dnsbl")),
            self._scanners().ask(case.prepared, case.told),
        )
        return listed + scanned

    def _judged(self, looked: Look, case: Case, accounts: tuple[AccountId, ...], common: list[Weighed]) -> Screened:
        """Blocks."""
        knowledge, organisation = self._parts.knowledge, self._organisation()
        people = knowledge.people()
        found: dict[AccountId, Judgement] = {}
        for account in accounts:
            own = knowledge.about(looked, account, organisation, case.proofs, people=people)
            found[account] = judge([*common, *own], self._thresholds(Scope.account(account)))
        everybody = judge([*common, *shared(looked)], self._thresholds(Scope.organisation(organisation)))
        return Screened(everybody, found, author=looked.author)

    # --- putting off ----------------------------------------------------------------------------------------------------

    def _suspicious(self, screened: Screened) -> bool:
        """Whether it is nearly junk for all of its recipients, and nothing worse for any."""
        scope = Scope.organisation(self._organisation())
        if self._parts.watch or not self._parts.settings.enabled(scope, "spam.greylist"):
            return False
        junk = self._thresholds(scope).junk
        found = [*screened.accounts.values()]
        return bool(found) and all(
            one.action is Action.ACCEPT and GREY_FROM * junk <= one.score < junk for one in found
        )

    async def _puts_off(self, case: Case) -> bool:
        if not case.network:
            return False
        digest = digest_of(case.network, case.told.sender, case.told.recipients)
        submit = self._parts.knowledge.db.submit
        return not await self._parts.workers.landed(submit(lambda tx: self._greylist.passes_in(tx, digest)))

    # --- what goes out ----------------------------------------------------------------------------------------------------

    async def outgoing(self, prepared: Prepared, told: Told) -> Reason | None:
        """Why a message of ours is held before it goes out; None where it may go."""
        scope = Scope.organisation(self._organisation())
        least = self._parts.settings.number(scope, "spam.hold-at")
        try:
            looked, scanned = await asyncio.gather(self._look(prepared), self._scanners().ask(prepared, told))
            words = await self._parts.workers.blocking(shared, looked)
        except (StoreError, ValueError, KeyError, IndexError, RecursionError) as error:
            self._parts.log.failure(error, "screen", trail=told.trail)
            return None
        ours = [one for one in looked.evidence if not one.code.startswith(("header.", "sender."))]
        found = judge([*ours, *scanned, *words], Thresholds(junk=least, watch=self._parts.watch))
        if found.action is Action.ACCEPT:
            return None
        return Reason("spam.held", found.reason.params)

    # --- settings ---------------------------------------------------------------------------------------------------------

    def _organisation(self) -> OrganisationId:
        return self._parts.knowledge.directory.organisation().id

    def _scanners(self) -> Scanners:
        scope, settings = Scope.organisation(self._organisation()), self._parts.settings
        places = settings.text(scope, "spam.rspamd"), settings.text(scope, "spam.clamd")
        return Scanners(self._parts.workers, self._parts.log, *places)

    def _thresholds(self, scope: Scope) -> Thresholds:
        settings, everybody = self._parts.settings, Scope.organisation(self._organisation())
        return Thresholds(
            junk=settings.number(scope, "spam.junk-at"),
            quarantine=settings.number(everybody, "spam.quarantine-at"),
            reject=settings.number(everybody, "spam.reject-at"),
            watch=self._parts.watch,
        )
