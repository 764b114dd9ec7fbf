"""Trace fields: Return-Path, Delivered-To, Received (RFC 5321 §4.4; RFC 3848, RFC 6531 §4.3, RFC 8314 §4.3).

Promises: one line of at most 998 octets each, ASCII but for addresses that came with SMTPUTF8; nothing a client said
can end a line or open a comment. A submitted message does not say from where (RFC 5321 §4.4 leaves that to us).
"""

from __future__ import annotations

import re

from data.ids import Millis
from data.mime.address import AddressError, domain_to_ascii
from data.mime.date import format_date
from smtp.transaction.facts import Envelope, Session, Tls

_PLAIN = re.compile(r"[A-Za-z0-9.\-_:\[\]+/]+\Z")
_DELIVERED = re.compile(rb"^delivered-to:[ \t]*([^\r\n]{1,400})", re.I | re.M)


def protocol(*, extended: bool, tls: bool, signed_in: bool, smtputf8: bool) -> str:
    """The name behind `with`: SMTP, ESMTP, ESMTPS, ESMTPSA, UTF8SMTPSA and the rest (RFC 3848, RFC 6531 §4.3)."""
    if not extended:
        return "SMTP"
    return ("UTF8SMTP" if smtputf8 else "ESMTP") + ("S" if tls else "") + ("A" if signed_in else "")


def received(session: Session, envelope: Envelope, *, hostname: str, now: Millis) -> bytes:
    """Our Received field for a message that came over a connection; without the peer when somebody signed in."""
    signed_in = session.principal is not None
    name = protocol(
        extended=session.extended, tls=session.tls is not None, signed_in=signed_in, smtputf8=envelope.smtputf8
    )
    origin = "" if signed_in else f"from {_hello(session.helo)} ({session.peer.literal})\r\n\t"
    return received_line(
        origin,
        hostname=hostname,
        with_protocol=name,
        trail=envelope.trail,
        tls=session.tls,
        recipients=[one.text for one in envelope.recipients],
        now=now,
    )


def received_line(
    origin: str, *, hostname: str, with_protocol: str, trail: str, tls: Tls | None, recipients: list[str], now: Millis
) -> bytes:
    """A Received field; `origin` is empty or ends in a fold. A recipient is named only when there is but one."""
    protected = f"\r\n\t({tls.version} {tls.cipher})" if tls is not None else ""
    only = f"\r\n\tfor <{recipients[0]}>" if len(recipients) == 1 else ""
    text = f"Received: {origin}by {hostname} with {with_protocol}{protected}\r\n\tid {trail}{only};\r\n\t{format_date(now)}\r\n"
    return text.encode("utf-8")


def return_path(address: str) -> bytes:
    """Return-Path, written at final delivery alone (RFC 5321 §4.4)."""
    return f"Return-Path: <{address}>\r\n".encode()


def delivered_to(address: str) -> bytes:
    """Delivered-To: for whom this copy is; what tells a loop the next time."""
    return f"Delivered-To: {address}\r\n".encode()


def seen_by(header: bytes) -> frozenset[str]:
    """The addresses a message was delivered to before, folded."""
    return frozenset(found.decode("utf-8", "replace").strip().lower() for found in _DELIVERED.findall(header))


def _hello(name: str | None) -> str:
    """What the client called itself, made fit for a trace field."""
    if name is None:
        return "unknown"
    if _PLAIN.match(name):
        return name
    try:
        return domain_to_ascii(name)
    except AddressError:
        return "unknown"
