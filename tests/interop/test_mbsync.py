"""mbsync (isync): a Maildir and our mailboxes kept equal, both ways, and left alone when they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.outside import Person, Ran, call, compose

_RC = """\
FSync no

IMAPAccount house
Host localhost
Port {port}
User {user}
Pass {password}
SSLType {ssl}
CertificateFile {cert}

IMAPStore house
Account house

MaildirStore disk
Path {disk}/
Inbox {disk}/INBOX
SubFolders Verbatim

Channel all
Far :house:
Near :disk:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""

MADE_BY_MBSYNC = re.compile(rb"^X-TUID: .*\r?\n", re.MULTILINE)

TRANSFERS = re.compile(r"APPEND|STORE|EXPUNGE|CREATE|DELETE|COPY|MOVE|BODY", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Desk:
    """A person, her Maildirs on disk, and the program between them."""

    person: Person
    disk: Path
    sync: Callable[..., Ran]

    def files(self, mailbox: str = "INBOX") -> dict[Path, bytes]:
        """Each message file, without the directory it lies in, and its octets as the server has them."""
        found = [*(self.disk / mailbox).glob("cur/*"), *(self.disk / mailbox).glob("new/*")]
        return {file: MADE_BY_MBSYNC.sub(b"", file.read_bytes()).replace(b"\n", b"\r\n") for file in sorted(found)}

    def flags(self, mailbox: str = "INBOX") -> list[str]:
        """The Maildir flags of each message."""
        return sorted(file.name.partition(":2,")[2] for file in self.files(mailbox))

    def put(self, octets: bytes, name: str, mailbox: str = "INBOX") -> Path:
        """A message somebody's program left on the disk; `name` ends with its flags."""
        for part in ("cur", "new", "tmp"):
            (self.disk / mailbox / part).mkdir(parents=True, exist_ok=True)
        file = self.disk / mailbox / "cur" / name
        file.write_bytes(octets.replace(b"\r\n", b"\n"))
        return file

    def far(self) -> dict[str, tuple[object, ...]]:
        """Everything a change would show in, of every mailbox of the server: UIDs, flags, octets, MODSEQ."""
        with self.person.client() as client:
            seen: dict[str, tuple[object, ...]] = {}
            for _, _, name in client.list_folders():
                about = client.select_folder(name, readonly=True)
                rows = client.fetch("1:*", ["FLAGS", "MODSEQ", "RFC822.SIZE"]) if about[b"EXISTS"] else {}
                state = [(uid, sorted(row[b"FLAGS"]), row[b"MODSEQ"], row[b"RFC822.SIZE"]) for uid, row in rows.items()]
                seen[name] = (about[b"UIDVALIDITY"], about[b"UIDNEXT"], about[b"HIGHESTMODSEQ"], state)
            return seen

    def near(self) -> dict[str, tuple[int, int]]:
        """Every file below the disk, by inode and time of its last change."""
        found = [file for file in self.disk.rglob("*") if file.is_file() and not file.name.startswith(".")]
        return {str(file): (file.stat().st_ino, file.stat().st_mtime_ns) for file in found}

    def settled(self) -> None:
        """Another run transfers nothing, and both sides are as they were."""
        far, near = self.far(), self.near()
        # with its commands shown
        said = self.sync("-Dn").said
        assert self.far() == far
        assert self.near() == near
        commands = re.findall(r"^(?:F: )?>>> \d+ (.*)$", said, re.MULTILINE)
        assert any(command.startswith("SELECT") for command in commands), said
        assert [command for command in commands if TRANSFERS.search(command)] == []


@pytest.fixture
def desk(request: pytest.FixtureRequest, program: Callable[[str], str], ann: Person, cert: str, tmp_path: Path) -> Desk:
    """Ann's, with nothing synchronised yet."""
    path, disk, rc = program("mbsync"), tmp_path / "disk", tmp_path / "mbsyncrc"
    disk.mkdir()
    ssl = getattr(request, "param", "IMAPS")
    port = ann.house.imaps_port if ssl == "IMAPS" else ann.house.imap_port
    rc.write_text(_RC.format(port=port, user=ann.address, password=ann.password, ssl=ssl, cert=cert, disk=disk))
    return Desk(ann, disk, lambda *words: call([path, *words, "-c", rc, "all"]))


@pytest.mark.parametrize("desk", ["IMAPS", "STARTTLS"], indirect=True)
def test_pulls_everything_once(desk: Desk) -> None:
    ann = desk.person
    sent = {
        f"n{number}": compose("dora@example.net", ann.address, f"n{number}", "Grüße\n" * 40) for number in range(30)
    }
    with ann.client() as client:
        for name, octets in sent.items():
            client.append("INBOX", octets, (b"\\Seen", b"\\Flagged") if name == "n3" else ())
        client.create_folder("Work/工作")
        client.append("Work/工作", sent["n0"])
        client.append("Archive", compose("dora@example.net", ann.address, "large", "x" * 70 + "\n" + "y\n" * 500_000))
    desk.sync()
    assert sorted(desk.files().values()) == sorted(sent.values())
    assert desk.flags().count("FS") == 1
    assert desk.flags().count("") == 29
    # the name on disk is the one on the wire, in modified UTF-7
    assert list(desk.files("Work/&XeVPXA-").values()) == [sent["n0"]]
    assert [len(octets) > 1_000_000 for octets in desk.files("Archive").values()] == [True]
    desk.settled()


def test_pushes_messages_and_mailboxes(desk: Desk) -> None:
    ann = desk.person
    desk.sync()
    letter = compose(ann.address, "dora@example.net", "from the disk", ".\nGrüße\n")
    desk.put(letter, "1.host:2,S")
    desk.put(letter.replace(b"from the disk", b"in a new box"), "2.host:2,FRS", "Projects/Garden")
    desk.sync()
    assert MADE_BY_MBSYNC.sub(b"", ann.mail("from the disk")) == letter
    with ann.client() as client:
        assert client.select_folder("Projects/Garden")[b"EXISTS"] == 1
        (row,) = client.fetch("1:*", ["FLAGS"]).values()
        assert {b"\\Flagged", b"\\Answered", b"\\Seen"} <= set(row[b"FLAGS"])
    desk.settled()


def test_flags_go_both_ways(desk: Desk) -> None:
    ann = desk.person
    for name in ("one", "two"):
        ann.house.deliver(compose("dora@example.net", ann.address, name), ann.address)
    desk.sync()
    with ann.client() as client:
        client.select_folder("INBOX")
        client.add_flags([1], [b"\\Seen", b"\\Flagged"])
    second = next(file for file, octets in desk.files().items() if b"Subject: two\r\n" in octets)
    second.rename(second.parent.parent / "cur" / (second.name.partition(":2,")[0] + ":2,RS"))
    desk.sync()
    assert desk.flags() == ["FS", "RS"]
    with ann.client() as client:
        client.select_folder("INBOX", readonly=True)
        assert client.search(["SEEN", "FLAGGED", "UNANSWERED"]) == [1]
        assert client.search(["SEEN", "ANSWERED", "UNFLAGGED"]) == [2]
        client.select_folder("INBOX")
        client.remove_flags([1], [b"\\Flagged"])
    desk.sync()
    assert desk.flags() == ["RS", "S"]
    desk.settled()


def test_what_is_removed_on_one_side_goes_on_the_other(desk: Desk) -> None:
    ann = desk.person
    for name in ("one", "two", "three"):
        ann.house.deliver(compose("dora@example.net", ann.address, name), ann.address)
    desk.sync()
    with ann.client() as client:
        client.select_folder("INBOX")
        client.delete_messages([1])
        client.expunge()
    next(file for file, octets in desk.files().items() if b"Subject: two\r\n" in octets).unlink()
    desk.sync()
    desk.settled()
    (left,) = desk.files().values()
    assert b"Subject: three\r\n" in left
    with ann.client() as client:
        client.select_folder("INBOX", readonly=True)
        assert client.search() == [3]
