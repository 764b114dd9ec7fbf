"""A real store on a real database: SQLite always, PostgreSQL where the mark `postgres` is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from data.clock import FakeClock
from data.disk import tables as t
from data.disk.blobs import Blobs
from data.disk.db import Database, Tx
from data.disk.migrate import upgrade
from data.disk.seal import Keys
from data.ids import AccountId, MailboxId, OrganisationId
from data.principal import Principal, Role
from data.store.changes import Change
from data.store.store import Store


@dataclass
class Kit:
    """A store with an organisation, a domain and two accounts, `ann` and `bob`."""

    store: Store
    clock: FakeClock
    ann: Principal
    bob: Principal
    changes: list[Change]
    where: str
    root: Path

    @property
    def db(self) -> Database:
        return self.store.db

    def box(self, name: str = "INBOX", who: Principal | None = None) -> MailboxId:
        owner = who or self.ann
        return self.store.mailboxes.get(owner, owner.account, name).id

    def add(self, data: bytes | None = None, name: str = "INBOX", **options: Any) -> int:
        """Append a message as ann; returns its UID."""
        prepared = self.store.messages.prepare(data or message())
        return self.store.messages.append(self.ann, self.box(name), prepared, **options).uid

    def uids(self, name: str = "INBOX", who: Principal | None = None) -> list[int]:
        owner = who or self.ann
        return list(self.store.messages.snapshot(owner, self.box(name, owner), take_recent=False).uids)


def message(subject: str = "Hello", body: str = "A line.\r\n", **fields: str) -> bytes:
    """A small message with CRLF line ends."""
    head = {
        "From": "Bob Green <bob@example.test>",
        "To": "Ann Brown <ann@example.test>",
        "Subject": subject,
        "Date": "Mon, 05 Jan 2026 10:11:12 +0100",
        "Message-ID": f"<{abs(hash((subject, body)))}@example.test>",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"{lines}\r\n{body}".encode()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a migrated, empty database is."""
    url = str(tmp_path / "mail.db")
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    upgrade(url)
    return url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def db(where: str, clock: FakeClock) -> Iterator[Database]:
    opened = Database.open(where, clock)
    yield opened
    opened.close()


@pytest.fixture
def keys() -> Keys:
    return Keys(bytes(range(32)))


@pytest.fixture
def kit(db: Database, keys: Keys, clock: FakeClock, where: str, tmp_path: Path) -> Kit:
    """The store itself."""
    blobs = Blobs(tmp_path / "blobs", keys)
    blobs.prepare_directories()
    store = Store(db, blobs, clock)
    changes: list[Change] = []
    store.changes.subscribe(changes.extend)
    made = db.write(_people(store))
    ann, bob = (Principal(a, OrganisationId(1), f"{n}@example.test", Role.USER) for n, a in made)
    return Kit(store, clock, ann, bob, changes, where, tmp_path)


def _people(store: Store) -> Callable[[Tx], list[tuple[str, AccountId]]]:
    def op(tx: Tx) -> list[tuple[str, AccountId]]:
        organisation = tx.value(insert(t.organisation).values(name="Example").returning(t.organisation.c.id))
        domain = tx.value(
            insert(t.domain).values(organisation_id=organisation, name="example.test").returning(t.domain.c.id)
        )
        made = []
        for name in ("ann", "bob"):
            row = {"organisation_id": organisation, "domain_id": domain, "local": name, "local_key": name}
            account = AccountId(tx.value(insert(t.account).values(**row, name=name).returning(t.account.c.id)))
            tx.run(insert(t.counter).values(account_id=account))
            store.mailboxes.create_defaults_in(tx, account)
            made.append((name, account))
        return made

    return op
