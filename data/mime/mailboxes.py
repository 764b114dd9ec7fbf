"""Address lists out of header fields (RFC 5322 §3.4), read leniently.

`parse_list` takes anything and finds what mailboxes there are: comments however deep, quoted strings that never end,
obsolete routes, groups. It is linear and has no recursion, and it refuses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

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


_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-"
DOT_ATOM = re.compile(rf"[{_ATEXT}]++(?:\.[{_ATEXT}]++)*+\Z")

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
QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
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
                    self.comment = QUOTED_PAIR.sub(r"\1", self.text[start : match.start()]).strip(_WSP)
                    return match.end()
        return len(self.text)

    def word(self, match: re.Match[str]) -> None:
        quoted = match["quoted"]
        text = match[0] if quoted is None else _FOLD.sub("", QUOTED_PAIR.sub(r"\1", quoted))
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
    if DOT_ATOM.match(local):
        return local
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
