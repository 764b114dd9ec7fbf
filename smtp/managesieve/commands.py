"""The commands (RFC 5804 §2): a table of what each takes and when it may be said, and what it does with the scripts.

Promises: each is carried out whole or not at all, and answered after the commit. May not: know the transport.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from appliance.log import Log
from appliance.loop import Workers
from data.directory.directory import Directory
from data.errors import Conflict, Invalid, NotFound, StoreError, Unavailable
from data.ids import AccountId
from data.principal import Principal
from data.rules.scripts import Active, Scripts, TooMany
from data.rules.sieve.check import compile_script
from data.rules.sieve.errors import SieveError
from data.rules.sieve.lexer import SCRIPT_MOST
from smtp.managesieve import response
from smtp.managesieve.session import Session

TEXT, NUMBER = "string", "number"
Words = tuple[int | bytes, ...]


class Gate(Protocol):
    """appliance.auth.Gate, as this room needs it."""

    async def login(
        self, identity: str, password: str, *, protocol: str, peer: str, tls: bool, authzid: str = "", id: str | None
    ) -> Principal:
        """Who it is; raises appliance.auth.LoginRefused."""
        ...


@dataclass(frozen=True, slots=True)
class SieveParts:
    """What every conversation shares; built once in the composition root."""

    scripts: Scripts
    directory: Directory
    gate: Gate
    workers: Workers
    log: Log


class No(Exception):
    """Refused: `public` is told, with a response code perhaps."""

    def __init__(self, public: str, code: bytes | None = None) -> None:
        super().__init__(public)
        self.public = public
        self.code = code


@dataclass(frozen=True, slots=True)
class Call:
    """One command of somebody who signed in."""

    parts: SieveParts
    session: Session
    words: Words

    @property
    def account(self) -> AccountId:
        """Whose scripts these are."""
        assert self.session.principal is not None
        return self.session.principal.account

    def text(self, at: int) -> str:
        """A string argument."""
        word = self.words[at]
        assert isinstance(word, bytes)
        try:
            return word.decode("utf-8")
        except UnicodeDecodeError:
            raise No("That is not UTF-8 text") from None

    def octets(self, at: int) -> bytes:
        """A string argument as it came."""
        word = self.words[at]
        assert isinstance(word, bytes)
        return word


async def _havespace(call: Call) -> bytes:
    size = call.words[1]
    assert isinstance(size, int)
    await call.parts.workers.blocking(call.parts.scripts.has_room, call.account, call.text(0), size)
    return response.ok()


async def _putscript(call: Call) -> bytes:
    await call.parts.workers.blocking(call.parts.scripts.put, call.account, call.text(0), call.octets(1))
    return response.ok("The script is kept")


async def _checkscript(call: Call) -> bytes:
    await call.parts.workers.blocking(compile_script, call.octets(0))
    return response.ok("The script is in order")


async def _listscripts(call: Call) -> bytes:
    found = await call.parts.workers.blocking(call.parts.scripts.list, call.account)
    lines = (response.string(one.name) + (b" ACTIVE" if one.active else b"") + b"\r\n" for one in found)
    return b"".join(lines) + response.ok()


async def _setactive(call: Call) -> bytes:
    await call.parts.workers.blocking(call.parts.scripts.activate, call.account, call.text(0) or None)
    return response.ok()


async def _getscript(call: Call) -> bytes:
    found = await call.parts.workers.blocking(call.parts.scripts.get, call.account, call.text(0))
    octets = found.text.encode()
    return b"{%d}\r\n" % len(octets) + octets + b"\r\n" + response.ok()


async def _deletescript(call: Call) -> bytes:
    await call.parts.workers.blocking(call.parts.scripts.delete, call.account, call.text(0))
    return response.ok()


async def _renamescript(call: Call) -> bytes:
    await call.parts.workers.blocking(call.parts.scripts.rename, call.account, call.text(0), call.text(1))
    return response.ok()


async def _capability(call: Call) -> bytes:
    return call.session.capabilities() + response.ok()


async def _noop(call: Call) -> bytes:
    if not call.words:
        return response.ok("Done")
    return response.ok("Done", b"TAG " + response.string(call.octets(0)))


@dataclass(frozen=True, slots=True)
class Rule:
    """A command: its arguments, how many of them may be left out, whether it is for those who signed in."""

    run: Callable[[Call], Awaitable[bytes]] | None
    arguments: tuple[str, ...] = ()
    optional: int = 0
    signed_in: bool = True


RULES: Mapping[str, Rule] = {
    "AUTHENTICATE": Rule(None, (TEXT, TEXT), optional=1, signed_in=False),
    "STARTTLS": Rule(None, signed_in=False),
    "LOGOUT": Rule(None, signed_in=False),
    "CAPABILITY": Rule(_capability, signed_in=False),
    "NOOP": Rule(_noop, (TEXT,), optional=1, signed_in=False),
    "HAVESPACE": Rule(_havespace, (TEXT, NUMBER)),
    "PUTSCRIPT": Rule(_putscript, (TEXT, TEXT)),
    "CHECKSCRIPT": Rule(_checkscript, (TEXT,)),
    "LISTSCRIPTS": Rule(_listscripts),
    "SETACTIVE": Rule(_setactive, (TEXT,)),
    "GETSCRIPT": Rule(_getscript, (TEXT,)),
    "DELETESCRIPT": Rule(_deletescript, (TEXT,)),
    "RENAMESCRIPT": Rule(_renamescript, (TEXT, TEXT)),
}
"""Those without a function belong to the conversation itself."""


def fits(rule: Rule, words: tuple[object, ...]) -> bool:
    """Whether the arguments are as the command wants them."""
    if not len(rule.arguments) - rule.optional <= len(words) <= len(rule.arguments):
        return False
    kinds = {TEXT: bytes, NUMBER: int}
    return all(isinstance(word, kinds[kind]) for word, kind in zip(words, rule.arguments, strict=False))


def refused(error: StoreError | SieveError | No) -> bytes:
    """What went wrong, as NO."""
    if isinstance(error, SieveError):
        return response.no(error.placed)
    if isinstance(error, No):
        return response.no(error.public, error.code)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    return response.no(error.public, code)


_CODES: tuple[tuple[type[StoreError], bytes], ...] = (
    (TooMany, b"QUOTA/MAXSCRIPTS"),
    (Active, b"ACTIVE"),
    (NotFound, b"NONEXISTENT"),
    (Conflict, b"ALREADYEXISTS"),
    (Unavailable, b"TRYLATER"),
)
TOO_BIG = No(f"A script has at most {SCRIPT_MOST} octets", b"QUOTA/MAXSIZE")


def known_failure(error: BaseException) -> StoreError | SieveError | No | None:
    """An error that has words for the client; a size that is too large has a code of its own (RFC 5804 §1.3)."""
    if isinstance(error, Invalid) and "octets" in error.public:
        return No(error.public, b"QUOTA/MAXSIZE")
    return error if isinstance(error, StoreError | SieveError | No) else None
