"""DMARC (RFC 7489, RFC 9091): does a check that passed speak for the domain in From, and what if none does?

Promises: pure but for the questions to DNS. A record is found at the domain, at its organisational domain, or at the public
suffix above where that says psd=y. Several domains in From: the one that fares worst counts. Where a check that could have
passed is in temporary error, so is the result, and nothing follows. May not: refuse anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.net.answers import Found, NoData, NoSuchName, Temporary
from smtp.mailauth.facts import STRICTNESS, Action, Dkim, Dmarc, Spf, Verdict
from smtp.mailauth.names import Names, Question
from smtp.mailauth.suffixes import organisational, public_suffix, related

DOMAINS_MOST: Final = 5
_VERSION = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_ACTIONS = {str(one): one for one in Action}


@dataclass(frozen=True, slots=True)
class Record:
    """A policy record (RFC 7489 §6.3): for the domain itself, for its subdomains, for names that do not exist."""

    domain: str
    policy: Action
    sub: Action
    missing: Action
    strict_dkim: bool = False
    strict_spf: bool = False
    percent: int = 100
    suffix: bool = False


class Late(Exception):
    """A name server does not answer."""


def questions(domain: str) -> list[Question]:
    """What will be asked first, to be asked ahead."""
    owner = organisational(domain)
    return [(f"_dmarc.{one}", "TXT") for one in dict.fromkeys((domain, owner)) if one]


def parsed(text: bytes, domain: str) -> Record | None:
    """A record; None for what is none (RFC 7489 §6.3, §6.6.3)."""
    if not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for one in text.decode("ascii", "replace").split(";"):
        name, found, value = one.partition("=")
        if found:
            tags.setdefault(name.strip().lower(), value.strip())
    policy = _ACTIONS.get(tags.get("p", "").lower())
    if policy is None or tags.get("sp", "none").lower() not in _ACTIONS:
        if not tags.get("rua", "").lower().startswith("mailto:"):
            return None
        policy = Action.NONE  # (RFC 7489 §6.6.3 item 6)
        tags.pop("sp", None)
    sub = _ACTIONS.get(tags.get("sp", "").lower(), policy)
    percent = tags.get("pct", "100")
    return Record(
        domain,
        policy,
        sub,
        _ACTIONS.get(tags.get("np", "").lower(), sub),
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        percent=int(percent) if percent.isdigit() and len(percent) <= 3 and int(percent) <= 100 else 100,
        suffix=tags.get("psd", "").lower() == "y",
    )


def discover(names: Names, domain: str) -> Record | None:
    """The record that holds for a domain. Raises Late."""
    owner = organisational(domain)
    for place in dict.fromkeys((domain, owner)):
        found = _at(names, place) if place else None
        if found is not None:
            return found
    suffix = public_suffix(domain)
    found = _at(names, suffix) if suffix != domain else None
    return found if found is not None and found.suffix else None


def _at(names: Names, domain: str) -> Record | None:
    answer = names.texts(f"_dmarc.{domain}")
    if isinstance(answer, Temporary):
        raise Late
    if not isinstance(answer, Found):
        return None
    records = [text for text in answer.values if _VERSION.match(text)]
    return parsed(records[0], domain) if len(records) == 1 else None  # several count as none (RFC 7489 §6.6.3)


def check(names: Names, domains: Sequence[str], spf: Spf, dkim: Sequence[Dkim]) -> Dmarc:
    """The result for the domains in From. Blocks while names are asked."""
    if not domains:
        return Dmarc(Verdict.PERMERROR, reason="From has no domain")
    if len(domains) > DOMAINS_MOST:
        return Dmarc(Verdict.PERMERROR, reason="too many domains in From")
    found = [_one(names, domain, spf, dkim) for domain in domains]
    return max(found, key=_badness)


def _badness(one: Dmarc) -> tuple[int, int]:
    order = (Verdict.PASS, Verdict.NONE, Verdict.PERMERROR, Verdict.TEMPERROR, Verdict.FAIL)
    return order.index(one.result), STRICTNESS[one.action]


def _one(names: Names, domain: str, spf: Spf, dkim: Sequence[Dkim]) -> Dmarc:
    try:
        record = discover(names, domain)
        if record is None:
            return Dmarc(Verdict.NONE, domain)
        aligned = _aligned(record, domain, spf, dkim, Verdict.PASS)
        action = record.policy if domain == record.domain else _for_others(names, domain, record)
    except Late:
        return Dmarc(Verdict.TEMPERROR, domain, reason="DNS does not answer")
    if aligned:
        return Dmarc(Verdict.PASS, domain, action, record.domain, record.percent, aligned)
    if _aligned(record, domain, spf, dkim, Verdict.TEMPERROR):
        return Dmarc(Verdict.TEMPERROR, domain, action, record.domain, record.percent, reason="DNS does not answer")
    return Dmarc(Verdict.FAIL, domain, action, record.domain, record.percent)


def _for_others(names: Names, domain: str, record: Record) -> Action:
    """The policy for a domain below the record's: sp=, or np= where the name does not exist (RFC 9091 §3.2)."""
    if record.missing is record.sub:
        return record.sub
    answers = [names.ask(domain, kind) for kind in ("A", "AAAA", "MX")]
    gone = all(isinstance(one, NoSuchName | NoData) for one in answers)
    return record.missing if gone else record.sub


def _aligned(record: Record, domain: str, spf: Spf, dkim: Sequence[Dkim], wanted: Verdict) -> str:
    """Which check with that result speaks for the domain (RFC 7489 §3.1): `dkim`, `spf` or nothing."""
    for one in dkim:
        # a signature that could not be read for its domain in time could have been anybody's
        if one.result is wanted and _speaks(one.domain, domain, record.strict_dkim):
            return "dkim"
    if spf.result is wanted and _speaks(spf.domain, domain, record.strict_spf):
        return "spf"
    return ""


def _speaks(one: str, domain: str, strict: bool) -> bool:
    return bool(one) and (one == domain or (not strict and related(one, domain)))
