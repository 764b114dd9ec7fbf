"""Who did what: an append-only log whose rows are chained by digest.

Promises: a row is written in the transaction of the fact it tells of. Each digest covers the row and the digest before
it, so `verify` finds a row that was edited and the place where rows were cut out; whoever keeps `head` elsewhere finds
a cut end as well. May not: hold passwords, bodies or other content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, func, insert, or_, select

from data.disk import tables as t
from data.disk.db import Database, Row, Tx
from data.ids import Millis, OrganisationId

START = bytes(32)
"""What the first row is chained to."""

Detail = Mapping[str, str | int | bool | None]

_b = bindparam
_HEAD = select(t.audit.c.id, t.audit.c.digest).order_by(t.audit.c.id.desc()).limit(1)
_PUT = (
    insert(t.audit)
    .values(
        organisation_id=_b("organisation"),
        at=_b("at"),
        actor=_b("actor"),
        action=_b("action"),
        object=_b("object"),
        detail=_b("detail"),
        previous=_b("previous"),
        digest=_b("digest"),
    )
    .returning(t.audit.c.id)
)
_COLUMNS = (
    t.audit.c.id,
    t.audit.c.organisation_id,
    t.audit.c.at,
    t.audit.c.actor,
    t.audit.c.action,
    t.audit.c.object,
    t.audit.c.detail,
    t.audit.c.previous,
    t.audit.c.digest,
)
_CHAIN = select(*_COLUMNS).order_by(t.audit.c.id)
_RECENT = select(*_COLUMNS).where(t.audit.c.id < _b("before")).order_by(t.audit.c.id.desc()).limit(_b("count"))
_END = 2**62


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: at `at`, `actor` (an address, or `system`) did `action` to `object`."""

    id: int
    organisation: OrganisationId
    at: Millis
    actor: str
    action: str
    object: str
    detail: Detail


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain, to be kept where nobody who can edit the rows can reach it."""

    id: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search of the log asks for; every part that is given must fit. `text` is part of who, of what it was done to
    or of a detail; `kind` the first word of an action (`account`); `since` and `until` bound the time (milliseconds)."""

    text: str = ""
    kind: str = ""
    since: Millis | None = None
    until: Millis | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """As SQL."""
        row = t.audit.c
        if self.text:
            plain = "".join(f"!{c}" if c in "!%_" else c for c in self.text.lower())
            holds = f"%{plain}%"
            yield or_(*(func.lower(column).like(holds, escape="!") for column in (row.actor, row.object, row.detail)))
        if self.kind:
            yield or_(row.action == self.kind, row.action.startswith(f"{self.kind}.", autoescape=True))
        if self.since is not None:
            yield row.at >= self.since
        if self.until is not None:
            yield row.at < self.until


class Audit:
    """The audit log of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def record_in(
        self, tx: Tx, *, organisation: OrganisationId, actor: str, action: str, object: str, detail: Detail
    ) -> int:
        """Add a row to the chain; returns its id."""
        last = tx.first(_HEAD)
        previous = bytes(last[1]) if last else START
        fact = {
            "organisation": organisation,
            "at": tx.now,
            "actor": actor,
            "action": action,
            "object": object,
            "detail": json.dumps(dict(detail), ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        }
        return int(tx.value(_PUT, {**fact, "previous": previous, "digest": _digest(previous, tuple(fact.values()))}))

    def head(self) -> Head:
        """The last row's id and digest; id 0 while there is none."""
        with self._db.read() as reader:
            row = reader.first(_HEAD)
        return Head(int(row[0]), bytes(row[1])) if row else Head(0, START)

    def recent(self, count: int = 100, before: int = _END) -> tuple[Entry, ...]:
        """The latest rows with an id below `before`, newest first."""
        with self._db.read() as reader:
            return tuple(_entry(row) for row in reader.all(_RECENT, {"before": before, "count": count}))

    def search(self, wanted: Wanted, count: int = 100, before: int = _END) -> tuple[Entry, ...]:
        """The rows that fit with an id below `before`, newest first."""
        chosen = select(*_COLUMNS).where(t.audit.c.id < before, *wanted.conditions())
        with self._db.read() as reader:
            return tuple(_entry(row) for row in reader.once(chosen.order_by(t.audit.c.id.desc()).limit(count)))

    def verify(self) -> list[int]:
        """The ids of rows that do not fit: edited ones, and the first after a cut."""
        return list(self._broken())

    def _broken(self) -> Iterator[int]:
        expected = START
        with self._db.read() as reader:
            for row in reader.each(_CHAIN):
                previous, digest = bytes(row[7]), bytes(row[8])
                if previous != expected or digest != _digest(previous, row[1:7]):
                    yield int(row[0])
                expected = digest


def _digest(previous: bytes, fact: Row) -> bytes:
    plain = json.dumps(list(fact), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(previous + plain.encode("utf-8", "surrogatepass")).digest()


def _entry(row: Row) -> Entry:
    ident, organisation, at, actor, action, object, detail = row[:7]
    return Entry(int(ident), OrganisationId(organisation), Millis(at), actor, action, object, json.loads(detail))
