"""What makes a thread: Message-IDs (RFC 5322 §3.6.4) and the base subject (RFC 5256 §2.1).

Promises: work is linear in the text; ids come out as text that a database takes, without their angle brackets, and
equal for spellings that RFC 5256 §3 calls equal (quoting that is not needed).
"""

from __future__ import annotations

import re

from data.mime.decode import unlabelled

MAX_REFERENCES = 50
_MAX_ID = 998

_ID = re.compile(rb"<([^<>]{1,2000}+)>")
_SPACE = re.compile(r"\s+")
_NEEDLESS_QUOTES = re.compile(r'"([A-Za-z0-9!#$%&\'*+/=?^_`{|}~.-]+)"@')


def message_ids(value: bytes, limit: int = MAX_REFERENCES) -> tuple[str, ...]:
    """The last `limit` ids of a Message-ID, References or In-Reply-To value, in order, each once."""
    seen: dict[str, None] = {}
    for match in _ID.finditer(value):
        found = _normal(match[1])
        if found:
            seen[found] = None
    return tuple(seen)[-limit:] if limit > 0 else ()


def _normal(raw: bytes) -> str:
    text = unlabelled(raw)
    if not text.isprintable() or " " in text:
        # Folding inside an id is taken out; without an `@` it was a phrase in angle brackets.
        text = "".join(char for char in _SPACE.sub("", text) if char.isprintable()) if "@" in text else ""
    if '"' in text:
        text = _NEEDLESS_QUOTES.sub(r"\1@", text, count=1)
    return text if len(text) <= _MAX_ID else ""


_BLOB = re.compile(r"\[[^\[\]]*\]\s*")
_REPLY = re.compile(r"(?:re|fwd?)\s*(?:\[[^\[\]]*\]\s*)?:\s*", re.IGNORECASE | re.ASCII)
_FORWARD_TAIL = re.compile(r"\(fwd\)\Z", re.IGNORECASE | re.ASCII)
_FORWARD_HEAD = re.compile(r"\[fwd:", re.IGNORECASE | re.ASCII)


def base_subject(subject: str) -> str:
    """The subject without what replies and forwards add (RFC 5256 §2.1); white space folded, case kept."""
    return _extract(subject)[0]


def is_reply(subject: str) -> bool:
    """Whether the subject says that it is a reply or a forward (RFC 5256 §2.1)."""
    return _extract(subject)[1]


def _extract(subject: str) -> tuple[str, bool]:
    """Base subject, and whether something that marks a reply or forward was taken off."""
    text = _SPACE.sub(" ", subject).strip()
    start, end, reply = 0, len(text), False
    while True:
        end, trailed = _without_trailer(text, start, end)
        start, led = _without_leader(text, start, end)
        reply = reply or trailed or led
        head = _FORWARD_HEAD.match(text, start, end)
        if head is None or text[end - 1] != "]":
            return text[start:end].strip(), reply
        # RFC 5256 §2.1 (6): `[fwd: ...]` around the rest goes, and all is tried again.
        start, end, reply = head.end(), end - 1, True
        while start < end and text[start] == " ":
            start += 1


def _without_trailer(text: str, start: int, end: int) -> tuple[int, bool]:
    """Take `(fwd)` and white space off the end (§2.1 (2))."""
    found = False
    while end > start:
        if text[end - 1] == " ":
            end -= 1
        elif end - start >= 5 and _FORWARD_TAIL.match(text, end - 5, end):
            end -= 5
            found = True
        else:
            break
    return end, found


def _without_leader(text: str, start: int, end: int) -> tuple[int, bool]:
    """Take `Re:`, `Fwd:` and `[blobs]` off the front (§2.1 (3) to (5)); each character is looked at a bounded number of
    times, because all blobs in a row are passed at once."""
    found = False
    while True:
        at = last = start
        while (blob := _BLOB.match(text, at, end)) is not None:
            last, at = at, blob.end()
        reply = _REPLY.match(text, at, end)
        if reply is not None:
            start, found = reply.end(), True
            continue
        # Blobs go only where something is left behind them; otherwise the last one is the subject.
        return (at if at < end else last), found
