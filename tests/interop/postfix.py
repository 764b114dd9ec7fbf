"""A private Postfix for example.org: the rest of the world, as far as mail goes.

It listens on port 25 of loopback addresses of its own (127.x.y.z, taken at random so that two runs do not meet), offers
STARTTLS on one and not on the other, keeps its people's mail in Maildirs, and sends what is for our domain to our MX
with opportunistic TLS. Configuration, queue, log and mail are below one directory; started and stopped by its own
commands. Needs root.

The recipients: `alice` and `carol` have mailboxes; `later` is put off at RCPT (450); `broken` is accepted, then bounced;
anybody else is refused (550 5.1.1).
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.house import House
from tests.interop.outside import call, self_signed, until

NOBODY = 65534
NAME = "mx.example.org"

_MAIN = """\
compatibility_level = 3.6
config_directory = {etc}
queue_directory = {base}/spool
data_directory = {base}/data
maillog_file = {base}/postfix.log
maillog_file_prefixes = /
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.org
myorigin = example.org
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
append_dot_mydomain = no
biff = no
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
message_size_limit = 41943040
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = example.org, plain.example.org
virtual_mailbox_base = {base}/mail
virtual_mailbox_maps = texthash:{etc}/mailboxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
transport_maps = texthash:{etc}/transport
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{etc}/access
smtpd_tls_cert_file = {base}/cert.pem
smtpd_tls_key_file = {base}/key.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtp_tls_security_level = may
smtp_tls_CAfile = {trusted}
smtp_tls_loglevel = 1
"""

# The client (smtp) is verbose, so that the log tells what it made of our extensions.
_MASTER = """\
{host}:25 inet n - n - - smtpd
{plain}:25 inet n - n - - smtpd -o smtpd_tls_security_level=none
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
tlsmgr    unix  - - n 1000? 1 tlsmgr
smtp      unix  - - n - - smtp -v
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
fails     unix  - n n - - pipe flags= user=nobody argv=/bin/sh -c "exit 67"
"""

_MAPS = {
    "mailboxes": "alice@example.org alice/\ncarol@example.org carol/\nlater@example.org later/\nbroken@example.org x/\n"
    "alice@plain.example.org alice/\n",
    "access": "later@example.org 450 4.2.0 come back later\n",
    "transport": "example.test smtp:[127.0.0.1]:{port}\nbroken@example.org fails:\n",
}


class Postfix:
    """The running instance. `host` takes STARTTLS, `plain` does not; both on port 25."""

    def __init__(self, base: Path, house: House) -> None:
        self.base, self.etc = base, base / "etc"
        network = f"127.{random.randint(1, 250)}.{random.randint(0, 250)}."
        self.host, self.plain = network + "1", network + "2"
        self._write(house)

    @classmethod
    @contextmanager
    def running(cls, house: House) -> Iterator[Postfix]:
        """One for the length of a block."""
        if os.geteuid() != 0:
            pytest.skip("Postfix is started by root only")
        # not below pytest's directory, which Postfix's unprivileged processes may not enter
        os.umask(0o022)
        base = Path(tempfile.mkdtemp(prefix="postfix-"))
        base.chmod(0o755)
        try:
            peer = cls(base, house)
            peer.postfix("start")
            try:
                yield peer
            finally:
                peer.postfix("stop")
        finally:
            shutil.rmtree(base, ignore_errors=True)

    def _write(self, house: House) -> None:
        for name in ("etc", "spool", "data", "mail"):
            (self.base / name).mkdir()
        shutil.chown(self.base / "data", "postfix")
        os.chown(self.base / "mail", NOBODY, NOBODY)
        trusted = shutil.copy(house.state / "tls" / "cert.pem", self.base / "trusted.pem")
        words = {"etc": self.etc, "base": self.base, "host": self.host, "plain": self.plain, "trusted": trusted}
        (self.etc / "main.cf").write_text(_MAIN.format(**words))
        (self.etc / "master.cf").write_text(_MASTER.format(**words))
        for name, text in _MAPS.items():
            (self.etc / name).write_text(text.format(port=house.smtp_port))
        self_signed(self.base, NAME)

    def postfix(self, command: str) -> None:
        """`start` or `stop`; both return when it is done."""
        # its output goes to a file: the daemons inherit it, and a pipe would never end
        with contextlib.suppress(FileNotFoundError):
            (self.base / "said").unlink()
        line = f'exec postfix -c "{self.etc}" {command} > "{self.base}/said" 2>&1 < /dev/null'
        done = call(["sh", "-c", line], expect=None)
        assert done.status == 0, (self.base / "said").read_text() + self.log()

    def send(
        self, octets: bytes, *recipients: str, sender: str = "alice@example.org", options: tuple[str, ...] = ()
    ) -> None:
        """Send as somebody on that machine does, by its sendmail command."""
        text = octets.replace(b"\r\n", b"\n")
        call(["sendmail", "-C", self.etc, "-i", *options, "-f", sender, "--", *recipients], text=text)

    def log(self) -> str:
        """What it wrote so far."""
        path = self.base / "postfix.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def await_log(self, pattern: str) -> re.Match[str]:
        """The first match of `pattern` in the log, when it is there."""
        return until(lambda: re.search(pattern, self.log()), f"{pattern} in Postfix's log")

    def mail(self, who: str, subject: str) -> bytes:
        """The one message in a Maildir with that subject, when it has come."""
        field = re.compile(rb"^Subject: .*" + re.escape(subject.encode()), re.MULTILINE)

        def look() -> list[bytes]:
            files = sorted((self.base / "mail" / who).glob("new/*"))
            return [octets for octets in (one.read_bytes() for one in files) if field.search(octets)]

        found = until(look, f"{subject!r} in the mailbox of {who}")
        assert len(found) == 1
        return found[0]
