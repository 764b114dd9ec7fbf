"""The scripts of each account: what a person wrote, what the form of the webmail wrote, and which of them is active.

Promises: nothing is kept that does not compile; at most one script of an account is active, at most 20 are kept. The rules
of the form are a script like any other (named WEBMAIL), with the form beside it: a script that somebody puts in its place,
or makes active instead, replaces the rules, and the form is shown as such. Compiled scripts are remembered until something
changes. Blocked senders and the answer while away stand beside the active script: before it, and behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import bindparam, delete, insert, null, select, update

from data.disk import tables as t
from data.disk.db import Database, Reader, Tx
from data.errors import Conflict, Invalid, NotFound, OverQuota
from data.ids import AccountId, Millis
from data.rules.generate import away_script, blocked_script, rules_script
from data.rules.model import (
    Personal,
    Rule,
    check_personal,
    check_rules,
    personal_from_json,
    personal_to_json,
    rules_from_json,
    rules_to_json,
)
from data.rules.sieve.check import Script, compile_script
from data.rules.sieve.errors import SieveError
from data.rules.sieve.lexer import SCRIPT_MOST

SCRIPTS_MOST = 20
NAME_MOST = 128
"""Characters of a script's name (RFC 5804 §1.6)."""
WEBMAIL = "webmail"
"""The name of the script that the form writes."""

_T = TypeVar("_T")
_b = bindparam
_s = t.sieve_script.c
_p = t.sieve_personal.c
_MINE = _s.account_id == _b("account")
_LIST = select(_s.name, _s.active, _s.form, _s.text, _s.modified_at).where(_MINE).order_by(_s.name)
_ONE = select(_s.name, _s.active, _s.form, _s.text, _s.modified_at).where(_MINE, _s.name == _b("p_name"))
_ACTIVE = select(_s.text).where(_MINE, _s.active == 1)
_INSERT = insert(t.sieve_script).values(
    account_id=_b("account"),
    name=_b("name"),
    text=_b("text"),
    active=_b("active"),
    form=_b("form"),
    modified_at=_b("now"),
)
_REPLACE = (
    update(t.sieve_script)
    .where(_MINE, _s.name == _b("p_name"))
    .values(text=_b("new_text"), form=_b("new_form"), modified_at=_b("now"))
)
_RENAME = update(t.sieve_script).where(_MINE, _s.name == _b("p_name")).values(name=_b("new_name"), form=null())
_DELETE = delete(t.sieve_script).where(_MINE, _s.name == _b("p_name"))
_NONE_ACTIVE = update(t.sieve_script).where(_MINE, _s.active == 1).values(active=0)
_ACTIVATE = update(t.sieve_script).where(_MINE, _s.name == _b("p_name")).values(active=1)
_PERSONAL = select(_p.form).where(_p.account_id == _b("account"))
_PUT_PERSONAL = insert(t.sieve_personal).values(account_id=_b("account"), form=_b("form"), modified_at=_b("now"))
_DROP_PERSONAL = delete(t.sieve_personal).where(_p.account_id == _b("account"))
_WITH_SCRIPT = select(_s.account_id).where(_s.active == 1)
_WITH_PERSONAL = select(_p.account_id)


@dataclass(frozen=True, slots=True)
class Stored:
    """One script. `rules` is the form that wrote it, None for a script a person (or another program) wrote."""

    name: str
    active: bool
    text: str
    modified_at: Millis
    rules: tuple[Rule, ...] | None


@dataclass(frozen=True, slots=True)
class Programs:
    """What runs for an account, in this order; None where there is nothing."""

    blocked: Script | None = None
    active: Script | None = None
    away: Script | None = None

    @property
    def rejects(self) -> bool:
        """Whether a message may be refused."""
        return self.active is not None and self.active.rejects


class TooMany(OverQuota):
    """The account keeps as many scripts as it may."""

    public = f"At most {SCRIPTS_MOST} scripts can be kept"


class Active(Conflict):
    """The active script cannot be deleted (RFC 5804 §2.10)."""

    public = "The active script cannot be deleted"


@dataclass(slots=True)
class _Memory:
    """What was read since the last change."""

    everyone: frozenset[int] | None = None
    programs: dict[AccountId, Programs] = field(default_factory=dict)


class Scripts:
    """The scripts of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._memory = _Memory()

    # --- reading ----------------------------------------------------------------------------------------------------

    def list(self, account: AccountId) -> tuple[Stored, ...]:
        """All scripts of an account, by name."""
        with self._db.read() as reader:
            return tuple(_stored(row) for row in reader.all(_LIST, {"account": account}))

    def get(self, account: AccountId, name: str) -> Stored:
        """One script; NotFound."""
        with self._db.read() as reader:
            return _stored(_require(reader, account, name))

    def rules(self, account: AccountId) -> tuple[Rule, ...] | None:
        """The rules of the form: empty when there are none yet, None when a script of somebody's own is active."""
        with self._db.read() as reader:
            rows = [_stored(row) for row in reader.all(_LIST, {"account": account})]
        active = next((one for one in rows if one.active), None)
        if active is not None:
            return active.rules
        return next((one.rules for one in rows if one.rules is not None), ())

    def personal(self, account: AccountId) -> Personal:
        """Blocked and allowed senders, and the answer while away."""
        with self._db.read() as reader:
            return _personal(reader, account)

    # --- writing ----------------------------------------------------------------------------------------------------

    def put(self, account: AccountId, name: str, text: bytes) -> None:
        """Keep a script under a name. Raises SieveError, Invalid, TooMany; what was there is replaced."""
        compile_script(text)
        self._write(lambda tx: self.put_in(tx, account, name, text.decode("utf-8"), None))

    def put_in(self, tx: Tx, account: AccountId, name: str, text: str, form: str | None) -> None:
        """The same inside a transaction, of a script that compiles; `form` is the JSON that wrote it."""
        name = _name(name)
        row = {"account": account, "p_name": name, "new_text": text, "new_form": form, "now": tx.now}
        if tx.run(_REPLACE, row) == 0:
            self._room_in(tx, account)
            fresh = {"account": account, "name": name, "text": text, "active": 0, "form": form, "now": tx.now}
            tx.run(_INSERT, fresh)
        tx.after_commit(self._forget)

    def has_room(self, account: AccountId, name: str, size: int) -> None:
        """Would a script of this name and size be taken? Raises Invalid, TooMany (RFC 5804 §2.5)."""
        _name(name)
        if size > SCRIPT_MOST:
            raise Invalid(str(size), public=f"A script has at most {SCRIPT_MOST} octets")
        with self._db.read() as reader:
            if reader.first(_ONE, {"account": account, "p_name": name}) is None:
                self._room_in(reader, account)

    def _room_in(self, reader: Reader, account: AccountId) -> None:
        if len(reader.all(_LIST, {"account": account})) >= SCRIPTS_MOST:
            raise TooMany

    def activate(self, account: AccountId, name: str | None) -> None:
        """Make one script the active one, or none. NotFound."""
        self._write(lambda tx: self.activate_in(tx, account, name))

    def activate_in(self, tx: Tx, account: AccountId, name: str | None) -> None:
        """The same inside a transaction."""
        tx.run(_NONE_ACTIVE, {"account": account})
        if name is not None and tx.run(_ACTIVATE, {"account": account, "p_name": name}) == 0:
            raise _missing(account)
        tx.after_commit(self._forget)

    def delete(self, account: AccountId, name: str) -> None:
        """Forget a script. NotFound, Active."""

        def op(tx: Tx) -> None:
            if _require(tx, account, name)[1]:
                raise Active
            tx.run(_DELETE, {"account": account, "p_name": name})
            tx.after_commit(self._forget)

        self._write(op)

    def rename(self, account: AccountId, old: str, new: str) -> None:
        """Call a script otherwise; it stays active. The form's script becomes a person's. NotFound, Conflict, Invalid."""

        def op(tx: Tx) -> None:
            _require(tx, account, old)
            if tx.first(_ONE, {"account": account, "p_name": _name(new)}) is not None:
                raise Conflict(public="A script of that name exists already")
            tx.run(_RENAME, {"account": account, "p_name": old, "new_name": new})
            tx.after_commit(self._forget)

        self._write(op)

    def set_rules(self, account: AccountId, rules: Iterable[Rule]) -> None:
        """Keep the rules of the form and make them what runs. Raises Invalid, TooMany."""
        checked = check_rules(tuple(rules))
        text = rules_script(checked)
        _compiles(text)

        def op(tx: Tx) -> None:
            self.put_in(tx, account, WEBMAIL, text, rules_to_json(checked))
            self.activate_in(tx, account, WEBMAIL)

        self._write(op)

    def set_personal(self, account: AccountId, personal: Personal) -> None:
        """Keep blocked and allowed senders and the answer while away. Raises Invalid."""
        checked = check_personal(personal)
        for text in (blocked_script(checked), away_script(checked.away)):
            _compiles(text or "")
        row = {"account": account, "form": personal_to_json(checked)}

        def op(tx: Tx) -> None:
            tx.run(_DROP_PERSONAL, {"account": account})
            if checked != Personal():
                tx.run(_PUT_PERSONAL, {**row, "now": tx.now})
            tx.after_commit(self._forget)

        self._write(op)

    def _write(self, op: Callable[[Tx], _T]) -> _T:
        return self._db.write(op)

    # --- what runs ----------------------------------------------------------------------------------------------------

    def quiet(self, accounts: Iterable[AccountId]) -> bool:
        """Whether it is known, without a look at the database, that nothing runs for any of them. Never blocks."""
        everyone = self._memory.everyone
        return everyone is not None and everyone.isdisjoint(accounts)

    def programs(self, account: AccountId) -> Programs:
        """What runs for an account; a script that does not compile any more runs not. Blocks."""
        memory = self._memory
        if memory.everyone is None:
            with self._db.read() as reader:
                rows = [*reader.all(_WITH_SCRIPT), *reader.all(_WITH_PERSONAL)]
            memory.everyone = frozenset(int(row[0]) for row in rows)
        if account not in memory.everyone:
            return _NOTHING
        found = memory.programs.get(account)
        if found is None:
            found = memory.programs[account] = self._compiled(account)
        return found

    def _compiled(self, account: AccountId) -> Programs:
        with self._db.read() as reader:
            text = reader.value(_ACTIVE, {"account": account})
            personal = _personal(reader, account)
        return Programs(
            _or_nothing(blocked_script(personal)), _or_nothing(text), _or_nothing(away_script(personal.away))
        )

    def _forget(self) -> None:
        """Something changed; whoever is reading fills what is thrown away."""
        self._memory = _Memory()


_NOTHING = Programs()


def _or_nothing(text: str | None) -> Script | None:
    if text is None:
        return None
    try:
        return compile_script(text.encode())
    except SieveError:
        return None


def _compiles(text: str) -> None:
    """What the form writes is held to the same bounds as what a person writes."""
    try:
        compile_script(text.encode())
    except SieveError as error:
        raise Invalid(error.placed, public=error.public) from None


def _name(name: str) -> str:
    """RFC 5804 §1.6: text that can be seen, between 1 and 128 characters."""
    if not 1 <= len(name) <= NAME_MOST or not name.isprintable():
        raise Invalid(public="That cannot be the name of a script")
    return name


def _missing(account: AccountId) -> NotFound:
    return NotFound(f"account {account} has no such script", public="There is no such script")


def _require(reader: Reader, account: AccountId, name: str) -> tuple[object, ...]:
    row = reader.first(_ONE, {"account": account, "p_name": name})
    if row is None:
        raise _missing(account)
    return row


def _stored(row: tuple[object, ...]) -> Stored:
    name, active, form, text, modified = row
    assert isinstance(modified, int)
    return Stored(
        str(name), bool(active), str(text), Millis(modified), None if form is None else rules_from_json(str(form))
    )


def _personal(reader: Reader, account: AccountId) -> Personal:
    form = reader.value(_PERSONAL, {"account": account})
    return Personal() if form is None else personal_from_json(form)
