"""Responses as octets (RFC 5804 §1.2, §1.3): OK, NO and BYE with their codes, and strings.

Promises: nothing in a text can end a line: what does not fit a quoted string goes as a literal.
"""

from __future__ import annotations

_QUOTED_MOST = 1024


def string(text: str | bytes) -> bytes:
    """A string: quoted where that can be, else a literal."""
    octets = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if len(octets) <= _QUOTED_MOST and not any(byte in octets for byte in b"\r\n\0"):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n" % len(octets) + octets


def _line(word: bytes, text: str, code: bytes | None) -> bytes:
    parts = [word, *([b"(" + code + b")"] if code else []), *([string(text)] if text else [])]
    return b" ".join(parts) + b"\r\n"


def ok(text: str = "", code: bytes | None = None) -> bytes:
    """It was done."""
    return _line(b"OK", text, code)


def no(text: str, code: bytes | None = None) -> bytes:
    """It was not done."""
    return _line(b"NO", text, code)


def bye(text: str, code: bytes | None = None) -> bytes:
    """The server leaves."""
    return _line(b"BYE", text, code)
