"""What holds for every test: no network but loopback, every warning an error, no skip that was not agreed.

Warnings are made errors in pyproject.toml. The socket guard refuses to connect or bind anywhere but to loopback and
AF_UNIX, and to resolve any name but localhost. When CI is set, a skipped test whose id is not covered by
tests/allowed_skips.txt fails the run: an absent mail client must not pass for a green one.

Fixtures of one room live beside its tests; only what every room needs stands here.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.guard import audit, guard_uvloop, unexpected_skips
from tests.postgres import postgres, postgres_url  # noqa: F401 (fixtures for every room)

CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")

# No deadlines: the machine may be busy, and a slow example is not a wrong one.
_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("quick", max_examples=50, **_CALM)
settings.register_profile("ci", max_examples=200, derandomize=True, print_blob=True, **_CALM)
settings.register_profile("fuzz", max_examples=500, print_blob=True, **_CALM)
settings.register_profile("long", max_examples=5_000, print_blob=True, **_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if CI else "quick"))


sys.addaudithook(audit)
guard_uvloop()


@pytest.fixture(autouse=True, scope="module")
def _umask() -> Iterator[None]:
    """Holding a state directory in this process, even while tests are collected, sets the umask: none leaves its module."""
    os.umask(0o022)
    yield
    os.umask(0o022)


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
