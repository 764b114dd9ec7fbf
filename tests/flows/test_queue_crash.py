"""The queue killed again and again while a sink refuses, defers, hangs and closes by chance (RELIABILITY G5)."""

from __future__ import annotations

import contextlib
import email
import email.policy
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from data.clock import SystemClock
from data.disk import tables as t
from data.spool.envelope import State
from tests.instruments.outbound import Ground
from tests.instruments.sinkmx import SinkMx

PROGRAM = Path(__file__).resolve().parents[1] / "instruments" / "outbound.py"
CHANCES = {"reject": 0.06, "defer": 0.15, "close": 0.08, "hang": 0.02, "late": 0.04, "latedefer": 0.08, "drop": 0.04}


def run_queue(root: Path, port: int, seconds: float) -> subprocess.Popen[str]:
    """A queue as a process of its own; returned when it works."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(root), "--run", str(port), "--seconds", str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_amid_work(process: subprocess.Popen[str], sink: SinkMx, more: int) -> None:
    """SIGKILL once the sink was asked `more` times again (or all is done already)."""
    asked = sum(sink.attempts.values())
    with contextlib.suppress(TimeoutError):
        sink.until(lambda s: sum(s.attempts.values()) >= asked + more, 20)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


def final_recipients(notices: list[bytes]) -> Counter[str]:
    """How often each recipient is reported as failed."""
    found: Counter[str] = Counter()
    for octets in notices:
        report: Any = list(email.message_from_bytes(octets, policy=email.policy.default).iter_parts())[1]
        for group in report.get_payload()[1:]:
            assert group["Action"] == "failed"
            found[str(group["Final-Recipient"]).split("; ")[1]] += 1
    return found


def crash_rounds(root: Path, messages: int, rounds: int, seed: int) -> None:
    draw = random.Random(seed)
    ground = Ground(root, SystemClock()).open()
    for number in range(messages):
        people = [f"u{number}@example{number % 5}.org"] + ([f"v{number}@example.net"] if number % 3 == 0 else [])
        ground.put(*people, message_id=f"<m{number}@example.test>")
    ground.close()
    with SinkMx(seed=seed, chances=CHANCES, silence=5.0) as sink:
        for _ in range(rounds):
            kill_amid_work(run_queue(root, sink.port, 60), sink, draw.randint(1, messages // 4))
        last = run_queue(root, sink.port, 100)
        assert last.stdout is not None
        assert last.stdout.readline() == "done\n"
        last.wait(20)
        last.stdout.close()
        check(root, sink, messages, rounds)


def check(root: Path, sink: SinkMx, messages: int, kills: int) -> None:
    ground = Ground(root, SystemClock()).open()
    try:
        assert ground.waiting() == ()
        with ground.db.read() as reader:
            rows = reader.all(select(t.spool_rcpt.c.address, t.spool_rcpt.c.state, t.spool_item.c.kind).select_from(
                t.spool_rcpt.join(t.spool_item, t.spool_rcpt.c.item_id == t.spool_item.c.id)))  # fmt: skip
        fates = {address: State(state) for address, state, kind in rows if kind == "message"}
        assert len(fates) == messages + (messages + 2) // 3
        assert set(fates.values()) <= {State.DELIVERED, State.BOUNCED}
        confirmed: Counter[str] = Counter(to for one in sink.messages if one.confirmed for to in one.recipients)
        delivered = {address for address, state in fates.items() if state is State.DELIVERED}
        # everything that was said to be delivered is there; every failure was told, once
        assert all(confirmed[address] >= 1 for address in delivered), "lost"
        bounced = {address for address, state in fates.items() if state is State.BOUNCED}
        assert final_recipients(ground.inbox("ann")) == Counter(dict.fromkeys(bounced, 1))
        # confirmed twice only where a kill parted the server's word from our record: two connections, two recipients
        twice = sum(confirmed[address] - 1 for address in confirmed)
        assert twice <= 4 * kills, f"{twice} confirmed duplicates after {kills} kills"
    finally:
        ground.close()


@pytest.mark.crash
def test_G5_queue_crash_short(tmp_path: Path) -> None:
    """Five kills: nothing lost, each failure told exactly once."""
    crash_rounds(tmp_path, messages=60, rounds=5, seed=11)


@pytest.mark.crash
@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.timeout(400)
def test_G5_queue_crash(tmp_path: Path, seed: int) -> None:
    """The longer form."""
    crash_rounds(tmp_path, messages=300, rounds=15, seed=seed)
