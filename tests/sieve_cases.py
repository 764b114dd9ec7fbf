"""The case tables of Sieve (tests/tables/sieve): scripts, messages and what must come of them, for us and for others.

An outcome is written as one line per action, in any order: `keep FLAGS`, `fileinto NAME FLAGS +create special USE`,
`redirect ADDRESS`, `discard`, `reject TEXT`, `vacation TEXT every SECONDS subject .. from .. handle ..`. Line ends in a
text are written `|`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.ids import Millis
from data.rules.sieve.actions import Action, Actions, Discard, FileInto, Keep, Redirect, Reject, Vacation
from data.rules.sieve.message import Envelope, Message, of_octets

TABLES = Path(__file__).with_name("tables") / "sieve"
NOW = Millis(1_767_614_400_000)
SENDER, RECIPIENT = "dora+list@example.org", "ann+shop@example.test"
_TABLES = ("base", "address", "variables", "flags", "body", "dates", "relational", "actions")


@dataclass(frozen=True)
class Case:
    """One row. `pigeonhole` says why another interpreter is not asked; `failure` is the code of a run that goes wrong."""

    table: str
    name: str
    script: str
    expect: tuple[str, ...] = ()
    message: str = "plain"
    sender: str = SENDER
    failure: str | None = None
    pigeonhole: str | None = None
    at: tuple[int, int] = (0, 0)
    says: str = ""

    @property
    def id(self) -> str:
        """For pytest."""
        return f"{self.table}: {self.name}"


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((TABLES / f"{name}.toml").read_text("utf-8"))


def cases(tables: Iterable[str] = _TABLES) -> list[Case]:
    """The rows of the tables."""
    return [_case(table, row) for table in tables for row in _load(table)["case"]]


def errors() -> list[Case]:
    """Scripts that are refused."""
    return cases(["errors"])


def _case(table: str, row: dict[str, Any]) -> Case:
    known = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Case(table, **known)


def octets(name: str) -> bytes:
    """A message by name, with CRLF."""
    text: str = _load("messages")[name]
    return text.lstrip("\n").replace("\n", "\r\n").encode()


def message(case: Case) -> Message:
    """What the script of a case sees."""
    found = of_octets(octets(case.message), Envelope(case.sender, RECIPIENT), NOW)
    found.environment.update({"location": "MDA", "phase": "during", "name": "Mailstead"})
    return found


class House:
    """INBOX and Spam, which is for junk; one message was seen before."""

    SEEN = __import__("hashlib").sha256(b"\0seen").hexdigest()[:32]

    def mailbox_exists(self, name: str) -> bool:
        return name in ("INBOX", "Spam")

    def special_use_exists(self, use: str, mailbox: str | None) -> bool:
        return use == "\\Junk" and mailbox in (None, "Spam")

    def seen(self, key: str) -> bool:
        return key == self.SEEN


def written(actions: Actions) -> list[str]:
    """Our outcome as the tables write it, sorted."""
    return sorted(_written(one) for one in actions.actions)


def _written(one: Action) -> str:
    match one:
        case Keep():
            return " ".join(["keep", *_flags(one.flags)])
        case FileInto():
            special = ["special", one.special_use] if one.special_use else []
            words = ["fileinto", one.mailbox, *_flags(one.flags), *(["+create"] if one.create else []), *special]
            return " ".join(words)
        case Redirect():
            return f"redirect {one.address}"
        case Discard():
            return "discard"
        case Reject():
            return f"reject {_bar(one.reason)}"
        case Vacation():
            return _vacation(one)


def _vacation(one: Vacation) -> str:
    out = f"vacation {_bar(one.reason)} every {one.seconds}"
    out += f" subject {one.subject}" if one.subject else ""
    out += f" from {one.sender}" if one.sender else ""
    return out + (f" handle {one.handle}" if not re.fullmatch("[0-9a-f]{32}", one.handle) else "")


def _flags(flags: Iterable[str]) -> list[str]:
    return sorted(flag.lower() for flag in flags)


def _bar(text: str) -> str:
    return text.replace("\r\n", "|")
