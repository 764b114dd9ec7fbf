"""Conversations with the IMAP room in this process: real store, real directory, real login gate, a line in memory.

    with desk(path) as d:
        ann = d.login()
        ann.do("SELECT INBOX")

A Talk is a client that sends octets and sees what comes back; a test decides where they are cut. Nothing waits for time:
`say` returns when the server has worked off everything and waits for more.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from appliance import log
from appliance.auth import Gate
from appliance.loop import Workers
from appliance.maillog import MailLog
from appliance.metrics import Metrics
from appliance.ops import people
from appliance.ops import state as ground_floor
from appliance.ops.init import Choices, initialise
from appliance.ops.state import Ground
from data.clock import SystemClock
from data.principal import Principal, Role
from imap.actions.call import Gone, ImapParts
from imap.dispatch import Dialogue
from imap.hub import Hub
from imap.session import Rules

PASSWORD = "secret"
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class MemoryLine:
    """A transport that keeps what is written; `deaf` is a client that does not read, `patience` how much one that
    will be has read before."""

    def __init__(self, peer: str = "127.0.0.1") -> None:
        self.peer = peer
        self.written = bytearray()
        self.closed = False
        self.tls = False
        self.paused = False
        self.pauses = 0
        self.deaf = False
        self.patience: int | None = None
        self.gone = False
        self._room: asyncio.Future[None] | None = None

    @property
    def congested(self) -> bool:
        return self.deaf or self.gone

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.written += data
        if self.patience is not None and len(self.written) > self.patience:
            self.deaf = True

    async def room(self) -> None:
        while self.deaf and not self.gone:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        if self.gone:
            raise Gone

    def hear(self) -> None:
        """The client reads again."""
        self.deaf, self.patience = False, None
        self.wake()

    def wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def start_tls(self) -> None:
        self.tls = True

    def close(self) -> None:
        self.closed = True

    def pause(self) -> None:
        self.paused = True
        self.pauses += 1

    def resume(self) -> None:
        self.paused = False


@dataclass
class Answer:
    """What one command brought: whole untagged responses, and the tagged line."""

    untagged: list[bytes]
    tagged: bytes

    @property
    def ok(self) -> bool:
        return self.tagged.startswith(b"OK")

    def all(self, pattern: bytes) -> list[bytes]:
        """The untagged responses in which `pattern` is found."""
        return [line for line in self.untagged if re.search(pattern, line, re.DOTALL)]

    def one(self, pattern: bytes) -> bytes:
        """The one untagged response in which `pattern` is found."""
        (found,) = self.all(pattern)
        return found


def responses(octets: bytes) -> list[bytes]:
    """Output cut into whole responses, literals included, without their last CRLF."""
    found: list[bytes] = []
    at = start = 0
    while at < len(octets):
        end = octets.index(b"\r\n", at) + 2
        literal = _LITERAL.search(octets[at:end])
        if literal:
            at = end + int(literal[1])
            continue
        found.append(octets[start : end - 2])
        at = start = end
    return found


class Talk:
    """One client."""

    def __init__(self, desk: Desk, rules: Rules, *, secure: bool, peer: str) -> None:
        self.desk = desk
        self.line = MemoryLine(peer)
        self.dialogue = Dialogue(self.line, desk.parts, rules, secure=secure)
        self._tags = itertools.count(1)
        desk.run(self._open())
        self.greeting = self.heard()

    async def _open(self) -> None:
        self.dialogue.open()

    def heard(self) -> bytes:
        """What was said since the last look."""
        octets = bytes(self.line.written)
        self.line.written.clear()
        return octets

    def say(self, octets: bytes) -> bytes:
        """Send octets; what the server said until it waited for more."""
        self.desk.run(self._say(octets))
        return self.heard()

    async def _say(self, octets: bytes) -> None:
        self.dialogue.received(octets)
        await self.desk.quiet(self.dialogue)

    def do(self, command: str | bytes) -> Answer:
        """One command (without tag and line end), with its literals inside as `{n}` CRLF octets."""
        tag = b"t%d" % next(self._tags)
        raw = command.encode() if isinstance(command, str) else command
        lines = [line for line in responses(self.say(tag + b" " + raw + b"\r\n")) if not line.startswith(b"+ ")]
        assert lines, f"nothing was said to {raw[:80]!r}"
        assert lines[-1].startswith(tag + b" "), lines
        return Answer(lines[:-1], lines[-1][len(tag) + 1 :])

    def append(self, message: bytes, mailbox: str = "INBOX", more: str = "") -> Answer:
        return self.do(b'APPEND "%b" %b{%d+}\r\n%b' % (mailbox.encode(), more.encode(), len(message), message))

    def drop(self) -> None:
        """The client vanishes."""
        self.desk.run(self._drop())

    async def _drop(self) -> None:
        self.line.gone = True
        self.line.wake()
        self.dialogue.lost()
        await self.desk.quiet(self.dialogue)


@dataclass
class Desk:
    """A server without sockets."""

    ground: Ground
    loop: asyncio.AbstractEventLoop
    parts: ImapParts
    gate: Gate
    talks: list[Talk] = field(default_factory=list)
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, work: object) -> object:
        """Run a coroutine on the loop to its end."""
        return self.loop.run_until_complete(work)  # type: ignore[arg-type]

    async def quiet(self, *dialogues: Dialogue) -> None:
        """Return when nobody is busy but with waiting for its client."""
        while True:
            for _ in range(3):
                await asyncio.sleep(0)
            if not self.parts.workers.waiting and not self.gate.waiting and all(
                not d.busy or d.waiting or d.line.congested for d in dialogues
            ):  # fmt: skip
                return
            await asyncio.sleep(0.0005)

    def account(self, role: Role = Role.USER) -> str:
        """A new account's address; its password is PASSWORD."""
        address = f"user{next(self._names)}@example.test"
        people.add_account(self.ground, address, password=PASSWORD, role=role, actor="test")
        return address

    def principal(self, address: str) -> Principal:
        return self.ground.directory.account(address).principal()

    def client(self, rules: Rules | None = None, *, secure: bool = True, peer: str = "127.0.0.1") -> Talk:
        """A client that has said nothing yet."""
        talk = Talk(self, rules or Rules(), secure=secure, peer=peer)
        self.talks.append(talk)
        return talk

    def login(self, address: str | None = None, rules: Rules | None = None) -> Talk:
        """A client that is logged in, as somebody new unless an address is given."""
        talk = self.client(rules)
        answer = talk.do(f'LOGIN "{address or self.account()}" {PASSWORD}')
        assert answer.ok, answer
        return talk

    def settle(self, *talks: Talk) -> None:
        """Let everything that is under way arrive."""
        self.run(self.quiet(*(t.dialogue for t in talks)))


def message(subject: str = "Hello", body: str = "A line.\r\n", **fields: str) -> bytes:
    """A small message with CRLF line ends."""
    head = {
        "From": "Bob Green <bob@example.org>",
        "To": "Ann Brown <ann@example.test>",
        "Subject": subject,
        "Date": "Mon, 05 Jan 2026 10:11:12 +0100",
        "Message-ID": f"<{abs(hash((subject, body)))}@example.org>",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"{lines}\r\n{body}".encode()


@contextmanager
def desk(path: Path) -> Iterator[Desk]:
    """A desk over a fresh state directory."""
    initialise(path / "state", Choices("example.test", "Example", {"hostname": "mail.example.test", "dns": "off"}),
               SystemClock())  # fmt: skip
    ground = ground_floor.open_ground(
        ground_floor.hold(path / "state"), ground_floor.load_config(path / "state"), SystemClock()
    )
    loop = asyncio.new_event_loop()
    workers = Workers(threads=4, loop=loop)
    gate = Gate(ground.directory, workers, ground.clock, log.get("login"), Metrics(), bench=True)
    hub = Hub(ground.store.changes, loop.call_soon_threadsafe)
    parts = ImapParts(
        ground.store, gate, workers, ground.clock, log.get("imap"), hub, MailLog(log.get("mail"), Metrics()), "0"
    )
    made = Desk(ground, loop, parts, gate)
    try:
        yield made
    finally:
        for talk in made.talks:
            talk.drop()
        gate.close()
        workers.close()
        hub.close()
        ground.close()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
