"""The guard of the state directory: private, locked once, never on a network filesystem."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import statedir
from appliance.statedir import InUse, StateDirectory, StateError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


def test_it_is_made_private_and_locked(tmp_path: Path) -> None:
    path = tmp_path / "a" / "state"
    with StateDirectory.hold(path, create=True) as state:
        assert state.path == path and path.stat().st_mode & 0o777 == 0o700
        (path / "made").write_text("x")
        assert (path / "made").stat().st_mode & 0o777 == 0o600
        assert statedir.locked_by(path) == os.getpid()
        with pytest.raises(InUse) as caught:
            StateDirectory.hold(path)
        assert str(caught.value) == f"{path} is in use by process {os.getpid()}"
    assert statedir.locked_by(path) is None
    StateDirectory.hold(path).release()


def test_an_open_directory_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    StateDirectory.hold(tmp_path).release()
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_missing_directory_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"is not there; make it with: run.py --state .* init"):
        StateDirectory.hold(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateError, match="cannot be made"):
        StateDirectory.hold(tmp_path / "file", create=True)


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom appliance.statedir import StateDirectory\n"
        f"StateDirectory.hold(Path({str(tmp_path)!r}))\nprint('held', flush=True)\ntime.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(InUse) as caught:
            StateDirectory.hold(tmp_path)
        assert caught.value.pid == child.pid
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    StateDirectory.hold(tmp_path).release()


@pytest.mark.parametrize(
    ("magic", "mounted", "kind"),
    [
        (0x6969, "", "NFS"),
        (0xFF534D42, "", "CIFS"),
        (0xFE534D42, "", "SMB2"),
        (0x01021997, "", "9p"),
        (0x65735546, "fuse.sshfs", "fuse.sshfs"),
        (0x65735546, "fuse.gocryptfs", None),
        (0x65735546, "virtiofs", None),
        (0xEF53, "", None),
        (0x58465342, "", None),
        (0x01021994, "", None),
    ],
)
def test_network_filesystems_are_known(magic: int, mounted: str, kind: str | None) -> None:
    assert statedir.network_kind(magic, lambda: mounted) == kind


def test_a_network_filesystem_is_refused_before_anything_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statedir, "filesystem_magic", lambda path: 0x6969)
    with pytest.raises(StateError, match=r"is on a network filesystem \(NFS\); the state directory needs a local disk"):
        StateDirectory.hold(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_real_filesystem_is_read(tmp_path: Path) -> None:
    assert statedir.filesystem_magic(tmp_path) > 0
    assert statedir.filesystem_magic(Path("/proc")) == 0x9FA0
    assert statedir.mount_type(Path("/proc")) == "proc"
    with pytest.raises(StateError):
        statedir.filesystem_magic(tmp_path / "none")


def test_mountinfo_takes_the_innermost_mount() -> None:
    text = (
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:5 / /srv rw shared:1 - tmpfs none rw\n"
        "3 2 0:6 / /srv/a\\040b rw,relatime - fuse.sshfs host:/x rw\n"
    )
    assert statedir.mount_type(Path("/srv/a b/state"), text) == "fuse.sshfs"
    assert statedir.mount_type(Path("/srv/ab"), text) == "tmpfs"
    assert statedir.mount_type(Path("/srvx"), text) == "ext4"


def test_open_files_are_raised() -> None:
    program = (
        "import resource\nfrom appliance.statedir import raise_open_files\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))\n"
        "got = raise_open_files(512)\nassert got == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512, got\n"
        "assert raise_open_files(300) == 512\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (512, 1024))\nassert raise_open_files(1 << 20) >= 1024\n"
    )
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 1024:
        program = "from appliance.statedir import raise_open_files\nassert raise_open_files(64) >= 64"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
