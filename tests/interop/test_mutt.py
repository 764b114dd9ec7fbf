"""mutt without a person: sending in batch mode, and keystrokes given beforehand to read an IMAP mailbox."""

from __future__ import annotations

import mailbox
import os
import pty
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.outside import SECONDS, Person, call, compose, parsed, received

_RC = """\
set realname = "Ann of Example"
set from = "{user}"
set use_from = yes
set envelope_from = no
set use_envelope_from = no
set hostname = "client.example.org"
set imap_user = "{user}"
set imap_pass = "{password}"
set smtp_pass = "{password}"
set smtp_url = "{smtp}"
set spoolfile = "{imap}/INBOX"
set folder = "{imap}"
set record = "+Sent"
set postponed = "+Drafts"
set ssl_force_tls = yes
set ssl_starttls = yes
set ssl_ca_certificates_file = "{cert}"
set ssl_verify_host = yes
set certificate_file = "{home}/certificates"
set header_cache = ""
set tmpdir = "{home}"
set send_charset = "us-ascii:utf-8"
set charset = "utf-8"
set confirmappend = no
set confirmcreate = no
set delete = yes
set move = no
set quit = yes
set wait_key = no
set sort = mailbox-order
set mbox_type = Maildir
"""


@dataclass(frozen=True, slots=True)
class Mutt:
    """The program with Ann's settings."""

    path: str
    rc: Path
    home: Path

    @property
    def env(self) -> dict[str, str]:
        """A terminal that draws nothing special, and a home of its own."""
        return {"TERM": "vt100", "HOME": str(self.home), "LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "")}

    def send(self, *words: str | Path, text: str) -> None:
        """Batch mode: the body on standard input."""
        call([self.path, "-n", "-F", self.rc, *words], text=text, env={"HOME": str(self.home)})

    def keys(self, keys: str) -> str:
        """Type `keys` on the spool file; returns what was drawn when mutt has ended."""
        ours, theirs = pty.openpty()
        drawn = bytearray()

        def read() -> None:
            # reading fails when the other side is closed
            try:
                while octets := os.read(ours, 65_536):
                    drawn.extend(octets)
            except OSError:
                pass

        words = [self.path, "-n", "-F", str(self.rc), "-e", f"push '{keys}'"]
        process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=self.env)
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            status = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
        reader.join()
        os.close(ours)
        assert status == 0, drawn.decode("utf-8", "replace")
        return drawn.decode("utf-8", "replace")


@pytest.fixture(params=["tls", "starttls"])
def mutt(request: pytest.FixtureRequest, program: Callable[[str], str], ann: Person, cert: str, tmp_path: Path) -> Mutt:
    """With both connections under TLS from the first octet, or both upgraded."""
    house, user = ann.house, ann.address.replace("@", "%40")
    if request.param == "tls":
        smtp, imap = f"smtps://{user}@localhost:{house.smtps_port}", f"imaps://{user}@localhost:{house.imaps_port}"
    else:
        smtp, imap = f"smtp://{user}@localhost:{house.submission_port}", f"imap://{user}@localhost:{house.imap_port}"
    home = tmp_path / "home"
    home.mkdir()
    rc = tmp_path / "muttrc"
    rc.write_text(_RC.format(user=ann.address, password=ann.password, smtp=smtp, imap=imap, cert=cert, home=home))
    return Mutt(program("mutt"), rc, home)


def test_sends_and_keeps_a_copy(mutt: Mutt, ann: Person, ben: Person, tmp_path: Path) -> None:
    file = tmp_path / "picture.bin"
    file.write_bytes(bytes(range(256)) * 100)
    mutt.send("-s", "Grüße von mutt", "-a", file, "--", ben.address, text="Grüße,\n.\nAnn\n")
    mail = ben.mail("Grüße von mutt")
    assert "with ESMTPSA " in received(mail)[0]
    message = parsed(mail)
    assert str(message["From"]) == f"Ann of Example <{ann.address}>"
    text, attached = message.iter_parts()
    assert text.get_content() == "Grüße,\r\n.\r\nAnn\r\n"
    assert attached.get_content() == file.read_bytes()
    # the copy it put into Sent over IMAP is the same message
    copy = parsed(ann.mail("Grüße von mutt", "Sent"))
    assert copy["Message-ID"] == message["Message-ID"]
    with ann.client() as client:
        client.select_folder("Sent", readonly=True)
        assert client.search("SEEN") == [1]


def test_reads_a_mailbox_and_puts_things_away(mutt: Mutt, ann: Person) -> None:
    for name in ("one", "two", "three"):
        ann.house.deliver(compose("Dora <dora@example.net>", ann.address, name, f"The body of {name}.\n"), ann.address)
    away = mutt.home / "away"
    away.mkdir()
    # look at the first; copy all to a Maildir on disk; flag the second; delete the third; leave, which expunges
    drawn = mutt.keys(
        "<first-entry><display-message><exit>"
        f"<tag-pattern>~A<enter><tag-prefix><copy-message>{away}/box<enter>"
        "<untag-pattern>~A<enter>"
        "<jump>2<enter><flag-message>"
        "<jump>3<enter><delete-message>"
        "<quit>"
    )
    assert "2 kept, 1 deleted." in drawn
    box = mailbox.Maildir(away / "box", create=False)
    try:
        kept = sorted((str(one["Subject"]), one.get_payload()) for one in box)
    finally:
        box.close()
    assert kept == [(name, f"The body of {name}.\n") for name in ("one", "three", "two")]
    with ann.client() as client:
        client.select_folder("INBOX", readonly=True)
        assert client.search() == [1, 2]
        assert client.search("FLAGGED") == [2]
        assert 1 in client.search("SEEN")


def test_searches_on_the_server_and_saves_elsewhere(mutt: Mutt, ann: Person) -> None:
    for name in ("apples", "pears", "apples and pears"):
        ann.house.deliver(compose("dora@example.net", ann.address, name, f"About {name}.\n"), ann.address)
    # =b asks the server to look into the bodies
    mutt.keys('<tag-pattern>=b "About apples"<enter><tag-prefix><save-message>+Archive<enter><quit>')
    assert ann.counts()["Archive"] == 2
    assert ann.counts()["INBOX"] == 1
    assert ann.mail("pears")
