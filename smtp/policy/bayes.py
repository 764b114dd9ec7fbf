"""How much the words of a message speak for junk: Robinson's estimate for each word, Fisher's way to join them.

Words are what a person or a program would recognise junk by: words of subject and text, pairs of neighbouring CJK
characters, domains of links, and marked words of the header. A word's two counts come from the account's own training
and from a prior that everybody starts with; a store keeps keyed hashes of words alone (`hashed`).
Promises: at most WORDS_MOST words of a message, work linear in the text. Pure.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from smtp.policy.verdict import Weighed

WORDS_MOST = 1000
TEXT_MOST = 256 * 1024
STRENGTH = 0.3
"""How much weight one half has against what was counted (Robinson's s)."""
DEVIATION = 0.08
"""Words nearer to one half than this say nothing."""
DECIDING = 120
"""Words that are joined: those farthest from one half."""
PRIOR_WEIGHT = 24
"""How many messages of each kind the prior counts for."""

Counts = tuple[int, int]
"""How many junk messages and how many wanted ones had a word."""

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+){0,4}", re.UNICODE)
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af]+")
_DIGITS = re.compile(r"\d+")
_MONEY = re.compile(r"[$€£¥￥]\s?\d|\d\s?(?:usd|eur|btc|元|万)", re.I)


def words(subject: str, text: str, marks: Iterable[str] = (), links: Iterable[str] = ()) -> tuple[str, ...]:
    """The words of a message, each once, in the order in which they come. `marks` are words of the header as the caller
    made them, `links` hosts."""
    found: dict[str, None] = {}
    for mark in marks:
        found.setdefault(mark[:80])
    for host in links:
        found.setdefault(f"link:{host[:80]}")
    for word in _split(subject[:2000]):
        found.setdefault(f"subject:{word}")
        found.setdefault(word)
    body = text[:TEXT_MOST]
    if _MONEY.search(body):
        found.setdefault("mark:money")
    for word in _split(body):
        if len(found) >= WORDS_MOST:
            break
        found.setdefault(word)
    return tuple(found)[:WORDS_MOST]


def _split(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        word = match[0].lower()
        if _CJK.search(word):
            yield from _pairs(word)
        elif any(char.isdigit() for char in word):
            yield _DIGITS.sub("0", word)[:24]
        elif 3 <= len(word) <= 24:
            yield word


def _pairs(word: str) -> Iterator[str]:
    for run in _CJK.finditer(word):
        characters = run[0]
        if len(characters) == 1:
            yield characters
        for at in range(len(characters) - 1):
            yield characters[at : at + 2]


def hashed(word: str, key: bytes) -> int:
    """A word as a store keeps it: 63 bits under a key of the account's."""
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True, slots=True)
class Totals:
    """How many messages were trained."""

    spam: int = 0
    ham: int = 0


@dataclass(frozen=True, slots=True)
class Prior:
    """What everybody starts with: shares of messages (of 1000) that have a word."""

    shares: Mapping[str, Counts]

    def of(self, word: str) -> Counts | None:
        """Of 1000 junk messages and of 1000 wanted ones, how many have the word; None where it never came."""
        return self.shares.get(word)


NO_PRIOR = Prior({})


@dataclass(frozen=True, slots=True)
class Spamminess:
    """0 is wanted, 1 is junk, one half says nothing. `words` that said something, `telling` those that said most."""

    value: float
    words: int = 0
    telling: tuple[str, ...] = ()


def spamminess(
    found: Iterable[str], own: Callable[[str], Counts | None], totals: Totals, prior: Prior = NO_PRIOR
) -> Spamminess:
    """How much the words speak for junk. `own` gives the account's counts of a word."""
    told: list[tuple[float, float, str]] = []
    for word in found:
        counted = _probability(own(word), totals, prior.of(word))
        if counted is not None and abs(counted - 0.5) >= DEVIATION:
            told.append((abs(counted - 0.5), counted, word))
    told.sort(key=lambda one: (-one[0], one[2]))
    deciding = told[:DECIDING]
    if not deciding:
        return Spamminess(0.5)
    value = _joined([probability for _, probability, _ in deciding])
    return Spamminess(value, len(deciding), tuple(word for _, _, word in deciding[:5]))


_STEPS: tuple[tuple[float, int], ...] = ((0.99, 100), (0.95, 95), (0.85, 60), (0.7, 20))
_STEPS_DOWN: tuple[tuple[float, int], ...] = ((0.01, -50), (0.05, -35), (0.15, -15))


def weigh(found: Spamminess) -> list[Weighed]:
    """What the words come to, with those that said most."""
    shown: dict[str, str | int] = {"words": " ".join(found.telling), "share": round(found.value * 100)}
    for least, points in _STEPS:
        if found.value >= least:
            return [Weighed("bayes.spam", points, shown)]
    for most, points in _STEPS_DOWN:
        if found.value <= most:
            return [Weighed("bayes.ham", points, shown)]
    return []


def _probability(own: Counts | None, totals: Totals, prior: Counts | None) -> float | None:
    """Robinson's estimate, the prior counting as PRIOR_WEIGHT messages of each kind; less as the account learns."""
    if own is None and prior is None:
        return None
    spam, ham = own or (0, 0)
    weight = PRIOR_WEIGHT if prior is not None else 0
    prior_spam, prior_ham = (count * PRIOR_WEIGHT / 1000 for count in prior) if prior is not None else (0.0, 0.0)
    spam_share = (spam + prior_spam) / max(totals.spam + weight, 1)
    ham_share = (ham + prior_ham) / max(totals.ham + weight, 1)
    if spam_share + ham_share <= 0:
        return None
    raw = min(spam_share / (spam_share + ham_share), 1.0)
    seen = spam + ham + prior_spam + prior_ham
    return (STRENGTH * 0.5 + seen * raw) / (STRENGTH + seen)


def _joined(probabilities: list[float]) -> float:
    """Fisher: are they too junky, too wanted, or neither?"""
    count = len(probabilities)
    clamped = [min(max(one, 0.001), 0.999) for one in probabilities]
    junk = 1 - _chi2(-2 * sum(math.log(1 - one) for one in clamped), 2 * count)
    wanted = 1 - _chi2(-2 * sum(math.log(one) for one in clamped), 2 * count)
    return (1 + junk - wanted) / 2


def _chi2(value: float, freedom: int) -> float:
    """The chance that chi-square with an even number of degrees of freedom is above `value`."""
    half = value / 2
    if half > 700:
        return 0.0
    term = total = math.exp(-half)
    for number in range(1, freedom // 2):
        term *= half / number
        total += term
    return min(total, 1.0)
