"""Links in a message: where they say they lead, where they lead, and what is wrong with that.

Promises: work linear in the text; at most LINKS_MOST links are looked at. Pure: no name is asked for, nothing fetched.
"""

from __future__ import annotations

import html
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from data.mime.address import domain_to_unicode
from smtp.policy.likeness import mixed_script, registrable
from smtp.policy.verdict import Action, Weighed

LINKS_MOST = 200
_ANCHOR = re.compile(r"<a\s([^<>]{1,4000})>(.{0,300}?)</a\s*>", re.I | re.S)
_HREF = re.compile(r"""(?:href|action)\s*=\s*(?:"([^"]{1,3000})"|'([^']{1,3000})'|([^\s"'>]{1,3000}))""", re.I)
_FORM = re.compile(r"<form\s([^<>]{1,4000})>", re.I)
_BARE = re.compile(r"""\bhttps?://[^\s<>"'）】，。]{3,2000}""", re.I)
_TAGS = re.compile(r"<[^<>]{0,2000}>")
_SHOWN_HOST = re.compile(
    r"\A\s*(?:https?://)?((?:[a-z0-9\u00a1-\uffff-]{1,63}\.){1,6}[a-z\u00a1-\uffff]{2,24})(?=[/:?#\s]|\Z)", re.I
)
_NUMBER_HOST = re.compile(r"\A(?:0x[0-9a-f]{1,10}|\d{1,10})(?:\.(?:0x[0-9a-f]{1,8}|\d{1,10})){0,3}\Z", re.I)
SHORTENERS = frozenset(
    {
        "bit.ly", "buff.ly", "cutt.ly", "dwz.cn", "goo.gl", "is.gd", "j.mp", "lnkd.in", "ow.ly", "rb.gy", "rebrand.ly",
        "s.id", "shorturl.at", "suo.im", "t.cn", "t.co", "t.ly", "tiny.cc", "tinyurl.com", "url.cn", "v.gd",
    }
)  # fmt: skip
"""Names that say nothing about where they lead."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where it leads, and what stands there to be read (empty for a bare address)."""

    url: str
    shown: str = ""

    @property
    def host(self) -> str:
        """The host it leads to, lower-case; empty where there is none."""
        return host_of(self.url)


def host_of(url: str) -> str:
    """The host of a URL, lower-case, as written; empty where there is none."""
    try:
        return (urlsplit(url.strip()).hostname or "").rstrip(".").lower()[:253]
    except ValueError:
        return ""


def links_of(source: str, text: str) -> list[Link]:
    """The links of an HTML source, and the bare ones of a text."""
    found: dict[tuple[str, str], Link] = {}
    for match in _ANCHOR.finditer(source):
        _add(found, match[1], html.unescape(_TAGS.sub("", match[2])))
    for match in _FORM.finditer(source):
        _add(found, match[1], "")
    for bare in _BARE.finditer(text):
        if len(found) >= LINKS_MOST:
            break
        link = Link(bare[0].rstrip(".,;:!?)'\""))
        found.setdefault((link.url, ""), link)
    return list(found.values())[:LINKS_MOST]


def _add(found: dict[tuple[str, str], Link], attributes: str, shown: str) -> None:
    href = _HREF.search(attributes)
    if href is not None and len(found) < LINKS_MOST:
        url = "".join(html.unescape(next(filter(None, href.groups()), "")).split())
        shown = " ".join(shown.split())[:500]
        found.setdefault((url, shown), Link(url, shown))


def weigh(links: Iterable[Link], own: frozenset[str] = frozenset()) -> list[Weighed]:
    """What is wrong with the links, each kind once. `own` are domains of ours, which a link may look like."""
    found: dict[str, Weighed] = {}
    hosts: set[str] = set()
    for link in links:
        for one in _weigh(link):
            found.setdefault(one.code, one)
        if link.host:
            hosts.add(registrable(link.host))
    if len(hosts) > 15:
        found["link.many"] = Weighed("link.many", 10, {"domains": len(hosts)})
    return list(found.values())


def _weigh(link: Link) -> list[Weighed]:
    scheme, host = link.url.partition(":")[0].strip().lower(), link.host
    out: list[Weighed] = []
    if scheme in ("javascript", "vbscript") or link.url[:9].lower() == "data:text":
        out.append(Weighed("link.script", 60, {"scheme": scheme}, Action.JUNK))
    if scheme not in ("http", "https") or not host:
        return out
    shown = _shown_host(link.shown)
    if shown and registrable(shown) != registrable(host) and not _mentions(link.url, shown):
        out.append(Weighed("link.mismatch", 50, {"shown": shown, "leads": host}))
    if _is_address(host):
        out.append(Weighed("link.address", 45, {"host": host}))
    if "@" in link.url[:300].partition("://")[2].partition("/")[0]:
        out.append(Weighed("link.userinfo", 50, {"host": host}))
    if registrable(host) in SHORTENERS or host in SHORTENERS:
        out.append(Weighed("link.shortener", 20, {"host": host}))
    if _nested(link.url) >= 2:
        out.append(Weighed("link.redirects", 25, {"host": host}))
    out += _spelling(host)
    return out


def _shown_host(shown: str) -> str:
    match = _SHOWN_HOST.match(shown)
    return match[1].lower() if match is not None and " " not in shown.strip() else ""


def _mentions(url: str, shown: str) -> bool:
    """A redirector that names where it leads in the end (click counters of lists do) is not a lie about the place."""
    return registrable(shown) in unquote(url.partition("?")[2].lower())


def _is_address(host: str) -> bool:
    if _NUMBER_HOST.match(host):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _nested(url: str) -> int:
    """How many other URLs are inside one."""
    plain = unquote(unquote(url[:3000])).lower()
    return plain.count("http://") + plain.count("https://") - 1


def _spelling(host: str) -> list[Weighed]:
    if "xn--" not in host and host.isascii():
        return []
    readable = domain_to_unicode(host) if "xn--" in host else host
    if mixed_script(readable):
        return [Weighed("link.mixed", 60, {"host": readable}, Action.JUNK)]
    return [Weighed("link.punycode", 10, {"host": readable})] if "xn--" in host else []
