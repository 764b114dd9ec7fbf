"""Addresses: lists out of header fields (RFC 5322 §3.4), and the normal form of envelope addresses and log-ins.

`parse_list` takes anything and finds what mailboxes there are: comments however deep, quoted strings that never end,
obsolete routes, groups. It is linear and has no recursion. `normal` is strict: RFC 5321 §4.1.2 with UTF-8 local parts
(RFC 6531 §3.3), one right reading or an AddressError.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import idna

MAX_ADDRESSES = 2000


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox as written: display name and local part without quoting, encoded words left as they are.

    `domain` is None where none was given; `route` is the obsolete source route (RFC 5322 §4.4).
    """

    name: str | None
    local: str
    domain: str | None
    route: str | None = None

    @property
    def spec(self) -> str:
        """`local@domain` for display, the local part quoted where it must be."""
        local = quote_local(self.local)
        return local if self.domain is None else f"{local}@{self.domain}"


Mailbox = Address


@dataclass(frozen=True, slots=True)
class Group:
    """A named group of mailboxes (RFC 5322 §3.4); often empty, as in `undisclosed-recipients:;`."""

    name: str
    members: tuple[Address, ...]


class AddressError(ValueError):
    """An address that cannot be used. `public` says why, to anyone."""

    def __init__(self, public: str) -> None:
        super().__init__(public)
        self.public = public


_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-"
_DOT_ATOM = re.compile(rf"[{_ATEXT}]++(?:\.[{_ATEXT}]++)*+\Z")

# The two forms that nearly every mailbox has: `local@domain`, and `name <local@domain>` with a plain or quoted name.
# White space is spelt out throughout: octets read as Latin-1 must not lose their 0x85 and 0xA0.
_WSP = " \t\r\n"
_SIMPLE = re.compile(
    rf"[{_WSP}]*+(?:([{_ATEXT}.]++)@([A-Za-z0-9.-]++)[{_WSP}]*+(?:,|\Z)"
    rf'|(?:([{_ATEXT}. ]++)|"([^"\\\r\n]*+)"[{_WSP}]*+)?<([{_ATEXT}.]++)@([A-Za-z0-9.-]++)>[{_WSP}]*+(?:,|\Z))'
)
_SPACES = re.compile(rf"[{_WSP}]+")

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]++)"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*+)(?:"|\\?\Z)'
    r"|(?P<literal>\[(?:[^\]\\]|\\.)*+(?:\]|\\?\Z))"
    r"|(?P<special>[()<>,;:@])"
    r'|(?P<word>[^ \t\r\n"\[()<>,;:@]++)',
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_FOLD = re.compile(r"\r?\n")
_COMMENT = re.compile(r"\\.|[()]", re.DOTALL)


def _text_of(raw: bytes | str) -> str:
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def parse_list(raw: bytes | str, limit: int = MAX_ADDRESSES) -> list[Mailbox | Group]:
    """The mailboxes and groups of an address field, at most `limit` of both in all."""
    text = _text_of(raw)
    return _simple_list(text, limit) or _Parse(text, limit).run()


def _simple_list(text: str, limit: int) -> list[Mailbox | Group]:
    """A list of which every mailbox has one of the two frequent forms; empty when it is any other."""
    found: list[Mailbox | Group] = []
    at, end = 0, len(text)
    while at < end and len(found) < limit:
        match = _SIMPLE.match(text, at)
        if match is None:
            return []
        local, domain, bare, quoted, angle_local, angle_domain = match.groups()
        if local is not None:
            found.append(Address(None, local, domain))
        else:
            name = _SPACES.sub(" ", bare).strip(_WSP) if bare is not None else quoted
            found.append(Address(name or None, angle_local, angle_domain))
        at = match.end()
    return found


def mailboxes(items: list[Mailbox | Group]) -> Iterator[Address]:
    """All mailboxes of a list, the members of groups included, in order."""
    for item in items:
        if isinstance(item, Group):
            yield from item.members
        else:
            yield item


class _Parse:
    """One pass over the tokens of an address list. What a stray sign means is decided leniently, never refused."""

    def __init__(self, text: str, limit: int) -> None:
        self.text = text
        self.limit = limit
        self.items: list[Mailbox | Group] = []
        self.group: str | None = None
        self.members: list[Address] = []
        self.clear()

    def clear(self) -> None:
        """Begin the next mailbox."""
        self.before: list[str] = []  # words before `<`, or all of them when there is none
        self.inside: list[str] | None = None  # tokens between `<` and `>`
        self.comment: str | None = None
        self.closed = False
        self.spaced = False
        self.at_seen = False

    def run(self) -> list[Mailbox | Group]:
        at, text = 0, self.text
        while at < len(text) and self.limit > 0:
            match = _TOKEN.match(text, at)
            if match is None:
                break
            at = match.end()
            if match.lastgroup == "special":
                sign = match["special"]
                if sign == "(":
                    at = self.comment_at(at)
                else:
                    self.special(sign)
            elif match.lastgroup == "space":
                self.spaced = True
            else:
                self.word(match)
        self.end_mailbox()
        self.end_group()
        return self.items

    def comment_at(self, at: int) -> int:
        """Pass over a comment that was opened before `at`; nesting is a counter (RFC 5322 §3.2.2)."""
        depth, start = 1, at
        for match in _COMMENT.finditer(self.text, at):
            if match[0] == "(":
                depth += 1
            elif match[0] == ")":
                depth -= 1
                if not depth:
                    self.comment = _QUOTED_PAIR.sub(r"\1", self.text[start : match.start()]).strip(_WSP)
                    return match.end()
        return len(self.text)

    def word(self, match: re.Match[str]) -> None:
        quoted = match["quoted"]
        text = match[0] if quoted is None else _FOLD.sub("", _QUOTED_PAIR.sub(r"\1", quoted))
        target = self.before if self.inside is None or self.closed else self.inside
        if self.spaced and target is self.before and target:
            target.append(" ")
        self.spaced = False
        target.append(text)

    def special(self, sign: str) -> None:
        if sign == "<" and self.inside is None:
            self.inside = []
        elif sign == ">" and self.inside is not None:
            self.closed = True
        elif sign == "," and (self.inside is None or self.closed or "@" not in self.inside[:1]):
            self.end_mailbox()
        elif sign == ";":
            self.end_mailbox()
            self.end_group()
        elif sign == ":" and self.inside is None and self.group is None and not self.at_seen:
            self.group = "".join(self.before).strip(_WSP)
            self.clear()
        else:
            target = self.before if self.inside is None or self.closed else self.inside
            target.append(sign)
            self.at_seen = self.at_seen or sign == "@"
        self.spaced = False

    def end_mailbox(self) -> None:
        """Make a mailbox of what was gathered."""
        address = self.angle() if self.inside is not None else self.bare()
        self.clear()
        if address is None or self.limit <= 0:
            return
        self.limit -= 1
        if self.group is None:
            self.items.append(address)
        else:
            self.members.append(address)

    def angle(self) -> Address | None:
        inside = self.inside or []
        route = None
        if inside[:1] == ["@"] and ":" in inside:
            # obs-route: `<@a,@b:local@domain>`
            colon = inside.index(":")
            route = "".join(inside[:colon])
            inside = inside[colon + 1 :]
        local, domain = _spec(inside)
        name = "".join(self.before).strip(_WSP) or self.comment
        if not local and domain is None and not name:
            return None
        return Address(name or None, local, domain, route)

    def bare(self) -> Address | None:
        words = [word for word in self.before if word != " "] if self.at_seen else self.before
        local, domain = _spec(words)
        if not local and domain is None:
            return None
        return Address(self.comment or None, local.strip(_WSP), domain)

    def end_group(self) -> None:
        if self.group is not None:
            self.items.append(Group(self.group, tuple(self.members)))
            self.limit -= 1
        self.group = None
        self.members = []


def _spec(words: list[str]) -> tuple[str, str | None]:
    """Local part and domain: what lies before and after the last `@`."""
    for at in range(len(words) - 1, -1, -1):
        if words[at] == "@":
            return "".join(words[:at]), "".join(words[at + 1 :]).strip(_WSP)
    return "".join(words), None


def quote_local(local: str) -> str:
    """A local part as it is written in an address: quoted where it is no dot-atom (RFC 5321 §4.1.2)."""
    if _DOT_ATOM.match(local):
        return local
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


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
        bare = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    elif _DOT_ATOM.match(local):
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
