"""SPF (RFC 7208), through pyspf: may this address send for that domain?

Promises: pyspf asks our resolver, each call its own; a name server that does not answer is temperror. A failure inside the
library is temperror as well: nobody is refused for it. May not: decide what follows.
"""

from __future__ import annotations

import contextlib
from typing import Any

import spf as pyspf

from appliance.net.answers import Found, Temporary
from smtp.mailauth.facts import Spf, Verdict, domain_text
from smtp.mailauth.names import Names

_VERDICTS = {str(one): one for one in Verdict}


class _Query(pyspf.query):  # type: ignore[misc]
    """pyspf's evaluation with our names in place of its own lookups and cache."""

    def __init__(self, names: Names, address: str, sender: str, hello: str, receiver: str) -> None:
        super().__init__(address, sender, hello, receiver=receiver, strict=True, querytime=0)
        self._names = names

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """Records as pyspf wants them; an empty list for none (RFC 7208 §4.6.4 counts those)."""
        name = str(name).rstrip(".").lower()
        if not name or any(not 0 < len(label) < 64 for label in name.split(".")):
            return []
        answer = self._names.ask(name, qtype)
        if isinstance(answer, Temporary):
            raise pyspf.TempError(f"DNS {answer.reason.code}")
        if isinstance(answer, Found):
            return [_record(qtype, value) for value in answer.values]
        if not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > pyspf.MAX_VOID_LOOKUPS:
                raise pyspf.PermError(f"Void lookup limit of {pyspf.MAX_VOID_LOOKUPS} exceeded")
        return []


def _record(kind: str, value: Any) -> Any:
    match kind:
        case "MX":
            return value.preference, value.host
        case "TXT" | "SPF":
            return (value,)
        case "PTR":
            return value.rstrip(".")
        case _:
            return value


def question(return_path: str, hello: str | None) -> tuple[str, str]:
    """The domain that is asked, and its scope: of MAIL FROM, or of HELO for the null sender (RFC 7208 §2.4)."""
    if return_path:
        return domain_text(return_path.rpartition("@")[2]), "mailfrom"
    return (domain_text(hello) if hello and not hello.startswith("[") else ""), "helo"


def check(names: Names, *, address: str, return_path: str, hello: str | None, receiver: str) -> Spf:
    """Whether `address` may send for the domain of `return_path`. Blocks while names are asked."""
    domain, scope = question(return_path, hello)
    if not domain or "." not in domain:
        return Spf(Verdict.NONE, domain, scope)
    local = return_path.rpartition("@")[0] if scope == "mailfrom" else "postmaster"
    said = "unknown"
    with contextlib.suppress(UnicodeError):
        said = (hello or said).encode("ascii").decode()
    try:
        query = _Query(names, address, f"{local}@{domain}", said, receiver)
        word, _, told = query.check()
    except Exception:  # the library's own failure on what a stranger published: no reason to lose mail
        return Spf(Verdict.TEMPERROR, domain, scope, "not readable")
    result = _VERDICTS.get(word, Verdict.PERMERROR)
    return Spf(result, domain, scope, _why(result, str(told)))


def _why(result: Verdict, told: str) -> str:
    """The cause of an error in a few words of ours; what the domain wrote is not repeated."""
    if result is Verdict.TEMPERROR:
        return "DNS does not answer"
    if result is not Verdict.PERMERROR:
        return ""
    return "too many lookups" if "lookup" in told.lower() else "record not valid"
