"""What a script wants done: frozen actions, for whoever delivers.

`label` is the rule's name where the script says one, `line` where the command stands; both are for the story of a message.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keep:
    """Into INBOX. `implicit`: no command said so. `flags` as IMAP writes them."""

    flags: tuple[str, ...] = ()
    implicit: bool = False
    label: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class FileInto:
    """Into a mailbox, made first if `create`; into the one of a special use where there is one."""

    mailbox: str
    flags: tuple[str, ...] = ()
    create: bool = False
    special_use: str | None = None
    label: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """On to another address."""

    address: str
    label: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Discard:
    """Away with it, silently, unless something else keeps it."""

    label: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """Refused, with words for the sender."""

    reason: str
    label: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Vacation:
    """Answer the sender. `seconds` until the same sender is answered again under the same `handle`; `addresses` are
    further ones of the recipient; `mime`: the reason is a whole body part with its header.
    """

    reason: str
    seconds: int
    handle: str
    subject: str | None = None
    sender: str | None = None
    addresses: tuple[str, ...] = ()
    mime: bool = False
    label: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A message to be known again by `duplicate` (RFC 7352), for so long."""

    key: str
    seconds: int


Action = Keep | FileInto | Redirect | Discard | Reject | Vacation


@dataclass(frozen=True, slots=True)
class Actions:
    """The outcome of a run. `failure` is a code when the script went wrong: then the message is kept, and nothing else."""

    actions: tuple[Action, ...]
    marks: tuple[Mark, ...] = ()
    failure: str | None = None
