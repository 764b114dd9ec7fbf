"""Text to words, the same way for what is indexed, what is scanned and what is asked.

Case and accents are folded (Müller = MULLER, straße = STRASSE, full width = half width). A word is a run of letters and
digits; a run of Chinese, Japanese or Korean is cut into single characters and pairs, so that any part of it is found.
An e-mail address counts as a whole and by its parts. Each word has a position, so that phrases can be told.

Promises: linear time whatever the text; pure. May not: know where a text comes from.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator

Words = dict[str, list[int]]
"""word -> its positions, ascending"""
Phrase = tuple[tuple[str, int], ...]
"""(word, position relative to the first)"""

WORD_LENGTH = 64
"""Characters of a word that count; what follows is cut off, in texts and questions alike."""
_PIECE = 16_384

_MARKS = re.compile("[\u0300-\u036f]+")
# letters that have no decomposition but that people type without their stroke
_STROKES = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d"})
_CJK_CLASS = (
    "\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f"
    "\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
RUN = re.compile(rf"[^\W_{_CJK_CLASS}]+|(?:(?![\W_])[{_CJK_CLASS}])+")
"""A word, or a run of Chinese, Japanese and Korean."""
_CJK = re.compile(rf"[{_CJK_CLASS}]")
_STOPS = r"\s@<>()\[\],;:\\\"'"
_ADDRESS = re.compile(
    rf"(?<![^{_STOPS}])[^{_STOPS}]{{1,64}}@(?:[^\W_][\w-]{{0,62}}\.){{1,8}}[^\W_][\w-]{{0,62}}(?![\w@-])"
)
_ADDRESS_LENGTH = 254


def fold(text: str) -> str:
    """The text without case, accents and differences of width."""
    if text.isascii():
        return text.lower()
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", plain).casefold().translate(_STROKES)


def gather(text: str, words: Words, at: int, end: int) -> int:
    """Add the words of a text to `words` from position `at` on, below `end`; returns the position after the last."""
    for piece in _pieces(text):
        if at >= end:
            break
        at = _gather(fold(piece), words, at, end)
    return at


def phrase_of(text: str) -> Phrase:
    """What a text asks for: a whole address, or words that follow each other; empty when it holds no word."""
    folded = fold(text).strip()
    if "@" in folded and len(folded) <= _ADDRESS_LENGTH and _ADDRESS.fullmatch(folded):
        return ((folded, 0),)
    return tuple(_asked(folded))


def is_cjk(word: str) -> bool:
    """Is it of a script that is cut into characters and pairs?"""
    return not word.isascii() and _CJK.match(word) is not None


def _pieces(text: str) -> Iterator[str]:
    """Slices of bounded size, cut between words where there is a space to cut at."""
    at, size = 0, len(text)
    while size - at > _PIECE:
        cut = max(text.rfind("\n", at, at + _PIECE), text.rfind(" ", at, at + _PIECE))
        cut = cut + 1 if cut > at else at + _PIECE
        yield text[at:cut]
        at = cut
    yield text[at:]


def _gather(folded: str, words: Words, at: int, end: int) -> int:
    add = words.setdefault
    starts: list[int] = []
    places: list[int] = []
    whole = "@" in folded
    for match in RUN.finditer(folded):
        run = match[0]
        if whole:
            starts.append(match.start())
            places.append(at)
        if run.isascii() or not _CJK.match(run):
            add(run[:WORD_LENGTH], []).append(at)
            at += 1
        else:
            at = _gather_cjk(run, words, at)
        if at >= end:
            return end
    if whole:
        for match in _ADDRESS.finditer(folded):
            nth = bisect_left(starts, match.start())
            if nth < len(places) and starts[nth] < match.end() and len(match[0]) <= _ADDRESS_LENGTH:
                add(match[0], []).append(places[nth])
    return at


def _gather_cjk(run: str, words: Words, at: int) -> int:
    add = words.setdefault
    for n, character in enumerate(run):
        add(character, []).append(at + n)
        if n + 1 < len(run):
            add(run[n : n + 2], []).append(at + n)
    return at + len(run)


def _asked(folded: str) -> Iterator[tuple[str, int]]:
    at = 0
    for match in RUN.finditer(folded):
        run = match[0]
        if run.isascii() or not _CJK.match(run):
            yield run[:WORD_LENGTH], at
            at += 1
        elif len(run) == 1:
            yield run, at
            at += 1
        else:
            yield from ((run[n : n + 2], at + n) for n in range(len(run) - 1))
            at += len(run)
