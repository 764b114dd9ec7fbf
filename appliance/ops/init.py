"""First set-up of a state directory.

Promises: everything is on the disk, in an order that makes a break harmless: directories, master key, database with
its rows, and last mailstead.toml, whose presence says that init has ended. Broken off, it can be run again; once it has
ended, running it again changes nothing and is refused (exit 3).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import config as configuration
from appliance.config import Config, ConfigError
from appliance.ops import state as ground_floor
from appliance.ops.errors import ALREADY_SET_UP, USAGE, WRONG_KEY, OperatorError
from appliance.statedir import StateDirectory
from data.clock import Clock
from data.directory import dkim, installation, rows
from data.disk.blobs import Blobs
from data.disk.db import Database, Tx
from data.disk.files import make_directory, write_durably
from data.disk.seal import Keys, load_master_key
from data.errors import StoreError, WrongKey

MASTER_KEY_OCTETS = 32
_CONFIGURED = ("hostname", "base_port", "profile", "dns", "route_all", "key_file", "database")

Ask = Callable[[str, str], str]
"""Ask a person: (question, default) -> answer."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What init is told; None was not said. `organisation` is its name, `config` holds dotted keys of the file."""

    domain: str | None = None
    organisation: str | None = None
    config: Mapping[str, Any] | None = None


def complete(choices: Choices, ask: Ask | None) -> Choices:
    """Fill in what was not said, by asking where there is somebody to ask. Raises OperatorError (USAGE)."""
    config = {key: value for key, value in (choices.config or {}).items() if value is not None}
    domain, organisation = choices.domain, choices.organisation
    if ask is None:
        missing = [f"--{name}" for name, said in (("domain", domain), ("hostname", config.get("hostname"))) if not said]
        if missing:
            raise OperatorError(f"init needs {' and '.join(missing)} (there is no terminal to ask)", USAGE)
    else:
        domain = domain or ask("First mail domain", "")
        if not domain:
            raise OperatorError("init needs a domain", USAGE)
        config["hostname"] = config.get("hostname") or ask("Name of this host", f"mail.{domain}")
        organisation = organisation or ask("Name of the organisation", domain)
    return Choices(domain, organisation or domain, config)


def initialise(state: Path, choices: Choices, clock: Clock) -> Config:
    """Set a state directory up; returns its configuration. Raises OperatorError."""
    refuse_second(state)
    values = {key: value for key, value in (choices.config or {}).items() if key in _CONFIGURED}
    if values.get("key_file"):
        values["key_file"] = str(Path(str(values["key_file"])).absolute())
    config = _checked(values)
    domain = _domain(choices.domain or "")
    with ground_floor.hold(state, create=True) as held:
        refuse_second(held.path)
        keys = _keys(config.key_path(held.path))
        ground_floor.write_key_check(held.path, keys)
        make_directory(held.path / ground_floor.TLS)
        Blobs(held.path / ground_floor.BLOBS, keys).prepare_directories()
        _fill(held, config, clock, keys, domain, choices.organisation or domain)
        configuration.write(held.path, values)
    return config


def refuse_second(state: Path) -> None:
    """Raises OperatorError (ALREADY_SET_UP)."""
    if ground_floor.set_up(state):
        raise OperatorError(f"{state} is set up already; nothing was changed", ALREADY_SET_UP)


def _checked(values: Mapping[str, Any]) -> Config:
    try:
        configuration.render(values)
        # the environment goes before the file, as it will when the server starts
        return configuration.build({**values, **configuration.from_environment(os.environ)})
    except ConfigError as error:
        raise OperatorError(str(error), USAGE) from None


def _domain(name: str) -> str:
    try:
        return rows.domain_name(name)
    except StoreError as error:
        raise OperatorError(f"{name}: {error.public}", USAGE) from None


def _keys(path: Path) -> Keys:
    """The master key at `path`; a new one where there is none."""
    try:
        if not path.exists():
            write_durably(path, os.urandom(MASTER_KEY_OCTETS).hex().encode() + b"\n")
        return load_master_key(path)
    except WrongKey as error:
        raise OperatorError(error.public, WRONG_KEY) from None
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}", WRONG_KEY) from None


def _fill(held: StateDirectory, config: Config, clock: Clock, keys: Keys, domain: str, organisation: str) -> None:
    """The first rows: organisation, domain with its signing keys, the key's answer, an audit row; one transaction."""
    db = ground_floor.open_database(held.path, config, clock)
    try:
        _fill_database(db, held, config, clock, keys, domain, organisation)
    finally:
        db.close()


def _fill_database(
    db: Database, held: StateDirectory, config: Config, clock: Clock, keys: Keys, domain: str, organisation: str
) -> None:
    ground = ground_floor.build(held, config, clock, keys, db)
    if ground.directory.snapshot().organisation is not None:
        # an earlier init was broken off after this transaction; its key must be the one that is here
        _require_same(db, keys, config.key_path(held.path))
        return
    pairs = dkim.new_pairs()

    def op(tx: Tx) -> None:
        ident = ground.directory.add_organisation_in(tx, organisation)
        first = ground.directory.add_domain_in(tx, ident, domain)
        dkim.create_in(tx, first, keys, pairs)
        installation.put_fact_in(tx, installation.KEY_CHECK, installation.key_answer(keys))
        ground.audit.record_in(
            tx, organisation=ident, actor="console", action="init", object=domain, detail={"hostname": config.hostname}
        )

    db.write(op)


def _require_same(db: Database, keys: Keys, path: Path) -> None:
    try:
        with db.read() as reader:
            installation.require_key(reader, keys)
    except WrongKey:
        raise OperatorError(f"{path} is not the master key of this database", WRONG_KEY) from None
