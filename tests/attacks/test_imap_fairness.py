"""One client's pipeline does not keep the loop from everybody else (RELIABILITY §2.2, G13)."""

from __future__ import annotations

from pathlib import Path

from tests.imap_rig import Talk, desk

MANY = 2_000
AT_ONCE = 100
"""Commands that may be answered before others have their turn."""


def test_F1_a_long_pipeline_lets_others_have_the_loop(tmp_path: Path) -> None:
    """Thousands of NOOPs in one segment: few are answered at once, and in the end all are, in their order."""
    with desk(tmp_path) as room:
        talk = room.client()
        flood = b"".join(b"n%d NOOP\r\n" % n for n in range(MANY))

        async def receive() -> int:
            talk.dialogue.received(flood)
            return bytes(talk.line.written).count(b"\r\n")

        assert 0 < room.run(receive()) <= AT_ONCE  # type: ignore[operator]
        room.settle(talk)
        assert talk.heard() == b"".join(b"n%d OK NOOP completed\r\n" % n for n in range(MANY))


def test_F1_a_pipeline_that_ends_in_idle_is_told_of_changes(tmp_path: Path) -> None:
    """Wherever the pause falls, who idles behind a pipeline hears of new mail."""
    with desk(tmp_path) as room:
        address = room.account()
        for before in range(30, 36):
            idler, other = room.login(address), room.login(address)
            assert idler.do("SELECT INBOX").ok
            assert idler.say(b"n NOOP\r\n" * before + b"i IDLE\r\n").endswith(b"+ idling\r\n")
            assert _append(other)
            room.settle(idler)
            assert b" EXISTS\r\n" in idler.heard()


def _append(talk: Talk) -> bool:
    return talk.append(b"Subject: new\r\n\r\nHello.\r\n").ok
