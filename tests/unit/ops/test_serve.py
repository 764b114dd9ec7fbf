"""Recovery before anything listens, and what HUP changes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance import config as configuration
from appliance import log
from appliance.config import Config
from appliance.ops import people, serve
from appliance.ops import state as ground_floor
from appliance.ops.errors import OperatorError
from appliance.ops.state import Ground
from data.clock import FakeClock
from data.disk.schema import is_current, newest, quick_check


def test_temporary_files_go_and_the_directory_is_read(ground: Ground, ann: str) -> None:
    (ground.state / "blobs" / "tmp" / "half").write_bytes(b"x")
    serve.recover(ground, log.get("run"))
    assert list((ground.state / "blobs" / "tmp").iterdir()) == []
    serve.recover(ground, log.get("run"))
    assert ground.directory.account(ann).address == ann


def test_a_damaged_database_is_one_line(state: Path, clock: FakeClock) -> None:
    config = ground_floor.load_config(state)
    with ground_floor.hold(state) as held:
        ground = ground_floor.open_ground(held, config, clock)
        for n in range(300):
            targets = [f"a{n}@example.org", f"b{n}@example.org"]
            people.add_alias(ground, f"group{n}@example.test", targets, group=True, send_as=True, actor="test")
        ground.close()
    # the last pages: the schema is readable, what it leads to is not
    path = state / "mail.db"
    path.write_bytes(path.read_bytes()[:-32768] + b"\xff" * 32768)
    with ground_floor.hold(state) as held:
        ground = ground_floor.open_ground(held, config, clock)
        with pytest.raises(OperatorError, match="damaged"):
            serve.recover(ground, log.get("run"))
        ground.close()


def test_the_check_keeps_to_its_time(tmp_path: Path) -> None:
    path = tmp_path / "large.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    connection.executemany("INSERT INTO t (b) VALUES (?)", ((f"row {n}" * 20,) for n in range(20_000)))
    connection.commit()
    connection.close()
    assert quick_check(path, 0.0) == ""
    assert quick_check(path, 60.0) == ""
    assert not is_current(path)


def test_the_stamp_is_the_last_revision(state: Path) -> None:
    assert is_current(state / "mail.db")
    assert newest() == max(path.name[1:5] for path in Path("data/disk/revisions/versions").glob("r*.py"))


def test_HUP_reads_certificate_and_configuration(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    reloads: list[bool] = []
    levels: list[str] = []
    certificates = SimpleNamespace(reload=lambda **how: reloads.append(how["force"]))
    monkeypatch.setattr(serve, "setup", levels.append)
    said: list[tuple[str, dict[str, object]]] = []
    told = SimpleNamespace(
        error=lambda verb, **fields: said.append((verb, fields)),
        warning=lambda verb, **fields: said.append((verb, fields)),
    )
    again = serve.Reload(ground, {}, certificates, told)  # type: ignore[arg-type]
    again()
    assert reloads == [True] and levels == [] and said == []
    values = {"hostname": "mail.example.test", "base_port": 20000, "profile": "bench"}
    configuration.write(ground.state, {**values, "log_level": "debug", "base_port": 21000})
    again()
    again()
    assert levels == ["debug"]
    assert said[0] == ("config", {"changed": ["base_port"], "needs": "a restart"})
    (ground.state / "mailstead.toml").write_text("nonsense = 1\n")
    again()
    assert said[-1][0] == "config" and "nonsense" in str(said[-1][1]["why"])


def test_changed_fields_are_named() -> None:
    assert serve.changed(Config(), Config(hostname="a.test", base_port=1)) == ["hostname", "base_port"]


def test_a_server_asks_for_open_files_and_leaves_no_core_dump() -> None:
    """In a process of its own, which begins with few; the bound is the system's."""
    program = (
        "import resource as r\n"
        "from appliance.config import build\n"
        "from appliance.ops.serve import prepare_process\n"
        "hard = r.getrlimit(r.RLIMIT_NOFILE)[1]\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (256, hard))\n"
        "prepare_process(build({'limits.open_files': 512}))\n"
        "print(r.getrlimit(r.RLIMIT_NOFILE)[0], r.getrlimit(r.RLIMIT_CORE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert done.stdout == "512 (0, 0)\n"
