"""Names that are made to be taken for others: confusable letters, mixed scripts, a letter more or less (UTS 39).

Promises: pure and bounded; what says nothing by itself (a name in one script, a short name) is not held against anybody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# What is drawn like a Latin letter or digit: our own selection of Cyrillic, Greek and others.
_LIKE = str.maketrans(
    "абвгдеёзикмнорстухѕіјԁԛԝһӏɑɡıοανρτυκχειωηѵ０１３５ⅼⅰℓ",
    "a6brdee3ukmhopctyxsijdqwhlagioavptukxeiwnv0135lil",
)
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("5", "s"), ("3", "e"))
_SECOND = frozenset({"ac", "co", "com", "edu", "gob", "gov", "gouv", "net", "or", "org", "ne", "mil"})
_ZERO = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")
_LATIN, _OTHER = "LATIN", frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})


def registrable(host: str) -> str:
    """What somebody registered, as far as labels tell: the last two, or three under co.uk and its like."""
    labels = host.lower().rstrip(".").split(".")
    count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND else 2
    return ".".join(labels[-count:])


def skeleton(name: str) -> str:
    """What is left of a name when what looks the same is the same."""
    plain = unicodedata.normalize("NFKD", _ZERO.sub("", name.lower())).translate(_LIKE)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    for seen, meant in _PAIRS:
        plain = plain.replace(seen, meant)
    return plain


def mixed_script(name: str) -> bool:
    """Whether one word of a name joins Latin letters with those of a script that looks like it."""
    for word in re.split(r"[\s.@_-]+", name[:500]):
        scripts = {unicodedata.name(char, "").partition(" ")[0] for char in word if char.isalpha() and ord(char) > 64}
        if _LATIN in scripts and scripts & _OTHER:
            return True
    return False


def hidden_marks(text: str) -> int:
    """How many characters that are not seen are in a text."""
    return len(_ZERO.findall(text))


def near(one: str, other: str) -> bool:
    """Whether two names differ by one letter: more, less, another, or two in the other order."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[1::-1] == b[:2] and a[2:] == b[2:])


def likeness(domain: str, known: Iterable[str]) -> str | None:
    """The domain of `known` that this one is made to look like; None where it is one of them or like none."""
    mine = registrable(domain)
    others = {registrable(one) for one in known}
    if mine in others:
        return None
    name, shape = mine.partition(".")[0], skeleton(mine)
    for other in sorted(others):
        if skeleton(other) == shape:
            return other
        label = other.partition(".")[0]
        if len(label) >= 5 and (near(name, label) or _inside(name, label)):
            return other
    return None


def _inside(name: str, label: str) -> bool:
    """`label-support`, `secure-label`: another's name as a part of one's own. The same name below another top is common."""
    return name != label and len(label) >= 6 and label in re.split(r"[-_]", name)
