"""The guards of the test run hold: foreign networks are refused, and skips have to be agreed."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from tests.guard import NetworkForbidden, unexpected_skips


@pytest.mark.parametrize("address", [("192.0.2.1", 25), ("198.51.100.7", 53)])
def test_foreign_addresses_are_refused(address: tuple[str, int]) -> None:
    with socket.socket() as sock, pytest.raises(NetworkForbidden):
        sock.connect(address)
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(NetworkForbidden):
        sock.sendto(b"x", address)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "192.0.2.1"])
def test_nobody_listens_beyond_loopback(host: str) -> None:
    with socket.socket() as sock, pytest.raises(NetworkForbidden):
        sock.bind((host, 0))


def test_names_are_not_resolved() -> None:
    with pytest.raises(NetworkForbidden):
        socket.getaddrinfo("example.org", 25)


def test_loopback_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.parametrize("make", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_both_loops_are_watched(make: type[asyncio.AbstractEventLoop]) -> None:
    loop = make()
    try:
        with pytest.raises(NetworkForbidden):
            loop.run_until_complete(loop.create_connection(asyncio.Protocol, "192.0.2.1", 25))
        with pytest.raises(NetworkForbidden):
            loop.run_until_complete(loop.create_server(asyncio.Protocol, "0.0.0.0", 0))
    finally:
        loop.close()


def test_skips_have_to_be_agreed() -> None:
    skipped = {"tests/interop/test_swaks.py::test_tls": "no swaks", "tests/unit/test_a.py::test_b[x]": "no ipv6"}
    assert unexpected_skips(skipped, ["tests/unit/test_a.py::test_b"]) == ["tests/interop/test_swaks.py::test_tls"]
    assert unexpected_skips(skipped, ["tests/*"]) == []
    assert len(unexpected_skips(skipped, [])) == 2


@pytest.mark.parametrize("workers", [[], pytest.param(["-n", "2"], marks=pytest.mark.long)], ids=["alone", "two"])
def test_a_skip_nobody_agreed_to_fails_the_run_in_ci(tmp_path: Path, workers: list[str]) -> None:
    """In the run itself: of a test and of a whole file, also when they are spread over processes."""
    (tmp_path / "test_one.py").write_text("import pytest\n\ndef test_it():\n    pytest.skip('no client')\n")
    (tmp_path / "test_all.py").write_text("import pytest\n\npytest.skip('no peer', allow_module_level=True)\n")
    words = ["-q", "-p", "tests.conftest", "--rootdir", str(tmp_path), str(tmp_path), *workers]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert done.stdout.count("SKIP NOT ALLOWED") == 2, done.stdout
