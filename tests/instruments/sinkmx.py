"""A counting sink MX on loopback: takes mail and forgets nothing, refuses, defers, hangs or closes as it is told.

    with SinkMx() as sink:                      # a thread; sink.port is free one
        ...
        sink.wait(3)                            # until three messages are there (or TimeoutError)
        sink.messages                           # list of Received, in order of arrival
        sink.deliveries("<id@example.test>")    # how often each recipient got the message with this Message-ID

What it does is chosen by the recipient's local part, a word that may be followed by digits or by . - + and anything:

    reject      550 to RCPT                     defer       451 to RCPT, always
    greylist    451 to RCPT the first time      full        552 5.2.2 to RCPT
    hang        RCPT is never answered          close       the connection ends at RCPT
    late        554 after the final dot         latedefer   451 after the final dot
    mute        the final dot is never answered drop        the connection ends after the final dot, message kept
    anything else is taken

or at random: SinkMx(seed=7, chances={"reject": 0.05, "defer": 0.2, "mute": 0.05, ...}) draws one of these words for each
RCPT and one for each final dot; `silence` is how long hang and mute keep the connection open.

`down()` closes the listener and every connection, `up()` opens it again on the same port. `tls=True` offers STARTTLS with
a certificate of its own for its name and 127.0.0.1 (`certificate`, PEM); `accounts` are names and passwords that sign in by
PLAIN under TLS, without which no mail is taken then; `inject` is sent in the clear right after the 220 to STARTTLS. `offers` are the EHLO lines.

As a program: sinkmx.py [--port N] [--dir DIR] [--seed N --chance defer=0.2 ...] [--tls] prints `listening 127.0.0.1:N`, and
writes each message as DIR/NNNNNN.eml with its envelope as DIR/NNNNNN.json.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import random
import re
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from email import message_from_bytes, policy
from pathlib import Path

OFFERS = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
AT_RCPT = {
    "reject": "550 5.1.1 no such user here",
    "defer": "451 4.2.0 try again later",
    "full": "552 5.2.2 mailbox full",
}
AFTER_DOT = {"late": "554 5.7.1 not wanted", "latedefer": "451 4.3.0 try again later"}
WORDS = (*AT_RCPT, "greylist", "hang", "close", *AFTER_DOT, "mute", "drop")
_WORD = re.compile(r"([a-z]+)(?:[-.+0-9].*)?@")
_PATH = re.compile(r"(?i)(?:MAIL FROM|RCPT TO):\s*<([^>]*)>\s*(.*)")
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


@dataclass
class Received:
    """One message as it came: `data` un-stuffed, `wire` as sent, `confirmed` when our 250 was written."""

    sender: str
    recipients: list[str]
    data: bytes = field(repr=False)
    wire: bytes = field(repr=False)
    helo: str = ""
    mail_parameters: str = ""
    rcpt_parameters: list[str] = field(default_factory=list)
    tls: bool = False
    peer: str = ""
    connection: int = 0
    confirmed: bool = False

    @property
    def message_id(self) -> str:
        """The Message-ID field, or nothing."""
        return str(message_from_bytes(self.data, policy=policy.compat32)["Message-ID"] or "").strip()

    @property
    def bare_line_ends(self) -> int:
        """CR or LF on the wire that are not part of a CRLF."""
        return len(_BARE.findall(self.wire))


class SinkMx:
    """The sink; start() and stop(), or use it in a `with`."""

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        name: str = "sink.example.org",
        seed: int | None = None,
        chances: Mapping[str, float] | None = None,
        silence: float = 600.0,
        tls: bool = False,
        inject: bytes = b"",
        greeting: str = "",
        offers: Sequence[str] = OFFERS,
        accounts: Mapping[str, str] | None = None,
        directory: Path | None = None,
        on_message: Callable[[Received], None] | None = None,
    ) -> None:
        self.host, self.port, self.name = host, port, name
        self.chances, self.silence = dict(chances or {}), silence
        self.inject, self.greeting, self.offers = inject, greeting, tuple(offers)
        self.directory, self.on_message = directory, on_message
        self.messages: list[Received] = []
        self.connections = 0
        self.attempts: Counter[str] = Counter()
        """How often each recipient was named in RCPT."""
        self._random = random.Random(seed)
        self._grey: set[str] = set()
        self.accounts = dict(accounts or {})
        self.certificate = ""
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context, self.certificate = _context(name)
        self._changed = threading.Condition()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> SinkMx:
        """Listen, in a thread of its own; returns when it does."""
        ready = threading.Event()

        def work() -> None:
            loop = self._loop = asyncio.new_event_loop()
            loop.run_until_complete(self._listen())
            ready.set()
            loop.run_forever()
            loop.run_until_complete(self._close())
            loop.close()

        self._thread = threading.Thread(target=work, name="sinkmx", daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the sink did not start")
        return self

    def stop(self) -> None:
        """Close everything."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop = self._thread = None

    def __enter__(self) -> SinkMx:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def down(self) -> None:
        """Refuse connections and break those that are open."""
        self._call(self._close())

    def up(self) -> None:
        """Listen again, on the same port."""
        self._call(self._listen())

    @property
    def address(self) -> str:
        """HOST:PORT, as a route is written."""
        return f"{self.host}:{self.port}"

    def _call(self, work) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    # --- what a test asks -------------------------------------------------------------------------------------------

    def wait(self, count: int, seconds: float = 30.0) -> list[Received]:
        """The messages, once there are at least `count`; TimeoutError after `seconds`."""
        return self.until(lambda sink: len(sink.messages) >= count, seconds)

    def until(self, done: Callable[[SinkMx], bool], seconds: float = 30.0) -> list[Received]:
        """The messages, once `done(sink)`; it is asked again after everything that happens."""
        with self._changed:
            if not self._changed.wait_for(lambda: done(self), seconds):
                raise TimeoutError(f"{len(self.messages)} messages, attempts {dict(self.attempts)}")
            return list(self.messages)

    def deliveries(self, message_id: str) -> Counter[str]:
        """How often each recipient got the message of this Message-ID."""
        return Counter(to for one in list(self.messages) if one.message_id == message_id for to in one.recipients)

    def clear(self) -> None:
        """Forget what came so far."""
        with self._changed:
            self.messages.clear()
            self.attempts.clear()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # --- one session ------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        self._tell()
        try:
            await _Session(self, reader, writer, self.connections).run()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the client went away, or the sink is going down
        finally:
            self._open.discard(writer)
            with contextlib.suppress(Exception):
                writer.close()

    def decide(self, recipient: str, words: Sequence[str]) -> str:
        """What happens to a recipient at this point: its own word, or one drawn."""
        named = _WORD.match(recipient)
        if named and named[1] in WORDS:
            return named[1] if named[1] in words else ""
        draw = self._random.random()
        for word in words:
            draw -= self.chances.get(word, 0.0)
            if draw < 0:
                return word
        return ""

    def greylisted(self, recipient: str) -> bool:
        """True the first time."""
        if recipient in self._grey:
            return False
        self._grey.add(recipient)
        return True

    def keep(self, message: Received) -> None:
        """One more message."""
        with self._changed:
            self.messages.append(message)
            number = len(self.messages)
        if self.directory is not None:
            (self.directory / f"{number:06d}.eml").write_bytes(message.data)
            facts = {k: v for k, v in asdict(message).items() if k not in ("data", "wire")}
            (self.directory / f"{number:06d}.json").write_text(json.dumps(facts, indent=1))
        if self.on_message is not None:
            self.on_message(message)


class _Session:
    def __init__(self, sink: SinkMx, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.sink, self.reader, self.writer, self.number = sink, reader, writer, number
        self.helo, self.tls, self.user = "", False, ""
        self.reset()

    def reset(self) -> None:
        self.sender: str | None = None
        self.mail_parameters = ""
        self.recipients: list[str] = []
        self.rcpt_parameters: list[str] = []

    async def say(self, line: str) -> None:
        self.writer.write(line.encode() + b"\r\n")
        await self.writer.drain()

    async def run(self) -> None:
        await self.say(self.sink.greeting or f"220 {self.sink.name} ESMTP sink")
        while line := await self.reader.readline():
            text = line.decode("utf-8", "replace").strip()
            verb = text.split(" ")[0].upper()
            if verb == "QUIT":
                await self.say("221 2.0.0 bye")
                return
            if not await self.command(verb, text):
                return

    async def command(self, verb: str, text: str) -> bool:
        """False ends the session."""
        if verb in ("EHLO", "HELO"):
            await self.greet(verb, text)
        elif verb == "STARTTLS" and self.sink._context is not None:
            await self.starttls()
        elif verb == "AUTH" and self.sink.accounts and self.tls:
            await self.sign_in(text)
        elif verb == "MAIL" and self.sink.accounts and not self.user:
            await self.say("530 5.7.0 sign in first")
        elif verb == "MAIL":
            self.reset()
            found = _PATH.match(text)
            self.sender, self.mail_parameters = (found[1], found[2]) if found else (None, "")
            await self.say("250 2.1.0 ok" if found else "501 5.5.4 syntax")
        elif verb == "RCPT":
            return await self.rcpt(text)
        elif verb == "DATA":
            return await self.data()
        elif verb in ("RSET", "NOOP"):
            self.reset()
            await self.say("250 2.0.0 ok")
        else:
            await self.say("500 5.5.1 what?")
        return True

    async def greet(self, verb: str, text: str) -> None:
        self.helo = text.partition(" ")[2]
        self.reset()
        if verb == "HELO":
            return await self.say(f"250 {self.sink.name}")
        offers = [*self.sink.offers]
        if self.sink._context is not None and not self.tls:
            offers.append("STARTTLS")
        if self.sink.accounts and self.tls:
            offers.append("AUTH PLAIN")
        lines = [self.sink.name, *offers]
        self.writer.write("".join(f"250-{one}\r\n" for one in lines[:-1]).encode())
        return await self.say(f"250 {lines[-1]}")

    async def starttls(self) -> None:
        self.writer.write(b"220 2.0.0 go\r\n" + self.sink.inject)
        await self.writer.drain()
        await self.writer.start_tls(self.sink._context)
        self.tls = True
        self.reset()

    async def sign_in(self, text: str) -> None:
        _, user, password = base64.b64decode(text.split(" ")[2]).decode().split("\0")
        good = self.sink.accounts.get(user) == password
        self.user = user if good else ""
        await self.say("235 2.7.0 welcome" if good else "535 5.7.8 wrong")

    async def rcpt(self, text: str) -> bool:
        found = _PATH.match(text)
        if found is None or self.sender is None:
            await self.say("503 5.5.1 MAIL first")
            return True
        recipient = found[1]
        self.sink.attempts[recipient] += 1
        word = self.sink.decide(recipient, (*AT_RCPT, "greylist", "hang", "close"))
        self.sink._tell()
        if word == "hang":
            await asyncio.sleep(self.sink.silence)
            return False
        if word == "close":
            return False
        if word == "greylist" and self.sink.greylisted(recipient):
            word = "defer"
        if word in AT_RCPT:
            await self.say(AT_RCPT[word])
            return True
        self.recipients.append(recipient)
        self.rcpt_parameters.append(found[2])
        await self.say("250 2.1.5 ok")
        return True

    async def data(self) -> bool:
        if not self.recipients:
            await self.say("554 5.5.1 no valid recipients")
            return True
        await self.say("354 go ahead")
        wire = await self.body()
        words = [self.sink.decide(one, (*AFTER_DOT, "mute", "drop")) for one in self.recipients]
        word = next(filter(None, words), "")
        if word in AFTER_DOT:
            self.reset()
            await self.say(AFTER_DOT[word])
            return True
        message = Received(
            sender=self.sender or "",
            recipients=list(self.recipients),
            data=unstuff(wire),
            wire=wire,
            helo=self.helo,
            mail_parameters=self.mail_parameters,
            rcpt_parameters=list(self.rcpt_parameters),
            tls=self.tls,
            peer=str(self.writer.get_extra_info("peername")),
            connection=self.number,
        )
        self.sink.keep(message)
        if word == "mute":
            self.sink._tell()
            await asyncio.sleep(self.sink.silence)
        if word in ("mute", "drop"):
            self.sink._tell()
            return False
        self.reset()
        await self.say("250 2.0.0 taken")
        message.confirmed = True
        self.sink._tell()
        return True

    async def body(self) -> bytes:
        """The octets up to and with the final dot."""
        wire = bytearray()
        while True:
            line = await self.reader.readuntil(b"\n")
            wire += line
            if line == b".\r\n" and (len(wire) == 3 or wire.endswith(b"\r\n.\r\n")):
                return bytes(wire)


def unstuff(wire: bytes) -> bytes:
    """What the sender meant (RFC 5321 §4.5.2)."""
    body = wire[:-3]
    body = body[1:] if body.startswith(b".") else body
    return body.replace(b"\r\n.", b"\r\n")


def _context(name: str) -> tuple[ssl.SSLContext, str]:
    """A server context with a certificate made now, and that certificate."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(_names(x509, name, ipaddress.ip_address("127.0.0.1")), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context, certificate.public_bytes(serialization.Encoding.PEM).decode()


def _names(x509, name: str, address):
    return x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(address)])


def main() -> None:
    parser = argparse.ArgumentParser(description="a counting sink MX on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--chance", action="append", default=[], metavar="WORD=P", help=", ".join(WORDS))
    parser.add_argument("--silence", type=float, default=600.0)
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    if given.dir is not None:
        given.dir.mkdir(parents=True, exist_ok=True)
    chances = {word: float(chance) for word, _, chance in (one.partition("=") for one in given.chance)}
    sink = SinkMx(
        port=given.port, directory=given.dir, seed=given.seed, chances=chances, silence=given.silence, tls=given.tls
    ).start()
    print(f"listening {sink.address}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        sink.stop()
        print(f"{len(sink.messages)} messages on {sink.connections} connections")


if __name__ == "__main__":
    main()
