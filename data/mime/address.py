"""Addresses: the normal form of envelope addresses and log-ins, and domains as A-labels.

`normal` is strict: RFC 5321 §4.1.2 with UTF-8 local parts (RFC 6531 §3.3), one right reading or an AddressError. Lists
out of header fields, which are read leniently, come from `parse_list` (data.mime.mailboxes, passed on here).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

import idna

from data.mime.mailboxes import (
    DOT_ATOM,
    MAX_ADDRESSES,
    QUOTED_PAIR,
    Address,
    Group,
    Mailbox,
    mailboxes,
    parse_list,
    quote_local,
)

__all__ = [
    "MAX_ADDRESSES",
    "Address",
    "AddressError",
    "Group",
    "Mailbox",
    "NormalAddress",
    "domain_to_ascii",
    "domain_to_unicode",
    "mailboxes",
    "normal",
    "parse_list",
    "quote_local",
]


class AddressError(ValueError):
    """An address that cannot be used. `public` says why, to anyone."""

    def __init__(self, public: str) -> None:
        super().__init__(public)
        self.public = public


@dataclass(frozen=True, slots=True)
class NormalAddress:
    """An envelope address in its normal form.

    `local` as written (still quoted if it was), `domain` in lower-case A-labels. `key` is what two spellings of one
    mailbox share: the local part unquoted where it can be, NFC, lower-case. `base_key` is the key without the tag after
    the first `+` (RFC 5233 calls it the detail), `tag` that detail, or None.
    """

    local: str
    domain: str
    key: str
    base_key: str
    tag: str | None

    @property
    def address(self) -> str:
        """As to be written on the wire."""
        return f"{self.local}@{self.domain}"

    @property
    def key_address(self) -> str:
        """For comparison and look-up: `key@domain`."""
        return f"{self.key}@{self.domain}"

    @property
    def base_address(self) -> str:
        """For look-up without the tag: `base_key@domain`."""
        return f"{self.base_key}@{self.domain}"


_QUOTED_LOCAL = re.compile(r'"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*+"\Z')
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z")


def _unfit(address: str) -> bool:
    """Whether a character is in it that cannot be seen: controls, and beyond ASCII all formats, spaces, unassigned."""
    if address.isascii():
        return not address.isprintable()
    return any(char != " " and unicodedata.category(char)[0] in "CZ" for char in address)


def normal(address: str, *, literals: bool = False) -> NormalAddress:
    """The normal form of `local@domain`. Raises AddressError (RFC 5321 §4.1.2, RFC 6531 §3.3, RFC 5321 §4.5.3.1).

    `literals` lets an address literal such as `[192.0.2.1]` through as the domain.
    """
    if _unfit(address):
        raise AddressError("The address holds a character that cannot be seen")
    local, domain = _halves(address)
    if not local:
        raise AddressError("The address has no local part")
    if len(local.encode("utf-8")) > 64:
        raise AddressError("The local part is longer than 64 octets")
    if local.startswith('"'):
        if not _QUOTED_LOCAL.match(local):
            raise AddressError("The local part is not a valid quoted string")
        bare = QUOTED_PAIR.sub(r"\1", local[1:-1])
    elif DOT_ATOM.match(local):
        bare = local
    else:
        raise AddressError("The local part is not valid")
    ascii_domain = _literal(domain) if domain.startswith("[") and literals else domain_to_ascii(domain)
    if len(local.encode("utf-8")) + 1 + len(ascii_domain) > 254:
        raise AddressError("The address is longer than 254 octets")
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", bare).lower())
    base, plus, tag = folded.partition("+")
    has_tag = bool(plus and base)
    return NormalAddress(
        local, ascii_domain, quote_local(folded), quote_local(base if has_tag else folded), tag if has_tag else None
    )


def _halves(address: str) -> tuple[str, str]:
    """Local part and domain around the last `@` outside quotes."""
    if address.startswith("@"):
        raise AddressError("Source routes are not accepted")
    if address.startswith('"'):
        end = re.match(r'"(?:[^"\\]|\\.)*+"', address, re.DOTALL)
        if end is None or address[end.end() : end.end() + 1] != "@":
            raise AddressError("The local part is not a valid quoted string")
        return address[: end.end()], address[end.end() + 1 :]
    local, at, domain = address.rpartition("@")
    if not at:
        raise AddressError("The address has no domain")
    return local, domain


_IPV4 = re.compile(r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}\Z", re.ASCII)


def _literal(domain: str) -> str:
    """An address literal, checked (RFC 5321 §4.1.3)."""
    inner = domain[1:-1] if domain.endswith("]") else ""
    try:
        if inner.lower().startswith("ipv6:"):
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
    except ValueError:
        raise AddressError("The address literal is not valid") from None
    if not _IPV4.match(inner):
        raise AddressError("The address literal is not valid")
    return domain


def domain_to_ascii(domain: str) -> str:
    """A domain in lower-case A-labels (UTS 46, non-transitional). Raises AddressError.

    A trailing dot, an address literal, an empty label and a numeric top-level label are refused.
    """
    if not domain:
        raise AddressError("The domain is missing")
    if domain.endswith("."):
        raise AddressError("The domain ends in a dot")
    ascii_domain = domain.lower() if domain.isascii() else _encode(domain)
    if "xn--" in ascii_domain:
        ascii_domain = _encode(ascii_domain)
    labels = ascii_domain.split(".")
    if not _HOST.match(ascii_domain) or max(map(len, labels)) > 63 or len(ascii_domain) > 253:
        raise AddressError("The domain is not valid")
    if labels[-1].isdigit():
        raise AddressError("The domain is not a host name")
    return ascii_domain


def _encode(domain: str) -> str:
    if len(domain) > 253:
        raise AddressError("The domain is not valid")
    try:
        return idna.encode(domain, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise AddressError("The domain is not a valid internationalised name") from None


def domain_to_unicode(domain: str) -> str:
    """A domain for people: U-labels where the A-labels are valid, else as it is. Never raises."""
    if "xn--" not in domain.lower() or len(domain) > 253:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain
