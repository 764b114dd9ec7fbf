"""ARC (RFC 8617): is the chain of seals that forwarders put on a message whole? The order and rules are dkimpy's.

Promises: at most SEALS seals; bodies and keys come as for DKIM. May not: seal, or trust a forwarder because it sealed.
"""

from __future__ import annotations

import re
from typing import Any, Final

import dkim

from smtp.mailauth import verify
from smtp.mailauth.facts import Arc, Verdict, domain_text
from smtp.mailauth.names import Names, Question
from smtp.mailauth.verify import Bodies, Fields, Tags, Unfit

SEALS: Final = 50
_NAMES = (b"arc-seal", b"arc-message-signature", b"arc-authentication-results")
_INSTANCE = re.compile(rb"\s*i\s*=\s*([1-9][0-9]?)\s*;")


class Chain(dkim.ARC):  # type: ignore[misc]
    """dkimpy's validation with our keys and bodies in place of its own."""

    def __init__(self, fields: Fields, bodies: Bodies, names: Names) -> None:
        super().__init__()
        self.headers = list(fields)
        self._fields, self._bodies, self._names = fields, bodies, names
        self.late = False

    def verify_sig(
        self, sig: Tags, include_headers: list[bytes], sig_header: tuple[bytes, bytes], dnsfunc: Any
    ) -> bool:
        """One seal or message signature."""
        name = (sig[b"s"] + b"._domainkey." + sig[b"d"]).decode("ascii", "replace")
        try:
            key = verify.key_of(self._names, name, sig)
            if b"bh" in sig:
                verify.require_body(sig, self._bodies)
            return verify.header_holds(dkim.ARC(), self._fields, sig, include_headers, sig_header, key)
        except Unfit as no:
            self.late = self.late or no.result is Verdict.TEMPERROR
            return False


def message_signatures(fields: Fields) -> list[Tags]:
    """The tags of the ARC-Message-Signature fields whose bodies are to be hashed; none when there are too many."""
    found: list[Tags] = []
    for name, raw in fields:
        if name.lower() == b"arc-message-signature":
            try:
                found.append(verify.tags_of(raw))
            except Unfit:
                continue
    return found if len(found) <= SEALS else []


def keys_wanted(fields: Fields) -> list[Question]:
    """What will be asked, to be asked ahead."""
    wanted = []
    for name, raw in fields:
        if name.lower() in _NAMES[:2]:
            try:
                tags = verify.tags_of(raw)
                wanted.append(f"{tags[b's'].decode()}._domainkey.{tags[b'd'].decode()}")
            except (Unfit, KeyError, UnicodeDecodeError):
                continue
    return [(name, "TXT") for name in dict.fromkeys(wanted[: 2 * SEALS])]


def check(fields: Fields, bodies: Bodies, names: Names) -> Arc:
    """The state of the chain. Blocks while keys are asked for."""
    seals = [(name.lower(), raw) for name, raw in fields if name.lower() in _NAMES]
    if not seals:
        return Arc(Verdict.NONE)
    count = sum(name == b"arc-seal" for name, _ in seals)
    try:
        for name, raw in seals:
            _require_readable(name, raw)
        if count > SEALS:
            raise Unfit(Verdict.FAIL, "too many seals")
        chain = Chain(fields, bodies, names)
        status, results, _ = chain.verify()
    except Unfit as no:
        return Arc(Verdict.FAIL, seals=count, reason=no.why)
    except Exception:  # the library's own failure on what a stranger wrote: a chain that cannot be read is no chain
        return Arc(Verdict.FAIL, seals=count, reason="chain not readable")
    domain = domain_text(results[0].get("as-domain", b"").decode("ascii", "replace")) if results else ""
    if status == b"pass":
        return Arc(Verdict.PASS, domain, count)
    if chain.late:
        return Arc(Verdict.TEMPERROR, domain, count, "DNS does not answer")
    return Arc(Verdict.FAIL, domain, count, "chain is broken")


def _require_readable(name: bytes, raw: bytes) -> None:
    if name != b"arc-authentication-results":
        verify.tags_of(raw)
    elif _INSTANCE.match(raw) is None:
        raise Unfit(Verdict.FAIL, "chain not readable")
