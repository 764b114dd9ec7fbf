"""A message that came in is judged: SPF, DKIM, ARC, DMARC, within one budget of time.

Promises: the loop is never held: first names are asked on the loop, all at once, then the checks run on threads of their
own, so that a slow name server of one sender takes no thread from anybody else's work. When the budget is spent, what
is not known is a temporary error. A message is read once, piece by piece. May not: refuse, file or write anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from appliance.log import Log
from appliance.loop import Workers
from appliance.net.resolver import Resolver
from data.clock import Clock
from data.errors import StoreError
from data.mime.headers import find_all, split
from data.mime.mailboxes import mailboxes, parse_list
from data.store.intake import Prepared
from smtp.mailauth import arc, dmarc, spf, verify
from smtp.mailauth.facts import Authentication, domain_text, unchecked
from smtp.mailauth.names import Names, Question

BUDGET: Final = 10.0
"""Seconds for all checks of a message (RELIABILITY §1.2)."""
THREADS: Final = 16
PIECE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Incoming:
    """What is judged. `header` is the header as it came, with its empty line; the body begins at `body_at` of `prepared`."""

    address: str
    hello: str | None
    return_path: str
    header: bytes
    prepared: Prepared
    body_at: int


@dataclass(frozen=True, slots=True)
class _Read:
    """The header, looked at: what the checks need of it."""

    fields: verify.Fields
    authors: tuple[str, ...]
    signatures: tuple[verify.Signature, ...]


class Authenticator:
    """Judges messages; one for the process, made on the loop."""

    name = "mailauth"

    def __init__(
        self, resolver: Resolver, workers: Workers, clock: Clock, log: Log, *, hostname: str, budget: float = BUDGET
    ) -> None:
        self._resolver, self._workers, self._clock, self._log = resolver, workers, clock, log
        self._hostname, self._budget = hostname, budget
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mailauth")

    async def judge(self, incoming: Incoming) -> Authentication:
        """What the checks say. Never raises for what a stranger sent or published."""
        names = Names(self._resolver, asyncio.get_running_loop().time() + self._budget)
        try:
            async with asyncio.timeout(self._budget):
                read = read_header(incoming.header)
                await names.ahead(_questions(incoming, read))
                return await self._workers.pooled(self._threads, self._judge, incoming, read, names)
        except TimeoutError:
            return unchecked("out of time")
        except StoreError:
            raise
        except Exception as error:  # an error of ours must not cost anybody a message
            self._log.failure(error, "failure")
            return unchecked("not checked")

    def _judge(self, incoming: Incoming, read: _Read, names: Names) -> Authentication:
        """In a thread."""
        now = self._clock.now()
        found = spf.check(
            names,
            address=incoming.address,
            return_path=incoming.return_path,
            hello=incoming.hello,
            receiver=self._hostname,
        )
        bodies = verify.Bodies(
            [one.tags for one in read.signatures if one.error is None] + arc.message_signatures(read.fields)
        )
        bodies.read(_pieces(incoming))
        dkim = verify.check(read.fields, read.signatures, bodies, names, now)
        chain = arc.check(read.fields, bodies, names)
        return Authentication(found, dkim, chain, dmarc.check(names, read.authors, found, dkim))

    async def start(self) -> None:
        """Nothing is to be begun."""

    async def drain(self, deadline: float) -> None:
        """The listeners wait for the messages that are being judged."""

    async def stop(self) -> None:
        """No message is judged any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def read_header(header: bytes) -> _Read:
    """The fields as the checks take them."""
    found = split(header)
    fields = [(name, raw + b"\r\n") for name, raw in found]
    authors = authors_of(find_all(found, b"from"))
    return _Read(fields, authors, tuple(verify.signatures(fields, authors[0] if authors else "")))


def authors_of(values: list[bytes]) -> tuple[str, ...]:
    """The domains of the From fields, as what shows the message reads them."""
    addresses = (one for value in values for one in mailboxes(parse_list(value, dmarc.DOMAINS_MOST + 1)))
    domains = (domain_text(one.domain or "") for one in addresses)
    return tuple(dict.fromkeys(domain for domain in domains if domain))


def _questions(incoming: Incoming, read: _Read) -> list[Question]:
    """What is asked in any case, asked at once."""
    domain, _ = spf.question(incoming.return_path, incoming.hello)
    asked = [(domain, "TXT")] if "." in domain else []
    asked += verify.keys_wanted(read.signatures) + arc.keys_wanted(read.fields)
    return asked + [one for author in read.authors[: dmarc.DOMAINS_MOST] for one in dmarc.questions(author)]


def _pieces(incoming: Incoming) -> Iterator[bytes]:
    size = incoming.prepared.size
    for at in range(incoming.body_at, size, PIECE):
        yield incoming.prepared.read(at, min(at + PIECE, size))
