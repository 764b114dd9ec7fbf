"""Strings of a script: encoded characters (RFC 5228 §2.4.2.4) and variables (RFC 5229 §3).

A string without a variable is a plain `str`; one with variables is a Template, put together when the script runs. What
looks like a reference and is none stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_ENCODED = re.compile(r"\$\{(hex|unicode):([0-9a-f\s]*)\}", re.IGNORECASE)
_HEX = re.compile(r"\s*[0-9a-f]{1,2}(?:\s+[0-9a-f]{1,2})*\s*\Z", re.IGNORECASE)
_UNICODE = re.compile(r"\s*[0-9a-f]{1,6}(?:\s+[0-9a-f]{1,6})*\s*\Z", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*|[0-9]{1,9})\}")
_FOREIGN = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)+\}")
EXPANDED_MOST = 32 * 1024
"""Characters of a string after its variables were put in; the rest is cut off."""


@dataclass(frozen=True, slots=True)
class Template:
    """Literal pieces and, at odd places, names of variables (lower-cased) or numbers of matches."""

    pieces: tuple[str, ...]

    def expand(self, value: Callable[[str], str]) -> str:
        """The string, at most EXPANDED_MOST characters of it."""
        out: list[str] = []
        room = EXPANDED_MOST
        for at, piece in enumerate(self.pieces):
            text = (value(piece) if at % 2 else piece)[:room]
            out.append(text)
            room -= len(text)
        return "".join(out)


Text = str | Template


class BadCharacter(ValueError):
    """An encoded character that is none."""


def decoded(text: str) -> str:
    """With `${hex:..}` and `${unicode:..}` replaced. Raises BadCharacter."""
    return _ENCODED.sub(_character, text) if "${" in text else text


def _character(match: re.Match[str]) -> str:
    if match[1].lower() == "hex":
        if not _HEX.match(match[2]):
            return match[0]
        return bytes(int(one, 16) for one in match[2].split()).decode("utf-8", "replace").replace("\0", "\ufffd")
    if not _UNICODE.match(match[2]):
        return match[0]
    numbers = [int(one, 16) for one in match[2].split()]
    if any(n > 0x10FFFF or 0xD800 <= n <= 0xDFFF or n == 0 for n in numbers):
        raise BadCharacter(match[0])
    return "".join(map(chr, numbers))


def foreign(text: str) -> str | None:
    """A reference into a namespace, of which there is none (RFC 5229 §3)."""
    found = _FOREIGN.search(text)
    return found[0] if found else None


def template(text: str) -> Text:
    """The string, ready to be expanded."""
    if "${" not in text:
        return text
    pieces = _REFERENCE.split(text)
    if len(pieces) == 1:
        return text
    return Template(tuple(piece.lower() if at % 2 else piece for at, piece in enumerate(pieces)))
