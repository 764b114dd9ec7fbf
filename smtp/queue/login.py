"""Signing in at a smarthost, sans-io: SCRAM-SHA-256 (RFC 5802, RFC 7677), PLAIN (RFC 4616) and LOGIN, the client's side.

Promises: the strongest mechanism that the server offers is taken; a SCRAM server that does not prove that it knows the
password is not believed. May not: be used on a connection that is not under TLS with a proven name (smtp.queue.dialogue
sees to that).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from smtp.queue.hop import Login

ROUNDS_LEAST = 4096
ROUNDS_MOST = 1_000_000
"""A server cannot make us work for ever."""


class Unlikely(Exception):
    """The server's part of the exchange is not what it must be."""


class Exchange(Protocol):
    """One attempt to sign in. `begin` is the initial response (None: wait for the first challenge)."""

    name: str

    def begin(self) -> bytes | None:
        """What goes with the AUTH command."""
        ...

    def answer(self, challenge: bytes) -> bytes:
        """The response to a challenge. Raises Unlikely."""
        ...

    def accepted(self) -> bool:
        """Whether a 235 may be believed."""
        ...


@dataclass
class Plain:
    """RFC 4616."""

    login: Login
    name: str = "PLAIN"

    def begin(self) -> bytes | None:
        return b"\0" + self.login.user.encode() + b"\0" + self.login.password.encode()

    def answer(self, challenge: bytes) -> bytes:
        raise Unlikely("a challenge to PLAIN")

    def accepted(self) -> bool:
        return True


@dataclass
class LoginWords:
    """The old draft: the name, then the password, whatever the server calls them."""

    login: Login
    name: str = "LOGIN"
    asked: int = 0

    def begin(self) -> bytes | None:
        return None

    def answer(self, challenge: bytes) -> bytes:
        self.asked += 1
        if self.asked > 2:
            raise Unlikely("a third challenge to LOGIN")
        return (self.login.user if self.asked == 1 else self.login.password).encode()

    def accepted(self) -> bool:
        return self.asked == 2


@dataclass
class Scram:
    """RFC 5802 §3 without channel binding."""

    login: Login
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    name: str = "SCRAM-SHA-256"
    _signature: bytes = b""
    _proven: bool = False

    def begin(self) -> bytes | None:
        return b"n,," + self._first().encode()

    def _first(self) -> str:
        user = self.login.user.replace("=", "=3D").replace(",", "=2C")
        return f"n={user},r={self.nonce}"

    def answer(self, challenge: bytes) -> bytes:
        if self._signature:
            return self._verified(challenge)
        given = _fields(challenge)
        nonce, rounds = given.get("r", ""), given.get("i", "")
        if "m" in given or not nonce.startswith(self.nonce) or len(nonce) <= len(self.nonce):
            raise Unlikely("a nonce that is not ours")
        if not rounds.isascii() or not rounds.isdigit() or not ROUNDS_LEAST <= int(rounds[:9]) <= ROUNDS_MOST:
            raise Unlikely("rounds")
        salted = hashlib.pbkdf2_hmac("sha256", self.login.password.encode(), _octets(given.get("s", "")), int(rounds))
        key = hmac.digest(salted, b"Client Key", "sha256")
        last = f"c=biws,r={nonce}"
        said = ",".join((self._first(), challenge.decode("utf-8"), last)).encode()
        proof = hmac.digest(hashlib.sha256(key).digest(), said, "sha256")
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
        mixed = bytes(a ^ b for a, b in zip(key, proof, strict=True))
        return f"{last},p={base64.b64encode(mixed).decode()}".encode()

    def _verified(self, challenge: bytes) -> bytes:
        if not hmac.compare_digest(_octets(_fields(challenge).get("v", "")), self._signature):
            raise Unlikely("the server does not know the password")
        self._proven = True
        return b""

    def accepted(self) -> bool:
        return self._proven


_MECHANISMS: Mapping[str, Callable[[Login], Exchange]] = {"SCRAM-SHA-256": Scram, "PLAIN": Plain, "LOGIN": LoginWords}
"""Best first."""


def choose(offered: str, login: Login) -> Exchange | None:
    """The exchange to make with a server that offers these (the parameters of AUTH in its EHLO); None when it has none of
    ours."""
    have = offered.upper().split()
    return next((make(login) for name, make in _MECHANISMS.items() if name in have), None)


def _fields(message: bytes) -> dict[str, str]:
    try:
        parts = message.decode("utf-8").split(",")
    except UnicodeDecodeError:
        raise Unlikely("not UTF-8") from None
    return {part[:1]: part[2:] for part in parts if part[1:2] == "="}


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unlikely("not base64") from None
