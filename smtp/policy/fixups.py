"""What a submitted message is given and relieved of before it goes anywhere (RFC 6409 §8).

Promises: fields keep their order and their octets; Date and Message-ID are added when they are missing, Bcc and a
Return-Path of the client's are taken out. Nothing else is touched. Pure: time and randomness come in.
"""

from __future__ import annotations

from data.ids import Millis
from data.mime.date import format_date

_DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path"})


def fixed(found: list[tuple[bytes, bytes]], *, now: Millis, message_id: str) -> bytes:
    """The header block with its empty line. `message_id` (with brackets) is used when there is none."""
    names = {name for name, _ in found}
    added = b""
    if b"date" not in names:
        added += f"Date: {format_date(now)}\r\n".encode("ascii")
    if b"message-id" not in names:
        added += f"Message-ID: {message_id}\r\n".encode("ascii")
    return added + b"".join(field for name, field in found if name not in _DROPPED) + b"\r\n"
