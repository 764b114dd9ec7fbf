"""The state directory: where it may lie, who holds it, what is in it, and the storage that is built from it.

    DIR/mailstead.toml   configuration; written last by init, so that its presence means that init has ended
    DIR/mail.db          the database (with -wal and -shm while it is open)
    DIR/master.key       the master key, 0600, unless the configuration names another file
    DIR/key.check        what the master key answers, so that a wrong one is refused before anything is opened
    DIR/blobs/           sealed messages above 128 KiB
    DIR/index/           the sealed text index; may be deleted at any time, it is made again
    DIR/tls/             certificate and key
    DIR/control          the control socket of the running server
    DIR/lock             held while somebody may write

Promises: 0700, umask 077, never on a network filesystem, one holder at a time; a wrong master key stops before a write.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import config as configuration
from appliance.config import Config
from appliance.ops.errors import FAILED, LOCKED, WRONG_KEY, OperatorError
from appliance.statedir import InUse, StateDirectory, StateError
from data.audit import Audit
from data.clock import Clock
from data.directory import installation
from data.directory.directory import Directory
from data.directory.settings import Settings
from data.disk.blobs import Blobs
from data.disk.db import Database
from data.disk.files import write_durably
from data.disk.schema import is_current
from data.disk.seal import Keys, load_master_key
from data.errors import StoreError, WrongKey
from data.index.index import Index
from data.rules.scripts import Scripts
from data.spool.items import Spool
from data.store.store import Store
from data.story import Story

DATABASE = "mail.db"
BLOBS = "blobs"
INDEX = "index"
TLS = "tls"
KEY_CHECK = "key.check"


def hold(state: Path, *, create: bool = False) -> StateDirectory:
    """Take the state directory for this process. Raises OperatorError (LOCKED when another has it)."""
    try:
        return StateDirectory.hold(state, create=create)
    except InUse as error:
        raise OperatorError(str(error), LOCKED) from None
    except StateError as error:
        raise OperatorError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Ground:
    """The ground floor, built once: everything that keeps mail."""

    state: Path
    config: Config
    clock: Clock
    keys: Keys
    db: Database
    store: Store
    directory: Directory
    settings: Settings
    audit: Audit
    story: Story
    spool: Spool
    index: Index
    scripts: Scripts
    held: StateDirectory

    def close(self) -> None:
        """Finish what waits in the writer, close the index and the database, give up the lock."""
        self.index.close()
        self.db.close()
        self.held.release()


def set_up(state: Path) -> bool:
    """Has `init` ended here?"""
    return (state / configuration.FILE_NAME).is_file()


def load_config(state: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of a state directory that was set up. Raises OperatorError."""
    if not set_up(state):
        raise OperatorError(f"{state} has not been set up: run.py --state {state} init")
    try:
        return configuration.load(state, os.environ, overrides)
    except configuration.ConfigError as error:
        raise OperatorError(str(error)) from None


def load_keys(state: Path, config: Config) -> Keys:
    """The master key, once it is certain that this store was made with it. Raises OperatorError (WRONG_KEY)."""
    try:
        keys = load_master_key(config.key_path(state))
        known = (state / KEY_CHECK).read_text("ascii").strip()
    except WrongKey as error:
        raise OperatorError(error.public, WRONG_KEY) from None
    except OSError as error:
        raise OperatorError(f"{state / KEY_CHECK} cannot be read: {error.strerror}", WRONG_KEY) from None
    if not hmac.compare_digest(known, installation.key_answer(keys)):
        raise OperatorError(f"{config.key_path(state)} is not the master key of {state}", WRONG_KEY)
    return keys


def write_key_check(state: Path, keys: Keys) -> None:
    """Remember what the master key answers."""
    write_durably(state / KEY_CHECK, installation.key_answer(keys).encode() + b"\n")


def database_of(state: Path, config: Config) -> str:
    """Where the database is: a path, or a postgresql:// URL."""
    return config.database or str(state / DATABASE)


def open_ground(held: StateDirectory, config: Config, clock: Clock) -> Ground:
    """Open a state directory for its one holder: key, schema, database, stores. Raises OperatorError."""
    keys = load_keys(held.path, config)
    if not config.database and not (held.path / DATABASE).is_file():
        # never "a new empty store" in place of one that is lost
        raise OperatorError(f"{held.path / DATABASE} is missing; restore it from a backup")
    db = open_database(held.path, config, clock)
    try:
        with db.read() as reader:
            installation.require_key(reader, keys)
    except WrongKey:
        db.close()
        name = config.key_path(held.path)
        raise OperatorError(f"{name} is not the master key of this database", WRONG_KEY) from None
    return build(held, config, clock, keys, db)


def open_database(state: Path, config: Config, clock: Clock) -> Database:
    """The database at the schema of this version. Raises OperatorError."""
    where = database_of(state, config)
    try:
        if not is_current(where):
            # Alembic is large: it is loaded only when there is something to migrate
            from data.disk.migrate import upgrade

            upgrade(where)
        return Database.open(where, clock)
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise OperatorError("PostgreSQL needs the package psycopg: .venv/bin/python -m pip install psycopg") from None
    except StoreError as error:
        raise OperatorError(f"{where}: {error.public}", FAILED) from None


def build(held: StateDirectory, config: Config, clock: Clock, keys: Keys, db: Database) -> Ground:
    """The parts above an open database."""
    directory, story = Directory(db, clock), Story(db)
    store = Store(db, Blobs(held.path / BLOBS, keys), clock)
    return Ground(
        state=held.path,
        config=config,
        clock=clock,
        keys=keys,
        db=db,
        store=store,
        directory=directory,
        settings=Settings(db, directory),
        audit=Audit(db),
        story=story,
        spool=Spool(db, store.messages, story, clock),
        index=Index(held.path / INDEX, db, store.blobs, clock),
        scripts=Scripts(db),
        held=held,
    )
