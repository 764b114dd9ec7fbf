"""The queue asks for routes and notices when it counts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from data.clock import FakeClock
from data.directory.directory import Directory
from data.directory.settings import Scope, Settings
from data.disk.db import Database
from data.disk.migrate import upgrade
from smtp.queue.policy import QueuePolicy


def test_settings_hold_for_the_next_question(tmp_path: Path) -> None:
    clock = FakeClock()
    upgrade(tmp_path / "mail.db")
    db = Database.open(tmp_path / "mail.db", clock)
    directory = Directory(db, clock)
    settings = Settings(db, directory)
    organisation = db.write(lambda tx: directory.add_organisation_in(tx, "Example"))
    db.write(lambda tx: directory.add_domain_in(tx, organisation, "example.test"))
    ann = db.write(lambda tx: directory.add_account_in(tx, "ann@example.test", password_verifier="x"))
    everybody = Scope.organisation(organisation)

    policy = QueuePolicy(None, settings, directory)
    assert policy.routes().of("example.org") is None
    routes = "example.org mx.example.net:2525\n.example.org [::1]:25\n"
    db.write(lambda tx: settings.set_in(tx, everybody, "queue.routes", routes))
    assert policy.routes().of("example.org") == ("mx.example.net", 2525)
    assert policy.routes().of("a.example.org") == ("::1", 25)
    assert policy.routes() is policy.routes()
    assert QueuePolicy(("127.0.0.1", 25), settings, directory).routes().of("example.org") == ("127.0.0.1", 25)

    def work(account: int | None) -> object:
        return SimpleNamespace(item=SimpleNamespace(account=account))

    assert policy.warns(work(ann)) and policy.warns(work(None))  # type: ignore[arg-type]
    db.write(lambda tx: settings.set_in(tx, Scope.account(ann), "queue.delay-notices", False))
    assert not policy.warns(work(ann))  # type: ignore[arg-type]
    db.write(lambda tx: directory.delete_account_in(tx, ann))
    assert not policy.warns(work(ann))  # type: ignore[arg-type]
    db.close()
