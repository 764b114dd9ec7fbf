"""From bytes on the wire to octets and text: transfer-encodings (RFC 2045 §6) and charsets.

Promises: nothing raises, whatever the bytes; a charset that is not in the table below is never looked up by its name
(Python's registry imports and remembers whatever it is asked for). The result never holds lone surrogates. Work is
linear in the input.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

_BASE64_ONLY = bytes(
    byte for byte in range(256) if byte not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)
IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
KNOWN = IDENTITY | {"base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue"}

# Trailing white space on a line was added on the way (RFC 2045 §6.7 rule 3). The look-behind keeps this linear.
_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")


def transfer_decode(data: bytes, encoding: str, limit: int | None = None) -> bytes:
    """The octets of a body under `encoding` (lower-case); at most `limit` of them. Unknown encodings: as they are."""
    if encoding in IDENTITY:
        out = data
    elif encoding == "base64":
        out = _base64(data)
    elif encoding == "quoted-printable":
        out = quoted_printable(data)
    elif encoding in KNOWN:
        out = _uudecode(data)
    else:
        out = data
    return out if limit is None else out[:limit]


def _base64(data: bytes) -> bytes:
    """Base64 with everything foreign skipped (RFC 2045 §6.8); a cut-off end yields what it can."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        clean = data.translate(None, _BASE64_ONLY).partition(b"=")[0]
    clean = clean[: len(clean) - 1] if len(clean) % 4 == 1 else clean
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def quoted_printable(data: bytes) -> bytes:
    """Quoted-printable (RFC 2045 §6.7); an `=` that introduces nothing stands for itself."""
    return binascii.a2b_qp(_TRAILING.sub(b"", data))


def _uudecode(data: bytes) -> bytes:
    """The first file of a uuencoded body; a damaged line is read by its declared length or left out."""
    lines = iter(data.splitlines())
    for line in lines:
        if line.startswith(b"begin "):
            break
    out = []
    for line in lines:
        if line.strip() in (b"end", b"`", b""):
            break
        out.append(_uuline(line))
    return b"".join(out)


def _uuline(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Some encoders pad a line beyond its length: read what the length says.
        count = (((line[0] - 32) & 63) * 4 + 5) // 3
    try:
        return binascii.a2b_uu(line[:count])
    except binascii.Error:
        return b""


def stream_decode(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """`transfer_decode` over pieces of a body of any size, holding one piece at a time."""
    if encoding == "base64":
        return _stream_base64(chunks)
    if encoding == "quoted-printable":
        return _stream_lines(chunks)
    if encoding in KNOWN and encoding not in IDENTITY:
        return iter((_uudecode(b"".join(chunks)),))
    return iter(chunks)


def _stream_base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    kept = b""
    for chunk in chunks:
        kept += chunk.translate(None, _BASE64_ONLY)
        if b"=" in kept:
            break
        whole = len(kept) - len(kept) % 4
        if whole:
            yield binascii.a2b_base64(kept[:whole])
            kept = kept[whole:]
    if kept:
        yield _base64(kept.partition(b"=")[0])


# A line of quoted-printable is at most 76 long; one far beyond that is cut where no escape is split.
_LONG_LINE = 64 * 1024


def _stream_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    kept = b""
    for chunk in chunks:
        kept += chunk
        cut = kept.rfind(b"\n") + 1
        if not cut and len(kept) > _LONG_LINE:
            cut = _safe_cut(kept)
        if cut:
            yield quoted_printable(kept[:cut])
            kept = kept[cut:]
    if kept:
        yield quoted_printable(kept)


def _safe_cut(data: bytes) -> int:
    """Where a long line may be cut: after its last octet that is neither white space nor part of an escape."""
    end = len(data.rstrip(b" \t\r"))
    escape = data.rfind(b"=", max(0, end - 2), end)
    return escape if escape >= 0 else end


def _charsets() -> dict[str, str]:
    """MIME charset names -> Python codecs; supersets where senders are known to mean them (Encoding Standard §4.2)."""
    table = {
        "utf-8": ("utf-8", "utf8", "unicode-1-1-utf-8", "us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us", "646"),
        "cp1252": ("iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252", "cp1252", "iso_8859-1", "l1", "x-ansi"),
        "gb18030": ("gb2312", "gbk", "gb18030", "gb_2312-80", "x-gbk", "cp936", "ms936", "windows-936", "euc-cn", "chinese"),
        "cp932": ("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "cp932", "ms_kanji", "ms932"),
        "cp949": ("euc-kr", "euckr", "ks_c_5601-1987", "ks_c_5601-1989", "ksc5601", "ksc_5601", "windows-949", "cp949", "uhc", "korean"),
        "big5hkscs": ("big5-hkscs", "big5hkscs"),
        "cp950": ("big5", "big-5", "cn-big5", "x-x-big5", "cp950", "windows-950"),
        "iso2022_jp_ext": ("iso-2022-jp", "iso2022-jp", "csiso2022jp", "iso-2022-jp-1", "iso-2022-jp-ext", "jis"),
        "iso2022_jp_2": ("iso-2022-jp-2",),
        "iso2022_jp_3": ("iso-2022-jp-3",),
        "iso2022_jp_2004": ("iso-2022-jp-2004",),
        "iso2022_kr": ("iso-2022-kr", "iso2022-kr"),
        "euc_jp": ("euc-jp", "eucjp", "x-euc-jp", "ujis"),
        "hz": ("hz-gb-2312", "hz", "hz-gb"),
        "johab": ("johab", "cp1361"),
        "utf-7": ("utf-7", "utf7", "unicode-1-1-utf-7"),
        "utf-16": ("utf-16", "utf16", "ucs-2", "unicode", "iso-10646-ucs-2"),
        "utf-16-le": ("utf-16le", "utf-16-le"),
        "utf-16-be": ("utf-16be", "utf-16-be"),
        "utf-32": ("utf-32", "utf32", "ucs-4"),
        "utf-32-le": ("utf-32le",),
        "utf-32-be": ("utf-32be",),
        "koi8-r": ("koi8-r", "koi8r", "koi8", "cskoi8r"),
        "koi8-u": ("koi8-u", "koi8u", "koi8-ru"),
        "koi8-t": ("koi8-t",),
        "tis-620": ("tis-620", "tis620"),
        "cp874": ("windows-874", "cp874", "iso-8859-11", "iso8859-11"),
        "mac-roman": ("macintosh", "mac", "x-mac-roman", "macroman"),
        "mac-cyrillic": ("x-mac-cyrillic", "x-mac-ukrainian"),
        "mac-latin2": ("x-mac-ce", "x-mac-centraleurroman"),
        "mac-greek": ("x-mac-greek",),
        "mac-turkish": ("x-mac-turkish",),
        "cp1254": ("iso-8859-9", "latin5", "windows-1254", "cp1254", "iso8859-9", "l5"),
        "hp-roman8": ("hp-roman8",),
        "kz1048": ("kz-1048",),
        "ptcp154": ("ptcp154", "pt154"),
    }  # fmt: skip
    names = {name: codec for codec, aliases in table.items() for name in aliases}
    for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16):
        for name in (f"iso-8859-{number}", f"iso8859-{number}", f"iso_8859-{number}"):
            names[name] = f"iso8859-{number}"
    names |= {"iso-8859-6-i": "iso8859-6", "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8"}
    for number, latin in ((2, 2), (3, 3), (4, 4), (10, 6), (13, 7), (14, 8), (15, 9), (16, 10)):
        names[f"latin{latin}"] = names[f"latin-{latin}"] = f"iso8859-{number}"
    for number in (1250, 1251, 1253, 1255, 1256, 1257, 1258):
        names[f"windows-{number}"] = names[f"cp{number}"] = names[f"x-cp{number}"] = f"cp{number}"
    for number in (437, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869):
        names[f"cp{number}"] = names[f"ibm{number}"] = f"cp{number}"
    return names


CODECS = _charsets()
# These decoders can hand out lone surrogates, which neither UTF-8 nor a database takes.
_UNSAFE = frozenset({"utf-7", "utf-16", "utf-16-le", "utf-16-be"})


def charset_codec(charset: str | None) -> str | None:
    """Python's codec for a MIME charset name, or None when it is unknown or absent."""
    if not charset:
        return None
    return CODECS.get(charset.strip(" \t'\"").lower())


def to_text(data: bytes, charset: str | None) -> str:
    """Text of `data` in a MIME charset; what cannot be read becomes U+FFFD.

    No charset or US-ASCII: UTF-8 if it is valid UTF-8, else windows-1252, as 8-bit mail without a label mostly is. An
    unknown charset is read as UTF-8 with replacement.
    """
    codec = charset_codec(charset)
    if codec is None or codec == "utf-8":
        return _assumed(data, labelled="ascii" not in (charset or "ascii").lower())
    text = data.decode(codec, "replace")
    if codec in _UNSAFE:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def _assumed(data: bytes, *, labelled: bool) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        # A few broken octets in a UTF-8 text must not turn all of it into windows-1252.
        return data.decode("utf-8" if labelled else "cp1252", "replace")


def unlabelled(data: bytes) -> str:
    """Raw octets of a header to text: UTF-8 (RFC 6532), else windows-1252."""
    return data.decode("ascii") if data.isascii() else _assumed(data, labelled=False)
