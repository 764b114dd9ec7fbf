"""Crash points on the way out (RELIABILITY §1.3): C9 and C10 may send twice, never not at all; C11 bounces exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from data.disk.crashpoints import EXIT_CODE
from tests.house import House, house
from tests.instruments.sinkmx import SinkMx

pytestmark = pytest.mark.crash

ANN = "ann@example.test"
MESSAGE_ID = "<out@example.test>"


@pytest.fixture
def sink() -> Iterator[SinkMx]:
    with SinkMx() as built:
        yield built


@pytest.fixture
def kept(tmp_path: Path, sink: SinkMx) -> Iterator[House]:
    with house(tmp_path / "state", start=False, route_all=f"127.0.0.1:{sink.port}") as built:
        built.run("account", "add", ANN, "--password-stdin", text="secret\n")
        yield built


def submit(built: House, recipient: str) -> None:
    text = f"From: {ANN}\r\nTo: {recipient}\r\nSubject: out\r\nMessage-ID: {MESSAGE_ID}\r\n\r\nHello.\r\n"
    with built.submission(ANN) as client:
        client.sendmail(ANN, [recipient], text)


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def inbox(built: House) -> list[bytes]:
    with built.imap(ANN) as client:
        client.select("INBOX", readonly=True)
        _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [part[1] for part in data if isinstance(part, tuple)]


def waiting(built: House) -> int:
    """Recipients that are not done."""
    return len(built.ask("queue.list")["recipients"])


def retry(built: House) -> None:
    """Make everything that waits due now."""
    built.ask("queue.retry", item=[])


def crash(built: House, point: str, recipient: str) -> None:
    built.start(env={"MAILSTEAD_CRASHPOINT": point})
    submit(built, recipient)
    assert built.ended(40) == EXIT_CODE, f"{point} was not passed"


@pytest.mark.parametrize("point", ["C9", "C10"])
def test_sent_but_not_recorded_is_sent_again_and_never_lost(kept: House, sink: SinkMx, point: str) -> None:
    crash(kept, point, "carol@example.org")
    before = len(sink.messages)
    kept.start()
    retry(kept)
    until(lambda: waiting(kept) == 0)
    copies = [m for m in sink.messages if m.message_id == MESSAGE_ID]
    assert 1 <= len(copies) <= 2
    assert len(copies) == before + 1
    assert inbox(kept) == []
    assert kept.run("verify").returncode == 0


def test_C11_a_failure_and_its_bounce_are_never_apart(kept: House, sink: SinkMx) -> None:
    crash(kept, "C11", "reject@example.org")
    kept.start()
    retry(kept)
    until(lambda: waiting(kept) == 0)
    (bounce,) = inbox(kept)
    report = message_from_bytes(bounce)
    assert report.get_content_type() == "multipart/report"
    assert report["Auto-Submitted"] == "auto-replied"
    assert b"reject@example.org" in bounce
    assert sink.messages == []
    kept.stop()
    kept.start()
    assert len(inbox(kept)) == 1
    assert kept.run("verify").returncode == 0
