"""Sequence sets: `1:4,7,10:*`, and `$` for the saved search result (RFC 9051 §9 sequence-set, §6.4.4.1)."""

from __future__ import annotations

import re

from imap.command import STAR, SequenceSet
from imap.errors import Bad
from imap.grammar.tokens import MAX_NUMBER, Cursor

_SET = re.compile(rb"[0-9:*,]+")
_RANGE = re.compile(rb"([1-9][0-9]{0,9}|\*)(?::([1-9][0-9]{0,9}|\*))?\Z")


def sequence_set(cursor: Cursor) -> SequenceSet:
    """A sequence set; 0, numbers beyond 32 bits and stray commas are Bad. Ranges come sorted and without overlap."""
    if cursor.accept(b"$"):
        return SequenceSet(saved=True)
    text = cursor.match(_SET, "a sequence set")
    return SequenceSet(merge([_range(piece) for piece in text.split(b",")]))


def _range(piece: bytes) -> tuple[int, int]:
    found = _RANGE.match(piece)
    if found is None:
        raise Bad("That is not a sequence set")
    low = _number(found[1])
    high = low if found[2] is None else _number(found[2])
    return (low, high) if low <= high else (high, low)


def _number(digits: bytes) -> int:
    if digits == b"*":
        return STAR
    value = int(digits)
    if value > MAX_NUMBER:
        raise Bad("A number in the sequence set is out of range")
    return value


def merge(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same numbers in as few ranges as possible, ascending; `*` never melts into a number."""
    ranges.sort()
    merged: list[tuple[int, int]] = []
    for low, high in ranges:
        if merged and low <= merged[-1][1] + 1 and low != STAR and merged[-1][1] != STAR:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        elif not merged or merged[-1] != (low, high):
            merged.append((low, high))
    return tuple(merged)
