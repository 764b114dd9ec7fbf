"""Where words stand in a message, and whether it holds what a text leaf asks for.

The fields of a message lie one after the other on one line of positions: the sender from 0, To from 10 000 and so on,
the body last. So one posting list for each word answers a word anywhere, a word in a field and a phrase, and no phrase
reaches from one field into the next. A leaf without any word (punctuation alone) holds for every message, as the empty
text is part of every text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from data.index.words import Phrase, Words, is_cjk, phrase_of
from data.store import keys as k

LEAF_WORDS = 64
"""Words of one leaf that count: a question of thousands of words is one for its beginning."""


class Section(IntEnum):
    """Where each field begins."""

    SENDER = 0
    TO = 10_000
    CC = 20_000
    BCC = 30_000
    SUBJECT = 40_000
    NAMES = 50_000
    BODY = 60_000
    END = 4_000_000


_GAP = 100
_SECTIONS = tuple(Section)
_OF_FIELD = {
    k.Field.FROM: Section.SENDER,
    k.Field.TO: Section.TO,
    k.Field.CC: Section.CC,
    k.Field.BCC: Section.BCC,
    k.Field.SUBJECT: Section.SUBJECT,
}

TextKey = k.AnyText | k.Body | k.Stored


def end_of(section: Section) -> int:
    """The position before which the words of a section end; a gap keeps it apart from the next."""
    return _SECTIONS[_SECTIONS.index(section) + 1] - _GAP


@dataclass(frozen=True, slots=True)
class Leaf:
    """A phrase, and the positions [lo, hi) in which it must begin. `begun`: its last word may go on."""

    phrase: Phrase
    lo: int = 0
    hi: int = int(Section.END)
    begun: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The different words, in the order of the phrase."""
        return tuple(dict.fromkeys(word for word, _ in self.phrase))

    @property
    def anywhere(self) -> bool:
        """One word in any field: being in the message is all that counts."""
        return len(self.phrase) == 1 and self.lo == 0 and self.hi == Section.END

    def ending(self, word: str) -> Leaf:
        """The same leaf with a whole word in the place of its last one."""
        return Leaf((*self.phrase[:-1], (word, self.phrase[-1][1])), self.lo, self.hi)


def leaf_of(key: TextKey) -> Leaf:
    """What the index is asked for a text key."""
    phrase = phrase_of(key.value)[:LEAF_WORDS]
    # any part of a run of Chinese, Japanese or Korean is found anyway
    begun = key.begun and bool(phrase) and not is_cjk(phrase[-1][0])
    if isinstance(key, k.AnyText):
        return Leaf(phrase, begun=begun)
    section = Section.BODY if isinstance(key, k.Body) else _OF_FIELD[key.field]
    return Leaf(phrase, int(section), end_of(section), begun)


def holds(leaf: Leaf, words: Words) -> bool:
    """Does a message with these words hold the leaf?"""
    if leaf.begun:
        start = leaf.phrase[-1][0]
        return any(holds(leaf.ending(word), words) for word in words if word.startswith(start))
    places = []
    for word in leaf.words:
        found = words.get(word)
        if found is None:
            return False
        places.append(found)
    return leaf.anywhere or meets(leaf, places)


def meets(leaf: Leaf, places: Sequence[Sequence[int]]) -> bool:
    """Does the phrase stand somewhere, its different words standing at `places`?"""
    if not leaf.phrase:
        return True
    if len(leaf.phrase) == 1:
        at = bisect_left(places[0], leaf.lo)
        return at < len(places[0]) and places[0][at] < leaf.hi
    of = dict(zip(leaf.words, places, strict=True))
    word, offset = min(leaf.phrase, key=lambda one: len(of[one[0]]))
    rest = [(set(of[other]), at) for other, at in leaf.phrase if (other, at) != (word, offset)]
    for place in of[word]:
        start = place - offset
        if leaf.lo <= start < leaf.hi and all(start + at in there for there, at in rest):
            return True
    return False
