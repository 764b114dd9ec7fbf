"""A private PostgreSQL from Debian's packages for tests marked `postgres`.

The cluster lives in a directory of its own, listens on a Unix socket there and on no port, and runs as `postgres`
or `nobody` when the tests run as root, which PostgreSQL refuses. It is stopped by the id it was started with.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

_NUMBER = count(1)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server: its programs, the directory of its socket, and its superuser."""

    programs: Path
    socket: Path
    user: str

    def url(self, database: str = "postgres") -> str:
        """The address of one database, as `--database-url` takes it."""
        return f"postgresql://{self.user}@/{database}?host={self.socket}"

    def fresh(self) -> str:
        """Make an empty database and return its address."""
        name = f"t{next(_NUMBER)}"
        options = ["--host", str(self.socket), "--username", self.user, "--template", "template0"]
        subprocess.run([self.programs / "createdb", *options, "--encoding", "UTF8", name], check=True)
        return self.url(name)


def programs() -> Path | None:
    """Where the newest installed server keeps its programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


def _as_other_user() -> tuple[pwd.struct_passwd, list[str]]:
    """Who runs the server, and the words that make it so: initdb and postgres refuse root."""
    if os.getuid():
        return pwd.getpwuid(os.getuid()), []
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return user, ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Make, start, and at the end stop and remove a cluster."""
    where = programs()
    assert where is not None
    user, prefix = _as_other_user()
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    os.chown(home, user.pw_uid, user.pw_gid)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
    shared = {"cwd": home, "env": environment}
    make = [where / "initdb", "--pgdata", home / "data", "--auth=trust", "--username=postgres", "--encoding=UTF8"]
    subprocess.run([*prefix, *make, "--no-sync"], check=True, stdout=subprocess.DEVNULL, **shared)
    settings = {"listen_addresses": "", "unix_socket_directories": str(home), "fsync": "off", "max_connections": "50"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen([*prefix, where / "postgres", "-D", home / "data", *options], stderr=log, **shared)
    try:
        running = Cluster(where, home, "postgres")
        _wait(running, server)
        yield running
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def _wait(running: Cluster, server: subprocess.Popen[bytes]) -> None:
    """Until it answers; at most half a minute."""
    ask = [running.programs / "pg_isready", "--quiet", "--host", str(running.socket), "--username", running.user]
    for _ in range(300):
        if server.poll() is not None or not subprocess.run(ask, check=False).returncode:
            break
        time.sleep(0.1)
    assert server.poll() is None, (running.socket / "log").read_text("utf-8", "replace")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The cluster of this test run."""
    if programs() is None:
        pytest.skip("postgresql is not installed (appliance/deploy/test-needs all)")
    with cluster() as running:
        yield running


@pytest.fixture
def postgres_url(postgres: Cluster) -> str:
    """The address of an empty database of this test's own."""
    return postgres.fresh()
