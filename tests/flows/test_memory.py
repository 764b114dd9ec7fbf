"""What the server weighs when nobody is served, and what it must not have loaded to get there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.house import ROOT, House, house

MOST_MB = 120.0
AFTER_READY = 60.0

_NOT_NEEDED = ("sqlalchemy.dialects.postgresql", "psycopg", "alembic", "babel.messages", "segno", "mypy", "pytest")
_LOADED = """
import sys
import run, admin.app, webmail.app, appliance.web.service, imap.factory, smtp.msa, smtp.mx, smtp.queue.scheduler
from data.disk.db import make_engine
make_engine("/nonexistent").dispose()
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def _rss(h: House) -> float:
    """Resident megabytes, as the kernel counts them."""
    lines = Path(f"/proc/{h.pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Rss:"))) * 1024 / 1e6


def test_server_does_not_load_what_it_seldom_needs() -> None:
    command = [sys.executable, "-c", _LOADED, *_NOT_NEEDED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


@pytest.mark.long
@pytest.mark.timeout(180)
def test_memory_after_ready() -> None:
    """A minute after `ready`, three accounts and no client: what the sweeps and the index do at first is over."""
    with house(profile="bench") as h:
        for name in ("ann", "bob", "cleo"):
            h.add_account(f"{name}@example.test", "secret")
        h.stop()
        h.start()
        until = time.monotonic() + AFTER_READY
        while time.monotonic() < until:
            time.sleep(1.0)
            assert h.pid is not None
        weight = _rss(h)
    print(f"resident after a minute: {weight:.0f} MB")
    assert weight < MOST_MB
