"""Conversations as text, held with the room in memory and with the whole appliance over the loopback.

    ! messages 3      before it begins: three small messages lie in INBOX (UIDs 1 to 3)
    ! anonymous       nobody is logged in; `! plain`: and there is no TLS
    C: a NOOP         a client's line (C2: that of a second client of the same account)
    S: a OK <<.*>>    the server's next line; `<<...>>` is a regular expression, everything else stands for itself
    S: ...            any lines up to the one that comes next in the file

At the end nothing may be left unsaid. Lines that begin with # and empty ones are for the reader.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from imap.session import Rules
from tests.house import House, house
from tests.imap_rig import PASSWORD, Desk, Talk, desk, message

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.txt"))
_LINE = re.compile(r"([CS])(\d?): ?(.*)\Z")
_WILD = re.compile(r"<<(.*?)>>")


class Speaker(Protocol):
    """A client of either kind."""

    def send(self, octets: bytes) -> None: ...
    def line(self) -> bytes: ...
    def left(self) -> bytes: ...


class InMemory:
    """A client of the room alone."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._lines: deque[bytes] = deque()

    def send(self, octets: bytes) -> None:
        self._take(self._talk.say(octets))

    def _take(self, octets: bytes) -> None:
        self._lines.extend(octets.split(b"\r\n")[:-1])

    def line(self) -> bytes:
        if not self._lines:
            self._talk.desk.settle(self._talk)
            self._take(self._talk.heard())
        assert self._lines, "the server said nothing more"
        return self._lines.popleft()

    def left(self) -> bytes:
        self._talk.desk.settle(self._talk)
        self._take(self._talk.heard())
        return b"\r\n".join(self._lines)


class Live:
    """A client of the running appliance."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")

    def send(self, octets: bytes) -> None:
        self._sock.sendall(octets)

    def line(self) -> bytes:
        line = self._file.readline()
        assert line, "the server closed the connection"
        return line.removesuffix(b"\n").removesuffix(b"\r")

    def left(self) -> bytes:
        """Whatever comes before the answer to one last question."""
        try:
            self._sock.sendall(b"left NOOP\r\n")
        except OSError:
            return b""
        said = []
        while line := self._file.readline():
            if line.startswith((b"left ", b"* BAD")):
                break
            said.append(line)
        return b"".join(said)

    def close(self) -> None:
        self._file.close()
        self._sock.close()


def _directives(lines: list[str]) -> dict[str, str]:
    return dict(([*line[2:].split(" ", 1), ""])[:2] for line in lines if line.startswith("! "))


def _hold(lines: list[str], first: Speaker, second: Speaker | None) -> None:
    """Say and hear every line of a file."""
    skipping = False
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "! ")):
            continue
        found = _LINE.match(line)
        assert found, f"line {number}: {line!r}"
        who, which, text = found.groups()
        speaker = second if which == "2" else first
        assert speaker is not None
        if who == "C":
            speaker.send(text.encode() + b"\r\n")
        elif text == "...":
            skipping = True
        else:
            _hear(speaker, text, number, skipping)
            skipping = False


def _hear(speaker: Speaker, text: str, number: int, skipping: bool) -> None:
    pattern = "".join(part if at % 2 else re.escape(part) for at, part in enumerate(_WILD.split(text)))
    while True:
        line = speaker.line().decode("utf-8", "replace")
        if re.fullmatch(pattern, line):
            return
        assert skipping, f"line {number}: expected {text!r}, heard {line!r}"


def _read(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def _messages(lines: list[str]) -> int:
    return int(_directives(lines).get("messages", "0"))


# --- in memory --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_in_memory(path: Path, room: Desk) -> None:
    """The file as it stands, against the room."""
    lines = _read(path)
    told = _directives(lines)
    address = room.account()
    setup = room.login(address)
    for n in range(1, _messages(lines) + 1):
        assert setup.append(message(f"Number {n}", f"Text {n}.\r\n"), more='"01-Feb-2026 10:00:00 +0000" ').ok
    setup.do("SELECT INBOX")
    setup.drop()
    talks = [room.client(Rules(), secure="plain" not in told) for _ in range(2)]
    if "anonymous" not in told:
        for talk in talks:
            assert talk.do(f'LOGIN "{address}" {PASSWORD}').ok
    lines = [line.replace("ADDRESS", address) for line in lines]
    speakers = [InMemory(talk) for talk in talks]
    _hold(lines, speakers[0], speakers[1])
    assert [speaker.left() for speaker in speakers] == [b"", b""]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_octet_by_octet(path: Path, room: Desk) -> None:
    """The same when every octet comes alone."""

    class Slow(InMemory):
        def send(self, octets: bytes) -> None:
            for at in range(len(octets)):
                super().send(octets[at : at + 1])

    lines = _read(path)
    if "plain" in _directives(lines):
        return  # what counts there is what comes in one piece
    address = room.account()
    setup = room.login(address)
    for n in range(1, _messages(lines) + 1):
        setup.append(message(f"Number {n}", f"Text {n}.\r\n"), more='"01-Feb-2026 10:00:00 +0000" ')
    setup.do("SELECT INBOX")
    setup.drop()
    talks = [room.client(Rules()) for _ in range(2)]
    if "anonymous" not in _directives(lines):
        for talk in talks:
            talk.do(f'LOGIN "{address}" {PASSWORD}')
    _hold([line.replace("ADDRESS", address) for line in lines], Slow(talks[0]), Slow(talks[1]))


# --- over the loopback --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served() -> Iterator[House]:
    with house(profile="development") as h:
        yield h


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_live(path: Path, served: House) -> None:
    """The file as it stands, against the running appliance; the lines must come in the same order."""
    lines = _read(path)
    told = _directives(lines)
    address = served.add_account(path.stem.replace("_", "-"))
    client = served.imap(address)
    for n in range(1, _messages(lines) + 1):
        client.append("INBOX", "", '"01-Feb-2026 10:00:00 +0000"', message(f"Number {n}", f"Text {n}.\r\n"))
    client.select("INBOX")
    client.logout()
    with closing(_live(served, told, address)) as one, closing(_live(served, told, address)) as two:
        _hold([line.replace("ADDRESS", address) for line in lines], one, two)
        assert [one.left(), two.left()] == [b"", b""]


def _live(served: House, told: dict[str, str], address: str) -> Live:
    plain = "plain" in told
    speaker = Live(served.connect(served.imap_port if plain else served.imaps_port, tls=not plain))
    speaker.line()
    if "anonymous" not in told:
        speaker.send(f'x LOGIN "{address}" {PASSWORD}\r\n'.encode())
        assert speaker.line().startswith(b"x OK")
    return speaker
