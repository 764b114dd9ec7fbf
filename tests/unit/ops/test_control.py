"""The control socket: who is heard, what comes back, what a broken connection does."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import log
from appliance.loop import Workers
from appliance.ops import control
from appliance.ops.control import CommandFailed, ControlServer, NoServer, Result, Stopped, Tell
from data.errors import Conflict


class Served:
    """A control server on a loop of its own thread; `run` is whatever the test needs."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.calls: list[tuple[str, Result, str]] = []
        self.begun, self.go_on, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._workers = Workers(threads=2, loop=self._loop)
        self.server = ControlServer(state, self.run, self._workers, log.get("control"))
        self.wait(self.server.start())

    def wait(self, work) -> None:  # type: ignore[no-untyped-def]
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def run(self, command: str, args: Result, tell: Tell, actor: str) -> Result:
        self.calls.append((command, args, actor))
        if command == "count":
            for n in range(args["to"]):
                tell(n + 1, args["to"])
        elif command == "conflict":
            raise Conflict("secret detail", public="taken")
        elif command == "crash":
            raise RuntimeError("secret detail")
        elif command == "long":
            self.begun.set()
            try:
                while not self.go_on.wait(0.01):
                    tell(0, 0)
            except Stopped:
                self.stopped.set()
                raise
        return {"echo": dict(args)}

    def close(self) -> None:
        self.go_on.set()
        self.wait(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._workers.close()
        self._loop.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    built = Served(tmp_path)
    yield built
    built.close()


def talk(state: Path, line: bytes) -> list[Result]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(state / "control"))
        sock.sendall(line)
        with sock.makefile("rb") as answers:
            return [json.loads(answer) for answer in answers]


def test_result_progress_and_actor(served: Served) -> None:
    seen: list[tuple[int, int]] = []
    answer = control.ask(served.state, "count", {"to": 3, "text": "Zürich"}, lambda *p: seen.append(p))
    assert answer == {"echo": {"to": 3, "text": "Zürich"}}
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert served.calls == [("count", {"to": 3, "text": "Zürich"}, f"console:{os.getuid()}")]


def test_private_socket(served: Served) -> None:
    facts = (served.state / "control").stat()
    assert stat.S_ISSOCK(facts.st_mode) and stat.S_IMODE(facts.st_mode) == 0o600


def test_another_user_of_the_machine_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the mode of the socket came to be: the kernel says who is at the other end."""
    monkeypatch.setattr(control, "peer_uid", lambda sock: os.geteuid() + 4711)
    with pytest.raises(CommandFailed) as caught:
        control.ask(served.state, "count", {"to": 1})
    assert caught.value.kind == "Refused"
    assert served.calls == []


def test_errors_tell_their_public_text_only(served: Served) -> None:
    with pytest.raises(CommandFailed) as caught:
        control.ask(served.state, "conflict", {})
    assert (caught.value.public, caught.value.kind) == ("taken", "Conflict")
    with pytest.raises(CommandFailed) as caught:
        control.ask(served.state, "crash", {})
    assert "secret" not in caught.value.public


@pytest.mark.parametrize(
    "line",
    [b"\n", b"nonsense\n", b"[]\n", b'{"v":99,"command":"count","args":{}}\n', b'{"v":1,"command":5,"args":{}}\n',
     b'{"v":1,"command":"count","args":[]}\n', b'{"v":1}\n', b"\xff\xfe\n", b"[" * 60_000 + b"\n"],
)  # fmt: skip
def test_what_is_no_request_is_refused(served: Served, line: bytes) -> None:
    answers = talk(served.state, line)
    assert len(answers) == 1 and answers[0]["kind"] == "Protocol"
    assert served.calls == []


def test_an_endless_line_is_cut_off(served: Served) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(served.state / "control"))
        with pytest.raises(OSError):
            for _ in range(64):
                sock.sendall(b"x" * (1 << 20))
    assert control.ask(served.state, "count", {"to": 0}) == {"echo": {"to": 0}}


def test_who_hangs_up_stops_his_command(served: Served) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(served.state / "control"))
    sock.sendall(b'{"v":1,"command":"long","args":{}}\n')
    assert served.begun.wait(10)
    sock.close()
    assert served.stopped.wait(10)


def test_another_user_is_not_heard(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "peer_uid", lambda sock: os.geteuid() + 1)
    assert talk(served.state, b'{"v":1,"command":"count","args":{"to":1}}\n')[0]["kind"] == "Refused"
    assert served.calls == []


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(NoServer):
        control.ask(tmp_path, "count", {})
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "control"))
    dead.close()
    with pytest.raises(NoServer):
        control.ask(tmp_path, "count", {})


def test_a_dead_socket_is_replaced_and_a_long_path_works(tmp_path: Path) -> None:
    state = tmp_path / ("x" * 120) / "state"
    state.mkdir(parents=True)
    (state / "control").write_text("left over")
    served = Served(state)
    try:
        assert control.ask(state, "count", {"to": 1}) == {"echo": {"to": 1}}
    finally:
        served.close()
    assert not (state / "control").exists()
