"""A private Dovecot on a free port of 127.0.0.1: a second opinion on what IMAP answers should be.

One account without TLS, mail in a Maildir below one directory that goes at the end. Needs root.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.outside import call, until

NOBODY = 65534
USER, PASSWORD = "ann@example.test", "secret"

_CONF = """\
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/dovecot.log
instance_name = {base.name}
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{base}/mail/%u
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={base}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dovecot() -> Iterator[int]:
    """Run one for the length of a block; gives its port."""
    if os.geteuid() != 0:
        pytest.skip("Dovecot is started by root only")
    base = Path(tempfile.mkdtemp(prefix="dovecot-"))
    base.chmod(0o755)
    try:
        (base / "mail").mkdir()
        os.chown(base / "mail", NOBODY, NOBODY)
        port, conf = _free_port(), base / "dovecot.conf"
        conf.write_text(_CONF.format(base=base, password=PASSWORD, uid=NOBODY, port=port))
        # its output goes to a file: the daemons inherit it, and a pipe would never end
        call(["sh", "-c", f'exec dovecot -c "{conf}" > "{base}/said" 2>&1 < /dev/null'])
        try:
            yield port
        finally:
            call(["doveadm", "-c", conf, "stop"])
            until(lambda: not (base / "run" / "master.pid").exists(), "Dovecot's end")
    finally:
        shutil.rmtree(base, ignore_errors=True)
