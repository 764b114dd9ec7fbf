"""How a command ends badly: Bad (syntax or state), No (refused), Bye (the conversation is over).

Promises: each error has a public text for the client and, where there is more to say, a private one for the log; the
text of a foreign exception never reaches a client. StoreErrors become NO with a response code by one table (RFC 5530,
RFC 9051 §7.1).
"""

from __future__ import annotations

from data.errors import (
    Conflict,
    Corrupt,
    DiskFull,
    Invalid,
    NotFound,
    OverQuota,
    Refused,
    StoreError,
    TooBig,
    Unavailable,
)


class ImapError(Exception):
    """The base: `public` is told to the client, `private` to the log; `code` is a response code without brackets."""

    def __init__(self, public: str, code: bytes | None = None, private: str = "") -> None:
        super().__init__(private or public)
        self.public = public
        self.code = code
        self.private = private


class Bad(ImapError):
    """The command is not understood, or not in this state: nothing was done (RFC 9051 §7.1.3)."""


class No(ImapError):
    """The command was understood and refused: nothing was done (RFC 9051 §7.1.2)."""


class Bye(ImapError):
    """The conversation cannot go on: an untagged BYE, then the connection is closed (RFC 9051 §7.1.5).

    `first`: what the command that led here is told before it.
    """

    def __init__(
        self, public: str, code: bytes | None = None, private: str = "", *, first: ImapError | None = None
    ) -> None:
        super().__init__(public, code, private)
        self.first = first


_CODES: tuple[tuple[type[StoreError], bytes], ...] = (
    (NotFound, b"NONEXISTENT"),
    (Conflict, b"ALREADYEXISTS"),
    (Invalid, b"CANNOT"),
    (Refused, b"NOPERM"),
    (OverQuota, b"OVERQUOTA"),
    (TooBig, b"TOOBIG"),
    (Corrupt, b"CORRUPTION"),
    (DiskFull, b"OVERQUOTA"),
    (Unavailable, b"UNAVAILABLE"),
)


def from_store(error: StoreError, *, target: bool = False) -> No:
    """The NO for a StoreError; `target`: a missing mailbox may be made by the client (RFC 9051 §7.1 TRYCREATE)."""
    if target and isinstance(error, NotFound):
        return No(error.public, b"TRYCREATE", error.private)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), b"SERVERBUG")
    return No(error.public, code, error.private)


def serverbug() -> No:
    """The fixed answer to whatever nobody expected."""
    return No("An internal error happened; the administrator can find it in the log", b"SERVERBUG")
