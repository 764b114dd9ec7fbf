"""ManageSieve as text: conversations held with the room in memory and with the whole appliance over the loopback.

! anonymous       nobody is signed in
! fill 20         so many scripts are there (s1, s2, ...)
! big 70000       a PUTSCRIPT whose literal has so many octets is sent
! credentials     the base64 of whoever signs in is sent, as a string
C: NOOP           a client's line
S: OK <<.*>>      the server's next line; `<<...>>` is a regular expression, everything else stands for itself
S: ...            any lines up to the one that comes next in the file
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from appliance import log
from smtp.managesieve.commands import SieveParts
from smtp.managesieve.dialogue import Dialogue
from smtp.managesieve.session import Rules
from tests.house import House, house
from tests.imap_rig import PASSWORD, Desk, MemoryLine, desk

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.txt"))
_WILD = re.compile(r"<<(.*?)>>")
_numbers = itertools.count(1)


class Speaker(Protocol):
    """A client of either kind."""

    def send(self, octets: bytes) -> None: ...
    def line(self) -> bytes: ...


class Line(MemoryLine):
    async def room(self) -> None:
        return


class InMemory:
    """A client of the room alone; octets are handed over one by one."""

    def __init__(self, made: Desk) -> None:
        ground = made.ground
        parts = SieveParts(ground.scripts, ground.directory, made.gate, made.parts.workers, log.get("managesieve"))
        self.made, self.below, self._left = made, Line(), b""
        self.dialogue = Dialogue(self.below, parts, Rules(plaintext_login=True))
        self._run(self.dialogue.open)

    def _run(self, what: object, *words: object) -> None:
        async def inside() -> None:
            what(*words)  # type: ignore[operator]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            while self.made.parts.workers.waiting or self.made.gate.waiting or (
                self.dialogue.busy and self.dialogue._asked is None
            ):  # fmt: skip
                await asyncio.sleep(0.0005)

        self.made.run(inside())
        self._left += bytes(self.below.written)
        self.below.written.clear()

    def send(self, octets: bytes) -> None:
        step = 1 if len(octets) < 2000 else 1000
        for at in range(0, len(octets), step):
            self._run(self.dialogue.received, octets[at : at + step])

    def line(self) -> bytes:
        line, end, self._left = self._left.partition(b"\r\n")
        assert end, f"the server said nothing more: {line!r}"
        return line


class Live:
    """A client of the running appliance."""

    def __init__(self, server: House) -> None:
        self._sock = server.connect(server.port("managesieve"))
        self._file = self._sock.makefile("rb")

    def send(self, octets: bytes) -> None:
        self._sock.sendall(octets)

    def line(self) -> bytes:
        line = self._file.readline()
        assert line, "the server closed the connection"
        return line.removesuffix(b"\r\n")

    def close(self) -> None:
        self._file.close()
        self._sock.close()


def credentials(address: str) -> bytes:
    return base64.b64encode(f"\0{address}\0{PASSWORD}".encode())


def _hold(path: Path, speaker: Speaker, address: str) -> None:
    lines = path.read_text("utf-8").splitlines()
    while not speaker.line().startswith(b"OK"):
        pass
    if "! anonymous" not in lines:
        speaker.send(b'AUTHENTICATE "PLAIN" "' + credentials(address) + b'"\r\n')
        assert speaker.line() == b'OK "Signed in"'
    skipping = False
    for number, line in enumerate(lines, 1):
        if line.startswith("C: "):
            speaker.send(line[3:].encode() + b"\r\n")
        elif line == "S: ...":
            skipping = True
        elif line.startswith("S: "):
            _hear(speaker, line[3:], f"{path.name}:{number}", skipping)
            skipping = False
        elif line.startswith("! "):
            _direct(speaker, line[2:], address)


def _direct(speaker: Speaker, words: str, address: str) -> None:
    word, _, value = words.partition(" ")
    if word == "fill":
        for number in range(int(value)):
            speaker.send(b'PUTSCRIPT "s%d" "keep;"\r\n' % (number + 1))
            assert speaker.line().startswith(b"OK")
    elif word == "big":
        speaker.send(b'PUTSCRIPT "s1" {%d+}\r\n' % int(value) + b"#" * int(value) + b"\r\n")
    elif word == "credentials":
        speaker.send(b'"' + credentials(address) + b'"\r\n')


def _hear(speaker: Speaker, text: str, where: str, skipping: bool) -> None:
    pattern = "".join(part if at % 2 else re.escape(part) for at, part in enumerate(_WILD.split(text)))
    while True:
        line = speaker.line().decode()
        if re.fullmatch(pattern, line):
            return
        assert skipping, f"{where}: expected {text!r}, heard {line!r}"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[House]:
    with house() as built:
        yield built


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_in_memory(room: Desk, path: Path) -> None:
    _hold(path, InMemory(room), room.account())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_live(server: House, path: Path) -> None:
    speaker = Live(server)
    try:
        _hold(path, speaker, server.add_account(f"someone{next(_numbers)}"))
    finally:
        speaker.close()
