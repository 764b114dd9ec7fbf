"""What becomes of a message: evidence in, an action with its reasons out.

Promises: reasons first. Every point of a score comes from a Weighed that is kept with the message, so that "why" can be
answered later in the reader's language; the action follows from nothing else. Evidence may set a floor: a virus is
refused whatever else speaks for the message. Pure.
May not: ask anybody anything, or move mail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from data.reason import Reason

KEPT = 24
"""Reasons that are kept with a message; the heaviest."""
_SHOWN = 120


class Action(IntEnum):
    """What is done with a message, mildest first."""

    ACCEPT = 0
    JUNK = 1
    QUARANTINE = 2
    REJECT = 3


@dataclass(frozen=True, slots=True)
class Weighed:
    """One piece of evidence: points that speak against the message (negative: for it), and the least that follows."""

    code: str
    weight: int
    params: Mapping[str, str | int] = field(default_factory=dict)
    least: Action = Action.ACCEPT


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From how many points on something is done; 0 is never. `watch`: everything is recorded and nothing done."""

    junk: int = 100
    quarantine: int = 0
    reject: int = 0
    watch: bool = False

    def action(self, score: int) -> Action:
        """What a score comes to."""
        steps = ((self.reject, Action.REJECT), (self.quarantine, Action.QUARANTINE), (self.junk, Action.JUNK))
        return next((action for points, action in steps if points and score >= points), Action.ACCEPT)


@dataclass(frozen=True, slots=True)
class Proofs:
    """What authentication found, by method, in the words of RFC 8601; `policy` is what the author's domain asks for."""

    spf: str = "none"
    dkim: str = "none"
    arc: str = "none"
    dmarc: str = "none"
    policy: str = ""

    @classmethod
    def of(cls, told: Mapping[str, str | int]) -> Proofs:
        """Out of the parameters that the story keeps."""
        return cls(**{name: str(told[name]) for name in cls.__slots__ if name in told})

    @property
    def author_proved(self) -> bool:
        """Whether the domain in From is who it says."""
        return self.dmarc == "pass"

    @property
    def known(self) -> bool:
        """Whether anything could be looked at."""
        return self.dmarc not in ("none", "temperror") or self.spf not in ("none", "temperror")


UNPROVED = Proofs()


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome. `action` is what is done, `meant` what would be done if nobody only watched."""

    action: Action
    score: int
    reasons: tuple[Weighed, ...]
    meant: Action = Action.ACCEPT

    def encode(self) -> str:
        """As text for a row; empty where there is nothing to tell."""
        if not self.reasons and self.meant is Action.ACCEPT:
            return ""
        rows = [[one.code, one.weight, dict(one.params)] for one in self.reasons]
        kept = {"action": self.action.name.lower(), "meant": self.meant.name.lower(), "score": self.score, "why": rows}
        return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def reason(self) -> Reason:
        """For the story: what was meant, the score, and the codes that weigh most."""
        told = " ".join(f"{one.code}:{one.weight}" for one in self.reasons[:8])
        return Reason(f"spam.{self.meant.name.lower()}", {"score": self.score, "why": told})

    @property
    def heaviest(self) -> Weighed | None:
        """What decided."""
        return self.reasons[0] if self.reasons else None


def decode(text: str) -> Judgement | None:
    """What `encode` wrote; None for what is empty or not of this version."""
    try:
        kept = json.loads(text)
        reasons = tuple(Weighed(code, weight, params) for code, weight, params in kept["why"])
        action, meant = Action[kept["action"].upper()], Action[kept["meant"].upper()]
        return Judgement(action, int(kept["score"]), reasons, meant)
    except (ValueError, KeyError, TypeError):
        return None


def judge(evidence: Iterable[Weighed], thresholds: Thresholds) -> Judgement:
    """Add up, and say what is to be done. The order of the evidence does not matter."""
    found = sorted((_short(one) for one in evidence), key=lambda one: (-one.least, -abs(one.weight), one.code))
    score = sum(one.weight for one in found)
    least = max((one.least for one in found), default=Action.ACCEPT)
    meant = max(least, thresholds.action(score))
    return Judgement(Action.ACCEPT if thresholds.watch else meant, score, tuple(found[:KEPT]), meant)


def _short(one: Weighed) -> Weighed:
    """With parameters that fit into a row."""
    params = {name: value[:_SHOWN] if isinstance(value, str) else value for name, value in one.params.items()}
    return Weighed(one.code, one.weight, params, one.least)


_AUTH: tuple[tuple[str, str, int], ...] = (
    ("spf", "fail", 25),
    ("spf", "softfail", 10),
    ("dkim", "fail", 10),
)


def authentication(proofs: Proofs) -> list[Weighed]:
    """What the checks of the sender's domain say. A temporary error says nothing; what the author's domain asks for is done
    elsewhere (smtp.mailauth.facts.dmarc_action)."""
    found = [
        Weighed(f"auth.{method}-{result}", weight)
        for method, result, weight in _AUTH
        if getattr(proofs, method) == result
    ]
    if proofs.dmarc == "fail" and proofs.arc != "pass":
        found.append(Weighed("auth.dmarc-fail", 30, {"policy": proofs.policy or "none"}))
    return found
