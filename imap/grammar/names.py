"""Mailbox names on the wire: modified UTF-7 for IMAP4rev1 (RFC 3501 §5.1.3), UTF-8 once IMAP4rev2 is enabled; and the
patterns of LIST, matched in one pass over the name whatever the pattern (RFC 9051 §6.3.9).
"""

from __future__ import annotations

import base64
import binascii
import re

from imap.errors import Bad, No
from imap.grammar.tokens import Cursor
from imap.response import string, utf8_string

SEPARATOR = "/"
MAX_PATTERN = 4000
_SHIFT = re.compile(rb"&([A-Za-z0-9+,]*)-")
_ENCODED = re.compile(r"[^ -~]+|&")
_ILLEGAL = re.compile(rb"[^ -~]")
_BAD_NAME = "The mailbox name is not valid modified UTF-7"


def decode(raw: bytes, *, utf8: bool) -> str:
    """A name as text. What is not properly encoded names nothing: No [CANNOT]."""
    if utf8:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise No("The mailbox name is not UTF-8", b"CANNOT") from None
    if _ILLEGAL.search(raw):
        raise No(_BAD_NAME, b"CANNOT")
    if b"&" not in raw:
        return raw.decode("ascii")
    try:
        name = _SHIFT.sub(_decode_run, raw).decode("utf-8")
    except (binascii.Error, UnicodeError):
        raise No(_BAD_NAME, b"CANNOT") from None
    if encode(name) != raw:  # a second spelling of the same name, or a stray "&"
        raise No(_BAD_NAME, b"CANNOT")
    return name


def _decode_run(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if not code:
        return b"&"
    data = base64.b64decode(code.replace(b",", b"/") + b"=" * (-len(code) % 4), validate=True)
    return data.decode("utf-16-be").encode("utf-8")


def encode(name: str) -> bytes:
    """A name in modified UTF-7."""
    return _ENCODED.sub(_encode_run, name).encode("ascii")


def _encode_run(found: re.Match[str]) -> str:
    if found[0] == "&":
        return "&-"
    code = base64.b64encode(found[0].encode("utf-16-be", "surrogatepass")).rstrip(b"=").replace(b"/", b",")
    return f"&{code.decode('ascii')}-"


def written(name: str, *, utf8: bool) -> bytes:
    """A name as a response writes it."""
    return utf8_string(name) if utf8 else string(encode(name))


def mailbox(cursor: Cursor) -> str:
    """A mailbox name."""
    raw = cursor.astring()
    if b"\0" in raw or b"\r" in raw or b"\n" in raw:
        raise No("The mailbox name holds a control character", b"CANNOT")
    return decode(raw, utf8=cursor.utf8)


def on_wire(name: str, *, utf8: bool) -> str:
    """A name as patterns are matched against it: in the form in which clients see it."""
    return name if utf8 else encode(name).decode("ascii")


def pattern(cursor: Cursor) -> str:
    """A LIST pattern, in the form of the wire; what is no text there matches nothing."""
    return _wire_text(cursor.pattern())


def reference(cursor: Cursor) -> str:
    """The reference of a LIST, in the form of the wire."""
    return _wire_text(cursor.astring())


def _wire_text(raw: bytes) -> str:
    if len(raw) > MAX_PATTERN:
        raise Bad("The pattern is too long")
    return raw.decode("utf-8", "replace")


class Pattern:
    """A LIST pattern: `*` matches anything, `%` anything within one level.

    All places in the pattern that the name may have reached are bits of one number, so that a name costs a few
    operations for each of its characters and no pattern can be made to search back (attack I6).
    """

    __slots__ = ("_any", "_final", "_level", "_places", "_start", "_wild")

    def __init__(self, text: str) -> None:
        self._places: dict[str, int] = {}
        self._any = self._level = self._wild = 0
        steps = _steps(text)
        for at, char in enumerate(steps):
            bit = 1 << at
            if char == "*":
                self._any |= bit
            elif char == "%":
                self._level |= bit
            else:
                self._places[char] = self._places.get(char, 0) | bit
        self._wild = self._any | self._level
        self._final = 1 << len(steps)
        self._start = self._skip(1)

    def _skip(self, places: int) -> int:
        """A wildcard may match nothing; two never stand side by side."""
        return places | ((places & self._wild) << 1)

    def matches(self, name: str) -> bool:
        """Whether the whole name fits; the letters of INBOX at its beginning fit in either case."""
        folded = 5 if name == "INBOX" or name.startswith("INBOX/") else 0
        places = self._start
        for at, char in enumerate(name):
            here = self._places.get(char, 0)
            if at < folded:
                here |= self._places.get(char.lower(), 0)
            stay = self._any if char == SEPARATOR else self._wild
            places = self._skip(((places & here) << 1) | (places & stay))
            if not places:
                return False
        return bool(places & self._final)


def _steps(text: str) -> list[str]:
    """Characters and wildcards; a run of wildcards is one: `*` if it holds a `*`."""
    steps: list[str] = []
    for char in text:
        if char in "*%" and steps and steps[-1] in ("*", "%"):
            if char == "*":
                steps[-1] = "*"
        else:
            steps.append(char)
    return steps
