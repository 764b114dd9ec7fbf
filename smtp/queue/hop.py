"""A host on the way of a message: how it is reached, and what must be true of it before it is told anything.

Values only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

IMPLICIT_TLS = 465
"""Where TLS comes first (RFC 8314 §3.3)."""


class Level(StrEnum):
    """How safe the connection to a host has to be. MAY: encrypted where that works; ENCRYPTED: TLS, whoever it is; PROVEN:
    with a certificate of a public authority for its name; DANE: with the certificate that DNS names (RFC 7672)."""

    MAY = "may"
    ENCRYPTED = "encrypted"
    PROVEN = "proven"
    DANE = "dane"


@dataclass(frozen=True, slots=True)
class Need:
    """What a host has to prove, and who says so. `satisfied` judges the certificates a host showed (DER, its own first) and
    says what is wrong with them, or nothing: for DANE alone.
    """

    level: Level = Level.MAY
    by: str = ""
    satisfied: Callable[[list[bytes]], str | None] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Login:
    """Name and password for a smarthost."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hop:
    """A host to try. `fixed`: an administrator named it, so that it may be this very machine."""

    host: str
    port: int
    fixed: bool = False
    need: Need = Need()
    login: Login | None = None

    @property
    def tls_first(self) -> bool:
        """Whether TLS comes before the greeting."""
        return self.fixed and self.port == IMPLICIT_TLS

    @property
    def key(self) -> str:
        """What it is called where it is remembered that it is down."""
        return f"{self.host}:{self.port}"
