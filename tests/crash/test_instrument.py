"""The crash instrument can fail: a correct store passes, and each broken one is caught by the right name."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

CRASH = Path(__file__).resolve().parents[1] / "instruments" / "crash"

pytestmark = [pytest.mark.long, pytest.mark.crash]


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _judge(directory: Path, bug: str, *options: str) -> dict[str, int]:
    """The problems that three rounds find in the toy server with `bug`."""
    smtp, imap, result = _port(), _port(), directory / "result.json"
    command = f"exec {sys.executable} {CRASH / 'toy_server.py'} {directory / 'data'} {smtp} {imap} {bug}"
    fixed = ["127.0.0.1", str(smtp), str(imap), "ann", "secret", "3"]
    paths = ["--work", str(directory / "work"), "--json", str(result), "--settle", "2"]
    run = subprocess.run(
        [sys.executable, str(CRASH / "kill9.py"), command, *fixed, *paths, *options],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    problems: dict[str, int] = json.loads(result.read_text())["summary"]["problems"]
    assert run.returncode == (1 if problems else 0), run.stdout + run.stderr
    return problems


def test_a_correct_store_passes(tmp_path: Path) -> None:
    assert _judge(tmp_path, "none") == {}


def test_a_correct_store_survives_a_power_loss(tmp_path: Path) -> None:
    assert _judge(tmp_path, "none", "--power-loss", str(tmp_path / "data")) == {}


@pytest.mark.parametrize(("bug", "problem"), [("dup", "duplicate"), ("phantom", "phantom"), ("uidvalidity", "uid")])
def test_a_broken_store_is_caught(tmp_path: Path, bug: str, problem: str) -> None:
    assert problem in _judge(tmp_path, bug)


@pytest.mark.parametrize("bug", ["nosync", "noblobfsync", "nodirfsync"])
def test_a_missing_fsync_is_caught_by_a_power_loss(tmp_path: Path, bug: str) -> None:
    found = _judge(tmp_path, bug, "--power-loss", str(tmp_path / "data"))
    assert found.keys() & {"loss", "damaged", "no-start"}
