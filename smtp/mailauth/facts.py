"""What the checks of a message found, one fact for each method (RFC 8601 §2.7), and what its author's domain asks for.

Promises: plain values that can be kept, compared and shown; a result is one of the words of RFC 8601; a domain is in
A-labels, lower-case. `dmarc_action` is pure. May not: ask anybody anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from data.mime.address import AddressError, domain_to_ascii


class Verdict(StrEnum):
    """The results of a check (RFC 8601 §2.7.1, §2.7.2; RFC 7489 §11.2)."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - a result, no secret
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    POLICY = "policy"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Action(StrEnum):
    """What the owner of a domain wants done with a message that fails (RFC 7489 §6.3), strictest last."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


STRICTNESS: Mapping[Action, int] = {Action.NONE: 0, Action.QUARANTINE: 1, Action.REJECT: 2}
_MILDER: Mapping[Action, Action] = {Action.REJECT: Action.QUARANTINE, Action.QUARANTINE: Action.NONE}


@dataclass(frozen=True, slots=True)
class Spf:
    """The check of the client's address; `scope` is mailfrom or helo, `domain` whose record was asked."""

    result: Verdict
    domain: str = ""
    scope: str = "mailfrom"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dkim:
    """The check of one signature. `mark` is the beginning of b=, which tells signatures apart (RFC 6008)."""

    result: Verdict
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    mark: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Arc:
    """The check of the chain of seals; `domain` set the newest seal, `seals` says how many there are."""

    result: Verdict
    domain: str = ""
    seals: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dmarc:
    """The check against the policy of the domain in From. `percent` of the failing messages are meant (pct=)."""

    result: Verdict
    domain: str = ""
    action: Action = Action.NONE
    record: str = ""
    percent: int = 100
    aligned: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """All that was found about one message. Without a check everything is none."""

    spf: Spf = Spf(Verdict.NONE)
    dkim: tuple[Dkim, ...] = ()
    arc: Arc = Arc(Verdict.NONE)
    dmarc: Dmarc = field(default=Dmarc(Verdict.NONE))

    @property
    def best_dkim(self) -> Dkim:
        """The signature that says most: one that passes, best of the author's domain; else one that could not be checked."""
        author = self.dmarc.domain
        order = (Verdict.PASS, Verdict.TEMPERROR, Verdict.POLICY, Verdict.FAIL, Verdict.PERMERROR)
        for wanted in order:
            found = [one for one in self.dkim if one.result is wanted]
            if found:
                return next((one for one in found if one.domain == author), found[0])
        return self.dkim[0] if self.dkim else Dkim(Verdict.NONE)

    def told(self) -> dict[str, str | int]:
        """As parameters of a reason: what the story keeps and a face shows."""
        dkim, spf, dmarc = self.best_dkim, self.spf, self.dmarc
        kept = {
            "spf": spf.result.value,
            "spf_domain": spf.domain,
            "dkim": dkim.result.value,
            "dkim_domain": dkim.domain,
            "arc": self.arc.result.value,
            "dmarc": dmarc.result.value,
            "domain": dmarc.domain,
            "policy": dmarc.action.value if dmarc.record else "",
        }
        return dict(kept)


def domain_text(domain: str) -> str:
    """A domain as facts hold it; empty for what is none."""
    try:
        return domain_to_ascii(domain.rstrip(".")).lower() if domain else ""
    except AddressError:
        return ""


def unchecked(reason: str) -> Authentication:
    """Nothing could be said in time: everything is a temporary error, and nothing follows from it."""
    late = Verdict.TEMPERROR
    return Authentication(
        Spf(late, reason=reason), (Dkim(late, reason=reason),), Arc(late, reason=reason), Dmarc(late, reason=reason)
    )


def dmarc_action(found: Dmarc, draw: float) -> Action:
    """What is to be done with the message for its author's domain; `draw` in [0, 1) chooses those that pct= means, and
    the others get the next milder treatment (RFC 7489 §6.6.4)."""
    if found.result is not Verdict.FAIL:
        return Action.NONE
    return found.action if draw * 100 < found.percent else _MILDER.get(found.action, Action.NONE)
