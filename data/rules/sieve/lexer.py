"""The words of a script (RFC 5228 §2.2-2.4, §8.1): identifiers, tags, numbers, strings and signs; sans-io.

Promises: linear in the text; a string is given as it is meant (quoted pairs undone, dots of a multi-line text unstuffed,
line ends as CRLF); lines may end in CRLF or LF (lenient: people type). A comment `# rule:[Name]` before a command, as
several programs that write scripts leave it, is kept as that command's label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from data.rules.sieve.errors import N_, SieveError, shown

SCRIPT_MOST = 64 * 1024
"""Octets of the longest script."""
NUMBER_MOST = (1 << 63) - 1


class Kind(Enum):
    """What a token is."""

    IDENTIFIER = auto()
    TAG = auto()
    NUMBER = auto()
    STRING = auto()
    SIGN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One word. `text`: lower-cased identifier or tag (without colon), sign, or the string's value; `at` its offset."""

    kind: Kind
    at: int
    text: str = ""
    number: int = 0
    label: str = ""


_SPACE = re.compile(r"[ \t\r\n]++")
_HASH = re.compile(r"#([^\n]*+)")
_LABEL = re.compile(r"[ \t]*+rule:\[([^\]\r\n]{1,200})\]")
_WORD = re.compile(r"(:?)([A-Za-z_][A-Za-z0-9_]*+)")
_NUMBER = re.compile(r"([0-9]++)([KMGkmg]?)(?![A-Za-z0-9_])")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_TEXT = re.compile(r"text:[ \t]*+(?:#[^\r\n]*+)?\r?\n", re.IGNORECASE)
_TEXT_END = re.compile(r"^\.[ \t]*+(?:\r?\n|\r?\Z)", re.MULTILINE)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_LINE_END = re.compile(r"\r?\n")
_STUFFED = re.compile(r"^\.", re.MULTILINE)
_SCALE = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIGNS = frozenset("[](){},;")


class Source:
    """A script's text, and where an offset of it lies."""

    __slots__ = ("text",)

    def __init__(self, data: bytes) -> None:
        """Raises SieveError for what is no text, or too long."""
        if len(data) > SCRIPT_MOST:
            raise SieveError(N_("The script is longer than %(most)s octets"), {"most": SCRIPT_MOST})
        try:
            self.text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            self.text = data[: error.start].decode("utf-8")
            raise self.error(error.start, N_("The script is not UTF-8 text")) from None
        nul = self.text.find("\0")
        if nul >= 0:
            raise self.error(nul, N_("The script holds a NUL"))

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of an offset, from 1."""
        before = self.text[:at]
        return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1

    def error(self, at: int, text: str, **params: str | int) -> SieveError:
        """An error with its place."""
        line, column = self.place(min(at, len(self.text)))
        return SieveError(text, params, line=line, column=column)


def tokens(source: Source) -> Iterator[Token]:
    """The tokens of a script, END last. Raises SieveError."""
    text, at, label = source.text, 0, ""
    while True:
        at, found = _skip(source, at)
        label = found or label
        if at >= len(text):
            yield Token(Kind.END, at)
            return
        token, at = _token(source, at, label)
        label = ""
        yield token


def _skip(source: Source, at: int) -> tuple[int, str]:
    """Past white space and comments; and the label, if one of them was one."""
    text, label = source.text, ""
    while True:
        if space := _SPACE.match(text, at):
            at = space.end()
        elif comment := _HASH.match(text, at):
            named = _LABEL.match(comment[1])
            label = shown(named[1]) if named else label
            at = comment.end()
        elif text.startswith("/*", at):
            end = text.find("*/", at + 2)
            if end < 0:
                raise source.error(at, N_("A comment does not end"))
            at = end + 2
        else:
            return at, label


def _token(source: Source, at: int, label: str) -> tuple[Token, int]:
    text = source.text
    first = text[at]
    if first in _SIGNS:
        return Token(Kind.SIGN, at, first), at + 1
    if first == '"':
        return _quoted(source, at)
    if opening := _TEXT.match(text, at):
        return _multiline(source, at, opening.end())
    if word := _WORD.match(text, at):
        kind = Kind.TAG if word[1] else Kind.IDENTIFIER
        return Token(kind, at, word[2].lower(), label=label), word.end()
    if number := _NUMBER.match(text, at):
        value = int(number[1]) * _SCALE[number[2].lower()] if len(number[1]) < 20 else NUMBER_MOST + 1
        if value > NUMBER_MOST:
            raise source.error(at, N_("The number is too large"))
        return Token(Kind.NUMBER, at, number=value), number.end()
    raise source.error(
        at, N_('"%(word)s" does not belong here'), word=shown((text[at : at + 10].split() or [text[at]])[0])
    )


def _quoted(source: Source, at: int) -> tuple[Token, int]:
    found = _QUOTED.match(source.text, at)
    if found is None:
        raise source.error(at, N_("A string does not end"))
    value = _PAIR.sub(r"\1", found[1]) if "\\" in found[1] else found[1]
    return Token(Kind.STRING, at, _LINE_END.sub("\r\n", value)), found.end()


def _multiline(source: Source, at: int, start: int) -> tuple[Token, int]:
    end = _TEXT_END.search(source.text, start)
    if end is None:
        raise source.error(at, N_("A text does not end: a line with a single dot is missing"))
    value = _LINE_END.sub("\r\n", _STUFFED.sub("", source.text[start : end.start()]))
    return Token(Kind.STRING, at, value), end.end()
