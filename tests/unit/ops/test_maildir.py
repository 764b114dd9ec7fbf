"""A Maildir comes over whole, once, in order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.ops import maildir
from appliance.ops.control import Stopped
from appliance.ops.state import Ground
from data.directory import installation
from data.errors import DiskFull, Invalid
from data.store.keys import Flag
from data.store.repair import Repair

EVERYTHING = ((1, 2**32 - 1),)


def make(root: Path) -> Path:
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True)
    return root


def put(root: Path, name: str, body: bytes = b"hello\n", part: str = "cur", mtime: int = 1_000_000_000) -> None:
    path = root / part / name
    path.write_bytes(b"Subject: " + name.split(":", maxsplit=1)[0].encode() + b"\n\n" + body)
    os.utime(path, (mtime, mtime))


def rows(ground: Ground, name: str, *columns: str) -> list[tuple[object, ...]]:
    account = ground.directory.account("ann")
    box = ground.store.mailboxes.get(account.principal(), account.id, name)
    return ground.store.messages.rows(account.principal(), box.id, EVERYTHING, columns)


def bodies(ground: Ground, name: str) -> list[bytes]:
    return [
        ground.store.messages.content(blob).read(0, 1 << 30)  # type: ignore[arg-type]
        for _, blob in rows(ground, name, "blob_id")
    ]


def take(ground: Ground, root: Path, mailbox: str | None = None) -> maildir.Report:
    return maildir.import_maildir(ground, ground.directory.account("ann"), root, mailbox, lambda done, total: None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "Maildir")


def test_messages_and_the_marks_that_they_came_are_one_transaction(
    ground: Ground, ann: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two would import everything again."""
    put(root, "1.a")

    def fails(*_: object) -> None:
        raise DiskFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(installation, "mark_imported_in", fails)
        with pytest.raises(DiskFull):
            take(ground, root, "Old mail")
    assert rows(ground, "Old mail") == []
    assert (take(ground, root, "Old mail").imported, len(rows(ground, "Old mail"))) == (1, 1)


def test_order_dates_flags_and_line_ends(ground: Ground, ann: str, root: Path) -> None:
    put(root, "2.b:2,FRS", b"one\r\ntwo\nthree\r\n\n", mtime=1_500_000_000)
    put(root, "1.a", b"first\n", part="new", mtime=1_600_000_000)
    put(root, "3.c:2,DPTX", b"last", mtime=1_400_000_001)
    (root / "cur" / ".hidden").write_bytes(b"x")
    report = take(ground, root, "Old mail")
    assert (report.imported, report.known, report.refused) == (3, 0, [])
    found = rows(ground, "Old mail", "subject", "internal_date", "flags", "keywords")
    assert [row[1:3] for row in found] == [
        ("1.a", 1_600_000_000_000),
        ("2.b", 1_500_000_000_000),
        ("3.c", 1_400_000_001_000),
    ]
    assert [row[3] for row in found] == [
        0,
        int(Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED),
        int(Flag.DELETED | Flag.DRAFT),
    ]
    assert [row[4] for row in found] == ["", "", "$Forwarded"]
    assert bodies(ground, "Old mail")[1] == b"Subject: 2.b\r\n\r\none\r\ntwo\r\nthree\r\n\r\n"
    assert bodies(ground, "Old mail")[2].endswith(b"\r\n\r\nlast")


def test_a_second_run_takes_what_is_new(ground: Ground, ann: str, root: Path) -> None:
    put(root, "1.a", part="new")
    put(root, "2.b:2,")
    assert take(ground, root, "INBOX").imported == 2
    # the reader has moved one to cur and changed a flag: it is the same message
    os.rename(root / "new" / "1.a", root / "cur" / "1.a:2,S")
    os.rename(root / "cur" / "2.b:2,", root / "cur" / "2.b:2,SF")
    put(root, "0.early:2,")
    report = take(ground, root, "INBOX")
    assert (report.imported, report.known) == (1, 2)
    assert [row[1] for row in rows(ground, "INBOX", "subject")] == ["1.a", "2.b", "0.early"]
    assert take(ground, root, "Other").imported == 3


def test_subfolders_become_mailboxes(ground: Ground, ann: str, root: Path) -> None:
    put(root, "1.inbox:2,")
    for name in (".Sent", ".Archive.2023", ".Entw&APw-rfe", ".Tom &- Jerry", ".no maildir"):
        folder = root / name
        if name == ".no maildir":
            folder.mkdir()
        else:
            put(make(folder), f"1.{name}:2,S")
    assert take(ground, root).imported == 5
    account = ground.directory.account("ann")
    names = {box.name: box.messages for box in ground.store.mailboxes.list(account.principal(), account.id)}
    assert {name for name, count in names.items() if count} == {
        "INBOX", "Sent", "Archive/2023", "Entwürfe", "Tom & Jerry",
    }  # fmt: skip
    assert "Archive/2023" in ground.store.mailboxes.subscriptions(account.principal(), account.id)


def test_large_messages_are_streamed(ground: Ground, ann: str, root: Path) -> None:
    line = b"x" * 77 + b"\n"
    body = b"\r\n" + b"y" * (maildir._PIECE - 30) + b"\r\n" + line * 30_000
    put(root, "1.big:2,", body)
    assert take(ground, root, "INBOX").imported == 1
    stored = bodies(ground, "INBOX")[0]
    assert stored == maildir.with_crlf(b"Subject: 1.big\n\n" + body)
    assert list(Repair(ground.db, ground.store.blobs).verify()) == []


def test_a_crlf_on_the_edge_of_a_piece_stays_one(ground: Ground) -> None:
    prepared = maildir._Folder(ground, 1, maildir.Report(), lambda done: None)._stream(  # type: ignore[arg-type]
        iter([b"A: b\r", b"\n\r", b"\nend\n", b"more\r"])
    )
    assert prepared.read(0, 99) == b"A: b\r\n\r\nend\r\nmore\r"
    ground.store.messages.discard(prepared)


def test_what_cannot_be_taken_is_named_and_the_rest_comes(ground: Ground, ann: str, root: Path) -> None:
    put(root, "1.a:2,")
    os.symlink("/nowhere/at/all", root / "cur" / "2.gone:2,")
    put(root, "3.c:2,")
    report = take(ground, root, "INBOX")
    assert report.imported == 2
    assert [name for name, _ in report.refused] == ["2.gone:2,"]


def test_no_maildir(ground: Ground, ann: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        take(ground, tmp_path)
    with pytest.raises(Invalid):
        take(ground, tmp_path / "none", "INBOX")


def test_an_interrupted_import_goes_on_where_it_was(ground: Ground, ann: str, root: Path) -> None:
    for n in range(3 * maildir.GROUP):
        put(root, f"{n:05}.m:2,")
    account = ground.directory.account("ann")

    def stop_after_the_first(done: int, total: int) -> None:
        if done >= maildir.GROUP:
            raise Stopped

    with pytest.raises(Stopped):
        maildir.import_maildir(ground, account, root, "INBOX", stop_after_the_first)
    report = take(ground, root, "INBOX")
    assert report.known > 0 and report.imported > 0
    subjects = [row[1] for row in rows(ground, "INBOX", "subject")]
    assert subjects == [f"{n:05}.m" for n in range(3 * maildir.GROUP)]


def test_groups_are_bounded_in_number_and_octets(tmp_path: Path) -> None:
    root = make(tmp_path / "m")
    for n in range(5):
        put(root, f"{n}", b"x" * (maildir.GROUP_OCTETS // 2))
    found = list(maildir.messages(root))
    assert [len(group) for group in maildir.groups(found)] == [2, 2, 1]
    assert [len(group) for group in maildir.groups(found[:1] * (maildir.GROUP // 2))] != []
