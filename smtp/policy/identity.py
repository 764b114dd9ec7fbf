"""May this account write as the addresses of this message: the header's From, Sender and Resent-From, read strictly.

Promises: linear time; an address is taken only from a field that can be read in exactly one way. Whatever two programs
could read differently (a space before the colon, a fold before it, groups, several From fields, control characters, an
address hidden in a display name or in an encoded-word) is refused, so that what was checked is what is shown.
RFC 5322 §3.4, §3.6.2; RFC 6409 §6.1, §8; RFC 2047 §5. May not: repair anything.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from smtp import reply
from smtp.reply import Refused
from smtp.transaction.path import Path, split_path

MayUse = Callable[[str], bool]
"""Is the account allowed this address?"""

_FIELD = re.compile(rb"([!-9;-~]+):")
_ORIGINATORS = frozenset({b"from", b"sender", b"resent-from", b"resent-sender"})
_ONCE = (b"from", b"sender")
_MAX_ADDRESSES = 50
_MAX_NAME = 1000

_WORD = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<quoted>"(?:[^"\\\x00-\x1f]|\\[\x20-\x7e])*")
      | (?P<angle><[^<>"\x00-\x1f]*>|<"(?:[^"\\\x00-\x1f]|\\[\x20-\x7e])*"@[^<>"\x00-\x1f]*>)
      | (?P<comment>\([^()<>@,;:"\\\x00-\x1f]*\))
      | (?P<comma>,)
      | (?P<atom>[^\s"(),:;<>\[\\\]\x00-\x1f\x7f]+)
    """,
    re.X,
)
_ENCODED = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\s]*)\?=")
_FULLWIDTH = str.maketrans({"＠": "@", "﹫": "@", "＜": "<", "＞": ">", "．": ".", "。": "."})
_BETWEEN = re.compile(r"\?=\s+=\?")
_ADDRESS_IN_NAME = re.compile(r"[^\s<>@,;:\"()]+@[^\s<>@,;:\"()]+\.[^\s<>@,;:\"()]+")


def fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """The header as (name lower-cased, field with its CRLF) in order, the empty line left out.

    Raises Refused for lines that are no field: it is not for us to guess what the author's program meant.
    """
    found: list[tuple[bytes, bytes]] = []
    start: int | None = None
    name = b""
    at = 0
    while at < len(header):
        end = header.find(b"\n", at)
        end = len(header) if end < 0 else end + 1
        line = header[at:end]
        if line in (b"\r\n", b"\n"):
            break
        if line[:1] in (b" ", b"\t"):
            if start is None:
                raise Refused(reply.BAD_HEADER, "header.fold")
        else:
            if start is not None:
                found.append((name, header[start:at]))
            match = _FIELD.match(line)
            if match is None:
                raise _no_field(line)
            start, name = at, match[1].lower()
        at = end
    if start is not None:
        found.append((name, header[start:at]))
    return found


def _no_field(line: bytes) -> Refused:
    """A line without a name and a colon; one that begins like From is taken for an attempt to hide it."""
    if line.lower().startswith(tuple(_ORIGINATORS)):
        return Refused(reply.NOT_YOUR_FROM, "identity.field")
    return Refused(reply.BAD_HEADER, "header.field")


def require_identity(found: list[tuple[bytes, bytes]], may_use: MayUse) -> None:
    """The account may write as all the originators of these fields. Raises Refused."""
    names = [name for name, _ in found if name in _ONCE]
    if names.count(b"from") != 1:
        raise Refused(reply.ONE_FROM, "identity.from")
    if names.count(b"sender") > 1:
        raise Refused(reply.NOT_YOUR_FROM, "identity.sender")
    for name, field in found:
        if name in _ORIGINATORS:
            _require_field(field, may_use)


def _require_field(field: bytes, may_use: MayUse) -> None:
    try:
        text = field.partition(b":")[2].decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(reply.NOT_YOUR_FROM, "identity.charset")
    addresses = 0
    for name, path in mailboxes(text):
        addresses += 1
        if addresses > _MAX_ADDRESSES or path.null or not may_use(path.text()):
            raise Refused(reply.NOT_YOUR_FROM, "identity.address")
        _require_name(name, may_use)
    if not addresses:
        raise Refused(reply.NOT_YOUR_FROM, "identity.none")


def mailboxes(text: str) -> Iterator[tuple[str, Path]]:
    """A mailbox-list as (display name, address) pairs; groups, routes and odd comments raise Refused.

    (lenient: a plain comment behind or before an address is passed over, old programs put the name there)
    """
    name: list[str] = []
    path: Path | None = None
    for kind, word in _words(text):
        if kind == "comma":
            if path is None and not name:
                continue  # RFC 5322 §4.4 lets a list have holes
            yield _mailbox(name, path)
            name, path = [], None
        elif kind == "comment":
            continue
        elif path is not None:
            raise _unreadable()
        elif kind == "angle":
            path = _path(word)
        else:
            name.append(word)
    if path is not None or name:
        yield _mailbox(name, path)


def _words(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None or match.lastgroup is None:
            raise _unreadable()
        at = match.end()
        if match.lastgroup != "space":
            yield match.lastgroup, match[0]


def _mailbox(name: list[str], path: Path | None) -> tuple[str, Path]:
    if path is not None:
        return " ".join(name), path
    if len(name) == 2 and name[0].startswith('"') and name[1].startswith("@"):
        return "", _path(f"<{name[0]}{name[1]}>")
    if len(name) != 1:
        raise _unreadable()
    return "", _path(f"<{name[0]}>")


def _path(angle: str) -> Path:
    found = split_path(angle)
    if found is None or found[1] or not found[0].domain or found[0].relaying or found[0].literal:
        raise _unreadable()
    return found[0]


def _require_name(name: str, may_use: MayUse) -> None:
    """A display name may not say another address than one the account may use."""
    if len(name) > _MAX_NAME:
        raise Refused(reply.NOT_YOUR_FROM, "identity.name")
    shown = decoded(name).translate(_FULLWIDTH)
    hidden = shown != name
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in shown) or (
        hidden and ("<" in shown or ">" in shown)
    ):
        raise Refused(reply.NOT_YOUR_FROM, "identity.name")
    for match in _ADDRESS_IN_NAME.finditer(shown):
        if not may_use(match[0].strip("'`.")):
            raise Refused(reply.NOT_YOUR_FROM, "identity.name")


def decoded(name: str) -> str:
    """A display name with its encoded-words decoded, in and out of quotes alike, as lenient readers show it."""
    return _ENCODED.sub(_decode_word, _BETWEEN.sub("?==?", name)) if "=?" in name else name


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, text = match[1].partition("*")[0], match[2], match[3]
    if encoding in "bB":
        try:
            octets = base64.b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raise _unreadable()
    else:
        octets = binascii.a2b_qp(text.replace("_", " ").encode("utf-8"))
    try:
        return octets.decode(charset)
    except (LookupError, UnicodeDecodeError):
        raise _unreadable()


def _unreadable() -> Refused:
    return Refused(reply.NOT_YOUR_FROM, "identity.unreadable")
