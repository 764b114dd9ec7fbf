"""Settings by one look-up: organisation, then department, then account, with locks.

Promises: `setting` answers from memory; the value nearest to the account counts, unless a wider scope has locked its
own. Names, types and defaults are declared in SETTINGS; nothing else can be read or stored. May not: hold secrets, or
what must be known before the database is open (that is in the TOML file).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, delete, insert, select

from data.directory.directory import Directory
from data.disk import tables as t
from data.disk.db import Database, Tx
from data.errors import Invalid, NotFound, Refused
from data.ids import AccountId, OrganisationId

Value = str | int | bool
Level = Literal["organisation", "department", "account"]
_ROUTE = r"(\*|\.?[a-z0-9.-]+)[ \t]+(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}"
_ROUTES = rf"([ \t]*({_ROUTE})?[ \t]*(#[^\n]*)?(\n|\Z))*"
_ZONES = r"([ \t]*([A-Za-z0-9._-]+([ \t]+[0-9]{1,3})?)?[ \t]*(#[^\n]*)?(\n|\Z))*"
_PLACE = r"(|/[^\s]{1,100}|(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5})"
_ORDER: tuple[Level, ...] = ("organisation", "department", "account")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose setting: an organisation, a department or an account."""

    level: Level
    id: int

    @classmethod
    def organisation(cls, ident: OrganisationId) -> Scope:
        """Everybody's."""
        return cls("organisation", ident)

    @classmethod
    def department(cls, ident: int) -> Scope:
        """One department's."""
        return cls("department", ident)

    @classmethod
    def account(cls, ident: AccountId) -> Scope:
        """One person's."""
        return cls("account", ident)


@dataclass(frozen=True, slots=True)
class Declared:
    """A setting that exists: its default (which gives its type), what it may be, and what it means."""

    default: Value
    doc: str
    least: int = 0
    most: int = 2**53
    choices: frozenset[str] = frozenset()
    pattern: str = ""
    levels: frozenset[Level] = frozenset(_ORDER)

    def check(self, value: Value) -> Value:
        """The value if it may be stored; raises Invalid."""
        if type(value) is not type(self.default):
            raise Invalid(f"{value!r} is not {type(self.default).__name__}", public="That value is of the wrong kind")
        if isinstance(value, int) and not isinstance(value, bool) and not self.least <= value <= self.most:
            raise Invalid(f"{value}", public=f"A number from {self.least} to {self.most} is needed")
        if self.choices and value not in self.choices:
            raise Invalid(str(value), public=f"One of {', '.join(sorted(self.choices))} is needed")
        if self.pattern and not re.fullmatch(self.pattern, str(value)):
            raise Invalid(str(value)[:200], public="That value is not of the form that is needed")
        return value


SETTINGS: Mapping[str, Declared] = {
    "account.language": Declared(
        "en", "Language of notices and pages for a person", choices=frozenset({"en", "zh_CN"})
    ),
    "account.quota": Declared(
        0,
        "Octets a new account may hold; 0 is unlimited",
        levels=frozenset({"organisation", "department"}),
    ),
    "web.language": Declared(
        "auto", "Language of the pages; auto is the browser's", choices=frozenset({"auto", "en", "zh_CN"})
    ),
    "web.theme": Declared(
        "system", "Colours of the pages; system is the device's", choices=frozenset({"system", "light", "dark"})
    ),
    "web.keys": Declared(True, "Whether single keys act in the webmail"),
    "web.pictures": Declared(
        "",
        "Senders whose remote images a person always sees, an address a line",
        pattern=r"([^\s]{3,400}(\n|\Z)){0,200}",
        levels=frozenset({"account"}),
    ),
    "queue.routes": Declared(
        "",
        "Where mail goes without a look at MX records: DOMAIN HOST:PORT a line; .DOMAIN is all below it, * the rest",
        pattern=_ROUTES,
        levels=frozenset({"organisation"}),
    ),
    "spam.check": Declared(True, "Whether mail that comes in is judged by its content and its sender"),
    "spam.junk-at": Declared(100, "From how many points on mail goes to Junk", least=20, most=10_000),
    "spam.quarantine-at": Declared(
        0,
        "From how many points on mail is kept back; 0 is never (dangerous files are kept back in any case)",
        most=10_000,
        levels=frozenset({"organisation"}),
    ),
    "spam.reject-at": Declared(
        0, "From how many points on mail is refused; 0 is never", most=10_000, levels=frozenset({"organisation"})
    ),
    "spam.hold-at": Declared(
        150,
        "From how many points on mail of ours is held before it goes out; 0 is never",
        most=10_000,
        levels=frozenset({"organisation"}),
    ),
    "spam.greylist": Declared(
        True, "Whether suspicious mail is put off once, for a minute", levels=frozenset({"organisation"})
    ),
    "spam.dnsbl": Declared(
        "",
        "Lists of bad senders in DNS that are asked: ZONE [POINTS] a line",
        pattern=_ZONES,
        levels=frozenset({"organisation"}),
    ),
    "spam.rspamd": Declared(
        "",
        "Where rspamd answers: HOST:PORT or the path of a socket; it is asked too where that is set",
        pattern=_PLACE,
        levels=frozenset({"organisation"}),
    ),
    "spam.clamd": Declared(
        "",
        "Where clamd answers: HOST:PORT or the path of a socket; mail is searched for viruses where that is set",
        pattern=_PLACE,
        levels=frozenset({"organisation"}),
    ),
    "queue.delay-notices": Declared(True, "Whether a sender is told after four hours that a message still waits"),
}

_Rows = Mapping[tuple[str, int, str], tuple[Value, bool]]
_b = bindparam
_ALL = select(t.setting.c.scope, t.setting.c.scope_id, t.setting.c.name, t.setting.c.value, t.setting.c.locked)
_DROP = delete(t.setting).where(
    t.setting.c.scope == _b("level"), t.setting.c.scope_id == _b("ident"), t.setting.c.name == _b("p_name")
)
_PUT = insert(t.setting).values(
    scope=_b("level"), scope_id=_b("ident"), name=_b("p_name"), value=_b("value"), locked=_b("locked")
)
_DEPARTMENTS = select(t.department.c.id, t.department.c.parent_id, t.department.c.organisation_id)


@dataclass(frozen=True, slots=True)
class _Kept:
    generation: int
    rows: _Rows
    parents: Mapping[int, tuple[int | None, int]]


class Settings:
    """The settings of one database."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self._db = db
        self._directory = directory
        self._guard = threading.Lock()
        self._generation = 1
        self._kept: _Kept | None = None

    def setting(self, scope: Scope, name: str) -> Value:
        """The value that holds for `scope`; raises NotFound for a name that is not declared."""
        declared, kept = _declared(name), self._memory()
        value = declared.default
        for level, ident in self._chain(scope, kept):
            found = kept.rows.get((level, ident, name))
            if found is not None:
                value, locked = found
                if locked:
                    break
        return value

    def text(self, scope: Scope, name: str) -> str:
        """A setting that is text."""
        value = self.setting(scope, name)
        assert isinstance(value, str)
        return value

    def number(self, scope: Scope, name: str) -> int:
        """A setting that is a number."""
        value = self.setting(scope, name)
        assert isinstance(value, int) and not isinstance(value, bool)
        return value

    def enabled(self, scope: Scope, name: str) -> bool:
        """A setting that is on or off."""
        value = self.setting(scope, name)
        assert isinstance(value, bool)
        return value

    def locked_by(self, scope: Scope, name: str) -> Scope | None:
        """The wider scope that keeps `scope` from having a value of its own."""
        kept = self._memory()
        for level, ident in self._chain(scope, kept):
            if (level, ident) == (scope.level, scope.id):
                return None
            found = kept.rows.get((level, ident, name))
            if found is not None and found[1]:
                return Scope(level, ident)
        return None

    def set_in(self, tx: Tx, scope: Scope, name: str, value: Value, *, locked: bool = False) -> None:
        """Store a value for a scope; Refused where a wider one has locked it."""
        declared = _declared(name)
        if scope.level not in declared.levels:
            raise Invalid(f"{name} for {scope.level}", public=f"This is not set for one {scope.level}")
        if self.locked_by(scope, name) is not None:
            raise Refused(f"{name} is locked", public="The administrator has fixed this setting")
        row = {"level": scope.level, "ident": scope.id, "p_name": name}
        tx.run(_DROP, row)
        tx.run(_PUT, {**row, "value": json.dumps(declared.check(value)), "locked": int(locked)})
        tx.after_commit(self._mark_stale)

    def clear_in(self, tx: Tx, scope: Scope, name: str) -> None:
        """Let the wider scope's value hold again."""
        _declared(name)
        tx.run(_DROP, {"level": scope.level, "ident": scope.id, "p_name": name})
        tx.after_commit(self._mark_stale)

    def _mark_stale(self) -> None:
        self._generation += 1

    def _memory(self) -> _Kept:
        kept = self._kept
        if kept is not None and kept.generation == self._generation:
            return kept
        with self._guard:
            generation = self._generation
            with self._db.read() as reader:
                rows = {(s, i, n): (json.loads(v), bool(locked)) for s, i, n, v, locked in reader.all(_ALL)}
                parents = {i: (parent, organisation) for i, parent, organisation in reader.all(_DEPARTMENTS)}
            self._kept = kept = _Kept(generation, rows, parents)
            return kept

    def _chain(self, scope: Scope, kept: _Kept) -> list[tuple[Level, int]]:
        """The scopes that count for one, widest first."""
        if scope.level == "organisation":
            return [("organisation", scope.id)]
        if scope.level == "department":
            departments, organisation = _lineage(scope.id, kept)
            return [("organisation", organisation), *departments]
        account = self._directory.account_by_id(AccountId(scope.id))
        departments, _ = _lineage(account.department, kept)
        return [("organisation", account.organisation), *departments, ("account", scope.id)]


def _lineage(department: int | None, kept: _Kept) -> tuple[list[tuple[Level, int]], int]:
    """A department and those above it, widest first, and its organisation."""
    line: list[tuple[Level, int]] = []
    organisation = 0
    while department is not None and ("department", department) not in line:
        parent, organisation = kept.parents.get(department, (None, 0))
        line.insert(0, ("department", department))
        department = parent
    return line, organisation


def _declared(name: str) -> Declared:
    found = SETTINGS.get(name)
    if found is None:
        raise NotFound(name, public="There is no such setting")
    return found
