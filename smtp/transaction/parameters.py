"""Parameters of MAIL and RCPT: SIZE, BODY, SMTPUTF8, AUTH, RET, ENVID, REQUIRETLS, NOTIFY, ORCPT.

Promises: values are kept as written (nothing is folded to upper case); an unknown keyword is PARAMETER_UNKNOWN, a bad
value or a keyword given twice PARAMETER_BAD, raised as Refused. RFC 1870, 6152, 6531, 4954 §5, 3461 §4, 8689 §2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from smtp import reply

_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*\Z")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_UTF8_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\x\{[0-9A-Fa-f]{2,6}\})+\Z")
_UNIT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_SIZE = re.compile(r"[0-9]{1,20}\Z")
_TYPE = re.compile(r"[A-Za-z0-9\-]{1,40}\Z")
_NOTIFY = ("SUCCESS", "FAILURE", "DELAY")
MAX_ENVID = 100
"""Characters of the encoded value (RFC 3461 §4.4)."""
MAX_ORCPT = 500
"""Characters of the encoded value (RFC 3461 §4.2)."""


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What MAIL said besides the return-path. `envid` is xtext as received; `ret` is FULL, HDRS or None."""

    size: int | None = None
    body: str = "7BIT"
    smtputf8: bool = False
    requiretls: bool = False
    ret: str | None = None
    envid: str | None = None


@dataclass(frozen=True, slots=True)
class RcptParameters:
    """What RCPT said besides the forward-path. `notify` is NEVER or a list joined by commas; `orcpt` is `type;xtext` as received."""

    notify: str | None = None
    orcpt: str | None = None


_MAIL = MailParameters()
_RCPT = RcptParameters()


def mail_parameters(text: str) -> MailParameters:
    """The parameters of MAIL. Raises Refused."""
    return _read(text, _MAIL, _MAIL_TABLE) if text.strip(" ") else _MAIL


def rcpt_parameters(text: str) -> RcptParameters:
    """The parameters of RCPT. Raises Refused."""
    return _read(text, _RCPT, _RCPT_TABLE) if text.strip(" ") else _RCPT


def unxtext(text: str) -> str | None:
    """Decode RFC 3461 §4 xtext; None when it is none, or hides control characters."""
    if not _XTEXT.match(text):
        return None
    plain = _HEX.sub(lambda m: chr(int(m[1], 16)), text)
    return plain if plain.isascii() and plain.isprintable() else None


def _read(text: str, start: Any, table: Mapping[str, tuple[str, Callable[[str], Any]]]) -> Any:
    found: dict[str, Any] = {}
    for word in text.split():
        keyword, equals, value = word.partition("=")
        known = table.get(keyword.upper())
        if known is None:
            raise reply.Refused(reply.PARAMETER_UNKNOWN, "parameter.unknown")
        name, read = known
        if name in found or bool(equals) != (read is not _flag):
            raise reply.Refused(reply.PARAMETER_BAD, "parameter.bad")
        found[name] = read(value)
    found.pop("", None)
    return replace(start, **found)


def _bad() -> reply.Refused:
    return reply.Refused(reply.PARAMETER_BAD, "parameter.bad")


def _size(value: str) -> int:
    if not _SIZE.match(value):
        raise _bad()
    return int(value)


def _body(value: str) -> str:
    if value.upper() not in {"7BIT", "8BITMIME"}:
        raise _bad()
    return value.upper()


def _flag(value: str) -> bool:
    return True


def _ret(value: str) -> str:
    if value.upper() not in {"FULL", "HDRS"}:
        raise _bad()
    return value.upper()


def _envid(value: str) -> str:
    if not 0 < len(value) <= MAX_ENVID or not unxtext(value):
        raise _bad()
    return value


def _auth(value: str) -> None:
    """RFC 4954 §5: taken for syntax, never trusted."""
    if value != "<>" and unxtext(value) is None:
        raise _bad()


def _notify(value: str) -> str:
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return "NEVER"
    if len(set(words)) != len(words) or any(word not in _NOTIFY for word in words):
        raise _bad()
    return ",".join(words)


def _orcpt(value: str) -> str:
    kind, semicolon, address = value.partition(";")
    if not semicolon or not _TYPE.match(kind) or not 0 < len(address) <= MAX_ORCPT:
        raise _bad()
    plain = _utf8_address(address) if kind.lower() == "utf-8" else unxtext(address)
    if not plain:
        raise _bad()
    return f"{kind.lower()};{address}"


def _utf8_address(text: str) -> str | None:
    """RFC 6533 §3: utf-8-addr-unitext or utf-8-addr-xtext."""
    if not _UTF8_XTEXT.match(text):
        return None
    try:
        plain = _UNIT.sub(lambda m: chr(int(m[1], 16)), text)
        plain.encode("utf-8")
    except (ValueError, OverflowError):
        return None
    return plain if plain.isprintable() else None


_MAIL_TABLE: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "SIZE": ("size", _size),
    "BODY": ("body", _body),
    "SMTPUTF8": ("smtputf8", _flag),
    "REQUIRETLS": ("requiretls", _flag),
    "RET": ("ret", _ret),
    "ENVID": ("envid", _envid),
    "AUTH": ("", _auth),
}
_RCPT_TABLE: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "NOTIFY": ("notify", _notify),
    "ORCPT": ("orcpt", _orcpt),
}
