"""Comparators and match types (RFC 5228 §2.7, RFC 4790, RFC 5051, RFC 5231), with the work they cost.

Promises: `:matches` never goes back: it is linear in the text for each piece of its pattern, and what a star stands for
is as short as it can be (RFC 5229 §3.2). Every comparison is paid for from a Purse; a script that wants more work than
one message may cost ends in a RunError, not in a slow server.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from data.rules.sieve.errors import RunError

_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_DIGITS = re.compile(r"[0-9]+")
CAPTURES_MOST = 10
"""`${0}` to `${9}`."""


class Purse:
    """What one run may cost: steps (commands and tests), and characters looked at."""

    __slots__ = ("characters", "steps")

    def __init__(self, steps: int, characters: int) -> None:
        self.steps = steps
        self.characters = characters

    def step(self) -> None:
        """One command or test."""
        self.steps -= 1
        if self.steps < 0:
            raise RunError("rules.steps")

    def look(self, characters: int) -> None:
        """Looking at so many characters."""
        self.characters -= characters
        if self.characters < 0:
            raise RunError("rules.work")


def casemap(text: str) -> str:
    """i;ascii-casemap: A-Z as a-z, all else as it is."""
    return text.lower() if text.isascii() else text.translate(_UPPER)


def unicode_casemap(text: str) -> str:
    """i;unicode-casemap: titlecase and compatibility decomposition, character by character (RFC 5051 §2)."""
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", "".join(_titled(char) for char in text))


def _titled(char: str) -> str:
    titled = char.title()
    return titled if len(titled) == 1 else char


def _same(text: str) -> str:
    return text


_FOLDS: dict[str, Callable[[str], str]] = {
    "i;octet": _same,
    "i;ascii-casemap": casemap,
    "i;unicode-casemap": unicode_casemap,
    "i;ascii-numeric": _same,
}
_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip


def number(text: str) -> float:
    """i;ascii-numeric: the digits a string begins with; without any it is infinite (RFC 4790 §9.1)."""
    found = _DIGITS.match(text)
    return float(int(found[0][:300])) if found else float("inf")


@dataclass(frozen=True, slots=True)
class Matcher:
    """A match type under a comparator. `relation` belongs to `value` and `count`."""

    kind: str = "is"
    comparator: str = "i;ascii-casemap"
    relation: str = ""

    def first(self, values: Sequence[str], keys: Sequence[str], purse: Purse) -> tuple[str, ...] | None:
        """Whether a value matches a key: the captures of the first that does (`matches`; else none), or None."""
        if self.kind == "count":
            return self._relates([str(len(values))], keys, purse)
        if self.kind == "value":
            return self._relates(values, keys, purse)
        if self.comparator == "i;ascii-numeric":
            wanted = {number(key) for key in keys}
            purse.look(len(keys) + len(values))
            return () if any(number(value) in wanted for value in values) else None
        fold = _FOLDS[self.comparator]
        folded = [fold(key) for key in keys]
        purse.look(sum(map(len, keys)))
        if self.kind == "is":
            return self._is(values, frozenset(folded), fold, purse)
        if self.kind == "contains":
            return self._contains(values, folded, fold, purse)
        return _matches(values, [Pattern.of(key) for key in folded], fold, purse)

    def _is(
        self, values: Sequence[str], keys: frozenset[str], fold: Callable[[str], str], purse: Purse
    ) -> tuple[str, ...] | None:
        purse.look(sum(map(len, values)) + len(values))
        return () if any(fold(value) in keys for value in values) else None

    def _contains(
        self, values: Sequence[str], keys: Sequence[str], fold: Callable[[str], str], purse: Purse
    ) -> tuple[str, ...] | None:
        for value in values:
            folded = fold(value)
            for key in keys:
                purse.look(len(folded) + 1)
                if key in folded:
                    return ()
        return None

    def _relates(self, values: Sequence[str], keys: Sequence[str], purse: Purse) -> tuple[str, ...] | None:
        relate = _RELATIONS[self.relation]
        order: Callable[[str], object] = number
        if self.comparator != "i;ascii-numeric":
            fold = _FOLDS[self.comparator]

            def order(text: str) -> object:
                return fold(text).upper().encode() if self.comparator == "i;ascii-casemap" else fold(text).encode()

        wanted = [order(key) for key in keys]
        for value in values:
            purse.look(len(value) + len(keys))
            mine = order(value)
            if any(relate(mine, key) for key in wanted):
                return ()
        return None


def _matches(
    values: Sequence[str], patterns: Sequence[Pattern], fold: Callable[[str], str], purse: Purse
) -> tuple[str, ...] | None:
    for value in values:
        folded = fold(value)
        for pattern in patterns:
            purse.look(len(folded) * pattern.cost + 1)
            spans = pattern.spans(folded)
            if spans is not None:
                original = value if len(value) == len(folded) else folded
                return (value, *(original[start:end] for start, end in spans[: CAPTURES_MOST - 1]))
    return None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A `:matches` pattern as pieces of fixed length, between which there are stars. In a piece None is `?`."""

    pieces: tuple[tuple[str | None, ...], ...]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Read a pattern; a backslash makes what follows stand for itself (RFC 5228 §2.7.1)."""
        pieces: list[list[str | None]] = [[]]
        at = 0
        while at < len(text):
            char = text[at]
            if char == "*":
                pieces.append([])
            elif char == "?":
                pieces[-1].append(None)
            else:
                if char == "\\" and at + 1 < len(text):
                    at += 1
                pieces[-1].append(text[at])
            at += 1
        return cls(tuple(map(tuple, pieces)))

    @property
    def cost(self) -> int:
        """How often a character of the text may be looked at."""
        return 1 + sum(len(piece) for piece in self.pieces if None in piece)

    def spans(self, text: str) -> list[tuple[int, int]] | None:
        """What the wildcards stand for, in their order; None where it does not match."""
        first, *rest = self.pieces
        if not _fits(first, text, 0) or (not rest and len(first) != len(text)):
            return None
        spans = _singles(first, 0)
        at = len(first)
        for index, piece in enumerate(rest):
            if index == len(rest) - 1:
                found = len(text) - len(piece)
                if found < at or not _fits(piece, text, found):
                    return None
            else:
                found = _search(piece, text, at)
                if found < 0:
                    return None
            spans += [(at, found), *_singles(piece, found)]
            at = found + len(piece)
        return spans


def _fits(piece: Sequence[str | None], text: str, at: int) -> bool:
    if at + len(piece) > len(text):
        return False
    return all(char is None or char == text[at + offset] for offset, char in enumerate(piece))


def _singles(piece: Sequence[str | None], at: int) -> list[tuple[int, int]]:
    return [(at + offset, at + offset + 1) for offset, char in enumerate(piece) if char is None]


def _search(piece: Sequence[str | None], text: str, at: int) -> int:
    """Where the piece first fits from `at` on; -1 if nowhere."""
    if None not in piece:
        return text.find("".join(char for char in piece if char is not None), at)
    expression = "".join("." if char is None else re.escape(char) for char in piece)
    found = re.compile(expression, re.DOTALL).search(text, at)
    return found.start() if found else -1
