"""What is known of each recipient: the words it trained, whom it writes with, who its colleagues are.

Blocks: run it in a worker. Promises: reads only; one short snapshot for each account.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from data.directory.directory import Directory
from data.disk.db import Database, Reader
from data.disk.seal import Keys
from data.ids import AccountId, OrganisationId
from data.rules.scripts import Scripts
from data.store import correspondents, learning
from smtp.policy import bayes, reputation
from smtp.policy.bayes import Prior, Totals
from smtp.policy.content import Look
from smtp.policy.verdict import Action, Proofs, Weighed

_PRIOR = Path(__file__).parent / "prior.json.gz"


@functools.cache
def prior() -> Prior:
    """What everybody starts with; made from texts of ours (tests/tables/spam/make_prior.py)."""
    kept = json.loads(gzip.decompress(_PRIOR.read_bytes()))
    return Prior({word: (spam, ham) for word, (spam, ham) in kept["words"].items()})


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Asked for one account at a time."""

    db: Database
    directory: Directory
    keys: Keys
    scripts: Scripts

    def word_key(self, account: AccountId) -> bytes:
        """What the words of an account are hashed with."""
        return self.keys.digest(b"bayes words 1:" + str(account).encode())

    def about(
        self, look: Look, account: AccountId, organisation: OrganisationId, proofs: Proofs, *, people: Collection[str]
    ) -> list[Weighed]:
        """What this account's own past says of a message."""
        allowed = not self.scripts.quiet([account]) and is_listed(look.author, self.scripts.personal(account).allowed)
        with self.db.read() as reader:
            relation = correspondents.relation(reader, account, organisation, look.author)
            out = reputation.weigh(look, relation, proofs)
            if allowed:
                out.append(Weighed("sender.allowed", -200 if proofs.author_proved or not proofs.known else -40))
            stranger = reputation.is_stranger(relation)
            if stranger:
                known = correspondents.domains(reader, account)
                out += reputation.impersonation(look, self.own_domains(), known, people, proofs)
                out += from_stranger(look)
            return out + bayes.weigh(self.words(reader, look, account))

    def words(self, reader: Reader, look: Look, account: AccountId) -> bayes.Spamminess:
        """How much the words speak for junk, with what the account trained."""
        totals = Totals(*learning.totals(reader, account))
        if not (totals.spam or totals.ham):
            return bayes.spamminess(look.words, lambda word: None, totals, prior())
        key = self.word_key(account)
        return bayes.spamminess(
            look.words, lambda word: learning.counts(reader, account, bayes.hashed(word, key)), totals, prior()
        )

    def own_domains(self) -> frozenset[str]:
        """Our domains."""
        return frozenset(one.name for one in self.directory.domains())

    def people(self) -> frozenset[str]:
        """The names of our people, as they are compared."""
        return frozenset(
            reputation.plain_name(one.name) for one in self.directory.accounts() if " " in one.name.strip()
        )


def shared(look: Look) -> list[Weighed]:
    """What the words say to anybody, without an account."""
    return bayes.weigh(bayes.spamminess(look.words, lambda word: None, Totals(), prior()))


def is_listed(address: str, senders: tuple[str, ...]) -> bool:
    """Whether an address is among `name@domain` and `@domain` (with all below it)."""
    domain = address.rpartition("@")[2]
    return any(
        address == one or (one.startswith("@") and (domain == one[1:] or domain.endswith("." + one[1:])))
        for one in senders
    )


_WORSE: dict[str, tuple[int, Action]] = {
    "file.macros": (60, Action.QUARANTINE),
    "file.object": (40, Action.QUARANTINE),
    "file.encrypted": (25, Action.ACCEPT),
    "link.shortener": (15, Action.ACCEPT),
}


def from_stranger(look: Look) -> list[Weighed]:
    """What is worse from somebody whom nobody here ever wrote to."""
    held = {one.code: one for one in look.evidence}
    return [
        Weighed(f"{code}-stranger", points, held[code].params, least)
        for code, (points, least) in _WORSE.items()
        if code in held
    ]
