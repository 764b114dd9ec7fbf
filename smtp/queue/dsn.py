"""Delivery status notifications (RFC 3461, RFC 3464, RFC 6522): what became of a message, told to its sender.

Promises: a multipart/report of three parts: plain words in the reader's language (who, why, what to do, the remote's
own words quoted), the machine's part, and the header of the original, at most 50 KiB of it (the whole message only for
RET=FULL and below that size). It is 7-bit unless addresses or a whole 8-bit message make it otherwise, says
`Auto-Submitted: auto-replied`, and is sent with a null return-path by the caller.
May not: decide whether one is due, read rows or send.
"""

from __future__ import annotations

import base64
import re
import secrets
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from enum import StrEnum

from appliance.i18n import N_, Catalogue
from data.ids import Millis
from data.reason import Reason
from smtp.queue.wording import cause_of, status_of

HEADER_MOST = 50 * 1024
_LINE_MOST = 998
_SUBJECT_MOST = 200
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Action(StrEnum):
    """What happened to a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Fate:
    """One recipient's part of a notification; `expired`: given up after temporary failures only."""

    address: str
    domain: str
    action: Action
    reason: Reason
    reply: str | None = None
    remote: str | None = None
    orcpt: str | None = None
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a notification says. `hostname` is this server's, `sender` who it is from (a postmaster of ours),
    `header` the original's header block as sent, `whole` the original where it is returned as a whole.
    """

    hostname: str
    sender: str
    return_path: str
    fates: tuple[Fate, ...]
    header: bytes
    subject: str
    arrived: Millis
    now: Millis
    retry_until: Millis | None = None
    envid: str | None = None
    message_id: str | None = None
    whole: bytes | None = None
    language: str = "en"


_TITLES = {
    Action.FAILED: N_("Not delivered: %(subject)s"),
    Action.DELAYED: N_("Not delivered yet: %(subject)s"),
    Action.DELIVERED: N_("Delivered: %(subject)s"),
    Action.RELAYED: N_("Handed on: %(subject)s"),
}
_OPENINGS = {
    Action.FAILED: N_("Your message could not be delivered to:"),
    Action.DELAYED: N_("Your message has not been delivered yet to:"),
    Action.DELIVERED: N_("Your message was delivered to:"),
    Action.RELAYED: N_("Your message was handed on, to a server that sends no confirmations, for:"),
}
_PATIENCE = N_(
    "There is nothing you have to do: this server goes on trying until %(until)s, and tells you if it gives up."
)
_EXPIRED = N_("This server tried for %(days)s days and has given up.")
_SAID = N_("%(host)s answered:")
_SUBJECT = N_("Subject: %(subject)s")
_SENT = N_("Sent: %(when)s")
_FROM = N_("Mail delivery")
_ABOUT = N_("The message:")
_NO_SUBJECT = N_("(no subject)")


def build(report: Report, catalogue: Catalogue) -> bytes:
    """The notification as octets, CRLF line ends."""
    boundary = f"=_{secrets.token_hex(16)}"
    parts = [_words(report, catalogue), _status(report), _original(report)]
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return _head(report, catalogue, boundary) + body + b"--" + boundary.encode() + b"--\r\n"


# --- the header -----------------------------------------------------------------------------------------------------


def _head(report: Report, catalogue: Catalogue, boundary: str) -> bytes:
    subject = report.subject.strip()[:_SUBJECT_MOST] or catalogue.text(report.language, _NO_SUBJECT)
    title = catalogue.text(report.language, _TITLES[_gravest(report)], subject=subject)
    fields = [
        ("From", f"{_encoded(catalogue.text(report.language, _FROM), 4)} <{report.sender}>"),
        ("To", f"<{report.return_path}>"),
        ("Subject", _encoded(title, 9)),
        ("Date", _date(report.now)),
        ("Message-ID", f"<{secrets.token_hex(12)}@{report.hostname}>"),
        *([("In-Reply-To", report.message_id), ("References", report.message_id)] if report.message_id else []),
        ("Auto-Submitted", "auto-replied"),
        ("MIME-Version", "1.0"),
        *([] if _returned(report).isascii() else [("Content-Transfer-Encoding", "8bit")]),
        ("Content-Type", f'multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"'),
    ]
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode() + b"\r\n"


def _gravest(report: Report) -> Action:
    """What a notification is called: by the worst it tells."""
    return next(action for action in Action if any(fate.action is action for fate in report.fates))


def _encoded(text: str, used: int) -> str:
    """`text` for an unstructured field whose name takes `used` columns: encoded words where it is not plain ASCII."""
    charset = None if text.isascii() and text.isprintable() else "utf-8"
    return Header(text, charset, header_name="x" * used).encode(linesep="\r\n")


def _date(when: Millis) -> str:
    return format_datetime(datetime.fromtimestamp(when // 1000, UTC))


# --- the part for people --------------------------------------------------------------------------------------------


def _words(report: Report, catalogue: Catalogue) -> bytes:
    text = "\n".join(_lines(report, catalogue)) + "\n"
    if text.isascii():
        return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text.replace("\n", "\r\n").encode()
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + _base64(text.replace("\n", "\r\n").encode())


def _lines(report: Report, catalogue: Catalogue) -> Iterator[str]:
    def say(message: str, **params: object) -> str:
        return catalogue.text(report.language, message, **params)

    for action in dict.fromkeys(fate.action for fate in report.fates):
        yield from (say(_OPENINGS[action]), "")
        for fate in report.fates:
            if fate.action is action:
                yield from _about(report, fate, catalogue)
        if action is Action.DELAYED and report.retry_until is not None:
            yield from (*_wrapped(say(_PATIENCE, until=_moment(report.retry_until)), 0), "")
    subject = report.subject.strip()[:_SUBJECT_MOST] or say(_NO_SUBJECT)
    yield from (say(_ABOUT), "")
    yield from _wrapped(say(_SUBJECT, subject=subject), 2)
    yield from _wrapped(say(_SENT, when=_moment(report.arrived)), 2)


def _about(report: Report, fate: Fate, catalogue: Catalogue) -> Iterator[str]:
    """A recipient: the address, why, what to do, and what the remote said."""

    def say(message: str, **params: object) -> str:
        return catalogue.text(report.language, message, **params)

    yield f"  {fate.address}"
    if fate.action in (Action.FAILED, Action.DELAYED):
        cause = cause_of(fate.reason, fate.reply)
        yield from _wrapped(say(cause.text, domain=fate.domain), 4)
        if fate.expired:
            days = max(1, (report.now - report.arrived) // 86_400_000)
            yield from _wrapped(say(_EXPIRED, days=days), 4)
        if cause.advice and fate.action is Action.FAILED:
            yield from _wrapped(say(cause.advice, domain=fate.domain), 4)
    if fate.reply:
        yield from _wrapped(say(_SAID, host=fate.remote or fate.domain), 4)
        yield from _wrapped(fate.reply, 8)
    yield ""


def _wrapped(text: str, indent: int) -> list[str]:
    """Lines of at most 76 columns (Chinese characters count two)."""
    space = " " * indent
    width = 76 if text.isascii() else 38 + indent
    return textwrap.wrap(text, width, initial_indent=space, subsequent_indent=space) or [space]


def _moment(when: Millis) -> str:
    return f"{datetime.fromtimestamp(when // 1000, UTC):%Y-%m-%d %H:%M} UTC"


# --- the part for machines ------------------------------------------------------------------------------------------


def _status(report: Report) -> bytes:
    """message/delivery-status (RFC 3464 §2): a group of fields about the message, then one for each recipient."""
    about = [f"Reporting-MTA: dns; {report.hostname}"]
    if report.envid:
        about.append(f"Original-Envelope-Id: {_ascii(xtext(report.envid))}")
    about.append(f"Arrival-Date: {_date(report.arrived)}")
    groups = [about, *(_fields(report, fate) for fate in report.fates)]
    text = "\r\n".join("".join(line + "\r\n" for line in group) for group in groups)
    return b"Content-Type: message/delivery-status\r\n\r\n" + text.encode("ascii")


def _fields(report: Report, fate: Fate) -> list[str]:
    lines = []
    if fate.orcpt and ";" in fate.orcpt:
        kind, _, address = fate.orcpt.partition(";")
        lines.append(f"Original-Recipient: {_ascii(kind)};{_ascii(xtext(address))}")
    lines += [f"Final-Recipient: {_typed(fate.address)}", f"Action: {fate.action.value}", f"Status: {_code(fate)}"]
    if fate.remote:
        lines.append(f"Remote-MTA: dns; {_ascii(fate.remote)}")
    if fate.reply:
        lines.append(_folded(f"Diagnostic-Code: smtp; {_ascii(fate.reply)}"))
    if fate.action is not Action.DELIVERED:
        lines.append(f"Last-Attempt-Date: {_date(report.now)}")
    if fate.action is Action.DELAYED and report.retry_until is not None:
        lines.append(f"Will-Retry-Until: {_date(report.retry_until)}")
    return lines


def _code(fate: Fate) -> str:
    if fate.action in (Action.DELIVERED, Action.RELAYED):
        return "2.0.0"
    if fate.expired:
        # RFC 3463 §3.5: X.4.7, delivery time expired
        return "4.4.7"
    found = status_of(fate.reason, fate.reply)
    return "4" + found[1:] if fate.action is Action.DELAYED else found


def _typed(address: str) -> str:
    """An address with its type; one in another script as utf-8-addr-xtext (RFC 6533 §3)."""
    if address.isascii():
        return f"rfc822; {_ascii(address)}"
    return "utf-8; " + "".join(c if c.isascii() and c not in "\\+=" else f"\\x{{{ord(c):02X}}}" for c in address)


def xtext(value: str) -> str:
    """What an xtext means (RFC 3461 §4): +HH is a character."""
    return _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), value)


def _ascii(value: str) -> str:
    return _UNPRINTABLE.sub("?", value)


def _folded(line: str) -> str:
    return "\r\n ".join(textwrap.wrap(line, 76, break_long_words=False, break_on_hyphens=False))


# --- the original ---------------------------------------------------------------------------------------------------


def _original(report: Report) -> bytes:
    whole = _returned(report)
    if whole:
        eightbit = b"" if whole.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
        return b"Content-Type: message/rfc822\r\n" + eightbit + b"\r\n" + whole
    header = _cut(report.header)
    if header.isascii() and _short(header):
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + header
    head = b"Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + _base64(header)


def _returned(report: Report) -> bytes:
    """The original as a whole, where it was asked for and is small enough; else nothing."""
    whole = report.whole or b""
    return whole if len(whole) <= HEADER_MOST and _short(whole) else b""


def _cut(header: bytes) -> bytes:
    """At most HEADER_MOST octets of a header block, whole lines, without the empty line at its end."""
    header = header.removesuffix(b"\r\n") if header.endswith(b"\r\n\r\n") else header
    if len(header) > HEADER_MOST:
        header = header[: header.rfind(b"\n", 0, HEADER_MOST) + 1]
    return header


def _short(data: bytes) -> bool:
    return all(len(line) <= _LINE_MOST for line in data.split(b"\r\n"))


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")
