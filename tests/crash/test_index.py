"""The process ends while it indexes: nothing is lost, nothing twice, and search is complete again by itself."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house import PASSWORD, ROOT, House, house
from tests.web_rig import Browser

pytestmark = pytest.mark.crash
COUNT = 250

# What a child does: open the state directory, keep indexing until it is ended; or answer questions about it. The modules are
# loaded once; each child is a process of its own that opens everything itself, and can be ended like any other.
NURSERY = """
    import json, os, sys
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from appliance.ops import state
    from data.clock import SystemClock
    from data.store.query import parse
    from data.index.writer import Step

    def answers(ground):
        account = ground.directory.account("ann@example.test")
        def count(text):
            found = ground.index.finder.find(account.principal(), account.id, parse(text), limit=10_000, seconds=60)
            return len(found.hits)
        status = ground.index.writer.status(account.id)
        return [count("common"), count("text17"), count('"common text17"'), count("-common"),
                status.indexed, status.waiting, status.ready]

    def work(where, modes, point):
        if point:
            os.environ["MAILSTEAD_CRASHPOINT"] = point
        with state.hold(where) as held:
            ground = state.open_ground(held, state.load_config(where), SystemClock())
            told = []
            for mode in modes:
                print(json.dumps("begun"), flush=True)
                while mode == "index" and ground.index.writer.step() is not Step.IDLE:
                    pass
                told.append(answers(ground))
            ground.close()
        print(json.dumps(told), flush=True)

    for line in sys.stdin:
        where, modes, point = json.loads(line)
        child = os.fork()
        if not child:
            work(Path(where), modes, point)
            os._exit(0)
        print(json.dumps(child), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps(dict(code=os.waitstatus_to_exitcode(status))), flush=True)
"""


class Nursery:
    """Bears children that index or answer."""

    def __init__(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAILSTEAD_")}
        source = textwrap.dedent(NURSERY).format(root=str(ROOT))
        self._process = subprocess.Popen(
            [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT
        )

    def bear(self, state: Path, *modes: str, point: str | None = None) -> int:
        """Begin a child; its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(state), modes, point]) + "\n")
        self._process.stdin.flush()
        child = self._told()
        assert isinstance(child, int)
        return child

    def begun(self) -> None:
        """Wait until the child works."""
        assert self._told() == "begun"

    def ended(self) -> tuple[int, list[list[object]]]:
        """Wait for the child's end: how it ended, and its answers, one list for each mode."""
        told: list[list[object]] = []
        while not isinstance(one := self._told(), dict):
            told = one if isinstance(one, list) else told
        return int(one["code"]), told

    def answers(self, state: Path, *modes: str) -> list[list[object]]:
        """What a child says that nobody ends."""
        self.bear(state, *modes)
        code, told = self.ended()
        assert code == 0
        return told

    def close(self) -> None:
        """No more children."""
        self._process.communicate()

    def _told(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery is gone"
        return json.loads(line)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def _fill(maildir: Path, count: int) -> None:
    """Mail of sixty words each, three of which are asked for."""
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    for n in range(count):
        body = " ".join(f"word{(n * 7 + k) % 400}" for k in range(60))
        text = f"From: bob@example.org\nTo: ann@example.test\nSubject: number {n}\n\ncommon text{n} {body}\n"
        (maildir / "new" / f"{n:05}.m").write_text(text)


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped state directory with an account and mail that no index knows."""
    state = tmp_path_factory.mktemp("seed") / "state"
    maildir = tmp_path_factory.mktemp("maildir")
    _fill(maildir, COUNT)
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
def test_C16_the_end_at_any_step_of_a_batch_loses_nothing(nursery: Nursery, state: Path, point: str) -> None:
    nursery.bear(state, "index", point=point)
    assert nursery.ended() == (77, [])
    asked, indexed = nursery.answers(state, "ask", "index")
    assert asked[:4] == COMPLETE
    assert indexed == [*COMPLETE, COUNT, 0, True]


def test_C16_killed_again_and_again_while_indexing(nursery: Nursery, state: Path) -> None:
    chance, ends = random.Random(16), []
    for _ in range(8):
        child = nursery.bear(state, "index")
        nursery.begun()
        time.sleep(chance.uniform(0.0, 0.12))
        with contextlib.suppress(ProcessLookupError):  # it may have been done
            os.kill(child, signal.SIGKILL)
        ends.append(nursery.ended()[0])
        assert nursery.answers(state, "ask")[0][:4] == COMPLETE
    assert ends.count(-signal.SIGKILL) >= 2, ends
    assert nursery.answers(state, "index")[0] == [*COMPLETE, COUNT, 0, True]


def _status(h: House) -> dict[str, object]:
    return dict(h.ask("index.status")["accounts"][0])


def _await_indexed(h: House, count: int, seconds: float = 60.0) -> None:
    """Look seldom: a server that is asked something waits with its index."""
    end = time.monotonic() + seconds
    while (status := _status(h))["indexed"] != count or status["waiting"]:
        assert time.monotonic() < end, status
        time.sleep(0.6)


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


@pytest.mark.long
def test_G7_killed_again_and_again_while_two_thousand_messages_are_indexed(tmp_path: Path) -> None:
    """Search says everything at any moment, and is complete by itself after the last start."""
    count, chance = 2_000, random.Random(7)
    maildir = tmp_path / "maildir"
    _fill(maildir, count)
    with house(start=False) as h:
        h.run("account", "add", "ann@example.test", "--password-stdin", text=PASSWORD)
        h.run("import-maildir", "ann@example.test", str(maildir), "--mailbox", "INBOX")
        ann = Browser(h)
        caught = 0
        for nth in range(6):
            h.start()
            if not nth:
                ann.sign_in("ann@example.test")
            until = chance.uniform(0.0, 0.4) * count
            while (status := _status(h))["indexed"] < until and status["waiting"]:
                time.sleep(0.02)
            caught += bool(status["waiting"])
            for text, told in (("text1999", "1 conversation<"), ("text3", "1 conversation<")):
                assert told in ann.get(f"/webmail/mail/search?q={text}%20").text, (nth, text)
            h.kill()
        assert caught >= 4
        h.start()
        _await_indexed(h, count, 180)
        assert "1 conversation<" in ann.get("/webmail/mail/search?q=text1234%20").text
        assert _status(h)["ready"]


def _rebase(h: House) -> None:
    """The copied state directory answers on the ports of this house."""
    file = h.state / "mailstead.toml"
    lines = [f"base_port = {h.base}" if one.startswith("base_port") else one for one in file.read_text().splitlines()]
    file.write_text("\n".join(lines) + "\n")
