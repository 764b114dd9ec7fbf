"""The one login gate: every protocol's way to a Principal.

Promises (RELIABILITY A1, A2, A4, A5): an existing, a missing and a suspended user get the same text and wait for the same
work, one argon2id verification, by a dummy verifier where there is no other. Verification runs in a pool of two threads
with a bounded queue; when it is full the refusal is temporary, and one network can take half of it only. Equal attempts
in flight share one verification. A verified login is remembered for ten minutes under an HMAC whose key dies with the
process; it is bound to the stored verifier, and status and verifier are read from the directory's newest generation each
time, so that a changed password or a suspension ends it at once. Failures are counted per network, equal ones once, and
from the sixth in ten minutes answers are delayed, 2 s to 16 s: nobody's account is ever locked.

May not: decide whether a connection may show a password at all; the faces refuse before they ask when there is no TLS
(`allows_plaintext`). Nothing that was typed is logged but the name of an account.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from appliance.log import Log
from appliance.loop import Workers, niced_pool
from appliance.metrics import Metrics
from appliance.net.sockets import is_loopback, network_of, normal_peer
from data.clock import MINUTE, Clock
from data.directory import credentials
from data.directory.facts import Account, Credential
from data.errors import StoreError
from data.ids import AccountId
from data.principal import Principal

WRONG: Final = "Wrong user name or password"
TWO_STEP: Final = "Two-step sign-in is on: use an app password, made in webmail under Password and sign-in"
BUSY: Final = "Too many sign-ins right now, try again shortly"

REMEMBER_SECONDS: Final = 600.0
VERIFIERS: Final = 2
QUEUE_MOST: Final = 128
NETWORK_MOST: Final = 64
_TEXT_MOST: Final = 1_024
_PASSWORD_ONLY: Final = frozenset({"web"})
"""Where an app password is nothing: pages, which can change the password itself, and ask for a second factor
(RELIABILITY N7). Everywhere else the account's own password is refused once a second factor is on."""
_NOTED_EVERY: Final = 600.0
"""Seconds between two notes that a password is in use."""
_ADDRESS: Final = re.compile(r"[\w.+=-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}")
_WINDOW: Final = 10 * MINUTE / 1000
_FREE_FAILURES: Final = 5
_DELAY_FIRST: Final = 2.0
_DELAY_MOST: Final = 16.0


class LoginRefused(Exception):
    """No. `public` may be told to whoever asked; `temporary` when it is worth trying again (SMTP 454, IMAP UNAVAILABLE).

    `app_password`: the password was right, but this protocol takes app passwords alone.
    """

    def __init__(self, public: str, *, temporary: bool = False, app_password: bool = False) -> None:
        super().__init__(public)
        self.public = public
        self.temporary = temporary
        self.app_password = app_password


class Logins(Protocol):
    """What the gate asks of data.directory.Directory."""

    def refresh(self) -> object:
        """Bring the memory up to date; may block."""
        ...

    def login_candidates(self, identity: str) -> Account | None:
        """The account somebody who types `identity` means, suspended ones too."""
        ...

    def credentials(self, account: AccountId) -> tuple[Credential, ...]:
        """The ways to prove it."""
        ...

    def two_step(self, account: AccountId) -> bool:
        """Is a second factor on?"""
        ...

    def used(self, credential: int) -> None:
        """Note that it was used now; may block."""
        ...


class Failures:
    """Failed sign-ins by network: how long the next answer waits. Pure; bounded whatever strangers do."""

    def __init__(self, clock: Clock, *, networks: int = 20_000, distinct: int = 32) -> None:
        self._clock = clock
        self._networks, self._distinct = networks, distinct
        self._seen: OrderedDict[str, OrderedDict[bytes, float]] = OrderedDict()

    def failed(self, network: str, attempt: bytes) -> None:
        """A failure; `attempt` is a digest of what was tried, so that the same wrong password counts once."""
        seen = self._seen.setdefault(network, OrderedDict())
        self._seen.move_to_end(network)
        seen[attempt] = self._clock.monotonic()
        seen.move_to_end(attempt)
        if len(seen) > self._distinct:
            seen.popitem(last=False)
        if len(self._seen) > self._networks:
            self._seen.popitem(last=False)

    def delay(self, network: str) -> float:
        """Seconds to wait before the next attempt of this network is looked at."""
        seen = self._seen.get(network)
        if seen is None:
            return 0.0
        oldest = self._clock.monotonic() - _WINDOW
        while seen and next(iter(seen.values())) <= oldest:
            seen.popitem(last=False)
        if not seen:
            del self._seen[network]
        beyond = len(seen) - _FREE_FAILURES
        return min(_DELAY_FIRST * 2 ** (beyond - 1), _DELAY_MOST) if beyond > 0 else 0.0


class Remembered:
    """Logins that were verified a little while ago, by digest; knows no password. Bounded, pure."""

    def __init__(self, clock: Clock, *, most: int = 20_000) -> None:
        self._clock = clock
        self._most = most
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def add(self, digest: bytes) -> None:
        """This one was verified now."""
        self._until[digest] = self._clock.monotonic() + REMEMBER_SECONDS
        self._until.move_to_end(digest)
        if len(self._until) > self._most:
            self._until.popitem(last=False)

    def holds(self, digest: bytes) -> bool:
        """Was it verified within the last ten minutes?"""
        until = self._until.get(digest)
        if until is None:
            return False
        if until <= self._clock.monotonic():
            del self._until[digest]
            return False
        return True

    def __len__(self) -> int:
        return len(self._until)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One sign-in as it is looked at."""

    identity: str
    password: str
    authzid: str
    protocol: str
    peer: str
    network: str
    exempt: bool


class Gate:
    """The gate; one for the process. `login` is its whole use."""

    def __init__(
        self,
        directory: Logins,
        workers: Workers,
        clock: Clock,
        log: Log,
        metrics: Metrics,
        *,
        bench: bool = False,
        app_key: bytes | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`bench` lifts every limit, and the need for TLS, for peers on loopback; `app_key` digests app passwords."""
        self._directory, self._workers, self._clock = directory, workers, clock
        self._log, self._metrics = log, metrics
        self._bench, self._app_key, self._sleep = bench, app_key, sleep
        self._key = secrets.token_bytes(32)
        self._pool = niced_pool(VERIFIERS, "verify")
        self._remembered = Remembered(clock)
        self._failures = Failures(clock)
        self._verifying: dict[bytes, asyncio.Task[bool]] = {}
        self._waiting: dict[str, int] = {}
        self._noted: dict[int, float] = {}
        self._waiting_all = 0
        self._closed = False

    def allows_plaintext(self, peer: str) -> bool:
        """May a password be shown on this connection without TLS? Only in profile bench, on loopback."""
        return self._bench and is_loopback(peer)

    async def login(
        self,
        identity: str,
        password: str,
        *,
        protocol: str,
        peer: str,
        tls: bool,
        authzid: str = "",
        id: str | None = None,
    ) -> Principal:
        """Verify and return who it is. `protocol` is "smtp", "imap", ...; `id` the connection's. Raises LoginRefused."""
        begun = self._clock.monotonic()
        plain = normal_peer(peer)
        exempt = self._bench and is_loopback(plain)
        attempt = _Attempt(_bounded(identity), _bounded(password), authzid, protocol, plain, network_of(plain), exempt)
        account, credential, outcome = await self._judge(attempt)
        seconds = self._clock.monotonic() - begun
        self._metrics.login(protocol, outcome, seconds)
        note = {"id": id, "protocol": protocol, "peer": plain, "tls": tls, "seconds": round(seconds, 3)}
        if account is not None and outcome == "ok":
            self._log.info("login", account=account.address, **note)
            return account.principal(credential.id if credential is not None else None)
        self._log.warning("login.failed", account=_told(account, identity), why=outcome, **note)
        if outcome == "app-password":
            raise LoginRefused(TWO_STEP, app_password=True)
        raise LoginRefused(BUSY, temporary=True) if outcome == "busy" else LoginRefused(WRONG)

    async def _judge(self, attempt: _Attempt) -> tuple[Account | None, Credential | None, str]:
        """The account that was meant, what proves it, and "ok" or why not."""
        account = await self._find(attempt.identity)
        app = self._app_password(account, attempt)
        if account is not None and app is not None:
            outcome = self._outcome(account, True, attempt)
            if outcome == "ok":
                await self._note(app.id)
            return account, app, outcome
        password = self._password(account)
        verifier = password.verifier if password is not None else credentials.DUMMY_VERIFIER
        digest = self._digest(account, verifier, attempt)
        proved = account is not None and self._remembered.holds(digest)
        if not proved:
            await self._pause(attempt)
            verified = await self._verify(attempt, digest, verifier)
            if verified is None:
                return account, None, "busy"
            # Look again: that took a while, and the account may have changed meanwhile.
            account = await self._find(attempt.identity)
            proved = verified and password is not None and self._password(account) == password
        outcome = self._outcome(account, proved, attempt)
        if outcome == "ok" and account is not None and self._needs_app_password(account, attempt):
            # the owner's own password in a program that cannot ask for a code: no failure, and said clearly
            outcome = "app-password"
        if outcome == "ok" and password is not None:
            await self._note(password.id)
        if outcome in {"ok", "app-password"}:
            self._remembered.add(digest)
        elif not attempt.exempt:
            self._failures.failed(attempt.network, digest[:16])
        return account, password, outcome

    def _needs_app_password(self, account: Account, attempt: _Attempt) -> bool:
        return attempt.protocol not in _PASSWORD_ONLY and self._directory.two_step(account.id)

    async def _note(self, credential: int) -> None:
        """It is in use: known to some minutes, so that not every sign-in writes."""
        now = self._clock.monotonic()
        if now - self._noted.get(credential, -_NOTED_EVERY) < _NOTED_EVERY:
            return
        self._noted[credential] = now
        try:
            await self._workers.blocking(self._directory.used, credential)
        except StoreError as error:  # a full disk keeps nobody from reading
            self._log.failure(error, "login", credential=credential)

    async def _find(self, identity: str) -> Account | None:
        await self._workers.blocking(self._directory.refresh)
        return self._directory.login_candidates(identity)

    def _outcome(self, account: Account | None, proved: bool, attempt: _Attempt) -> str:
        if account is None:
            return "unknown"
        if not account.active:
            return "suspended"
        if not proved:
            return "wrong"
        if attempt.authzid:
            # RFC 4616 §2: acting as somebody else needs a delegation; a sign-in as another account is never delegated.
            wanted = self._directory.login_candidates(_bounded(attempt.authzid))
            if wanted is None or wanted.id != account.id:
                return "authzid"
        return "ok"

    # --- proofs ----------------------------------------------------------------------------------------------------------

    def _password(self, account: Account | None) -> Credential | None:
        """The account's password; None where there is none, or where its owner may not sign in anyway."""
        if account is not None and account.active:
            for credential in self._directory.credentials(account.id):
                if credential.kind == credentials.PASSWORD:
                    return credential
        return None

    def _digest(self, account: Account | None, verifier: str, attempt: _Attempt) -> bytes:
        who = f"#{account.id}" if account is not None else attempt.identity.lower()
        parts = [part.encode("utf-8", "surrogatepass") for part in (who, verifier, attempt.password)]
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.new(self._key, framed, hashlib.sha256).digest()

    def _app_password(self, account: Account | None, attempt: _Attempt) -> Credential | None:
        """The app password that was given, if it is one of this account and good for this protocol."""
        if account is None or not account.active or self._app_key is None or not attempt.password:
            return None
        if attempt.protocol in _PASSWORD_ONLY:
            return None
        now, found = self._clock.now(), None
        for credential in self._directory.credentials(account.id):
            if (
                credential.kind == credentials.APP
                and (credential.expires_at is None or credential.expires_at > now)
                and (not credential.scopes or attempt.protocol in credential.scopes.split())
                and credentials.verify_app(self._app_key, credential.verifier, attempt.password)
            ):
                found = credential
        return found

    async def _verify(self, attempt: _Attempt, digest: bytes, verifier: str) -> bool | None:
        """Does the password fit? None when the queue is full."""
        running = self._verifying.get(digest)
        if running is None:
            if self._closed or not self._room(attempt):
                return None
            self._count(attempt.network, 1)
            running = asyncio.get_running_loop().create_task(self._verify_apart(attempt, verifier))
            self._verifying[digest] = running
            running.add_done_callback(lambda _: self._verifying.pop(digest, None))
        # Whoever disconnects leaves the work to others who wait for it.
        return await asyncio.shield(running)

    async def _verify_apart(self, attempt: _Attempt, verifier: str) -> bool:
        try:
            return await self._workers.pooled(self._pool, credentials.verify, verifier, attempt.password)
        finally:
            self._count(attempt.network, -1)

    def _count(self, network: str, change: int) -> None:
        self._waiting_all += change
        self._waiting[network] = self._waiting.get(network, 0) + change
        if not self._waiting[network]:
            del self._waiting[network]

    def _room(self, attempt: _Attempt) -> bool:
        if attempt.exempt:
            return True
        return self._waiting_all < QUEUE_MOST and self._waiting.get(attempt.network, 0) < NETWORK_MOST

    async def _pause(self, attempt: _Attempt) -> None:
        delay = 0.0 if attempt.exempt else self._failures.delay(attempt.network)
        if delay:
            self._log.info("login.slowed", network=attempt.network, protocol=attempt.protocol, seconds=delay)
            await self._sleep(delay)

    @property
    def waiting(self) -> int:
        """Verifications waiting or running; for a gauge."""
        return self._waiting_all

    def close(self) -> None:
        """Let go of the threads; blocks while a verification runs."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)


def _bounded(text: str) -> str:
    """What is typed, or nothing when it is longer than any name or password can be: it is then wrong, in the same time."""
    return text if len(text) <= _TEXT_MOST else ""


def _told(account: Account | None, identity: str) -> str:
    """How the log names who was meant; anything but an address may be a password in the wrong field, `@` in it or not."""
    if account is not None:
        return account.address
    return identity if len(identity) <= 128 and _ADDRESS.fullmatch(identity) else "(unknown)"
