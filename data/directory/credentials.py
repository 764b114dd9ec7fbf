"""Passwords and app passwords: made, checked, never kept.

Promises: passwords become argon2id verifiers (RFC 9106; 19 MiB, 2 passes, 1 lane); app passwords carry 128 random bits
of their own, so a keyed digest is enough for them. Text is compared as RFC 8265 §4.2 OpaqueString prepares it. The only
importer of argon2. May not: decide who may sign in (appliance.auth does), or be called on the event loop.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from data.errors import Invalid

MAX_OCTETS = 1024
PASSWORD = "password"  # noqa: S105 - the kind of a credential
APP = "app"
_APP_OCTETS = 16
_APP_GROUP = 4

DUMMY_VERIFIER = "$argon2id$v=19$m=19456,t=2,p=1$+x3CbgyFT3T4Dex6RFKwXw$/4FIXxkMBGxB8lFxWJWrQb+/c086U98+b1CM9WTP3xY"
"""What an unknown user's password is checked against, so that the answer takes as long; nobody knows its password."""


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def prepare(password: str) -> bytes:
    """The octets that are compared: non-ASCII spaces become spaces, then NFC (RFC 8265 §4.2.1). Raises Invalid."""
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in password)
    if any(unicodedata.category(c) == "Cc" for c in spaced):
        raise Invalid("control character in a password", public="A password may not hold control characters")
    octets = unicodedata.normalize("NFC", spaced).encode("utf-8", "surrogatepass")
    if not octets or len(octets) > MAX_OCTETS:
        raise Invalid("empty or oversized password", public=f"A password has 1 to {MAX_OCTETS} octets")
    return octets


def hash_password(password: str) -> str:
    """The verifier to keep for a password. Takes tens of milliseconds. Raises Invalid."""
    return _hasher().hash(prepare(password))


def verify(verifier: str, password: str) -> bool:
    """Does the password fit? Takes as long for a wrong one; a verifier that is damaged fits nothing."""
    try:
        octets = prepare(password)
    except Invalid:
        octets = b"\0"
    try:
        return _hasher().verify(verifier, octets)
    except (VerificationError, InvalidHashError):
        return False


def outdated(verifier: str) -> bool:
    """Was it made with other parameters than today's?"""
    try:
        return _hasher().check_needs_rehash(verifier)
    except InvalidHashError:
        return True


def new_password() -> str:
    """A random password a person can type: 100 bits in lower case and digits."""
    return "-".join(_groups(secrets.token_bytes(_APP_OCTETS))[:5])


def new_app_password() -> str:
    """128 random bits as groups of four letters and digits."""
    return "-".join(_groups(secrets.token_bytes(_APP_OCTETS)))


def app_digest(key: bytes, secret: str) -> str:
    """The keyed digest of an app password, written with or without its hyphens and in any case."""
    plain = "".join(c for c in secret.lower() if c.isalnum())
    return hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()


def verify_app(key: bytes, verifier: str, secret: str) -> bool:
    """Does the app password fit the digest that is kept?"""
    return hmac.compare_digest(app_digest(key, secret), verifier)


def _groups(octets: bytes) -> list[str]:
    text = base64.b32encode(octets).decode("ascii").rstrip("=").lower()
    return [text[i : i + _APP_GROUP] for i in range(0, len(text), _APP_GROUP)]
