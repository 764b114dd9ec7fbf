"""A queue on a real store, in this process or as a process of its own: mail goes in at the spool, out at a sink.

    async with outbound(tmp_path, clock=clock, routes=Routes(all=("127.0.0.1", sink.port))) as out:
        out.put("bob@example.org")              # a message of ann's
        await out.idle()                        # nothing due, nothing on the wire
        out.inbox("ann")                        # what was delivered to her

The store has the domain example.test with its keys, and the accounts ann and bob. The clock is given: `out.later(ms)`
moves it and wakes the queue. As a program it works on a state directory until nothing waits, or until it is killed:

    outbound.py DIR --put N --to ADDRESS ...      put N messages, print each Message-ID once it is committed
    outbound.py DIR --run PORT [--seconds S]      recover, retry everything and send to PORT; ends when all is done
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.i18n import Catalogue
from appliance.log import get
from appliance.loop import Workers
from appliance.maillog import MailLog
from appliance.metrics import Metrics
from appliance.net.resolver import OffResolver, Resolver
from appliance.net.tls import opportunistic_context
from data.clock import Clock, FakeClock, SystemClock
from data.directory import dkim
from data.directory.directory import Directory
from data.directory.settings import Settings
from data.disk.blobs import Blobs
from data.disk.db import Database, Tx
from data.disk.migrate import upgrade
from data.disk.seal import Keys
from data.ids import AccountId, ItemId, OrganisationId
from data.spool.envelope import NewItem, NewRecipient, State
from data.spool.items import Spool
from data.spool.oversight import Listed
from data.store.store import Store
from data.story import Hop, Story
from smtp.delivery.deliver import DeliveryParts
from smtp.delivery.srs import Rewriting
from smtp.queue.attempt import Calling, Limits
from smtp.queue.carrier import CarrierParts
from smtp.queue.hosts import Hosts
from smtp.queue.local import LocalDelivery
from smtp.queue.postmaster import Postmaster
from smtp.queue.reporting import Reporter
from smtp.queue.route import Router, Routes
from smtp.queue.scheduler import Queue, QueueParts
from smtp.queue.senders import Senders

HOSTNAME = "mail.example.test"
QUICK = Limits(connect=5, greeting=5, ehlo=5, tls=5, mail=5, rcpt=1, data=5, block=5, final=1, quit=1)
"""Time limits for tests; a sink that hangs is given up after a second."""
PAIRS = (dkim.new_pair(dkim.ED25519),)


@dataclass
class Ground:
    """What rests: opened on a directory, closed when done."""

    root: Path
    clock: Clock
    db: Database = field(init=False)
    store: Store = field(init=False)
    story: Story = field(init=False)
    spool: Spool = field(init=False)
    directory: Directory = field(init=False)
    settings: Settings = field(init=False)
    keys: Keys = field(init=False)

    def open(self, pairs: Sequence[dkim.Pair] | None = PAIRS) -> Ground:
        """Open it, or make it with two accounts."""
        where = self.root / "mail.db"
        new = not where.exists()
        upgrade(where)
        self.keys = Keys(bytes(range(32)))
        self.db = Database.open(where, self.clock)
        blobs = Blobs(self.root / "blobs", self.keys)
        if new:
            blobs.prepare_directories()
        self.store = Store(self.db, blobs, self.clock)
        self.story = Story(self.db)
        self.spool = Spool(self.db, self.store.messages, self.story, self.clock)
        self.directory = Directory(self.db, self.clock)
        self.settings = Settings(self.db, self.directory)
        if new:
            self.db.write(lambda tx: self._people(tx, pairs))
        return self

    def _people(self, tx: Tx, pairs: Sequence[dkim.Pair] | None) -> None:
        organisation = self.directory.add_organisation_in(tx, "Example")
        domain = self.directory.add_domain_in(tx, organisation, "example.test")
        if pairs:
            dkim.create_in(tx, domain, self.keys, pairs)
        for name in ("ann", "bob"):
            account = self.directory.add_account_in(tx, f"{name}@example.test", password_verifier="x")
            self.store.mailboxes.create_defaults_in(tx, account)

    def put(
        self,
        *to: str | NewRecipient,
        message_id: str = "<1@example.test>",
        body: bytes = b"Hello.\r\n",
        header: bytes = b"",
        account: str | None = "ann",
        return_path: str | None = None,
        prefix: bytes = b"Received: by mail.example.test; Thu, 1 Jan 2026 00:00:00 +0000\r\n",
        **options: object,
    ) -> ItemId:
        """Put a message into the spool; returns after the commit."""
        header = header or (
            b"From: Ann <ann@example.test>\r\nTo: you\r\nSubject: Hello\r\nMessage-ID: "
            + message_id.encode()
            + b"\r\n\r\n"
        )
        intake = self.store.messages.intake()
        intake.feed(header)
        for at in range(0, len(body), 1 << 18):
            intake.feed(body[at : at + (1 << 18)])
        prepared = intake.finish()
        rcpts = tuple(one if isinstance(one, NewRecipient) else NewRecipient(one) for one in to)

        def op(tx: Tx) -> ItemId:
            values: dict[str, object] = {
                "organisation": OrganisationId(1),
                "account": self.account(account) if account else None,
                "blob": self.store.messages.put_in(tx, OrganisationId(1), prepared),
                "size": prepared.size,
                "return_path": "ann@example.test" if return_path is None else return_path,
                "recipients": rcpts,
                "trail": "t" + message_id.strip("<>").partition("@")[0],
                "prefix": prefix,
                "eightbit": prepared.eightbit,
            }
            return self.spool.put_in(tx, NewItem(**{**values, **options}))  # type: ignore[arg-type]

        return self.db.write(op)

    def account(self, name: str) -> AccountId:
        """The id of ann or bob."""
        return self.directory.account(f"{name}@example.test").id

    def inbox(self, name: str) -> list[bytes]:
        """Every message in an INBOX, with its prefix."""
        who = self.directory.account(f"{name}@example.test").principal()
        box = self.store.mailboxes.get(who, who.account, "INBOX").id
        found = self.store.messages.contents(who, box, ((1, 2**32 - 1),), budget=1 << 30)
        return [prefix + content.read(0, content.size) for _, _, _, prefix, content in found if content]

    def waiting(self) -> tuple[Listed, ...]:
        """Recipients that wait."""
        return self.spool.waiting(most=10_000)

    def states(self) -> dict[State, int]:
        """How many recipients are in each state."""
        return self.spool.counts()

    def told(self, number: str = "1") -> list[Hop]:
        """The story of the message <number@example.test>."""
        return list(self.story.of(f"t{number}"))

    def close(self) -> None:
        """Done."""
        self.db.close()


@dataclass
class Outbound(Ground):
    """The ground with a queue at work on it."""

    queue: Queue = field(init=False)
    hosts: Hosts = field(init=False)
    workers: Workers = field(init=False)

    async def begin(
        self,
        routes: Routes,
        resolver: Resolver | None = None,
        limits: Limits = QUICK,
        port: int = 25,
        own_machine_ok: bool = True,
        slots: int = 40,
        **ways: Any,
    ) -> None:
        """Build and start the queue."""
        self.workers = Workers(threads=4)
        self.hosts = Hosts(self.clock)
        calling = Calling(
            router=Router(resolver or OffResolver(), HOSTNAME, lambda: routes, port=port),
            hosts=self.hosts,
            hostname=HOSTNAME,
            log=get("queue"),
            context=opportunistic_context,
            limits=limits,
            own_machine_ok=own_machine_ok,
            **ways,
        )
        rewriting = Rewriting(b"k" * 32)
        delivery = DeliveryParts(self.store, self.directory, self.spool, self.story, rewriting=rewriting)
        carrier = CarrierParts(
            db=self.db,
            spool=self.spool,
            messages=self.store.messages,
            keys_of=dkim.DkimKeys(self.db, self.keys, self.clock).active,
            local=LocalDelivery(delivery),
            calling=calling,
            workers=self.workers,
            clock=self.clock,
            log=get("queue"),
            sender=Senders(self.directory, rewriting, self.clock).of,
        )
        reporter = Reporter(
            HOSTNAME,
            self.directory,
            self.settings,
            Catalogue.load(),
            lambda work: self.store.messages.content(work.item.blob),
        )
        maillog = MailLog(get("mail"), Metrics())
        postmaster = Postmaster(
            HOSTNAME, self.db, self.spool, self.store.messages, self.directory, self.settings, reporter.catalogue,
            self.clock,
        )  # fmt: skip
        parts = QueueParts(
            carrier, self.directory, self.store.changes, reporter, get("queue"), maillog, slots, postmaster.tell
        )
        self.queue = Queue(parts)
        await self.queue.start()

    async def idle(self, seconds: float = 30.0) -> None:
        """Until nothing is due and nothing is on the wire."""
        async with asyncio.timeout(seconds):
            await self.queue.idle()

    async def later(self, millis: int) -> None:
        """Let time pass, and everything be done that is due then."""
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(millis)
        await self.idle()

    async def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Until something holds, looked at often."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Drain and stop."""
        await self.queue.drain(asyncio.get_running_loop().time() + 2)
        await self.queue.stop()
        await asyncio.get_running_loop().run_in_executor(None, self.workers.close)


@asynccontextmanager
async def outbound(
    root: Path, *, clock: Clock | None = None, pairs: Sequence[dkim.Pair] | None = PAIRS, **options: object
) -> AsyncIterator[Outbound]:
    """A queue at work on a new or known directory."""
    built = Outbound(root, clock or FakeClock())
    built.open(pairs)
    built.spool.recover()
    try:
        await built.begin(**options)  # type: ignore[arg-type]
        try:
            yield built
        finally:
            await built.end()
    finally:
        built.close()


# --- as a program -----------------------------------------------------------------------------------------------------


def put_many(root: Path, count: int, recipients: Sequence[str]) -> None:
    ground = Ground(root, SystemClock()).open()
    for number in range(count):
        name = f"<m{number}@example.test>"
        ground.put(recipients[number % len(recipients)].replace("%", str(number)), message_id=name)
        print(name, flush=True)
    ground.close()


async def run_until_done(root: Path, port: int, seconds: float) -> None:
    options = {"routes": Routes(all=("127.0.0.1", port)), "clock": SystemClock()}
    async with outbound(root, **options) as out:  # type: ignore[arg-type]
        print("ready", flush=True)
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            out.db.write(out.spool.retry_all_in)
            out.hosts._down.clear()
            await asyncio.sleep(0.2)
            if not out.waiting():
                print("done", flush=True)
                return


def main() -> None:
    parser = argparse.ArgumentParser(description="a queue on a state directory of its own")
    parser.add_argument("root", type=Path)
    parser.add_argument("--put", type=int)
    parser.add_argument("--to", action="append", default=[])
    parser.add_argument("--run", type=int, metavar="PORT")
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    if given.put is not None:
        put_many(given.root, given.put, given.to)
    if given.run is not None:
        asyncio.run(run_until_done(given.root, given.run, given.seconds))


if __name__ == "__main__":
    main()
