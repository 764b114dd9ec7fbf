"""Make smtp/screening/prior.json.gz out of prior_texts.py: `python -m tests.tables.spam.make_prior` (no package: run by path).

A word's share is how many of 1000 messages of its kind have it. Words of one message alone are kept when they are not
common otherwise; the header words are general knowledge (a reply refers to something, a list says that it is one).
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType

from smtp.policy.bayes import words

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[2] / "smtp" / "screening" / "prior.json.gz"
MARKS = {"has:in-reply-to": (40, 350), "has:references": (40, 350), "has:list-id": (30, 150), "shape:html": (400, 150)}


def beside(name: str) -> ModuleType:
    """A module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shares() -> dict[str, tuple[int, int]]:
    """Each word's shares of 1000."""
    texts = beside("prior_texts")
    counted: list[Counter[str]] = []
    for block in (texts.SPAM, texts.HAM):
        found = texts.messages(block)
        count = Counter(word for subject, text in found for word in words(subject, text))
        counted.append(Counter({word: round(1000 * n / len(found)) for word, n in count.items()}))
    spam, ham = counted
    known = {word: (spam[word], ham[word]) for word in sorted(spam.keys() | ham.keys())}
    return known | MARKS


def encoded() -> bytes:
    """The file, the same octets each time."""
    kept = {"of": 1000, "words": {word: list(pair) for word, pair in sorted(shares().items())}}
    return gzip.compress(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode(), 9, mtime=0)


if __name__ == "__main__":
    TARGET.write_bytes(encoded())
    print(len(encoded()), "octets")
