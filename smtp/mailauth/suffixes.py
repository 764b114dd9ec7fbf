"""Where registration ends and a domain's owner begins: the Public Suffix List, from a copy that lies beside us.

Promises: offline; the list is read once, at the first question. A domain that is a public suffix belongs to nobody.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from publicsuffixlist import PublicSuffixList


@cache
def _list() -> Any:
    return PublicSuffixList()


def organisational(domain: str) -> str | None:
    """The organisational domain (RFC 7489 §3.2) of a domain in A-labels; None for a public suffix."""
    found = _list().privatesuffix(domain)
    return str(found) if found else None


def public_suffix(domain: str) -> str:
    """The public suffix that a domain lies under, or is."""
    return str(_list().publicsuffix(domain) or domain)


def related(one: str, other: str) -> bool:
    """Whether two domains have the same owner; what nobody owns is related to nothing."""
    owner = organisational(one)
    return owner is not None and owner == organisational(other)
