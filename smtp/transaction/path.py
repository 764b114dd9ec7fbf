"""Reverse-paths and forward-paths of RFC 5321 §4.1.2 (and RFC 6531 §3.3), taken apart.

Promises: linear time; a Path or None. What it returns is what the client wrote, unquoted; normal forms are
data.mime.address's. May not: decide whether the address is good for anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PATH = 1000
"""Octets; RFC 5321 §4.5.3.1.3 asks for 256, addresses in UTF-8 and VERP are longer."""

_UTF8 = "\u0080-\U0010ffff"
_ATOM = rf"[A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{_UTF8}]"
_DOT_STRING = rf"{_ATOM}+(?:\.{_ATOM}+)*"
_QUOTED = rf'"(?:[\x20\x21\x23-\x5b\x5d-\x7e{_UTF8}]|\\[\x20-\x7e])*"'
_LABEL = rf"[A-Za-z0-9_\-{_UTF8}]+"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[[\x21-\x5a\x5e-\x7e]{1,100}\]"
_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*"
_MAILBOX = rf"(?P<local>{_DOT_STRING}|{_QUOTED})@(?P<domain>{_DOMAIN}|{_LITERAL})"
_PATH = re.compile(rf"<(?:(?P<route>{_ROUTE}):)?{_MAILBOX}>")
_BARE = re.compile(rf"{_MAILBOX}(?= |\Z)")
_ESCAPED = re.compile(r"\\(.)")
_PLAIN_LOCAL = re.compile(rf"{_DOT_STRING}\Z")
# Ways to say "send it on from there" inside a local part: percent, bang and quoted-at (RFC 5321 Appendix F.2 and old).
_RELAYING = frozenset("%!@:|")


@dataclass(frozen=True, slots=True)
class Path:
    """One address of the envelope. `domain` is empty for <postmaster> and for the null path."""

    local: str
    domain: str
    routed: bool = False

    @property
    def null(self) -> bool:
        """Is it <> (RFC 5321 §4.5.5)?"""
        return not self.local

    @property
    def literal(self) -> bool:
        """Is the domain an address literal (RFC 5321 §4.1.3)?"""
        return self.domain.startswith("[")

    @property
    def ascii(self) -> bool:
        """May it be sent without SMTPUTF8?"""
        return self.local.isascii() and self.domain.isascii()

    @property
    def relaying(self) -> bool:
        """Does it ask us to send the message on, by route, percent, bang or a quoted address?"""
        return self.routed or not _RELAYING.isdisjoint(self.local)

    def text(self, domain: str | None = None) -> str:
        """The address as one string, quoted where it must be; with another spelling of the domain if given."""
        where = self.domain if domain is None else domain
        return f"{quoted_local(self.local)}@{where}" if where else self.local


NULL = Path("", "")
POSTMASTER = Path("postmaster", "")


def quoted_local(local: str) -> str:
    """A local part as RFC 5321 §4.1.2 writes it: quoted only where it has to be."""
    if _PLAIN_LOCAL.match(local):
        return local
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_path(text: str) -> tuple[Path, str] | None:
    """A path at the start of `text` and the rest behind it (parameters), or None when there is none.

    (lenient: a mailbox without brackets is taken, old devices send it; so is a space after the colon)
    """
    text = text.lstrip(" ")
    if len(text) > MAX_PATH * 4:
        return None
    if text.startswith("<>"):
        return _with_rest(NULL, text[2:])
    if text[:12].lower() == "<postmaster>":
        return _with_rest(POSTMASTER, text[12:])
    found = _PATH.match(text) if text.startswith("<") else _BARE.match(text)
    if found is None or found.end() > MAX_PATH:
        return None
    local = found["local"]
    if local.startswith('"'):
        local = _ESCAPED.sub(r"\1", local[1:-1])
    if not local:
        return None
    routed = text.startswith("<@")
    return _with_rest(Path(local, found["domain"], routed), text[found.end() :])


def _with_rest(path: Path, rest: str) -> tuple[Path, str] | None:
    return (path, rest) if not rest or rest[0] == " " else None
