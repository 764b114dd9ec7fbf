"""Authentication-Results (RFC 8601): ours is written, and what bears our name but is not ours is taken out.

Promises: nothing a stranger said stands in our field but domains, selectors and the head of a signature, each matched
against a narrow pattern. Of fields that came along, those go that name our host or cannot be read in one way, however they
are folded, quoted or commented; everything else stays, octet by octet. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from data.mime.headers import uncommented_octets
from smtp.mailauth.facts import Arc, Authentication, Dkim, Dmarc, Spf, Verdict

_FIELD = re.compile(
    rb"^authentication-results[ \t]*+(?:\r?\n[ \t]++)?:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)",
    re.MULTILINE | re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}\Z")
_MARK = re.compile(r"[A-Za-z0-9+/=]{1,8}\Z")
_SERVER = re.compile(rb"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+\Z")


def written(found: Authentication, hostname: str) -> bytes:
    """Our field, folded, with its CRLF."""
    parts = [hostname, *_spf(found.spf), *(part for one in found.dkim for part in _dkim(one))]
    if not found.dkim:
        parts.append("dkim=none")
    parts += [*_arc(found.arc), *_dmarc(found.dmarc)]
    return ("Authentication-Results: " + ";\r\n\t".join(parts) + "\r\n").encode("ascii")


def _spf(one: Spf) -> Iterator[str]:
    name = "smtp.helo" if one.scope == "helo" else "smtp.mailfrom"
    yield _part("spf", one.result, one.reason, (name, one.domain))


def _dkim(one: Dkim) -> Iterator[str]:
    mark = one.mark if _MARK.match(one.mark) else ""
    said = (("header.d", one.domain), ("header.s", one.selector), ("header.a", one.algorithm))
    quoted = f'"{mark}"' if mark and not mark.isalnum() else mark
    yield _part("dkim", one.result, one.reason, *said) + (f" header.b={quoted}" if quoted else "")


def _arc(one: Arc) -> Iterator[str]:
    if one.result is not Verdict.NONE:
        yield _part("arc", one.result, one.reason, ("header.d", one.domain))


def _dmarc(one: Dmarc) -> Iterator[str]:
    said = [("header.from", one.domain)]
    if one.record:
        said.append(("policy.dmarc", one.action.value))
    yield _part("dmarc", one.result, one.reason, *said)


def _part(method: str, result: Verdict, reason: str, *said: tuple[str, str]) -> str:
    """`method=result reason="..." name=value`; a value that is no plain name is left out."""
    why = f' reason="{reason}"' if reason else ""
    return f"{method}={result}{why}" + "".join(f" {name}={value}" for name, value in said if _NAME.match(value))


def stripped(header: bytes, hostname: str) -> bytes:
    """The header without fields that claim to be ours."""
    ours = hostname.rstrip(".").lower().encode("ascii", "replace")
    return _FIELD.sub(lambda match: b"" if _claims(match[1], ours) else match[0], header)


def _claims(raw: bytes, ours: bytes) -> bool:
    """Whether a field names us, or cannot be read in one way."""
    value = uncommented_octets(raw)
    server = re.sub(rb'[\\"]', b"", value.partition(b";")[0]).split()
    if not server or not all(map(_SERVER.match, server)) or len(server) > 2:
        return True
    if any(sign in raw.partition(b";")[0] for sign in (b"=?", b"\x00", b"\r\r")):
        return True
    return any(word.rstrip(b".").lower() == ours for word in server)
