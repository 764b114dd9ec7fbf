"""What holds for every test: no network but loopback, every warning an error, no skip that was not agreed.

Warnings are made errors in pyproject.toml. The socket guard refuses to connect or bind anywhere but to loopback and
AF_UNIX, and to resolve any name but localhost. When CI is set, a skipped test whose id is not covered by
tests/allowed_skips.txt fails the run: an absent mail client must not pass for a green one.

Fixtures of one room live beside its tests; only what every room needs stands here.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")

# No deadlines: the machine may be busy, and a slow example is not a wrong one.
_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("quick", max_examples=50, **_CALM)
settings.register_profile("ci", max_examples=200, derandomize=True, print_blob=True, **_CALM)
settings.register_profile("fuzz", max_examples=500, print_blob=True, **_CALM)
settings.register_profile("long", max_examples=5_000, print_blob=True, **_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if CI else "quick"))


class NetworkForbidden(RuntimeError):
    """A test reached for the network beyond loopback."""


def _literal_is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _refuse_foreign(host: object, what: str) -> None:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name != "localhost" and not _literal_is_loopback(name):
        raise NetworkForbidden(f"{what} {name!r}: tests may use loopback only")


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: it sees every socket of this process, also those of libraries."""
    if event in {"socket.connect", "socket.bind", "socket.sendto"}:
        sock, address = arguments[0], arguments[1]
        if sock.family in {socket.AF_INET, socket.AF_INET6} and address:
            _refuse_foreign(address[0], event)
    elif event == "socket.getaddrinfo" and arguments[0] not in {None, "", b""}:
        host = arguments[0]
        if not _is_numeric(host):
            _refuse_foreign(host, event)


def _is_numeric(host: object) -> bool:
    try:
        ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return True


def _guard_uvloop() -> None:
    """uvloop connects by libuv, beneath the audit events, so its two doors are watched as well."""
    try:
        import uvloop
    except ImportError:
        return

    def watched(name: str) -> None:
        inner = getattr(uvloop.Loop, name)

        async def outer(self: Any, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
            if options.get("sock") is None:
                for one in host if isinstance(host, list | tuple) else [host]:
                    _refuse_foreign(one, name)
            return await inner(self, factory, host, port, **options)

        setattr(uvloop.Loop, name, outer)

    watched("create_connection")
    watched("create_server")


sys.addaudithook(_guard)
_guard_uvloop()


@pytest.fixture
def program() -> Callable[[str], str]:
    """`program("swaks")`: the path of a program we did not write; a test that lacks it is skipped (in CI: fails)."""

    def find(name: str) -> str:
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path is None:
            pytest.skip(f"{name} is not installed (appliance/deploy/test-needs)")
        return path

    return find


_skipped: dict[str, str] = {}


def _note(report: Any) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped[report.nodeid] = reason


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped, and why."""
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module that skips itself counts as well."""
    _note(report)


def unexpected_skips(skipped: dict[str, str], patterns: list[str]) -> list[str]:
    """The ids that no pattern of tests/allowed_skips.txt covers; a pattern is an id, a prefix of one, or a glob."""
    return [
        test
        for test in skipped
        if not any(
            test == pattern or test.startswith(pattern) or fnmatch.fnmatch(test, pattern) for pattern in patterns
        )
    ]


def _allowed() -> list[str]:
    lines = (line.split("#")[0].strip() for line in ALLOWED_SKIPS.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, a skip that was not agreed fails the run."""
    if CI and session.exitstatus == pytest.ExitCode.OK and unexpected_skips(_skipped, _allowed()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the skips that were not agreed."""
    if CI:
        for test in unexpected_skips(_skipped, _allowed()):
            terminalreporter.write_line(f"SKIP NOT ALLOWED {test}: {_skipped[test]}", red=True)
