"""Many clients of one mailbox at once, over the real store and its threads: each believes only what it is told, checks
every answer against that, and in the end all of them believe what the mailbox holds (G21).
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator

import pytest

from imap.dispatch import Dialogue
from imap.session import Rules
from tests.imap_rig import PASSWORD, Desk, MemoryLine, desk, message, responses

CLIENTS, COMMANDS = 6, 60
_FETCH = re.compile(rb"\* (\d+) FETCH \((?:UID (\d+))?.*?(?:FLAGS (\([^)]*\)))?.*\)\Z", re.DOTALL)


class Believer:
    """A client that keeps book."""

    def __init__(self, room: Desk, address: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.line = MemoryLine()
        self.dialogue = Dialogue(self.line, room.parts, Rules(), secure=True)
        self.room, self.address = room, address
        self.uids: list[int | None] = []
        self.flags: dict[int, set[bytes]] = {}
        self.count = 0

    async def do(self, command: str, *, renumbers: bool = True) -> list[bytes]:
        """Send a command, wait for its answer, and believe what it says."""
        self.count += 1
        tag = f"q{self.count}".encode()
        self.dialogue.received(tag + b" " + command.encode() + b"\r\n")
        for _ in range(20_000):
            if re.search(rb"(?m)^%b " % tag, bytes(self.line.written)):
                break
            await asyncio.sleep(0.001)
        said = responses(bytes(self.line.written))
        self.line.written.clear()
        assert said[-1].startswith(tag + b" "), (command, said[-3:])
        assert not said[-1].startswith((tag + b" BAD", tag + b" NO [SERVERBUG]")), (command, said[-1])
        for line in said[:-1]:
            self._hear(line, renumbers)
        return said

    def _hear(self, line: bytes, renumbers: bool) -> None:
        words = line.split(b" ", 3)
        if len(words) < 3:
            return
        if words[2] == b"EXPUNGE":
            assert renumbers, "EXPUNGE in the middle of a command by number"
            gone = self.uids.pop(int(words[1]) - 1)
            if gone is not None:
                self.flags.pop(gone, None)
        elif words[2] == b"EXISTS":
            assert int(words[1]) >= len(self.uids)
            self.uids += [None] * (int(words[1]) - len(self.uids))
        elif words[2] == b"FETCH":
            self._fetched(line)

    def _fetched(self, line: bytes) -> None:
        found = _FETCH.match(line)
        assert found is not None, line
        number, uid = int(found[1]), int(found[2])
        assert self.uids[number - 1] in (None, uid), (line, self.uids)
        self.uids[number - 1] = uid
        flags = re.search(rb"FLAGS \(([^)]*)\)", line)
        if flags:
            self.flags[uid] = set(flags[1].split()) - {b"\\Recent"}

    async def open(self) -> None:
        self.dialogue.open()
        self.line.written.clear()
        await self.do(f'LOGIN "{self.address}" {PASSWORD}')
        await self.do("SELECT INBOX")

    async def act(self) -> None:
        """One random command."""
        pick, count = self.random, len(self.uids)
        if not count:
            await self._append()
            return
        low = pick.randint(1, count)
        numbers = f"{low}:{min(count, low + pick.randint(0, 3))}"
        flag = pick.choice(["\\Flagged", "\\Seen", "\\Deleted", "word"])
        match pick.randrange(9):
            case 0 | 1:
                await self._append()
            case 2:
                await self.do(f"STORE {numbers} {pick.choice('+-')}FLAGS ({flag})", renumbers=False)
            case 3:
                await self.do(f"FETCH {numbers} (UID FLAGS)", renumbers=False)
            case 4:
                await self.do("SEARCH UNDELETED", renumbers=False)
            case 5:
                await self.do("EXPUNGE")
            case 6:
                await self.do(f"MOVE {low} Trash")
            case 7:
                await self.do(f"COPY {numbers} INBOX")
            case _:
                await self.do("NOOP")

    async def _append(self) -> None:
        body = message(f"n{self.random.random()}")
        await self.do(f"APPEND INBOX {{{len(body)}+}}\r\n{body.decode()}")

    async def end(self) -> tuple[list[int | None], dict[int, set[bytes]]]:
        """What is believed in the end: numbers as they were told, with the UIDs of those never fetched asked for."""
        await self.do("NOOP")
        await self.do("FETCH 1:* UID", renumbers=False)
        return self.uids, {uid: flags for uid, flags in self.flags.items() if uid in self.uids}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.mark.parametrize("seed", range(3))
def test_G21_everybody_believes_what_is_there(room: Desk, seed: int) -> None:
    """Appends, copies, moves, flags and expunges by six clients at once."""
    address = room.account()
    clients = [Believer(room, address, 100 * seed + n) for n in range(CLIENTS)]

    async def live(client: Believer) -> None:
        await client.open()
        for _ in range(COMMANDS):
            await client.act()

    async def everyone() -> list[tuple[list[int | None], dict[int, set[bytes]]]]:
        await asyncio.gather(*(live(client) for client in clients))
        return [await client.end() for client in clients]

    believed = room.run(everyone())
    assert isinstance(believed, list)
    who = room.principal(address)
    box = room.ground.store.mailboxes.get(who, who.account, "INBOX").id
    rows = room.ground.store.messages.rows(who, box, ((1, 2**32 - 1),), ("flags", "keywords"), limit=100_000)
    names = {1: b"\\Seen", 2: b"\\Answered", 4: b"\\Flagged", 8: b"\\Deleted", 16: b"\\Draft"}
    truth = {
        uid: {name for bit, name in names.items() if mask & bit} | set(words.encode().split())
        for uid, mask, words in rows
    }
    for uids, flags in believed:
        assert uids == sorted(truth)
        assert flags == {uid: truth[uid] for uid in flags}
    for client in clients:
        client.dialogue.lost()
