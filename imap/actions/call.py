"""One command being carried out: the session, the parts of the house, and the way out to the client.

Promises: what is sent is gathered and written together; `flow` holds an action back while its client does not read, so
that no more than a bounded amount waits in memory (attack F2). May not: know what transport lies below.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from appliance.log import Log
from appliance.loop import Workers
from appliance.maillog import MailLog
from appliance.space import Space
from data.clock import Clock
from data.principal import Principal
from data.store.store import Store
from imap.errors import No
from imap.hub import Hub
from imap.session import Session, State
from imap.view import View

PIECE = 65_536
"""Octets gathered before they are written."""


class LoginGate(Protocol):
    """appliance.auth.Gate, as this room needs it."""

    async def login(
        self, identity: str, password: str, *, protocol: str, peer: str, tls: bool, authzid: str = "", id: str | None
    ) -> Principal:
        """Who it is; raises appliance.auth.LoginRefused."""
        ...


@dataclass(frozen=True, slots=True)
class ImapParts:
    """What every conversation shares; built once in the composition root."""

    store: Store
    gate: LoginGate
    workers: Workers
    clock: Clock
    log: Log
    hub: Hub
    maillog: MailLog
    version: str = ""
    space: Space | None = None
    """Room on the disk for what APPEND brings; None: not looked at."""


class Gone(Exception):
    """The client is gone: nobody hears what is said, and whatever was under way ends here."""


class Line(Protocol):
    """The transport below a conversation."""

    @property
    def peer(self) -> str:
        """The client's address in its normal form."""
        ...

    @property
    def congested(self) -> bool:
        """Whether the client leaves so much unread that no more should be written, or is gone."""
        ...

    def write(self, data: bytes) -> None:
        """Send octets; never blocks."""
        ...

    async def room(self) -> None:
        """Return when the client has read enough; raises Gone."""
        ...


class After(Enum):
    """What happens to the connection once the tagged response is written."""

    NOTHING = auto()
    TLS = auto()
    CLOSE = auto()
    IDLE = auto()


@dataclass(frozen=True, slots=True)
class Done:
    """A command that succeeded: the text of its OK, with a response code perhaps."""

    text: str = ""
    code: bytes | None = None
    after: After = After.NOTHING


DONE = Done()


class Call:
    """One command on its way."""

    __slots__ = ("_gathered", "_held", "ask", "id", "line", "parts", "session", "tag")

    def __init__(
        self,
        line: Line,
        parts: ImapParts,
        session: Session,
        tag: bytes,
        ask: Callable[[bytes], Awaitable[bytes]],
        id: str = "",
    ) -> None:
        """`ask` sends a continuation request and brings the client's next line (AUTHENTICATE); `id` is for the log."""
        self.line = line
        self.parts = parts
        self.session = session
        self.tag = tag
        self.ask = ask
        self.id = id
        self._gathered: list[bytes] = []
        self._held = 0

    def send(self, data: bytes) -> None:
        """Say something untagged; written with what follows."""
        self._gathered.append(data)
        self._held += len(data)

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            self.line.write(b"".join(self._gathered) if len(self._gathered) > 1 else self._gathered[0])
            self._gathered.clear()
            self._held = 0

    async def flow(self) -> None:
        """Write what was gathered once it is worth it, and wait while the client does not read."""
        if self._held >= PIECE:
            self.flush()
            if self.line.congested:
                await self.line.room()

    def still_there(self) -> None:
        """Raise Gone when the client went away while a worker was busy for it."""
        if self.session.state is State.LOGOUT:
            raise Gone

    @property
    def principal(self) -> Principal:
        """Who is logged in; the table lets no command that asks run before."""
        principal = self.session.principal
        if principal is None:
            raise No("Not logged in", b"AUTHENTICATIONFAILED")
        return principal

    @property
    def view(self) -> View:
        """The selected mailbox; the table lets no command that asks run without one."""
        view = self.session.view
        if view is None:
            raise No("No mailbox is selected")
        return view

    @property
    def writable(self) -> View:
        """The selected mailbox, if it was not opened read-only."""
        view = self.view
        if view.readonly:
            raise No("The mailbox is selected read-only", b"READ-ONLY")
        return view
