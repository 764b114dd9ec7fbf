"""The sender of a message that is sent on, rewritten so that SPF holds at the next hop and its bounces come back here.

The Sender Rewriting Scheme: `SRS0=hash=day=domain=local@ours` for a sender elsewhere; a sender that somebody rewrote
already becomes `SRS1=hash=host==rest@ours`, so that a chain of forwards does not grow. Promises: only addresses that we
made ourselves in the last 21 days are undone, so that nobody gets a relay out of them: the hash is keyed. Case does not
count, since hosts on the way may fold it. Pure; days are those of the clock that is given. May not: rewrite what is ours
already, a quoted local part, or what would be longer than a path may be: those stay as they are.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field

from data.clock import DAY
from data.ids import Millis

VALID_DAYS = 21
_DAYS = 1024
"""A day is two letters of base32; it comes round after this many."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PATH_MOST = 254
_HASH = 10
_SRS = re.compile(r"srs([01])[=+-]", re.I)
_SRS0 = re.compile(rf"srs0[=+-]([a-z2-7]{{{_HASH}}})=([a-z2-7]{{2}})=([^=@]+)=(.+)", re.I | re.S)
_SRS1 = re.compile(rf"srs1[=+-]([a-z2-7]{{{_HASH}}})=([^=@]+)=([=+-].+)", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Rewrites and undoes; `key` is a secret of this store."""

    key: bytes = field(repr=False)

    def rewritten(self, return_path: str, ours: str, now: Millis) -> str:
        """The return-path for sending on: an address at `ours`, one of our domains."""
        local, _, domain = return_path.rpartition("@")
        if not local or local.startswith('"') or domain.startswith("["):
            return return_path
        found = _SRS.match(local)
        if found is None:
            day = _letters(now // DAY % _DAYS)
            made = f"SRS0={self._hash(day, domain, local)}={day}={domain}={local}"
        elif found[1] == "0":
            rest = local[4:]
            made = f"SRS1={self._hash(domain, rest)}={domain}={rest}"
        else:
            host, rest = _parts_of_srs1(local)
            if not host:
                return return_path
            made = f"SRS1={self._hash(host, rest)}={host}={rest}"
        whole = f"{made}@{ours}"
        return whole if len(whole.encode()) <= _PATH_MOST else return_path

    def original(self, local: str, now: Millis) -> str | None:
        """Whom a local part that we made stands for; None when we did not make it, or too long ago."""
        found = _SRS0.fullmatch(local)
        if found is not None:
            given, day, domain, rest = found.groups()
            if not hmac.compare_digest(given.lower(), self._hash(day, domain, rest)) or not _fresh(day, now):
                return None
            return f"{rest}@{domain}"
        found = _SRS1.fullmatch(local)
        if found is not None and hmac.compare_digest(found[1].lower(), self._hash(found[2], found[3])):
            # whoever made the SRS0 inside looks at its day
            return f"SRS0{found[3]}@{found[2]}"
        return None

    def _hash(self, *parts: str) -> str:
        digest = hmac.digest(self.key, "\0".join(part.lower() for part in parts).encode(), "sha256")
        return base64.b32encode(digest)[:_HASH].decode().lower()


def is_rewritten(local: str) -> bool:
    """Whether a local part has the form of this scheme, whoever made it."""
    return _SRS.match(local) is not None


def _parts_of_srs1(local: str) -> tuple[str, str]:
    """Host and rest of an SRS1, whoever made it: the hash of another house has another length."""
    parts = local[5:].split("=", 2)
    return (parts[1], parts[2]) if len(parts) == 3 and parts[2][:1] in ("=", "+", "-") else ("", "")


def _letters(number: int) -> str:
    return _ALPHABET[number >> 5] + _ALPHABET[number & 31]


def _fresh(day: str, now: Millis) -> bool:
    """Made on one of the last days; a day ahead is a clock that was set back."""
    number = _ALPHABET.index(day[0].lower()) << 5 | _ALPHABET.index(day[1].lower())
    age = (now // DAY - number) % _DAYS
    return age <= VALID_DAYS or age == _DAYS - 1
