"""Header blocks: fields, unfolding, encoded words (RFC 2047) and parameters (RFC 2045 §5.1, RFC 2231).

A header block is the bytes of a message or part up to and including its blank line. A field keeps its name and its raw
value as sent, folding included. Promises: any bytes are taken, nothing raises, work is linear in the input, and decoded
text holds no control characters (so that it can be put into a line again).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import islice

from data.mime.decode import to_text, unlabelled
from data.mime.part import Params

Field = tuple[bytes, bytes]
Index = dict[bytes, list[bytes]]

MAX_PARAMETERS = 50

# A field name is printable ASCII without the colon (RFC 5322 §2.2); white space before the colon is obsolete (§4.5.1).
# A line that is no field, with its continuation lines, is passed over. Possessive, so that nothing is tried twice.
_FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE)


def split(block: bytes) -> list[Field]:
    """All fields of a header block in order: name as written, raw value without its last line end."""
    return [(name, raw.rstrip(b"\r")) for name, raw in _FIELD.findall(block)]


def index(block: bytes) -> Index:
    """The fields of a header block by lower-case name, each with its raw values in order."""
    fields: Index = {}
    for name, raw in _FIELD.findall(block):
        key = name.lower()
        if key in fields:
            fields[key].append(raw)
        else:
            fields[key] = [raw]
    return fields


def find(fields: list[Field], name: bytes) -> bytes | None:
    """The raw value of the first field of that name (any case), or None."""
    wanted = name.lower()
    return next((raw for key, raw in fields if key.lower() == wanted), None)


def find_all(fields: list[Field], name: bytes) -> list[bytes]:
    """The raw values of all fields of that name (any case), in order."""
    wanted = name.lower()
    return [raw for key, raw in fields if key.lower() == wanted]


def first(fields: Index, name: bytes) -> bytes | None:
    """The raw value of the first field of that lower-case name in an index, or None."""
    values = fields.get(name)
    return values[0] if values else None


def unfold(raw: bytes) -> bytes:
    """A raw value on one line (RFC 5322 §2.2.3), without the white space around it."""
    if b"\n" in raw:
        raw = raw.replace(b"\r\n", b"").replace(b"\n", b"")
    return raw.strip(b" \t\r\n")


# An encoded word; the 75 characters of RFC 2047 §2 bind senders, real ones write longer texts and spaces in them.
_WORD = re.compile(rb"=\?([^?\s]{1,75}+)\?([bBqQ])\?([^?]*+)\?=")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_words(raw: bytes) -> str:
    """The text of an unstructured or phrase value: unfolded, encoded words decoded (RFC 2047 §6), controls as a space.

    White space between two encoded words goes; neighbours in one charset are joined before they are decoded, because
    senders split characters between words. Raw 8-bit text is read as UTF-8, else as windows-1252.
    """
    value = unfold(raw)
    text = _decode_words(value) if b"=?" in value else unlabelled(value)
    return text if text.isprintable() else _CONTROL.sub(" ", text)


def _decode_words(value: bytes) -> str:
    out: list[str] = []
    pending: list[bytes] = []  # octets of neighbouring words in one charset
    charset = ""
    at = 0
    for match in _WORD.finditer(value):
        gap = value[at : match.start()]
        # RFC 2231 §5: a language may follow the charset.
        word_charset = match[1].partition(b"*")[0].decode("latin-1").lower()
        if pending and not gap.strip(b" \t\r\n"):
            gap = b""
        if pending and (gap or word_charset != charset):
            out.append(to_text(b"".join(pending), charset))
            pending = []
        if gap:
            out.append(unlabelled(gap))
        charset = word_charset
        pending.append(_word_octets(match[2], match[3]))
        at = match.end()
    if pending:
        out.append(to_text(b"".join(pending), charset))
    out.append(unlabelled(value[at:]))
    return "".join(out)


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(text, header=True)
    clean = _NOT_BASE64.sub(b"", text)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


# `; name = value`, the value quoted or up to the next semicolon; anything else between semicolons is passed over.
_PARAM = re.compile(rb';\s*+([^\s=;"()]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_FILE_NAMES = (b"name", b"filename")


def parameters(value: bytes, limit: int = MAX_PARAMETERS) -> tuple[str, Params]:
    """The main value (lower-case) and the parameters of a structured MIME field.

    Parameter names are lower-case, each once (the first counts). Continuations and charsets of RFC 2231 are put
    together; at most `limit` parameters are read. Encoded words, which RFC 2047 §5 forbids here, stay as they are.
    """
    value = unfold(value)
    end = value.find(b";")
    main = uncommented(value if end < 0 else value[:end]).lower()
    if end < 0:
        return main, ()
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[str, bytes]]] = {}
    for match in islice(_PARAM.finditer(value, end), limit):
        name = match[1].lower()
        octets = _param_value(match[2], match[3], keep_comment=name.startswith(_FILE_NAMES))
        if b"*" in name:
            key, _, suffix = name.decode("latin-1").partition("*")
            pieces.setdefault(key, []).append((suffix, octets))
        else:
            plain.setdefault(name.decode("latin-1"), unlabelled(octets))
    for key, found in pieces.items():
        # RFC 2231 §3: the extended form counts where a sender gives both.
        plain[key] = _joined(found)
    return main, tuple(plain.items())


def _param_value(quoted: bytes | None, token: bytes | None, *, keep_comment: bool) -> bytes:
    if quoted is not None:
        return _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
    value = (token or b"").strip()
    return value if keep_comment or b"(" not in value else uncommented_octets(value)


def uncommented(value: bytes) -> str:
    """A token or short value as text without comments (RFC 5322 §3.2.2) and outer white space."""
    return unlabelled(uncommented_octets(value) if b"(" in value else value.strip())


_PARENTHESIS = re.compile(rb"\\.|[()]", re.DOTALL)


def uncommented_octets(value: bytes) -> bytes:
    """`value` without its comments, nested ones included; one that is not closed runs to the end."""
    out = []
    depth = at = 0
    for match in _PARENTHESIS.finditer(value):
        sign = match[0]
        if sign == b"(":
            if not depth:
                out.append(value[at : match.start()])
            depth += 1
        elif sign == b")" and depth:
            depth -= 1
            at = match.end()
    if not depth:
        out.append(value[at:])
    return b" ".join(out).strip()


_SECTION = re.compile(r"(?:([0-9]{1,3})(\*?)|)\Z", re.ASCII)


def _joined(found: list[tuple[str, bytes]]) -> str:
    """The value of one parameter out of its RFC 2231 pieces: suffix after the first `*`, and octets as sent."""
    numbered: dict[int, tuple[bool, bytes]] = {}
    for suffix, octets in found:
        match = _SECTION.match(suffix)
        if match is None:
            continue
        if match[1] is None:
            return _extended(octets)
        numbered.setdefault(int(match[1]), (bool(match[2]), octets))
    charset: str | None = None
    out = []
    for number, (extended, octets) in enumerate(_run(numbered)):
        if number == 0 and extended:
            charset, labelled = _label(octets)
            out.append(_percent(labelled))
        else:
            out.append(_percent(octets) if extended else octets)
    return to_text(b"".join(out), charset)


def _run(numbered: dict[int, tuple[bool, bytes]]) -> Iterator[tuple[bool, bytes]]:
    """The pieces 0, 1, 2 ... as far as none is missing."""
    number = 0
    while number in numbered:
        yield numbered[number]
        number += 1


def _extended(octets: bytes) -> str:
    charset, rest = _label(octets)
    return to_text(_percent(rest), charset)


def _label(octets: bytes) -> tuple[str | None, bytes]:
    """`charset'language'text` -> charset and text (RFC 2231 §4)."""
    charset, quote, rest = octets.partition(b"'")
    if not quote:
        return None, octets
    _, quote, text = rest.partition(b"'")
    return (charset.decode("latin-1") or None, text) if quote else (None, octets)


_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def _percent(octets: bytes) -> bytes:
    return _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), octets) if b"%" in octets else octets


def filename_text(name: str | None) -> str | None:
    """A file name for people: encoded words decoded where a sender put them into a parameter, controls gone."""
    if name is None:
        return None
    if "=?" in name:
        return decode_words(name.encode("utf-8", "replace"))
    return name if name.isprintable() else _CONTROL.sub(" ", name)
