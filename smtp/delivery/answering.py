"""Answers while somebody is away: whom they may go to, and what they look like (RFC 3834, RFC 5230 §4.5-§5). Pure.

Promises: nobody is answered who is no person writing to this person: not the null return-path, not a machine, not a list,
not oneself, not a message that only passed by (no own address in To or Cc). An answer says that it is one, names what it
answers, goes to the return-path and has none itself, so that nothing answers it.
May not: remember whom it answered (data.rules.marks does), or send.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from data.ids import Millis
from data.mime.address import Address, AddressError, mailboxes, normal, parse_list
from data.mime.compose import Draft, compose
from data.mime.headers import decode_words, first, index
from data.mime.threads import message_ids
from data.rules.sieve.actions import Vacation
from data.rules.sieve.message import Message

_MACHINES = re.compile(
    r"(?:owner-.*|.*-owner|.*-request|.*-bounces?|bounces?(?:[+=-].*)?|mailer-daemon|listserv|majordomo"
    r"|(?:do[-_.]?)?not?[-_.]?reply(?:[-_.+].*)?)\Z"
)
"""Local parts behind which nobody reads (RFC 3834 §2, RFC 5230 §4.6)."""
_ADDRESSED = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
_BULK = frozenset({"bulk", "list", "junk"})
_SUBJECT_MOST = 500
_LINE_END = re.compile(r"\r\n?|\n")
_CONTENT_FIELD = re.compile(rb"content-[a-z-]+[ \t]*:", re.IGNORECASE)


def refusal(message: Message, others: tuple[str, ...], is_own: Callable[[str], bool]) -> str | None:
    """Why a message is not answered, as the end of a reason's code; None when it may be. `others` are addresses that the
    script names; `is_own` knows those that lead to this person alone.
    """
    sender = message.envelope.sender
    own = _owner(others, is_own)
    if not sender:
        return "null"
    if _MACHINES.match(sender.rpartition("@")[0].lower()):
        return "machine"
    if own(sender):
        return "self"
    return _automatic(message) or (None if _addressed(message, own) else "not-addressed")


def _owner(others: tuple[str, ...], is_own: Callable[[str], bool]) -> Callable[[str], bool]:
    keys = {key for key in map(_key, others) if key}

    def own(address: str) -> bool:
        return _key(address) in keys or is_own(address)

    return own


def _automatic(message: Message) -> str | None:
    """What says that no person wrote it, or not to this person."""
    submitted = "".join(message.values("auto-submitted")[:1]).partition(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return "automatic"
    if any(value.strip().lower() in _BULK for value in message.values("precedence")):
        return "list"
    if any(name.startswith(b"list-") for name in index(message.header)):
        return "list"
    if message.values("x-auto-response-suppress") or (message.root.type, message.root.subtype) == (
        "multipart",
        "report",
    ):
        return "automatic"
    return None


def _addressed(message: Message, own: Callable[[str], bool]) -> bool:
    raws = (raw for name in _ADDRESSED for raw in message.raw(name))
    return any(own(one.spec) for raw in raws for one in message.addresses(raw))


def _key(address: str) -> str:
    """What two spellings of an address share, without its tag; empty for what is none."""
    try:
        return normal(address).base_address
    except AddressError:
        return ""


def answer(vacation: Vacation, message: Message, sender: Address, message_id: str, now: Millis) -> bytes:
    """The answer, whole. `sender` is who it is from. Raises AddressError for a return-path that cannot be written."""
    fields = index(message.header)
    local, _, domain = message.envelope.sender.rpartition("@")
    references = message_ids(b" ".join([*fields.get(b"references", ()), first(fields, b"message-id") or b""]))
    draft = Draft(
        sender=sender,
        date=now,
        message_id=message_id,
        to=(Address(None, local, domain),),
        subject=_subject(vacation, fields.get(b"subject", [])),
        in_reply_to=message_ids(first(fields, b"message-id") or b"", 1),
        references=references,
        text="" if vacation.mime else vacation.reason,
        extra=(("Auto-Submitted", "auto-replied"),),
    )
    octets = compose(draft)
    return _with_entity(octets, vacation.reason) if vacation.mime else octets


def _subject(vacation: Vacation, raw: list[bytes]) -> str:
    """RFC 5230 §4.3 and §5.1."""
    if vacation.subject is not None:
        return _one_line(vacation.subject)
    return _one_line("Auto: " + decode_words(raw[0][: 64 * _SUBJECT_MOST])) if raw else "Automated reply"


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_SUBJECT_MOST]


def _with_entity(octets: bytes, entity: str) -> bytes:
    """The message with the script's own body part (:mime) in place of its body; only Content- fields of it count."""
    head = octets[: octets.index(b"MIME-Version: 1.0\r\n") + len(b"MIME-Version: 1.0\r\n")]
    text = _LINE_END.sub("\r\n", entity.replace("\0", "")).encode("utf-8", "replace")
    fields, blank, body = text.partition(b"\r\n\r\n")
    if text.startswith(b"\r\n"):
        fields, blank, body = b"", b"\r\n", text[2:]
    kept: list[bytes] = []
    taken = False
    for line in fields.split(b"\r\n"):
        taken = taken if line[:1] in (b" ", b"\t") else _CONTENT_FIELD.match(line) is not None
        if taken and line.strip():
            kept.append(line + b"\r\n")
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    if not body.isascii() and not any(line.lower().startswith(b"content-transfer-encoding") for line in kept):
        kept.append(b"Content-Transfer-Encoding: 8bit\r\n")
    return head + b"".join(kept) + b"\r\n" + (body if blank else text)


def from_address(text: str | None) -> Address | None:
    """The one address in :from, or None."""
    found = list(mailboxes(parse_list(text or "", 2)))
    return found[0] if len(found) == 1 else None
