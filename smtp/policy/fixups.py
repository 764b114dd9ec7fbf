"""What a submitted message is given and relieved of before it goes anywhere (RFC 6409 §8).

Promises: fields keep their order and their octets; Date and Message-ID are added when they are missing, and Sender where
there are several authors; Bcc, a Return-Path of the client's and results of checks that claim to be ours are taken out.
Nothing else is touched. Pure: time and randomness come in.
"""

from __future__ import annotations

from data.ids import Millis
from data.mime.date import format_date
from data.mime.mailboxes import mailboxes, parse_list
from smtp.mailauth.results import stripped

_DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path"})


def fixed(
    found: list[tuple[bytes, bytes]], *, now: Millis, message_id: str, hostname: str = "", sender: str = ""
) -> bytes:
    """The header block with its empty line. `message_id` (with brackets) is used when there is none; `sender` is named where
    From has several authors and no Sender says which of them it was (RFC 5322 §3.6.2); results that claim to be those of
    `hostname` go (RFC 8601 §5)."""
    names = {name for name, _ in found}
    added = b""
    if b"date" not in names:
        added += f"Date: {format_date(now)}\r\n".encode("ascii")
    if b"message-id" not in names:
        added += f"Message-ID: {message_id}\r\n".encode("ascii")
    if sender and b"sender" not in names and _authors(found) > 1:
        added += f"Sender: <{sender}>\r\n".encode()
    kept = added + b"".join(field for name, field in found if name not in _DROPPED) + b"\r\n"
    return stripped(kept, hostname) if hostname else kept


def _authors(found: list[tuple[bytes, bytes]]) -> int:
    fields = (field.partition(b":")[2] for name, field in found if name == b"from")
    return sum(1 for field in fields for _ in mailboxes(parse_list(field, 10)))
