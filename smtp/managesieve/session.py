"""The state of one conversation (RFC 5804 §1.1): whether TLS is up, who signed in, and what may be said; sans-io.

Promises: capabilities are derived from the state alone, so that nothing is announced that does not work now (RFC 5804
§1.7). STARTTLS forgets all that was said before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.principal import Principal
from data.rules.sieve.run import REDIRECTS_MOST
from data.rules.sieve.words import EXTENSIONS
from smtp.managesieve.response import string


@dataclass(frozen=True, slots=True)
class Rules:
    """What the listener allows. `plaintext_login`: a sign-in without TLS (profile bench, on loopback); `login_seconds`: from
    the greeting to a sign-in; `idle_seconds`: silence before a client is sent away; `stall_seconds`: how long it may leave
    unread what it asked for; `per_peer`: connections from one address (IPv6: one /64), 0 is without bound.
    """

    plaintext_login: bool = False
    login_seconds: int = 60
    idle_seconds: int = 30 * 60
    stall_seconds: int = 60
    per_peer: int = 30
    failed_logins: int = 5
    bad_commands: int = 10


class Session:
    """One client's conversation."""

    __slots__ = ("principal", "rules", "secure")

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.secure = False
        self.principal: Principal | None = None

    @property
    def may_login(self) -> bool:
        """Whether a password may be sent now: never over a line that others can read."""
        return self.principal is None and (self.secure or self.rules.plaintext_login)

    @property
    def may_starttls(self) -> bool:
        """Whether STARTTLS is offered."""
        return not self.secure and self.principal is None

    def capabilities(self) -> bytes:
        """What works now, a line each (RFC 5804 §1.7)."""
        lines = [
            (b"IMPLEMENTATION", "Mailstead"),
            (b"SASL", "PLAIN" if self.may_login else ""),
            (b"SIEVE", " ".join(EXTENSIONS)),
            *([(b"STARTTLS", None)] if self.may_starttls else []),
            (b"MAXREDIRECTS", str(REDIRECTS_MOST)),
            *([(b"OWNER", self.principal.address)] if self.principal is not None else []),
            (b"VERSION", "1.0"),
        ]
        return b"".join(
            b'"' + name + b'"' + (b" " + string(value) if value is not None else b"") + b"\r\n" for name, value in lines
        )
