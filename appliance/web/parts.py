"""What the web faces are given: built once by the composition root, shared by both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.auth import Gate
from appliance.config import Config
from appliance.log import Log
from appliance.loop import Workers
from appliance.metrics import Metrics
from appliance.web.guard import Hosts, Tokens
from appliance.web.pages import Pages
from appliance.web.session import Doorman
from data.audit import Audit
from data.clock import Clock
from data.directory.apps import AppPasswords
from data.directory.directory import Directory
from data.directory.sessions import Sessions
from data.directory.settings import Settings
from data.directory.totp import SecondFactors
from data.disk.db import Database
from data.disk.seal import Keys
from data.index.finder import Finder
from data.store.changes import SessionsEnded
from data.store.store import Store


@dataclass(frozen=True, slots=True)
class WebParts:
    """Everything a page or a native resource may need."""

    state: Path
    config: Config
    clock: Clock
    db: Database
    store: Store
    finder: Finder
    directory: Directory
    settings: Settings
    audit: Audit
    keys: Keys
    gate: Gate
    workers: Workers
    metrics: Metrics
    log: Log
    pages: Pages
    hosts: Hosts
    sessions: Sessions
    factors: SecondFactors
    app_passwords: AppPasswords
    doorman: Doorman

    @classmethod
    def build(cls, *, pages: Pages, keys: Keys, config: Config, **rest: Any) -> WebParts:
        """The parts, with those of signing in made from the others."""
        db, directory, clock = rest["db"], rest["directory"], rest["clock"]
        sessions = Sessions(db, directory, keys, clock, lambda tx, account: tx.publish(SessionsEnded(account)))
        return cls(
            pages=pages,
            keys=keys,
            config=config,
            hosts=Hosts.configured(config),
            sessions=sessions,
            factors=SecondFactors(db, keys, clock, directory.stale_after),
            app_passwords=AppPasswords(db, directory, keys),
            doorman=Doorman(sessions, Tokens(keys.digest)),
            **rest,
        )


Start = Callable[..., Any]
Environ = Mapping[str, Any]
