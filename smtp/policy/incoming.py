"""What a message from outside must be before it is looked at further, and what is taken off it.

Promises: exactly one From field, or it is refused: two readers could take two authors for the same message (RELIABILITY: N11;
RFC 7489 §6.6.1). What claims to be our own Authentication-Results is gone. Pure.
"""

from __future__ import annotations

import re

from smtp import reply
from smtp.mailauth.results import stripped
from smtp.reply import Refused

_FROM = re.compile(rb"^from[ \t]*+(?:\r?\n[ \t]++)?:", re.MULTILINE | re.IGNORECASE)
_BLANK = b"\r\n\r\n"


def cut(message: bytes) -> int:
    """Where the body of a message begins."""
    if message.startswith(b"\r\n"):
        return 2
    end = message.find(_BLANK)
    return len(message) if end < 0 else end + len(_BLANK)


def admitted(header: bytes, hostname: str, *, strict: bool = True) -> bytes:
    """The header as it is kept. Raises Refused; not for the count of From where it is not `strict`."""
    if strict and len(_FROM.findall(header)) != 1:
        raise Refused(reply.ONE_FROM, "header.from")
    return stripped(header, hostname)
