"""The state of one conversation: not authenticated, authenticated, selected, logout; and what was enabled; sans-io.

Promises: capabilities are derived from the state and the rules alone, so that nothing is announced that does not work
now (RFC 9051 §6.1.1, §7.2.2). STARTTLS forgets all that was said before it. RFC 9051 §3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from data.principal import Principal
from imap.view import Shape, View


class State(Enum):
    """RFC 9051 §3."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


@dataclass(frozen=True, slots=True)
class Rules:
    """What one listener allows.

    `message_size`: the largest message APPEND takes, in octets. `starttls`: offered while there is no TLS.
    `plaintext_login`: LOGIN without TLS (profile bench, on loopback). `login_seconds`: from the greeting to a login.
    `idle_seconds`: silence of a client before it is logged out (RFC 9051 §5.4). `stall_seconds`: how long a client may
    leave what it asked for unread. `write_buffer`: octets kept for a client that reads slowly. `per_peer`: connections
    from one address (IPv6: one /64); 0 is without bound.
    """

    message_size: int = 50 << 20
    starttls: bool = True
    plaintext_login: bool = False
    login_seconds: int = 60
    idle_seconds: int = 30 * 60
    stall_seconds: int = 5 * 60
    write_buffer: int = 1 << 20
    per_peer: int = 30
    failed_logins: int = 10
    bad_commands: int = 20


_CAPABILITIES = (
    b"IMAP4rev1", b"IMAP4rev2", b"LITERAL+", b"SASL-IR", b"ID", b"ENABLE", b"IDLE", b"NAMESPACE", b"UIDPLUS",
    b"UNSELECT", b"MOVE", b"CHILDREN", b"SPECIAL-USE", b"CREATE-SPECIAL-USE", b"LIST-EXTENDED", b"LIST-STATUS",
    b"ESEARCH", b"SEARCHRES", b"WITHIN", b"CONDSTORE", b"STATUS=SIZE", b"OBJECTID", b"SAVEDATE", b"PREVIEW",
)  # fmt: skip
"""What works after login; told before it too, since many clients ask once only (RFC 9051 §6.1.1)."""


class Session:
    """One client's conversation."""

    __slots__ = ("condstore", "principal", "rev2", "rules", "saved", "secure", "state", "view")

    def __init__(self, rules: Rules, *, secure: bool) -> None:
        """`secure`: TLS is up already."""
        self.rules = rules
        self.secure = secure
        self.state = State.NOT_AUTHENTICATED
        self.principal: Principal | None = None
        self.view: View | None = None
        self.condstore = False
        self.rev2 = False
        self.saved: Sequence[int] = ()

    # --- what may be said -------------------------------------------------------------------------------------------

    @property
    def may_login(self) -> bool:
        """Whether a password may be sent now: never over a line that others can read (RFC 9051 §6.2.3)."""
        return self.secure or self.rules.plaintext_login

    @property
    def may_starttls(self) -> bool:
        """Whether STARTTLS is offered."""
        return self.rules.starttls and not self.secure and self.state is State.NOT_AUTHENTICATED

    def capabilities(self) -> tuple[bytes, ...]:
        """What works now."""
        known = (*_CAPABILITIES, b"APPENDLIMIT=%d" % self.rules.message_size)
        if self.state is not State.NOT_AUTHENTICATED:
            return known
        tls = (b"STARTTLS",) if self.may_starttls else ()
        login = (b"AUTH=PLAIN", b"AUTH=LOGIN") if self.may_login else (b"LOGINDISABLED",)
        return (*known, *tls, *login)

    @property
    def shape(self) -> Shape:
        """How this client is told of changes."""
        return Shape(self.condstore, self.rev2)

    @property
    def utf8(self) -> bool:
        """Whether mailbox names are UTF-8 on the wire (RFC 9051 §5.1)."""
        return self.rev2

    # --- what happens -----------------------------------------------------------------------------------------------

    def secured(self) -> None:
        """TLS is up: nothing said before counts (RFC 9051 §6.2.1)."""
        self.secure = True

    def authenticated(self, principal: Principal) -> None:
        """The login gate said who it is."""
        self.principal = principal
        self.state = State.AUTHENTICATED

    def enable(self, names: Iterable[str]) -> list[bytes]:
        """Switch extensions on; returns those that were known and not yet on (RFC 5161 §3.1)."""
        on: list[bytes] = []
        for name in names:
            if name == "CONDSTORE" and not self.condstore:
                self.condstore = True
                on.append(b"CONDSTORE")
            elif name == "IMAP4REV2" and not self.rev2:
                self.rev2 = True
                on.append(b"IMAP4rev2")
        return on

    def selected(self, view: View) -> None:
        """A mailbox is selected."""
        self.view = view
        self.saved = ()
        self.state = State.SELECTED

    def deselected(self) -> View | None:
        """No mailbox is selected any more; returns the view that was."""
        view, self.view = self.view, None
        self.saved = ()
        if self.state is State.SELECTED:
            self.state = State.AUTHENTICATED
        return view

    def ended(self) -> None:
        """The conversation is over."""
        self.state = State.LOGOUT
