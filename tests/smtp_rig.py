"""A live MX and submission on loopback, in this process: real store, real directory, real gate, raw sockets to talk to it.

The loop runs in a thread of its own; a test speaks with blocking sockets from its own thread, as a stranger would.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import log
from appliance.auth import Gate
from appliance.loop import Workers
from appliance.maillog import MailLog
from appliance.metrics import Metrics
from appliance.net.resolver import OffResolver, make
from appliance.net.sockets import Listen, open_all
from appliance.net.tls import Certificates
from appliance.ops import people
from appliance.ops import state as ground_floor
from appliance.ops.init import Choices, initialise
from appliance.ops.state import Ground
from appliance.space import Space
from data.clock import SystemClock
from data.principal import Principal, Role
from data.spool.oversight import Listed
from data.store.quarantine import Quarantine
from smtp.delivery.deliver import DeliveryParts
from smtp.delivery.parts import RoleParts
from smtp.delivery.ruling import Rules
from smtp.delivery.srs import Rewriting
from smtp.listener.service import Listener, ListenerParts
from smtp.mailauth.evaluate import Authenticator
from smtp.msa import Msa
from smtp.mx import Mx
from smtp.policy.limits import Limits, Outflow
from smtp.screening.knowledge import Knowledge
from smtp.screening.screen import Parts as ScreenParts
from smtp.screening.screen import Screen
from smtp.submission import Submission

HOSTNAME = "mail.example.test"
REWRITING = Rewriting(b"k" * 32)
PASSWORD = "correct horse 7"
PEOPLE = ("ann", "bob", "eve")
PORTS = ("mx", "submission", "submissions")


class Client:
    """A blocking SMTP client that sends octets as they are."""

    def __init__(self, port: int, host: str = "127.0.0.1", *, tls: bool = False, greet: bool = True) -> None:
        self.sock: socket.socket = socket.create_connection((host, port), timeout=20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""
        if tls:
            self._wrap()
        self.greeting = self.reply() if greet else b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def _wrap(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def line(self) -> bytes:
        """One line; empty at the end of the connection."""
        while b"\n" not in self._left:
            try:
                octets = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLError):
                octets = b""
            if not octets:
                rest, self._left = self._left, b""
                return rest
            self._left += octets
        line, _, self._left = self._left.partition(b"\n")
        return line + b"\n"

    def reply(self) -> bytes:
        """One reply, all its lines; empty at the end of the connection."""
        lines = b""
        while True:
            line = self.line()
            lines += line
            if not line or line[3:4] != b"-":
                return lines

    def replies(self, count: int) -> list[bytes]:
        return [self.reply() for _ in range(count)]

    def cmd(self, text: bytes | str) -> bytes:
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.reply()

    def ehlo(self, name: str = "client.example.org") -> bytes:
        return self.cmd(f"EHLO {name}")

    def starttls(self) -> None:
        assert self.cmd("STARTTLS").startswith(b"220")
        self._wrap()

    def rest(self) -> bytes:
        """Everything until the other side closes."""
        out = self._left
        self._left = b""
        while True:
            try:
                octets = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLError):
                return out
            if not octets:
                return out
            out += octets

    def mail(
        self, message: bytes, *, to: Sequence[str] = ("ann@example.test",), sender: str = "x@example.org"
    ) -> bytes:
        """One transaction after EHLO; the last reply."""
        for step in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in to)):
            answer = self.cmd(step)
            if not answer.startswith(b"250"):
                return answer
        answer = self.cmd("DATA")
        if not answer.startswith(b"354"):
            return answer
        self.send((b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        return self.reply()


@dataclass
class Rig:
    """The listeners and what is behind them."""

    ground: Ground
    ports: dict[str, int]
    loop: asyncio.AbstractEventLoop
    submission: Submission
    listeners: dict[str, Listener] = field(default_factory=dict)

    def client(self, listener: str = "mx", **options: Any) -> Client:
        return Client(self.ports[listener], tls=listener == "submissions", **options)

    def signed_in(self, who: str = "ann", listener: str = "submissions") -> Client:
        """A client of a submission port that has signed in."""
        import base64

        one = self.client(listener)
        one.ehlo()
        if listener == "submission":
            one.starttls()
            one.ehlo()
        token = base64.b64encode(f"\0{who}@example.test\0{PASSWORD}".encode()).decode()
        assert one.cmd(f"AUTH PLAIN {token}").startswith(b"235")
        return one

    def principal(self, who: str = "ann") -> Principal:
        return self.ground.directory.account(f"{who}@example.test").principal()

    def inbox(self, who: str = "ann", mailbox: str = "INBOX") -> list[bytes]:
        """The messages as they are read: prefix and body."""
        store, owner = self.ground.store, self.principal(who)
        box = store.mailboxes.get(owner, owner.account, mailbox).id
        found = []
        after = 1
        while rows := store.messages.contents(owner, box, ((after, 2**32 - 1),)):
            for uid, _, _, prefix, content in rows:
                assert content is not None
                found.append(prefix + content.read(0, content.size))
                after = uid + 1
        return found

    def everything(self) -> list[bytes]:
        return [message for who in PEOPLE for message in self.inbox(who)]

    def spooled(self) -> tuple[Listed, ...]:
        return self.ground.spool.waiting()

    def run(self, work: Any) -> Any:
        """Run a coroutine on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


@contextmanager
def rig(
    path: Path,
    *,
    limits: Limits | None = None,
    bench: bool = False,
    outflow: int = 1000,
    prepare: Callable[[Ground], None] | None = None,
    uvloop: bool = True,
    full: bool = False,
    screen: bool = False,
    dns: str | None = None,
) -> Iterator[Rig]:
    """Listeners on free ports over a fresh state directory; ann is an administrator. `full`: the disk has no room; `dns`: who
    is asked for names; None: nobody, and a message needs no From."""
    initialise(path / "state", Choices("example.test", "Example", {"hostname": HOSTNAME, "dns": "off"}), SystemClock())
    held = ground_floor.hold(path / "state")
    ground = ground_floor.open_ground(held, ground_floor.load_config(path / "state"), SystemClock())
    try:
        for name in PEOPLE:
            role = Role.ADMINISTRATOR if name == "ann" else Role.USER
            people.add_account(ground, f"{name}@example.test", password=PASSWORD, role=role, actor="test")
        if prepare is not None:
            prepare(ground)
        with _serving(ground, limits or Limits(disk_floor=0), bench, outflow, uvloop, full, dns, screen) as one:
            yield one
    finally:
        ground.close()


def knowledge_of(ground: Ground) -> Knowledge:
    return Knowledge(ground.db, ground.directory, ground.keys, ground.scripts)


def screen_of(ground: Ground, workers: Workers, bench: bool) -> Screen:
    parts = ScreenParts(
        knowledge_of(ground), ground.settings, OffResolver(), workers, ground.clock, log.get("screen"), watch=bench
    )
    return Screen(parts)


def new_loop(uvloop: bool) -> asyncio.AbstractEventLoop:
    if uvloop:
        import uvloop as fast

        return fast.new_event_loop()
    return asyncio.new_event_loop()


@contextmanager
def _serving(
    ground: Ground, limits: Limits, bench: bool, outflow: int, uvloop: bool, full: bool, dns: str | None, screen: bool
) -> Iterator[Rig]:
    loop = new_loop(uvloop)
    thread = threading.Thread(target=loop.run_forever, name="rig")
    thread.start()
    certificates = Certificates(ground.state / "tls", HOSTNAME, log.get("tls"))
    opened = open_all([Listen(name, "127.0.0.1", 0) for name in PORTS])
    ports = {name: socks[0].getsockname()[1] for name, socks in opened.items()}

    async def begin() -> tuple[Workers, Gate, Submission, dict[str, Listener]]:
        metrics, workers = Metrics(), Workers()
        gate = Gate(ground.directory, workers, ground.clock, log.get("login"), metrics, bench=bench)
        maillog = MailLog(log.get("mail"), metrics)
        roles = RoleParts(
            hostname=HOSTNAME,
            db=ground.db,
            delivery=DeliveryParts(
                ground.store,
                ground.directory,
                ground.spool,
                ground.story,
                rules=Rules(ground.scripts, ground.store, ground.directory, ground.clock),
                quarantine=Quarantine(ground.db, ground.store.messages, ground.store.mailboxes, ground.story),
                rewriting=REWRITING,
            ),
            workers=workers,
            space=Space(ground.state, 1 << 60 if full else limits.disk_floor, ground.clock, share=1 if full else 20),
            clock=ground.clock,
            maillog=maillog,
            screen=screen_of(ground, workers, bench) if screen else None,
        )
        listening = ListenerParts(
            hostname=HOSTNAME,
            limits=limits,
            workers=workers,
            messages=ground.store.messages,
            gate=gate,
            clock=ground.clock,
            log=log.get("smtp"),
            maillog=maillog,
            metrics=metrics,
            tls=lambda: certificates.server_context("smtp"),
            bench=bench,
        )
        door = Submission(roles, Outflow(ground.clock, per_day=outflow))
        msa = Msa(roles, door, gate.allows_plaintext)
        names = OffResolver() if dns is None else make(dns, ground.clock, log.get("dns"))
        authenticator = Authenticator(names, workers, ground.clock, log.get("mailauth"), hostname=HOSTNAME)
        mx = Mx(roles, authenticator, bench=bench, one_from=dns is not None, draw=lambda: 0.5)
        made = {
            "mx": Listener("mx", mx, listening, opened["mx"]),
            "submission": Listener("submission", msa, listening, opened["submission"]),
            "submissions": Listener("submissions", msa, listening, opened["submissions"], tls_first=True),
        }
        for one in made.values():
            await one.start()
        return workers, gate, door, made

    workers, gate, door, made = asyncio.run_coroutine_threadsafe(begin(), loop).result(30)
    try:
        yield Rig(ground, ports, loop, door, made)
    finally:

        async def end() -> None:
            for one in made.values():
                await one.drain(loop.time())
                await one.stop()
            await asyncio.sleep(0.05)

        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        gate.close()
        workers.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def message(subject: str = "Hello", body: str = "A line.\r\n", sender: str = "x@example.org", **more: str) -> bytes:
    """A small message with CRLF line ends and a Message-ID of its own."""
    import secrets

    head = {
        "From": sender,
        "To": "ann@example.test",
        "Subject": subject,
        "Date": "Mon, 05 Jan 2026 10:11:12 +0100",
        "Message-ID": f"<{secrets.token_hex(8)}@example.org>",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return ("".join(f"{name}: {value}\r\n" for name, value in head.items()) + f"\r\n{body}").encode()
