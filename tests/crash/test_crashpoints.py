"""The process ends at each named point of RELIABILITY §1.3, and the outcome after the restart is the one promised.

C1 to C8 lie on the way in. Before the commit nothing is there, and the sender, who heard nothing, sends again and is
stored once; after the commit the message is there once, whether or not the 250 was heard, and a retransmission from
the same network adds no second one. C9 to C11 lie on the way out (test_crashpoints_out.py).
"""

from __future__ import annotations

import os
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.disk.crashpoints import EXIT_CODE
from tests.house import House, house

pytestmark = pytest.mark.crash

ANN = "ann@example.test"
SMALL, LARGE = 2_000, 400_000


def message(size: int) -> bytes:
    head = "From: bob@example.org\r\nTo: ann@example.test\r\nSubject: crash\r\nMessage-ID: <crash@example.org>\r\n\r\n"
    return (head + "0123456789abcdef\r\n" * (size // 18)).encode()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "state", start=False) as built:
        built.run("account", "add", ANN, "--password-stdin", text="secret\n")
        yield built


def send(built: House, size: int) -> int | None:
    """The reply code to the final dot, or None when the server was gone before it."""
    try:
        with built.smtp() as client:
            client.ehlo()
            client.mail("bob@example.org")
            client.rcpt(ANN)
            return int(client.data(message(size))[0])
    except (smtplib.SMTPServerDisconnected, ConnectionError):
        return None


def crash(built: House, point: str, size: int) -> int | None:
    built.start(env={"MAILSTEAD_CRASHPOINT": point})
    code = send(built, size)
    assert built.ended() == EXIT_CODE, f"{point} was not passed"
    return code


def bodies(built: House) -> list[bytes]:
    with built.imap(ANN) as client:
        client.select("INBOX", readonly=True)
        _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [part[1] for part in data if isinstance(part, tuple)]


def check(built: House, expected: int, size: int) -> None:
    found = bodies(built)
    assert len(found) == expected
    assert all(body.endswith(message(size)) for body in found)
    assert built.run("verify").returncode == 0
    assert list((built.state / "blobs" / "tmp").iterdir()) == []


def files(built: House, pattern: str) -> list[Path]:
    return [path for path in (built.state / "blobs").glob(pattern) if path.is_file()]


TMP, SHARD = "tmp/*", "[0-9a-f][0-9a-f]/*"


@pytest.mark.parametrize(
    ("point", "size", "left"),
    [
        ("C1", LARGE, TMP),
        ("C2", SMALL, None),
        ("C2", LARGE, TMP),
        ("C3", LARGE, TMP),
        ("C4", LARGE, SHARD),
        ("C5", SMALL, None),
        ("C5", LARGE, SHARD),
    ],
)
def test_before_the_commit_nothing_is_there_and_a_retry_is_stored_once(
    kept: House, point: str, size: int, left: str | None
) -> None:
    """What the crash left on the disk is where the table says, and goes: `tmp` at the start, an orphan after an hour."""
    assert crash(kept, point, size) is None
    assert [len(files(kept, pattern)) for pattern in (TMP, SHARD)] == [left == TMP, left == SHARD]
    for orphan in files(kept, SHARD):
        os.utime(orphan, (time.time() - 3700,) * 2)
    kept.start()
    if left == SHARD:
        kept.await_log("orphans=1")
    assert files(kept, "*/*") == []
    check(kept, 0, size)
    assert send(kept, size) == 250
    check(kept, 1, size)


def test_C6_a_torn_commit_is_as_if_it_never_was(kept: House) -> None:
    assert crash(kept, "C7", SMALL) is None
    log = kept.state / "mail.db-wal"
    with log.open("r+b") as stream:
        stream.truncate(log.stat().st_size - 100)
    kept.start()
    check(kept, 0, SMALL)
    assert send(kept, SMALL) == 250
    check(kept, 1, SMALL)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_C7_committed_but_not_heard_is_there_once_even_after_a_retry(kept: House, size: int) -> None:
    assert crash(kept, "C7", size) is None
    kept.start()
    check(kept, 1, size)
    assert send(kept, size) == 250
    check(kept, 1, size)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_C8_acknowledged_is_there_exactly_once(kept: House, size: int) -> None:
    assert crash(kept, "C8", size) == 250
    kept.start()
    check(kept, 1, size)


def test_C21_a_crash_while_recovering_changes_nothing(kept: House) -> None:
    """Twice in the middle of it; the third time it comes to its end."""
    assert crash(kept, "C3", LARGE) is None
    for _ in range(2):
        kept.start(env={"MAILSTEAD_CRASHPOINT": "C21"}, wait=False)
        assert kept.ended() == EXIT_CODE
        assert len(files(kept, TMP)) == 1
    kept.start()
    check(kept, 0, LARGE)
    assert send(kept, LARGE) == 250
    check(kept, 1, LARGE)
