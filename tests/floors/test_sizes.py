"""Files stay readable: a word at 400 lines, a failure at 800."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORD, FAILURE = 400, 800
FOLDERS = ("appliance", "data", "smtp", "imap", "webmail", "admin", "tests")
# Measuring tools that are used as one file each.
EXEMPT = ("tests/bench/", "tests/instruments/")


def test_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    """Count the lines of every Python file."""
    sizes = {
        name: len(path.read_text("utf-8").splitlines())
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if not (name := path.relative_to(ROOT).as_posix()).startswith(EXEMPT)
    }
    with capsys.disabled():
        for name, lines in sorted(sizes.items()):
            if lines > WORD:
                print(f"\n{name} has {lines} lines: time to split it")
    assert not {name: lines for name, lines in sizes.items() if lines > FAILURE}
