"""The log: one line per event, nothing that breaks a line, no secret."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from appliance import log
from data.errors import Unavailable


class Written:
    """A log set up on a string."""

    def __init__(self, level: str = "info") -> None:
        self.stream = io.StringIO()
        self.writer = log.setup(level, self.stream)

    def lines(self) -> list[str]:
        self.writer.flush()
        return self.stream.getvalue().splitlines()


@pytest.fixture
def written() -> Iterator[Written]:
    before = logging.getLogger().level
    out = Written()
    yield out
    logging.getLogger().removeHandler(out.writer)
    out.writer.close()
    logging.getLogger().setLevel(before)
    logging.captureWarnings(False)
    logging.raiseExceptions = True


def test_a_line_is_logfmt(written: Written) -> None:
    log.get("smtp").bind(id="abc").info("listen", host="127.0.0.1", port=25, tls=True, note="two words", none=None)
    (line,) = written.lines()
    stamp, rest = line.split(" ", 1)
    assert stamp.startswith("ts=20") and stamp.endswith("Z")
    assert rest == 'level=info room=smtp verb=listen id=abc host=127.0.0.1 port=25 tls=true note="two words"'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\r\nb", r'"a\r\nb"'),
        ("\x1b[31mred", r'"\x1b[31mred"'),
        ('say "x"', r'"say \"x\""'),
        ("back\\slash", r'"back\\slash"'),
        ("\u202eevil\u2028", r'"\u202eevil\u2028"'),
        ("\x85\x7f\x00", r'"\x85\x7f\x00"'),
        ("lone\ud800", r'"lone\ud800"'),
        ("tag\U000e0041", r'"tag\U000e0041"'),
        (b"by\xfftes", r'"by\\xfftes"'),
        ("a=b", '"a=b"'),
        ("", '""'),
        ("用户", '"用户"'),
    ],
)
def test_N15_values_cannot_break_a_line(written: Written, value: object, shown: str) -> None:
    log.get("smtp").info("connect", helo=value)
    (line,) = written.lines()
    assert line.endswith(f" helo={shown}")
    line.encode("utf-8")


def test_N15_every_control_character_is_escaped() -> None:
    hostile = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F)]))
    assert all(char.isprintable() for char in log.escape(hostile))


def test_secrets_are_not_written(written: Written) -> None:
    log.get("auth").info("login", user="u", password="canary", api_token="canary", master_key="canary", passwd="canary")
    logging.getLogger("some.library").warning("C: AUTH PLAIN canary then LOGIN someone canary")
    text = "\n".join(written.lines())
    assert "canary" not in text
    assert text.count("***") == 6


def test_library_arguments_are_not_written_below_debug(written: Written) -> None:
    logging.getLogger("some.library").warning("bad line %r", b"canary of a body")
    (line,) = written.lines()
    assert "verb=library" in line and "canary" not in line


def test_an_unknown_verb_is_an_error(written: Written) -> None:
    with pytest.raises(log.UnknownVerb):
        log.get("smtp").info("frobnicate")  # type: ignore[arg-type]
    assert written.lines() == []


def test_long_values_are_cut(written: Written) -> None:
    log.get("smtp").info("connect", helo="a" * 100_000)
    (line,) = written.lines()
    assert len(line) < 700


def test_failure_says_type_and_place_but_not_the_text(written: Written) -> None:
    def fail(error: Exception) -> None:
        try:
            raise error
        except Exception as caught:
            log.get("store").failure(caught, id="x")

    fail(ValueError("canary of a body"))
    fail(Unavailable("disk sda1 failed"))
    fail(OSError(28, "No space left on device"))
    first, second, third = written.lines()
    assert "canary" not in first and "error=ValueError" in first and "test_log.py:" in first and " id=x " in first
    assert 'why="disk sda1 failed"' in second
    assert "No space left on device (errno 28)" in third


def test_level_is_kept(written: Written) -> None:
    log.get("smtp").debug("connect", id="1")
    assert written.lines() == []


def test_a_closed_stream_costs_lines_not_an_error() -> None:
    stream = io.StringIO()
    writer = log.setup("info", stream)
    try:
        stream.close()
        log.get("smtp").info("connect")
        writer.flush()
    finally:
        logging.getLogger().removeHandler(writer)
        writer.close()
        logging.captureWarnings(False)
        logging.raiseExceptions = True


def test_ids_differ() -> None:
    assert len({log.new_id() for _ in range(1000)}) == 1000
