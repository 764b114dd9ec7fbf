r"""Conversations as text, spoken with the live listeners.

A dialogue is a file beside this one. `LISTENER name` chooses the port (mx, submission, submissions), `C: text` sends a
line (lines that follow each other go out in one write; `\r`, `\n`, `\0`, `\x..` and `\\` are escapes, `C- text` sends
without a line end), `S: text` expects a reply that begins so, `S+ text` that the reply just read holds a line, `S- text`
that it does not, `TLS` makes the handshake, `END` expects the connection to close, `INBOX name count` counts what was
delivered in this dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.smtp_rig import Client, Rig, rig

DIALOGUES = sorted(Path(__file__).parent.glob("*.txt"))
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|.)")
_NAMED = {"r": "\r", "n": "\n", "0": "\0", "\\": "\\"}


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("dialogs"), uvloop=request.param == "uvloop") as made:
        yield made


def unescape(text: str) -> bytes:
    def put(match: re.Match[str]) -> str:
        code = match[1]
        octet = int(code[1:], 16) if len(code) == 3 else ord(_NAMED[code])
        return chr(octet if octet < 0x80 else 0xDC00 + octet)

    return _ESCAPE.sub(put, text).encode("utf-8", "surrogateescape")


class Speaker:
    """Plays one dialogue."""

    def __init__(self, one: Rig) -> None:
        self.rig = one
        self.client: Client | None = None
        self.out = b""
        self.reply = b""
        self.before = {name: len(one.inbox(name)) for name in ("ann", "bob", "eve")}

    def flush(self) -> Client:
        assert self.client is not None
        if self.out:
            self.client.send(self.out)
            self.out = b""
        return self.client

    def play(self, line: str) -> None:
        word, _, text = line.partition(" ")
        match word:
            case "LISTENER":
                self.client = self.rig.client(text, greet=False)
            case "C:":
                self.out += unescape(text) + b"\r\n"
            case "C-":
                self.out += unescape(text)
            case "S:":
                self.reply = self.flush().reply()
                assert self.reply.startswith(text.encode()), self.reply
            case "S+":
                assert text.encode() in self.reply, self.reply
            case "S-":
                assert text.encode() not in self.reply, self.reply
            case "TLS":
                self.flush()._wrap()
            case "END":
                assert self.flush().reply() == b""
            case "INBOX":
                name, count = text.split()
                assert len(self.rig.inbox(name)) - self.before[name] == int(count)
            case _:
                raise AssertionError(f"no such step: {line}")


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_dialogue(one: Rig, path: Path) -> None:
    speaker = Speaker(one)
    try:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if line and not line.startswith("#"):
                play(speaker, f"{path.name}:{number}", line)
    finally:
        if speaker.client is not None:
            speaker.client.sock.close()


def play(speaker: Speaker, where: str, line: str) -> None:
    try:
        speaker.play(line)
    except AssertionError as error:
        raise AssertionError(f"{where}: {line}: {error}") from error


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 12
