"""DKIM signatures of mail that comes in (RFC 6376, RFC 8301, RFC 8463), through dkimpy.

Promises: the tags, the choice of fields and the canonical header are dkimpy's; the body comes as hashes that were made in
one pass (`Bodies`), so that a large message is never held, and keys are opened and used by data.directory.dkim. At most
MOST signatures are looked at, those of the author's domain first. rsa-sha1, keys under 1024 bits and expired signatures
fail; a signature that leaves part of the body out (l=) or is that of a public suffix passes for nothing (policy).
May not: say what follows from a result.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dkim import DKIM, DKIMException, validate_signature_fields
from dkim.util import InvalidTagValueList, parse_tag_value

from appliance.net.answers import Found, Temporary
from data.directory.dkim import PublicKey
from data.ids import Millis
from smtp.mailauth.body import BodyHash
from smtp.mailauth.facts import Dkim, Verdict, domain_text
from smtp.mailauth.names import Names, Question
from smtp.mailauth.suffixes import organisational

MOST: Final = 5
NAMES_MOST: Final = 300
"""Names in h= that are looked at."""
BITS_LEAST: Final = 1024
SKEW: Final = 600
"""Seconds by which another clock may be ahead."""
_FIELD_MOST = 16 * 1024
_GAP = re.compile(rb"\s{80}")
_SPACE = re.compile(rb"\s+")
_ALGORITHMS = {b"rsa-sha256": "rsa", b"ed25519-sha256": "ed25519"}

Fields = Sequence[tuple[bytes, bytes]]
"""A header as dkimpy has it: names, and raw values that end in CRLF."""
Tags = Mapping[bytes, bytes]


class Unfit(Exception):
    """A signature or key that cannot pass: the result, and why in a few words."""

    def __init__(self, result: Verdict, why: str) -> None:
        super().__init__(why)
        self.result = result
        self.why = why


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM-Signature field; `at` is its place in the header, `error` why it is not looked at further."""

    at: int
    tags: Tags
    domain: str = ""
    selector: str = ""
    error: Unfit | None = None

    @property
    def name(self) -> str:
        """The name of its key record."""
        return f"{self.selector}._domainkey.{self.domain}"

    def fact(self, result: Verdict, why: str = "") -> Dkim:
        """What came of it."""
        mark = _SPACE.sub(b"", self.tags.get(b"b", b""))[:8].decode("ascii", "replace")
        algorithm = self.tags.get(b"a", b"").decode("ascii", "replace")
        return Dkim(result, self.domain, self.selector, algorithm, mark, why)


# --- bodies ---------------------------------------------------------------------------------------------------------------


class Bodies:
    """The hashes of one body, in every form that its signatures ask for."""

    def __init__(self, wanted: Iterable[Tags]) -> None:
        self._hashes = {_form(tags): BodyHash(relaxed=_form(tags)[0], limit=_form(tags)[1]) for tags in wanted}
        self._made: dict[tuple[bool, int | None], tuple[bytes, int]] = {}

    def read(self, pieces: Iterator[bytes]) -> None:
        """The whole body, once; nothing is read when nobody wants a hash."""
        if self._hashes:
            for piece in pieces:
                for one in self._hashes.values():
                    one.feed(piece)
        self._made = {form: (one.digest(), one.length) for form, one in self._hashes.items()}

    def of(self, tags: Tags) -> tuple[bytes, int]:
        """The digest that a signature should have, and the count of canonical octets of the body."""
        return self._made[_form(tags)]


def _form(tags: Tags) -> tuple[bool, int | None]:
    relaxed = tags.get(b"c", b"").partition(b"/")[2] == b"relaxed"
    limit = tags.get(b"l")
    return relaxed, int(limit) if limit is not None and limit.isdigit() and len(limit) < 20 else None


# --- reading --------------------------------------------------------------------------------------------------------------


def signatures(fields: Fields, author: str) -> list[Signature]:
    """The signatures of a header that are looked at, those of the author's domain first."""
    found = [_read(at, raw) for at, (name, raw) in enumerate(fields[:2000]) if name.lower() == b"dkim-signature"]
    found.sort(key=lambda one: (one.error is not None, one.domain != author))
    return found[:MOST]


def _read(at: int, raw: bytes) -> Signature:
    try:
        tags = tags_of(raw)
    except Unfit as error:
        return Signature(at, {}, error=error)
    domain = domain_text(tags.get(b"d", b"").decode("utf-8", "replace"))
    selector = domain_text(tags.get(b"s", b"").decode("utf-8", "replace"))
    made = Signature(at, tags, domain, selector)
    try:
        _require(made)
    except Unfit as error:
        return replace(made, error=error)
    return made


def tags_of(raw: bytes) -> dict[bytes, bytes]:
    """The tags of a signature. Raises Unfit."""
    if len(raw) > _FIELD_MOST or _GAP.search(raw):
        raise Unfit(Verdict.PERMERROR, "signature too long")
    try:
        tags: dict[bytes, bytes] = parse_tag_value(raw)
    except (InvalidTagValueList, IndexError):
        raise Unfit(Verdict.PERMERROR, "signature not readable") from None
    return tags


def _require(one: Signature) -> None:
    """What can be said before any key is known (RFC 6376 §6.1.1). Raises Unfit."""
    tags = one.tags
    if tags.get(b"a") == b"rsa-sha1":
        raise Unfit(Verdict.FAIL, "rsa-sha1 proves nothing")
    # times are checked by our clock, in `_require_time`
    timeless = {name: value for name, value in tags.items() if name not in (b"t", b"x")}
    try:
        validate_signature_fields(timeless)
    except (DKIMException, IndexError):
        raise Unfit(Verdict.PERMERROR, "signature not valid") from None
    names = tags[b"h"].lower().split(b":")
    if len(names) > NAMES_MOST or b"from" not in [name.strip() for name in names]:
        raise Unfit(Verdict.PERMERROR, "From is not signed")
    if not one.domain or not one.selector:
        raise Unfit(Verdict.PERMERROR, "signature not valid")


def _require_time(tags: Tags, now: Millis) -> None:
    times = {}
    for name in (b"t", b"x"):
        value = tags.get(name, b"")
        if value and not (value.isdigit() and len(value) <= 12):
            raise Unfit(Verdict.PERMERROR, "signature not valid")
        times[name] = int(value) if value else None
    made, ends, seconds = times[b"t"], times[b"x"], now // 1000
    if made is not None and made > seconds + SKEW:
        raise Unfit(Verdict.FAIL, "made in the future")
    if ends is not None and ends + SKEW < seconds:
        raise Unfit(Verdict.FAIL, "expired")
    if ends is not None and made is not None and ends < made:
        raise Unfit(Verdict.PERMERROR, "signature not valid")


def keys_wanted(found: Iterable[Signature]) -> list[Question]:
    """What will be asked, to be asked ahead."""
    return [(one.name, "TXT") for one in found if one.error is None]


# --- keys -----------------------------------------------------------------------------------------------------------------


def key_of(names: Names, name: str, tags: Tags) -> PublicKey:
    """The key that a signature names (RFC 6376 §3.6.1). Raises Unfit."""
    answer = names.texts(name)
    if isinstance(answer, Temporary):
        raise Unfit(Verdict.TEMPERROR, "DNS does not answer")
    if not isinstance(answer, Found):
        raise Unfit(Verdict.PERMERROR, "no key")
    try:
        record: dict[bytes, bytes] = parse_tag_value(answer.values[0])
    except (InvalidTagValueList, IndexError):
        raise Unfit(Verdict.PERMERROR, "key not readable") from None
    return _opened(record, tags)


def _opened(record: Tags, tags: Tags) -> PublicKey:
    algorithm = _ALGORITHMS.get(tags.get(b"a", b""))
    if record.get(b"v", b"DKIM1") != b"DKIM1" or b"p" not in record:
        raise Unfit(Verdict.PERMERROR, "key not valid")
    octets = _SPACE.sub(b"", record[b"p"])
    if not octets:
        raise Unfit(Verdict.FAIL, "key revoked")
    if algorithm is None or record.get(b"k", b"rsa") != algorithm.encode():
        raise Unfit(Verdict.PERMERROR, "key of another kind")
    if b"h" in record and b"sha256" not in _list(record[b"h"]):
        raise Unfit(Verdict.PERMERROR, "key for another hash")
    if b"s" in record and not {b"*", b"email"} & set(_list(record[b"s"])):
        raise Unfit(Verdict.PERMERROR, "key for another service")
    identity = tags.get(b"i", b"").rpartition(b"@")[2].lower()
    if b"s" in _list(record.get(b"t", b"")) and identity and identity != tags.get(b"d", b"").lower():
        raise Unfit(Verdict.PERMERROR, "key not for subdomains")
    try:
        key = PublicKey.opened(algorithm, base64.b64decode(octets, validate=True))
    except (ValueError, binascii.Error):
        raise Unfit(Verdict.PERMERROR, "key not valid") from None
    if key.algorithm == "rsa" and key.bits < BITS_LEAST:
        raise Unfit(Verdict.FAIL, "key too short")
    return key


def _list(value: bytes) -> list[bytes]:
    return [one.strip() for one in value.split(b":")]


# --- checking -------------------------------------------------------------------------------------------------------------


def check(fields: Fields, found: Iterable[Signature], bodies: Bodies, names: Names, now: Millis) -> tuple[Dkim, ...]:
    """What each signature proves. Blocks while keys are asked for."""
    return tuple(_checked(fields, one, bodies, names, now) for one in found)


def _checked(fields: Fields, one: Signature, bodies: Bodies, names: Names, now: Millis) -> Dkim:
    try:
        if one.error is not None:
            raise one.error
        _require_time(one.tags, now)
        key = key_of(names, one.name, one.tags)
        length = require_body(one.tags, bodies)
        include = [name.strip().lower() for name in one.tags[b"h"].split(b":")]
        if not header_holds(DKIM(), fields, one.tags, include, fields[one.at], key):
            raise Unfit(Verdict.FAIL, "header was changed")
        if _form(one.tags)[1] is not None and int(one.tags[b"l"]) < length:
            raise Unfit(Verdict.POLICY, "part of the body is not signed")
        if organisational(one.domain) is None:
            raise Unfit(Verdict.POLICY, "signed by a public suffix")
    except Unfit as no:
        return one.fact(no.result, no.why)
    return one.fact(Verdict.PASS)


def require_body(tags: Tags, bodies: Bodies) -> int:
    """The body has the hash bh=; the count of its canonical octets. Raises Unfit."""
    digest, length = bodies.of(tags)
    try:
        told = base64.b64decode(_SPACE.sub(b"", tags[b"bh"]))
    except (binascii.Error, ValueError):
        raise Unfit(Verdict.PERMERROR, "signature not valid") from None
    limit = _form(tags)[1]
    if told != digest or (limit is not None and limit > length):
        raise Unfit(Verdict.FAIL, "body was changed")
    return length


@dataclass(slots=True)
class _Judge:
    """A key as dkimpy's Ed25519 path asks for one: it is given the digest of the header, whatever the algorithm."""

    key: PublicKey
    holds: bool = False

    def verify(self, digest: bytes, signature: bytes) -> None:
        self.holds = self.key.verify(digest, signature)


def header_holds(
    checker: Any, fields: Fields, tags: Tags, include: list[bytes], field: tuple[bytes, bytes], key: PublicKey
) -> bool:
    """Whether the signature in `field` is that key's over the fields `include`; `checker` is dkimpy's. Raises Unfit."""
    judge = _Judge(key)
    checker.headers = list(fields)
    checker.pk, checker.keysize, checker.ktag, checker.seqtlsrpt = judge, key.bits, b"ed25519", False
    bodiless = {name: value for name, value in tags.items() if name not in (b"bh", b"l")}
    try:
        checker.verify_sig_process(bodiless, include, field, None)
    except (DKIMException, ValueError, binascii.Error):
        raise Unfit(Verdict.PERMERROR, "signature not valid") from None
    return judge.holds
