"""Ten thousand messages are indexed behind a server that people use: it stays quick, and its memory stays bounded."""

from __future__ import annotations

import os
import random
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from data.index.segments import WIDTH_QUIET
from tests.house import PASSWORD, House, house

COUNT = int(os.environ.get("INDEX_LOAD", "10000"))
NOOP_P99 = 0.050
GROWTH_MB = 100.0


def _maildir(root: Path, count: int) -> Path:
    """Mail of about 2.5 KB: words as frequent as in a language, a tenth of it HTML, a tenth Chinese."""
    for name in ("cur", "new", "tmp"):
        (root / name).mkdir(parents=True)
    chance = random.Random(3)
    vocabulary = ["".join(chance.choices("abcdefghilmnoprstu", k=chance.randint(2, 11))) for _ in range(60_000)]
    weights = list(accumulate(1 / (n + 3) for n in range(len(vocabulary))))
    for n in range(count):
        words = chance.choices(vocabulary, cum_weights=weights, k=chance.randint(80, 500))
        if n % 10 == 1:
            words += [
                "".join(chance.choices("月度报告书的一是在不了有和人这中大为上个国我以要他时来用们", k=12))
                for _ in range(15)
            ]
        html = n % 10 == 2
        lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
        body = "".join(f"<p>{line}</p>\n" for line in lines) if html else "\n".join(lines) + "\n"
        head = (
            f"From: Person {n % 97} <p{n % 97}@example.org>\nTo: ann@example.test\nSubject: {' '.join(words[:5])}\n"
            f"Message-ID: <{n}@example.org>\nDate: Mon, 05 Jan 2026 10:11:12 +0000\nMIME-Version: 1.0\n"
            f"Content-Type: text/{'html' if html else 'plain'}; charset=utf-8\n\n"
        )
        (root / "new" / f"{n:06}.m").write_text(head + body, "utf-8")
    return root


def _rss(h: House) -> float:
    return int(Path(f"/proc/{h.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _status(h: House) -> dict[str, Any]:
    return next(a for a in h.ask("index.status")["accounts"] if a["address"] == "ann@example.test")


def _watch(h: House) -> tuple[list[float], float, float]:
    """NOOPs until everything is indexed: their times, the seconds it took, the most memory seen."""
    client, begun = h.imap("bob@example.test"), time.monotonic()
    client.select("INBOX")
    times, most, look = [], 0.0, 0.0
    while True:
        at = time.perf_counter()
        client.noop()
        times.append(time.perf_counter() - at)
        time.sleep(0.02)
        if time.monotonic() > look:
            look = time.monotonic() + 1.0
            most = max(most, _rss(h))
            status = _status(h)
            if status["ready"] and not status["waiting"]:
                break
    seconds = time.monotonic() - begun
    client.logout()
    return times, seconds, max(most, _rss(h))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_noop_stays_quick_and_memory_bounded_while_mail_is_indexed(tmp_path: Path) -> None:
    maildir = _maildir(tmp_path / "maildir", COUNT)
    with house(tmp_path / "state", start=False) as h:
        for name in ("ann", "bob"):
            h.run("account", "add", f"{name}@example.test", "--password-stdin", text=PASSWORD)
        h.start()
        time.sleep(3)
        before = _rss(h)
        h.stop()
        h.run("import-maildir", "ann@example.test", str(maildir), "--mailbox", "INBOX")
        h.start()
        times, seconds, most = _watch(h)
        small = _status(h)
        while (status := _status(h))["segments"] >= WIDTH_QUIET:
            time.sleep(0.5)
        times.sort()
        p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
        print(
            f"\n{COUNT} messages in {seconds:.1f} s ({COUNT / seconds:.0f}/s), {small['octets'] / COUNT:.0f} octets each, "
            f"{status['octets'] / COUNT:.0f} merged; "
            f"NOOP p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms of {len(times)}; "
            f"memory {before:.0f} MB, most {most:.0f} MB, after merging {_rss(h):.0f} MB"
        )
        assert status["indexed"] == COUNT
        assert p99 < NOOP_P99
        assert most - before < GROWTH_MB
