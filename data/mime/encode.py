"""Header fields for a message we write: encoded words (RFC 2047), phrases, addresses, parameters (RFC 2231), folding.

Promises: the result is ASCII (unless UTF-8 headers are asked for, RFC 6532), every line is at most 78 characters where
it can be folded at all (RFC 5322 §2.1.1), and no value can begin another field: control characters become a space.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

from data.mime.address import Address, AddressError, domain_to_ascii, quote_local
from data.mime.part import Params

LINE = 78
# RFC 2047 §2: a line with encoded words is at most 76 long; the first one stands behind the field's name.
_WORD_ROOM = 76 - len("Reply-To: ") - len("=?utf-8?q??=")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+\Z")
_TOKEN = re.compile(r"[A-Za-z0-9!#$&+.^_`{|}~-]+\Z")
# What a Q word may hold as it is: the narrowest set, for phrases (RFC 2047 §5 (3)).
_Q_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/")
_ATTRIBUTE_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&+-.^_`{|}~")


def clean(text: str) -> str:
    """The text on one line."""
    return _CONTROLS.sub(" ", text)


def unstructured(name: str, text: str, *, utf8: bool = False) -> bytes:
    """A field of free text, such as Subject, folded and with its line end."""
    return field(name, _text_tokens(clean(text), utf8=utf8))


def _text_tokens(text: str, *, utf8: bool) -> list[str]:
    if not text:
        return []
    words = text.split(" ")
    bad = [at for at, word in enumerate(words) if _needs_encoding(word, utf8=utf8)]
    if not bad:
        return words
    # Encoded words and the ASCII around them are parted by the one space that readers keep.
    first, last = bad[0], bad[-1] + 1
    return [*words[:first], *encoded_words(" ".join(words[first:last])), *words[last:]]


def _needs_encoding(word: str, *, utf8: bool) -> bool:
    # An empty word means that spaces are doubled, or lead or trail: folding could lose them.
    return not word or not (word.isascii() or utf8) or "=?" in word or len(word) > 500


def encoded_words(text: str) -> list[str]:
    """The text as encoded words that fit into a line, no character split between two (RFC 2047 §2, §5)."""
    characters = [char.encode("utf-8", "replace") for char in text]
    ascii_ones = sum(len(octets) == 1 for octets in characters)
    if ascii_ones * 2 >= len(characters):
        return [f"=?utf-8?q?{''.join(word)}?=" for word in _fill(map(_q, characters), _WORD_ROOM)]
    # Three octets make four characters of base64.
    words = _fill((octets.decode("latin-1") for octets in characters), _WORD_ROOM // 4 * 3)
    return [f"=?utf-8?b?{base64.b64encode(''.join(word).encode('latin-1')).decode()}?=" for word in words]


def _q(octets: bytes) -> str:
    """One character in the Q encoding (RFC 2047 §4.2)."""
    if octets == b" ":
        return "_"
    return "".join(chr(octet) if octet in _Q_PLAIN else f"={octet:02X}" for octet in octets)


def _fill(pieces: Iterable[str], room: int) -> Iterator[list[str]]:
    """Pieces in order, in groups of at most `room` characters."""
    group: list[str] = []
    used = 0
    for piece in pieces:
        if used + len(piece) > room:
            yield group
            group, used = [], 0
        group.append(piece)
        used += len(piece)
    yield group


def addresses(name: str, items: Iterable[Address], *, utf8: bool = False) -> bytes:
    """An address field, folded, with its line end; domains as A-labels unless headers are in UTF-8.

    Raises AddressError for an address that cannot be written so.
    """
    tokens: list[str] = []
    for item in items:
        if tokens:
            tokens[-1] += ","
        tokens += _mailbox(item, utf8=utf8)
    return field(name, tokens)


def _mailbox(item: Address, *, utf8: bool) -> list[str]:
    spec = _spec(item, utf8=utf8)
    name = clean(item.name or "").strip()
    return [*_phrase(name, utf8=utf8), f"<{spec}>"] if name else [spec]


def _spec(item: Address, *, utf8: bool) -> str:
    local = quote_local(item.local)
    if not local.isprintable() or not (utf8 or local.isascii()):
        raise AddressError("The local part cannot be sent without UTF-8 headers")
    if item.domain is None:
        raise AddressError("The address has no domain")
    return f"{local}@{domain_to_ascii(item.domain)}"


def _phrase(name: str, *, utf8: bool) -> list[str]:
    """A display name: atoms, a quoted string, or encoded words (RFC 5322 §3.2.5)."""
    if _ATOMS.match(name) and "=?" not in name and "  " not in name and len(name) <= 500:
        return name.split(" ")
    if (name.isascii() or utf8) and "=?" not in name and len(name) <= 500:
        return ['"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"']
    return encoded_words(name)


_ID = re.compile(r"[^\s<>]+\Z")


def message_ids(name: str, ids: Iterable[str], *, utf8: bool = False) -> bytes:
    """A field of message ids; those that cannot be written are left out, and with the last of them the field."""
    tokens = [f"<{each}>" for each in ids if _ID.match(each) and each.isprintable() and (utf8 or each.isascii())]
    return field(name, tokens) if tokens else b""


def parameters(name: str, value: str, params: Params) -> bytes:
    """A field with parameters, folded, with its line end; what is not ASCII or too long goes as RFC 2231 says."""
    tokens = [value]
    for key, text in params:
        for piece in _parameter(key, clean(text)):
            tokens[-1] += ";"
            tokens.append(piece)
    return field(name, tokens)


def _parameter(key: str, text: str) -> Iterator[str]:
    if text.isascii() and len(key) + len(text) <= 70:
        quoted = text if _TOKEN.match(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        yield f"{key}={quoted}"
        return
    pieces = (_percent(char) for char in text)
    groups = list(_fill(pieces, 60))
    if len(groups) == 1:
        yield f"{key}*=utf-8''{''.join(groups[0])}"
        return
    for number, group in enumerate(groups):
        label = "" if number else "utf-8''"
        yield f"{key}*{number}*={label}{''.join(group)}"


def _percent(char: str) -> str:
    return "".join(
        chr(octet) if octet in _ATTRIBUTE_PLAIN else f"%{octet:02X}" for octet in char.encode("utf-8", "replace")
    )


def field(name: str, tokens: Iterable[str]) -> bytes:
    """`name: tokens`, folded between tokens, with its line end."""
    lines = [f"{name}:"]
    for token in tokens:
        if len(lines[-1]) + 1 + len(token) > LINE and (len(lines) > 1 or lines[-1] != f"{name}:"):
            lines.append("")
        lines[-1] += f" {token}"
    return "\r\n".join(lines).encode("utf-8") + b"\r\n"
