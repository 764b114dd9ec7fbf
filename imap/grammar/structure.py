"""A rendered BODYSTRUCTURE without its extension data: the BODY item of FETCH (RFC 9051 §7.5.2).

The store keeps BODYSTRUCTURE rendered. BODY is the same with everything after the basic fields of each part left out,
so that it can be cut out of it, exactly, without opening the message. Promises: linear, no recursion.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(rb'\(|\)| |"(?:[^"\\]|\\.)*"|\{([0-9]+)\}\r\n|[^ ()"{]+', re.DOTALL)
_BASIC, _TEXT, _MESSAGE = 7, 8, 10


def without_extension(structure: bytes) -> bytes:
    """BODY out of BODYSTRUCTURE, both as octets."""
    out: list[bytes] = []
    at = _part(structure, 0, out)
    if at != len(structure):
        raise ValueError("that is no rendered BODYSTRUCTURE")
    return b"".join(out)


class _Open:
    """A part whose end was not reached: a multipart, or an embedded message around the part being read."""

    __slots__ = ("left", "multipart")

    def __init__(self, multipart: bool, left: int = 0) -> None:
        self.multipart = multipart
        self.left = left


def _part(data: bytes, at: int, out: list[bytes]) -> int:
    """Copy the part that begins at `at`; returns where it ends."""
    open_: list[_Open] = []
    while True:
        at = _expect(data, at, b"(")
        out.append(b"(")
        if data[at : at + 1] == b"(":
            open_.append(_Open(multipart=True))
            continue
        at, whole = _basic(data, at, out)
        if not whole:
            open_.append(_Open(multipart=False))
            continue
        while True:  # a part is complete
            at = _skip_rest(data, at)
            out.append(b")")
            if not open_:
                return at
            if open_[-1].multipart and data[at : at + 1] == b"(":
                break
            at = _fields(data, at, 1, out)  # the subtype of a multipart, the lines of an embedded message
            open_.pop()


def _basic(data: bytes, at: int, out: list[bytes]) -> tuple[int, bool]:
    """The fields of a part that is no multipart; False when an embedded message's own structure comes next."""
    start = len(out)
    at = _fields(data, at, 2, out, first=True)
    kind = b"".join(out[start:]).upper()
    at = _fields(data, at, 5, out)
    if kind.startswith(b'"TEXT"'):
        return _fields(data, at, 1, out), True
    if kind in (b'"MESSAGE" "RFC822"', b'"MESSAGE" "GLOBAL"') and data[at : at + 2] == b" (":
        at = _expect(data, _fields(data, at, 1, out), b" ")
        out.append(b" ")
        return at, False
    return at, True


def _fields(data: bytes, at: int, count: int, out: list[bytes], *, first: bool = False) -> int:
    """Copy `count` values, each with the space before it (`first`: none before the first)."""
    for number in range(count):
        start = at
        if not (first and number == 0) and data[at : at + 1] == b" ":
            at += 1
        at = _skip(data, at)
        out.append(data[start:at])
    return at


def _skip_rest(data: bytes, at: int) -> int:
    """Behind the parenthesis that closes this part."""
    while data[at : at + 1] != b")":
        at = _skip(data, at + 1 if data[at : at + 1] == b" " else at)
    return at + 1


def _skip(data: bytes, at: int) -> int:
    """Behind one value: a string, a word, or a parenthesized list."""
    depth = 0
    while True:
        found = _TOKEN.match(data, at)
        if found is None:
            raise ValueError("that is no rendered BODYSTRUCTURE")
        at = found.end() + (int(found[1]) if found[1] else 0)
        if found[0] == b"(":
            depth += 1
        elif found[0] == b")":
            depth -= 1
        if depth == 0:
            return at


def _expect(data: bytes, at: int, mark: bytes) -> int:
    if not data.startswith(mark, at):
        raise ValueError("that is no rendered BODYSTRUCTURE")
    return at + len(mark)
