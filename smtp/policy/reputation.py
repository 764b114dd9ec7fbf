"""What is known of a sender: with this person, with the organisation, and whom it is made to look like.

Promises: only a proved author gains by what was before, for anybody can write a From; what was moved to Junk counts
against it in any case. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable

from data.store.correspondents import Relation
from smtp.policy.content import Look
from smtp.policy.likeness import likeness, registrable, skeleton
from smtp.policy.verdict import Action, Proofs, Weighed

_NAME_LEAST = 5


def weigh(look: Look, relation: Relation, proofs: Proofs) -> list[Weighed]:
    """What was before between the sender and the recipient."""
    who = {"address": look.author}
    out: list[Weighed] = []
    trusted = proofs.author_proved or not proofs.known
    share = 1.0 if proofs.author_proved else 0.6
    if not look.author:
        return out
    if relation.junked > relation.wanted:
        out.append(Weighed("sender.junked", min(30 + 15 * (relation.junked - relation.wanted), 75), who))
    elif relation.others_junked > relation.others_wanted + 1:
        out.append(Weighed("sender.junked-by-others", min(10 * relation.others_junked, 50), who))
    if trusted and relation.sent:
        out.append(Weighed("sender.written-to", int(-60 * share), who))
    elif trusted and relation.wanted:
        out.append(Weighed("sender.wanted", int(-50 * share), who))
    elif trusted and relation.others_sent:
        out.append(Weighed("sender.written-to-by-others", int(-30 * share), who))
    elif trusted and relation.received >= 3 and not relation.junked:
        out.append(Weighed("sender.known", int(-15 * share), who))
    elif not relation.received:
        out.append(Weighed("sender.first", 5, who))
    return out


def is_stranger(relation: Relation) -> bool:
    """Whether nobody of us ever wrote to the sender or wanted its mail."""
    return not (relation.sent or relation.wanted or relation.others_sent or relation.others_wanted)


def impersonation(
    look: Look, own_domains: Collection[str], known_domains: Iterable[str], people: Collection[str], proofs: Proofs
) -> list[Weighed]:
    """Whom the sender is made to look like: our domains, domains written to, one of us by name. Not asked for senders
    that somebody wrote to before."""
    domain = look.author_domain
    out: list[Weighed] = []
    if not domain:
        return out
    if domain in own_domains:
        if proofs.known and not proofs.author_proved:
            out.append(Weighed("sender.forged-own", 60, {"domain": domain}))
        return out
    like = likeness(domain, own_domains)
    if like is not None:
        out.append(Weighed("sender.like-us", 90, {"domain": domain, "like": like}, Action.JUNK))
    else:
        like = likeness(domain, known_domains)
        if like is not None:
            out.append(Weighed("sender.like-known", 60, {"domain": domain, "like": like}))
    name = plain_name(look.name)
    if len(name) >= _NAME_LEAST and name in people and registrable(domain) not in own_domains:
        out.append(Weighed("sender.name-colleague", 45, {"name": look.name, "address": look.author}))
    return out


def plain_name(name: str) -> str:
    """A person's name as it is compared: order of words, case and look-alike letters do not count."""
    words = unicodedata.normalize("NFKC", name).replace(",", " ").split()
    return " ".join(sorted(skeleton(word) for word in words))
