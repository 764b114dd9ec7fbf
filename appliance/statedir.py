"""The state directory: private, locked, and on a disk that keeps its promises.

Promises: `hold` sets umask 077, makes the directory 0700, takes an exclusive lock on DIR/lock that lives as long as
the process, refuses network filesystems, and raises the limit of open files. A directory that is in use is one line that
says by whom. Nothing in the directory is touched before the lock is held.

Refused: NFS, SMB/CIFS, AFS, Coda, Ceph, Lustre, GFS2, OCFS2, 9p (the shares of virtual machines) and the FUSE
filesystems that reach another machine (sshfs, s3fs, rclone, glusterfs, davfs ...): their locks, their shared memory or
their fsync do not mean what SQLite and the durability protocol need. Other FUSE filesystems (an encrypting layer over a
local disk) and virtiofs pass.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import re
import resource
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final

LOCK_NAME: Final = "lock"

_FUSE: Final = 0x65735546
_NETWORK: Final = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x73757245: "Coda",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x01021997: "9p",
    0x564C: "NCP",
}
"""Filesystem types by the magic number statfs(2) gives."""

_FUSE_REMOTE: Final = re.compile(
    r"fuse\.(sshfs|s3fs|rclone|gluster|davfs|webdav|curlftpfs|ceph|mfs|moosefs|lizardfs|juicefs|goofys|gcsfuse|blobfuse"
    r"|smbnetfs|cifs|nfs|afs|vmhgfs)"
)


class StateError(RuntimeError):
    """The state directory cannot be used; the text is one line for the operator."""


class InUse(StateError):
    """Another process holds the lock. `pid` is its id if it is known."""

    def __init__(self, path: Path, pid: int | None) -> None:
        by = f"process {pid}" if pid else "another process"
        super().__init__(f"{path} is in use by {by}")
        self.pid = pid


class StateDirectory:
    """A held state directory; `with StateDirectory.hold(path) as state: state.path`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def hold(cls, path: Path, *, create: bool = False) -> StateDirectory:
        """Take the directory (made if `create`) for this process. Raises StateError, InUse."""
        os.umask(0o077)
        if create:
            _make(path)
        if not path.is_dir():
            raise StateError(f"{path} is not there; make it with: run.py --state {path} init")
        refuse_network(path)
        lock = _take_lock(path)
        try:
            _make_private(path)
        except StateError:
            os.close(lock)
            raise
        return cls(path.resolve(), lock)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> StateDirectory:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{path} cannot be made: {error.strerror}")


def _make_private(path: Path) -> None:
    """0700 and ours (RELIABILITY N16: other users of the machine see nothing)."""
    facts = path.stat()
    if facts.st_uid != os.geteuid():
        owner = _user(facts.st_uid)
        raise StateError(f"{path} belongs to {owner} and this is {_user(os.geteuid())}; run it as {owner}")
    if facts.st_mode & 0o777 != 0o700:
        path.chmod(0o700)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _take_lock(path: Path) -> int:
    try:
        lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StateError(f"{path / LOCK_NAME} cannot be opened: {error.strerror}")
    if not _lock_patiently(lock):
        pid = _holder(lock)
        os.close(lock)
        raise InUse(path, pid)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _lock_patiently(lock: int) -> bool:
    """Take the lock; a few tries, because `locked_by` of another process holds it for a moment."""
    for _ in range(5):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def _holder(lock: int) -> int | None:
    text = os.pread(lock, 20, 0).strip()
    return int(text) if text.isdigit() else None


def locked_by(path: Path) -> int | None:
    """The id of the process that holds the directory; 0 if it is held by an unknown one, None if it is free."""
    try:
        lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _holder(lock) or 0
    finally:
        os.close(lock)
    return None


# --- the filesystem beneath -------------------------------------------------------------------------------------------


def refuse_network(path: Path) -> None:
    """Raise StateError if `path` lies on another machine's disk."""
    kind = network_kind(filesystem_magic(path), lambda: mount_type(path))
    if kind is not None:
        raise StateError(f"{path} is on a network filesystem ({kind}); the state directory needs a local disk")


def network_kind(magic: int, mounted: object) -> str | None:
    """The name of the network filesystem with this statfs magic, or None; `mounted()` names the type of a FUSE mount."""
    if magic == _FUSE and callable(mounted):
        name = str(mounted())
        return name if _FUSE_REMOTE.match(name) else None
    return _NETWORK.get(magic)


def filesystem_magic(path: Path) -> int:
    """`f_type` of statfs(2) (Linux); 0 where it is not known. Raises StateError."""
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    facts = ctypes.create_string_buffer(512)
    if libc.statfs(os.fsencode(path), facts) != 0:
        raise StateError(f"{path}: {os.strerror(ctypes.get_errno())}")
    # The first word of struct statfs is f_type; only its lower 32 bits are the magic number.
    return int(ctypes.cast(facts, ctypes.POINTER(ctypes.c_ulong)).contents.value) & 0xFFFFFFFF


def mount_type(path: Path, mountinfo: str | None = None) -> str:
    """The filesystem type of the mount that holds `path`, as /proc/self/mountinfo names it ("ext4", "fuse.sshfs")."""
    text = Path("/proc/self/mountinfo").read_text("utf-8", "replace") if mountinfo is None else mountinfo
    target = os.path.realpath(path)
    best, kind = -1, ""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        point = _unescape(left.split(" ")[4])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, kind = len(point), right.split(" ")[0]
    return kind


def _unescape(text: str) -> str:
    """Octal escapes of proc(5): a blank in a mount point is written `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


# --- open files -------------------------------------------------------------------------------------------------------


def raise_open_files(wanted: int) -> int:
    """Raise RLIMIT_NOFILE towards `wanted`, as far as the system lets us; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return soft if soft != unlimited else wanted
    within = wanted if hard == unlimited else min(wanted, hard)
    for limits in ((wanted, wanted if hard != unlimited and hard < wanted else hard), (within, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (OSError, ValueError):
            continue
        return limits[0]
    return soft
