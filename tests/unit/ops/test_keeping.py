"""run.py quarantine list, release, delete."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.ops import keeping, people
from appliance.ops import state as ground_floor
from appliance.ops.init import Choices, initialise
from appliance.ops.state import Ground
from data.clock import SystemClock
from data.errors import NotFound

MESSAGE = b"From: x@example.org\r\nSubject: Kept\r\n\r\nBody\r\n"


def _quiet(done: int, total: int) -> None:
    return None


def _keep(ground: Ground) -> int:
    ann = ground.directory.account("ann@example.test")
    prepared = ground.store.messages.prepare(MESSAGE)
    verdict = '{"action":"quarantine","meant":"quarantine","score":150,"why":[["file.program",150,{}]]}'
    quarantine = keeping.quarantine_of(ground)
    return ground.db.write(
        lambda tx: quarantine.put_in(
            tx,
            ann.organisation,
            ann.id,
            prepared,
            trail="t",
            return_path="x@example.org",
            prefix=b"",
            verdict=verdict,
        )
    )


def test_kept_mail_is_listed_released_deleted_and_audited(tmp_path: Path) -> None:
    choices = Choices("example.test", "Example", {"hostname": "mail.example.test", "dns": "off"})
    initialise(tmp_path / "state", choices, SystemClock())
    held = ground_floor.hold(tmp_path / "state")
    ground = ground_floor.open_ground(held, ground_floor.load_config(tmp_path / "state"), SystemClock())
    try:
        people.add_account(ground, "ann@example.test", password="correct horse battery", actor="test")
        first, second = _keep(ground), _keep(ground)
        run = keeping.COMMANDS
        rows = run["quarantine.list"](ground, {}, _quiet, "console:0")["messages"]
        assert [(row["number"], row["account"], row["why"]) for row in rows] == [
            (second, "ann@example.test", "file.program:150"),
            (first, "ann@example.test", "file.program:150"),
        ]
        assert run["quarantine.release"](ground, {"number": [first]}, _quiet, "console:0") == {"changed": 1}
        with pytest.raises(NotFound):
            run["quarantine.delete"](ground, {"number": [second, first]}, _quiet, "console:0")
        assert len(run["quarantine.list"](ground, {}, _quiet, "console:0")["messages"]) == 1, "all or none"
        assert run["quarantine.delete"](ground, {"number": [second]}, _quiet, "console:0") == {"changed": 1}
        ann = ground.directory.account("ann@example.test").principal()
        assert ground.store.mailboxes.get(ann, ann.account, "INBOX").messages == 1
        assert ground.audit.verify() == []
    finally:
        ground.close()
