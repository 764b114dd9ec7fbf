"""Where a link leads, and whether it says so: schemes, addresses that look like others, names that hold addresses.

Promises: a target is http, https with a host, or mailto with an address; everything else is no link. `warning` says when
the text of a link names another host than the one it leads to ("mismatch"), when a host mixes scripts or is written in
letters that are taken for Latin ones ("lookalike"), and when a part before @ poses as the host ("userinfo").

May not: fetch anything, or know a list of good hosts. RFC 3986 §3, UTS 39 §5 (mixed scripts, whole-script confusables).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from appliance.web.allow import LINK_SCHEMES
from data.mime.address import AddressError, domain_to_ascii, domain_to_unicode

Warning_ = Literal["mismatch", "lookalike", "userinfo"]
LONGEST: Final = 2_000

# A browser drops these inside a URL and around it (URL Standard §4.4), so they are dropped before it is judged.
_DROPPED = re.compile(r"[\t\n\r]")
_AROUND: Final = "".join(map(chr, range(0x21)))
_UNFIT = re.compile('[\x00-\x20\x7f-\xa0\\\\"<>^`{|}\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]')
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?\Z|\[[0-9a-f:.]{2,45}\]\Z")
_MAILTO = re.compile(r"[^\s@,;<>\"]{1,128}@[^\s@,;<>\"?]{1,255}(?:\?|\Z)")
# Text that reads as an address of a site: a scheme, or dots between labels and a top-level label of letters.
_NAMED = re.compile(r"(?:https?://)?((?:[\w-]{1,63}\.)+[^\W\d_]{2,24})(?::\d{1,5})?(?:[/?#].*)?\Z", re.IGNORECASE)
# Small Cyrillic, Greek and Armenian letters that are drawn as Latin ones.
_TWINS = frozenset("аеорсухіјѕԁԛԝһӏьгпткмнвαοονυρικτχωղոսհցօ")


@dataclass(frozen=True, slots=True)
class Target:
    """A link that may stay: the address to write, and its host as A-labels (empty for mailto)."""

    href: str
    host: str
    warning: Warning_ | None


def target(href: str, text: str = "") -> Target | None:
    """Judge one link by its address and the text it shows; None when it may not be a link."""
    href = _DROPPED.sub("", href.strip(_AROUND))
    if not 0 < len(href) <= LONGEST or _UNFIT.search(href):
        href = href.replace(" ", "%20")
        if not 0 < len(href) <= LONGEST or _UNFIT.search(href):
            return None
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in LINK_SCHEMES:
        return None
    if scheme == "mailto":
        return Target(href, "", None) if _MAILTO.match(href[7:]) else None
    return _web_target(href, parts, text)


def _web_target(href: str, parts: SplitResult, text: str) -> Target | None:
    host = ascii_host(parts)
    if host is None or not href[len(parts.scheme) :].startswith("://"):
        return None
    warning: Warning_ | None = None
    if "@" in parts.netloc:
        warning = "userinfo"
    elif lookalike(host):
        warning = "lookalike"
    elif differs(text, host):
        warning = "mismatch"
    return Target(href, host, warning)


def ascii_host(parts: SplitResult) -> str | None:
    """The host of a URL in lower-case A-labels; None when there is none or its port makes no sense."""
    try:
        host, _ = (parts.hostname or "").rstrip("."), parts.port
        if parts.netloc.rpartition("@")[2].startswith("["):
            host = f"[{host}]"
        elif not host.isascii() or "xn--" in host:
            host = domain_to_ascii(host)
    except (ValueError, AddressError):
        return None
    return host if _HOST.match(host) else None


def differs(text: str, host: str) -> bool:
    """Whether a text is itself the address of a site, and of another one than `host`."""
    found = _NAMED.match(text.strip()) if len(text) <= LONGEST else None
    if found is None:
        return False
    try:
        named = domain_to_ascii(found[1].lower())
    except AddressError:
        return True
    one, other = named.removeprefix("www."), host.rstrip(".").removeprefix("www.")
    return not (one == other or one.endswith("." + other) or other.endswith("." + one))


def lookalike(host: str) -> bool:
    """Whether a host is written so that it may be taken for another one (RELIABILITY N12).

    A label that mixes scripts (other than the usual ones of Chinese, Japanese and Korean), one that is made of letters
    drawn like Latin ones, or one that is no valid name at all.
    """
    for label in domain_to_unicode(host).split("."):
        if label.startswith("xn--"):
            return True
        if not label.isascii() and _confusing(label):
            return True
    return False


def _confusing(label: str) -> bool:
    letters = [character for character in label if character.isalpha()]
    scripts = {_script(character) for character in letters}
    if scripts <= {"LATIN", "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO"} or scripts <= {"LATIN", "CJK", "HANGUL"}:
        return False
    return len(scripts) > 1 or all(character in _TWINS for character in letters)


def _script(character: str) -> str:
    return unicodedata.name(character, "UNKNOWN").split(" ", maxsplit=1)[0].split("-", maxsplit=1)[0]


def name_warning(name: str, address: str) -> bool:
    """Whether a display name holds an address that is not the one behind it, or hides in odd letters (N12)."""
    shown = unicodedata.normalize("NFKC", name)
    if any(unicodedata.category(character) == "Cf" for character in name):
        return True
    if "@" in shown:
        return address.lower() not in shown.lower()
    words = [word for word in re.split(r"[^\w]+", shown) if word and not word.isascii()]
    return any(_confusing(word.lower()) and len({_script(c) for c in word if c.isalpha()}) > 1 for word in words)
