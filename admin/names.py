"""The records of a domain as the world sees them: asked on the loop, judged, and kept until they are asked again.

Promises: a page never waits longer than PATIENCE for an answer; what takes longer is there on the next look. What a name
server says is judged by pure functions (`judge`). May not: change anything.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from admin.records import Record
from appliance.i18n import N_
from appliance.net.resolver import Found, Resolver, Temporary
from data.ids import Millis

PATIENCE: Final = 2.0
"""Seconds that a page waits."""
KEPT: Final = 200
_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one record: state is ok, different, missing or unknown; `wanted` what its value should be."""

    state: str
    found: tuple[str, ...] = ()
    wanted: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """All findings of one look at a domain, in the order of its records; `wrong`: needed ones that are not right."""

    at: Millis
    findings: tuple[Finding, ...]
    wrong: int


class Names:
    """Looks at domains on the loop; one for the process."""

    def __init__(self, resolver: Resolver, loop: asyncio.AbstractEventLoop) -> None:
        self._resolver, self._loop = resolver, loop
        self._lock = threading.Lock()
        self._kept: dict[str, Check] = {}
        self._asking: dict[str, object] = {}

    def known(self, domain: str) -> Check | None:
        """The last look, if there was one."""
        return self._kept.get(domain)

    def asking(self, domain: str) -> bool:
        """Is one on its way?"""
        return domain in self._asking

    def look(self, domain: str, host: str, records: Sequence[Record], now: Millis) -> bool:
        """Look now; True when the answer came within PATIENCE. From a page's thread."""
        with self._lock:
            if domain in self._asking:
                return False
            self._asking[domain] = records
        future = asyncio.run_coroutine_threadsafe(self._look(domain, host, tuple(records), now), self._loop)
        try:
            future.result(PATIENCE)
        except TimeoutError:
            return False
        return True

    async def _look(self, domain: str, host: str, records: tuple[Record, ...], now: Millis) -> None:
        try:
            answers = await asyncio.gather(*(ask(self._resolver, one, host) for one in records))
            findings = tuple(judge(one, said) for one, said in zip(records, answers, strict=True))
            wrong = sum(
                one.needed and found.state in {"different", "missing"}
                for one, found in zip(records, findings, strict=True)
            )
            with self._lock:
                if len(self._kept) >= KEPT:
                    self._kept.clear()
                self._kept[domain] = Check(now, findings, wrong)
        finally:
            with self._lock:
                self._asking.pop(domain, None)


Said = tuple[str, ...] | None
"""What a name server said: the values, none when there are none; None when nobody could say."""


async def ask(resolver: Resolver, record: Record, host: str) -> Said:
    """What there is at the name of a record."""
    if record.type == "MX":
        mx = await resolver.mx(record.name)
        return tuple(f"{one.preference} {one.host}" for one in mx.values) if isinstance(mx, Found) else _none(mx)
    if record.type == "TXT":
        texts = await resolver.txt(record.name)
        return (
            tuple(one.decode("utf-8", "replace") for one in texts.values) if isinstance(texts, Found) else _none(texts)
        )
    if record.type == "A":
        return _plain(await resolver.addresses(record.name))
    if record.type == "PTR":
        return await _backwards(resolver, host)
    return _plain(await resolver.query(record.name, record.type))


async def _backwards(resolver: Resolver, host: str) -> Said:
    addresses = await resolver.addresses(host)
    if not isinstance(addresses, Found):
        return _none(addresses)
    answers = [_plain(await resolver.ptr(one)) for one in addresses.values[:_SHOWN]]
    if any(said is None for said in answers):
        return None
    named = zip(addresses.values, answers, strict=False)
    return tuple(f"{address} {', '.join(said)}" for address, said in named if said)


def _plain(answer: object) -> Said:
    return tuple(str(one) for one in answer.values) if isinstance(answer, Found) else _none(answer)


def _none(answer: object) -> Said:
    return None if isinstance(answer, Temporary) else ()


# --- judging -----------------------------------------------------------------------------------------------------------------

_SEVERAL: Final = N_("There are several SPF records, and only one may be there: put them together.")
_MERGED: Final = N_("Other servers send mail of the domain, too: this value keeps them and adds yours.")
_ELSEWHERE: Final = N_("Mail of the domain goes to another server first.")


def judge(record: Record, said: Said) -> Finding:
    """Whether what was found does what the record is for."""
    if said is None:
        return Finding("unknown", wanted=record.value)
    found = _of_interest(record, said)[:_SHOWN]
    if not found:
        return Finding("missing", wanted=record.value)
    if record.kind == "spf":
        return _spf(record, found)
    if record.kind == "mx" and not _fits(record, found) and any(_host(one) == record.value for one in found):
        return Finding("different", found, record.value, _ELSEWHERE)
    return Finding("ok" if _fits(record, found) else "different", found, record.value)


_STARTS: Final = {"spf": "v=spf1", "dmarc": "v=dmarc1", "tlsrpt": "v=tlsrptv1"}


def _of_interest(record: Record, said: tuple[str, ...]) -> tuple[str, ...]:
    start = _STARTS.get(record.kind)
    return said if start is None else tuple(one for one in said if one.lower().startswith(start))


def _fits(record: Record, found: tuple[str, ...]) -> bool:
    if record.kind == "mx":
        least = min(int(one.split()[0]) for one in found)
        return any(_host(one) == record.value for one in found if int(one.split()[0]) == least)
    if record.kind == "a":
        return True
    if record.kind == "ptr":
        return all(record.value in one.split(" ", 1)[1].split(", ") for one in found)
    if record.kind == "srv":
        return any(one.split()[2:] == [record.value.split()[2], record.value.split()[3] + "."] for one in found)
    if record.kind == "dkim":
        return any(_tag(one, "p") == _tag(record.value, "p") for one in found)
    if record.kind == "dmarc":
        return len(found) == 1 and _tag(found[0], "p") in {"none", "quarantine", "reject"}
    return len(found) == 1


def _host(text: str) -> str:
    return text.rsplit(maxsplit=1)[-1].rstrip(".").lower()


def _tag(text: str, name: str) -> str:
    """The value of a tag of a tag-list (RFC 6376 §3.2), without blanks."""
    for part in text.split(";"):
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return "".join(value.split())
    return ""


def _spf(record: Record, found: tuple[str, ...]) -> Finding:
    """One record that lets our server send (RFC 7208 §4.5, §5.4)."""
    if len(found) > 1:
        return Finding("different", found, record.value, _SEVERAL)
    terms = found[0].split()
    if any(term.lower() in {"mx", "+mx"} for term in terms):
        return Finding("ok", found, record.value)
    others = [term for term in terms[1:] if not term.lower().endswith("all")]
    if not others:
        return Finding("different", found, record.value)
    return Finding("different", found, " ".join([terms[0], "mx", *terms[1:]]), _MERGED)
