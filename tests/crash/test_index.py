"""The process ends while it indexes: nothing is lost, nothing twice, and search is complete again by itself."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.house import PASSWORD, ROOT, House, house

pytestmark = pytest.mark.crash
COUNT = 250

# What the child does: open the state directory, keep indexing until it is ended; or answer questions about it.
CHILD = """
    import json, sys
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from appliance.ops import state
    from data.clock import SystemClock
    from data.store.query import parse
    from data.index.writer import Step

    where, mode = Path(sys.argv[1]), sys.argv[2]
    with state.hold(where) as held:
        ground = state.open_ground(held, state.load_config(where), SystemClock())
        account = ground.directory.account("ann@example.test")
        if mode == "index":
            print("ready", flush=True)
            while ground.index.writer.step() is not Step.IDLE:
                pass
        def count(text):
            found = ground.index.finder.find(account.principal(), account.id, parse(text), limit=10_000, seconds=60)
            return len(found.hits)
        status = ground.index.writer.status(account.id)
        print(json.dumps([count("common"), count("text17"), count('"common text17"'), count("-common"),
                          status.indexed, status.waiting, status.ready]), flush=True)
        ground.close()
"""


def child(state: Path, mode: str, point: str | None = None) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAILSTEAD_")}
    if point is not None:
        env["MAILSTEAD_CRASHPOINT"] = point
    source = textwrap.dedent(CHILD).format(root=str(ROOT))
    command = [sys.executable, "-c", source, str(state), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)


def answers(state: Path, mode: str) -> list[object]:
    process = child(state, mode)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return list(json.loads(out.splitlines()[-1]))


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped state directory with an account and mail that no index knows."""
    state = tmp_path_factory.mktemp("seed") / "state"
    maildir = tmp_path_factory.mktemp("maildir")
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir()
    for n in range(COUNT):
        body = " ".join(f"word{(n * 7 + k) % 400}" for k in range(60))
        text = f"From: bob@example.org\nTo: ann@example.test\nSubject: number {n}\n\ncommon text{n} {body}\n"
        (maildir / "new" / f"{n:05}.m").write_text(text)
    with house(state, start=False) as h:
        h.run("account", "add", "ann@example.test", "--password-stdin", text=PASSWORD)
        h.run("import-maildir", "ann@example.test", str(maildir), "--mailbox", "INBOX")
    return state


@pytest.fixture
def state(seed: Path, tmp_path: Path) -> Path:
    shutil.copytree(seed, tmp_path / "state")
    (tmp_path / "state").chmod(0o700)
    return tmp_path / "state"


COMPLETE = [COUNT, 1, 1, 0]


# X1: segments written, no table of contents; X2: table of contents there, old files still there; X3: committed, the
# rows still in the outbox. Each at the first batch and later.
@pytest.mark.parametrize("point", ["X1:1", "X1:2", "X2:2", "X3:1", "X3:2", "X2:4", "X3:3"])
def test_C16_the_end_at_any_step_of_a_batch_loses_nothing(state: Path, point: str) -> None:
    process = child(state, "index", point)
    process.communicate(timeout=100)
    assert process.returncode == 77
    assert answers(state, "ask")[:4] == COMPLETE
    assert answers(state, "index") == [*COMPLETE, COUNT, 0, True]


def test_C16_killed_again_and_again_while_indexing(state: Path) -> None:
    chance = random.Random(16)
    for _ in range(6):
        process = child(state, "index")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.5))
        process.kill()
        process.communicate()
        assert answers(state, "ask")[:4] == COMPLETE
    assert answers(state, "index") == [*COMPLETE, COUNT, 0, True]


def _status(h: House) -> dict[str, object]:
    return dict(h.ask("index.status")["accounts"][0])


def _await_indexed(h: House, count: int, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while (status := _status(h))["indexed"] != count or status["waiting"]:
        assert time.monotonic() < end, status
        time.sleep(0.05)


def test_G7_a_running_server_mends_its_index(state: Path) -> None:
    """The index is deleted, then damaged, under a server that goes on taking mail and answering IMAP."""
    with house(start=False) as h:
        shutil.rmtree(h.state)
        shutil.copytree(state, h.state)
        h.state.chmod(0o700)
        _rebase(h)
        h.start()
        _await_indexed(h, COUNT)
        index = next((h.state / "index").iterdir())
        shutil.rmtree(index)
        h.deliver("Subject: one more\r\n\r\ncommon\r\n", "ann@example.test")
        _await_indexed(h, COUNT + 1)
        for path in index.iterdir():
            path.write_bytes(b"damage" + path.read_bytes()[6:])
        h.deliver("Subject: and one\r\n\r\ncommon\r\n", "ann@example.test")
        _await_indexed(h, COUNT + 2)
        client = h.imap("ann@example.test")
        assert client.select("INBOX")[1] == [str(COUNT + 2).encode()]
        client.logout()
        h.kill()
        h.start()
        _await_indexed(h, COUNT + 2)
        out = h.run("index", "rebuild", "ann@example.test").stdout
        assert out == f"{COUNT + 2} messages indexed\n"
        assert "ready" in h.run("index", "status").stdout


def _rebase(h: House) -> None:
    """The copied state directory answers on the ports of this house."""
    file = h.state / "mailstead.toml"
    lines = [f"base_port = {h.base}" if one.startswith("base_port") else one for one in file.read_text().splitlines()]
    file.write_text("\n".join(lines) + "\n")
