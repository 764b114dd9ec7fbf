"""Private rspamd and clamd from Debian's packages: own files, own sockets, ended by the ids they were started with."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
_RSPAMD = """
.include "$CONFDIR/common.conf"
options {{
    .include "$CONFDIR/options.inc"
    pidfile = "{root}/rspamd.pid";
    dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.05s; retransmits = 1; }}
}}
logging {{ type = "file"; filename = "{root}/rspamd.log"; level = "error"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
"""
_CLAMD = """
Foreground yes
LocalSocket {root}/clamd.sock
DatabaseDirectory {root}/db
StreamMaxLength 1M
"""


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def _running(command: list[str], answers: socket.AddressFamily, address: str | tuple[str, int]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with socket.socket(answers) as sock:
                if sock.connect_ex(address) == 0:
                    break
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            time.sleep(0.1)
        else:
            raise TimeoutError(f"{command[0]} does not answer")
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def rspamd(root: Path) -> Iterator[str]:
    """rspamd with its defaults, without names or Redis; yields HOST:PORT."""
    port = _free_port()
    (root / "rspamd.conf").write_text(_RSPAMD.format(root=root, port=port))
    held = [f"--var={name}={root}" for name in ("DBDIR", "RUNDIR", "LOGDIR")]
    command = ["/usr/bin/rspamd", "-f", "-i", "-c", str(root / "rspamd.conf"), *held]
    with _running(command, socket.AF_INET, ("127.0.0.1", port)):
        yield f"127.0.0.1:{port}"


@contextmanager
def clamd(root: Path) -> Iterator[str]:
    """clamd with one signature of ours, that of EICAR; yields the path of its socket."""
    (root / "db").mkdir()
    (root / "db" / "own.ndb").write_text(f"Eicar-Own:0:*:{EICAR.hex()}\n")
    (root / "clamd.conf").write_text(_CLAMD.format(root=root))
    place = str(root / "clamd.sock")
    with _running(["/usr/sbin/clamd", "-c", str(root / "clamd.conf")], socket.AF_UNIX, place):
        yield place
