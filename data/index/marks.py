"""Where what was asked stands in a short text, for whoever shows it marked.

Promises: the same words as the index's (case, accents and width are folded), the places are those of the text as it is
shown; linear, for texts of a line or two. A text that is not found has no places: nothing is marked that was not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data.index.words import RUN, fold, is_cjk
from data.store import keys as k

TextKey = k.AnyText | k.Body | k.Stored
_MOST = 1_000
"""Characters of a text that are looked at."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The words to mark: whole ones, beginnings of words, and runs of Chinese, Japanese or Korean."""

    words: frozenset[str]
    begun: tuple[str, ...]
    runs: tuple[str, ...]

    def cut(self, text: str) -> tuple[tuple[str, bool], ...]:
        """The text in pieces; those that were asked for are true."""
        pieces: list[tuple[str, bool]] = []
        at = 0
        for start, stop in self._places(text[:_MOST]):
            if start > at:
                pieces.append((text[at:start], False))
            if stop > at:
                pieces.append((text[max(start, at) : stop], True))
                at = stop
        if at < len(text):
            pieces.append((text[at:], False))
        return tuple(pieces)

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        for match in RUN.finditer(text):
            folded = fold(match[0])
            if is_cjk(match[0]):
                yield from self._inside(match[0], folded, match.start())
            elif folded in self.words:
                yield match.span()
            else:
                longest = max((len(one) for one in self.begun if folded.startswith(one)), default=0)
                if longest:
                    # a letter that folds to two moves the end; then the whole word is marked
                    same = len(folded) == len(match[0])
                    yield match.start(), match.start() + longest if same else match.end()

    def _inside(self, run: str, folded: str, base: int) -> Iterator[tuple[int, int]]:
        if len(folded) != len(run):
            return
        found = []
        for asked in self.runs:
            at = folded.find(asked)
            while at >= 0:
                found.append((base + at, base + at + len(asked)))
                at = folded.find(asked, at + len(asked))
        yield from sorted(found)


def marks_of(key: k.SearchKey, takes: Callable[[TextKey], bool] = lambda one: True) -> Marks:
    """What a search asks to be there, of those text keys that are taken."""
    words: set[str] = set()
    begun: set[str] = set()
    runs: set[str] = set()
    for one in filter(takes, _wanted(key)):
        found = [match[0] for match in RUN.finditer(fold(one.value))]
        for nth, word in enumerate(found):
            if is_cjk(word):
                runs.add(word)
            elif one.begun and nth == len(found) - 1:
                begun.add(word)
            else:
                words.add(word)
    return Marks(frozenset(words), tuple(begun), tuple(runs))


def _wanted(key: k.SearchKey) -> Iterator[TextKey]:
    match key:
        case k.And(found):
            for one in found:
                yield from _wanted(one)
        case k.Or(left, right):
            yield from _wanted(left)
            yield from _wanted(right)
        case k.AnyText() | k.Body() | k.Stored():
            yield key
        case _:
            return
