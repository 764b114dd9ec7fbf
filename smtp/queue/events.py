"""What an SMTP dialogue is told and what it answers: the envelope of one transaction, results, and the driver's tasks.

Values only; smtp.queue.dialogue makes and consumes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from data.reason import Reason
from smtp.queue.replies import Reply


class Tls(Enum):
    """What the session does about TLS: never ask, take it when it is offered, end without it, or begin with it."""

    NEVER = "never"
    OFFERED = "offered"
    REQUIRED = "required"
    FIRST = "first"


class Stage(StrEnum):
    """What the server's next word answers; the driver picks its time limit by it (RFC 5321 §4.5.3.2)."""

    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    IDLE = "idle"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    FINAL = "final"
    RESET = "rset"
    QUIT = "quit"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class To:
    """One recipient with its delivery status parameters."""

    address: str
    notify: str | None = None
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one transaction carries. `size` counts every octet of the message before dot-stuffing; `relaxed`: its sender asked
    that policies about TLS be left aside."""

    return_path: str
    recipients: tuple[To, ...]
    size: int
    eightbit: bool = False
    smtputf8: bool = False
    requiretls: bool = False
    envid: str | None = None
    ret: str | None = None
    relaxed: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something did not work. `permanent`: no further attempt will change it."""

    reason: Reason
    permanent: bool
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The fate of one recipient: delivered when `problem` is None. `dsn`: the server took over the DSN parameters."""

    problem: Problem | None
    reply: Reply | None
    dsn: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Send these octets."""

    data: bytes


@dataclass(frozen=True, slots=True)
class UpgradeTls:
    """Do the TLS handshake, then say `tls_started`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A message may begin."""


@dataclass(frozen=True, slots=True)
class SendBody:
    """Stream the dot-stuffed message and the final dot, then say `body_sent`."""


@dataclass(frozen=True, slots=True)
class Done:
    """The transaction is over; one Result for each recipient of the envelope, in its order."""

    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """The session is over and the connection is to be closed."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Closed:
    """QUIT was answered, or nothing more is to be said."""


Event = Write | UpgradeTls | Ready | SendBody | Done | Broken | Closed
