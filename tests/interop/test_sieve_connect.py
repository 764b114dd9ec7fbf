"""sieve-connect, a client of ManageSieve that we did not write, over STARTTLS against the running house."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.outside import Person, Ran, call

SCRIPT = 'require ["fileinto", "mailbox"];\nif header :contains "subject" "walk" {\n  fileinto :create "Walks";\n}\n'


@pytest.fixture
def sieve(program: Callable[[str], str], ann: Person, cert: str, tmp_path: Path) -> Callable[..., Ran]:
    """`sieve(*words)`: run as ann."""
    path = program("sieve-connect")
    password = tmp_path / "password"
    password.write_text(ann.password)

    def run(*words: str | Path, expect: int | None = 0) -> Ran:
        server = ["--server", "localhost", "--port", str(ann.house.port("managesieve")), "--nosrv"]
        who = ["--user", ann.address, "--passwordfd", "0", "--tlscafile", cert]
        return call([path, *server, *who, *words], text=ann.password + "\n", expect=expect)

    return run


def test_a_script_is_kept_listed_fetched_and_runs(sieve: Callable[..., Ran], ann: Person, tmp_path: Path) -> None:
    local, back = tmp_path / "mine.sieve", tmp_path / "back.sieve"
    local.write_text(SCRIPT)
    sieve("--localsieve", local, "--remotesieve", "mine", "--upload")
    sieve("--remotesieve", "mine", "--activate")
    assert '"mine" ACTIVE' in sieve("--list").out
    sieve("--remotesieve", "mine", "--localsieve", back, "--download")
    assert back.read_text().split() == SCRIPT.split()
    ann.house.deliver(
        "From: dora@example.net\r\nSubject: a walk\r\n\r\nCome.\r\n", ann.address, sender="dora@example.net"
    )
    assert ann.counts()["Walks"] == 1
    sieve("--deactivate")
    assert "ACTIVE" not in sieve("--list").out
    sieve("--remotesieve", "mine", "--delete")
    assert "mine" not in sieve("--list").out


def test_a_script_that_is_wrong_is_refused_with_its_line(
    sieve: Callable[..., Ran], ann: Person, tmp_path: Path
) -> None:
    local = tmp_path / "bad.sieve"
    local.write_text("keep;\n\nlevitate;\n")
    ran = sieve("--localsieve", local, "--remotesieve", "bad", "--upload", expect=None)
    assert ran.status != 0
    assert "line 3, column 1" in ran.said
    assert "bad" not in sieve("--list").out
