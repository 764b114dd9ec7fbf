"""SASL on the server's side, sans-io: PLAIN (RFC 4616) and LOGIN (the old draft that clients still speak).

A face decodes nothing itself: it gives each line the client sent (the base64 text, without the line end) to `step` and
gets a Challenge to send (as base64 text), Credentials to take to the login gate, or a SaslError with what to tell.
Promises: input is bounded, a cancelled exchange (`*`, RFC 4954 §4, RFC 9051 §6.2.2) is told apart from a broken one,
NUL and text that is not UTF-8 are refused. May not: compare a password or know who exists.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

LINE_MAX: Final = 12_288
"""Octets of base64 one line may have: RFC 4954 §4.5 asks for 12288 with its line end."""
NAME_MAX: Final = 1_024
PASSWORD_MAX: Final = 1_024


@dataclass(frozen=True, slots=True)
class Challenge:
    """Say this to the client: `data` is what goes into base64; `text` is the base64."""

    data: bytes

    @property
    def text(self) -> bytes:
        """The challenge as it stands on the wire, without `334 ` or `+ ` and without the line end."""
        return base64.b64encode(self.data)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client says it is. `authzid` is empty unless it asks to act as somebody else."""

    authcid: str
    password: str = field(repr=False)
    authzid: str = ""


class SaslError(Exception):
    """The exchange ended without credentials. `public` may be told; `cancelled` when the client gave up."""

    def __init__(self, public: str, *, cancelled: bool = False) -> None:
        super().__init__(public)
        self.public = public
        self.cancelled = cancelled


class Mechanism(Protocol):
    """One exchange. After Credentials or a SaslError it is over."""

    name: str

    def step(self, line: bytes | None) -> Challenge | Credentials:
        """One line of the client, None at the start when it sent no initial response. Raises SaslError."""
        ...


class Plain:
    """PLAIN: authzid NUL authcid NUL password in one message (RFC 4616 §2)."""

    name = "PLAIN"

    def step(self, line: bytes | None) -> Challenge | Credentials:
        """Credentials, or an empty challenge when there was no initial response. Raises SaslError."""
        if line is None:
            return Challenge(b"")
        parts = decode(line).split(b"\0")
        if len(parts) != 3:
            raise SaslError("Malformed PLAIN message")
        authzid, authcid, password = parts
        return _credentials(authcid, password, authzid)


class Login:
    """LOGIN: user name, then password, each asked for."""

    name = "LOGIN"

    def __init__(self) -> None:
        self._authcid: bytes | None = None

    def step(self, line: bytes | None) -> Challenge | Credentials:
        """The next question, or Credentials after the second answer. Raises SaslError."""
        if line is None:
            return Challenge(b"Username:")
        text = decode(line)
        if self._authcid is None:
            self._authcid = text
            return Challenge(b"Password:")
        return _credentials(self._authcid, text, b"")


MECHANISMS: Final[dict[str, Callable[[], Mechanism]]] = {"PLAIN": Plain, "LOGIN": Login}
"""What is offered, in the order of preference."""


def begin(name: str) -> Mechanism | None:
    """A new exchange of the mechanism (any case), or None when there is no such mechanism."""
    make = MECHANISMS.get(name.upper())
    return make() if make is not None else None


def decode(line: bytes) -> bytes:
    """The octets of one base64 line; `=` alone is the empty message (RFC 4954 §4). Raises SaslError."""
    if line == b"*":
        raise SaslError("Authentication cancelled", cancelled=True)
    if len(line) > LINE_MAX:
        raise SaslError("Authentication line too long")
    if line == b"=":
        return b""
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError("Invalid base64")


def _credentials(authcid: bytes, password: bytes, authzid: bytes) -> Credentials:
    if not authcid or not password:
        raise SaslError("Empty user name or password")
    if max(len(authcid), len(authzid)) > NAME_MAX or len(password) > PASSWORD_MAX:
        raise SaslError("User name or password too long")
    if b"\0" in authcid + password + authzid:
        raise SaslError("NUL in user name or password")
    try:
        return Credentials(authcid.decode("utf-8"), password.decode("utf-8"), authzid.decode("utf-8"))
    except UnicodeDecodeError:
        raise SaslError("User name or password is not UTF-8")
