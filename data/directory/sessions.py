"""Web sessions: issued, looked up, ended; only digests of their cookies are stored.

Promises: a token is 256 random bits and is never taken from a client; each sign-in, and each step of one, gets a new
one (RELIABILITY N1). A session ends after 12 hours without a request, after 14 days whatever happens, and at once when
the account is suspended or deleted or its password changes, wherever it was changed: it is bound to the verifier that
was current when it was issued. One that still awaits the second factor lives ten minutes.
May not: know cookies or HTTP, decide who may sign in, or be called on the event loop.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import bindparam, delete, insert, or_, select, update

from data.clock import DAY, HOUR, MINUTE, Clock
from data.directory.credentials import PASSWORD
from data.directory.directory import Directory
from data.directory.facts import Account
from data.disk import tables as t
from data.disk.db import Database, Tx
from data.disk.seal import Keys
from data.errors import NotFound
from data.ids import AccountId, Millis

IDLE = 12 * HOUR
ABSOLUTE = 14 * DAY
SECOND = 10 * MINUTE
TOUCH = 5 * MINUTE
"""How old `seen_at` may be before it is written again."""
_TEXT_MOST = 200


class Stage(StrEnum):
    """How far a sign-in has come: the password alone, or all of it."""

    SECOND = "second"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that signed in. `face` is where (mail, admin); `peer` and `agent` are what it said of itself."""

    id: int
    account: Account
    face: str
    stage: Stage
    created_at: Millis
    seen_at: Millis
    peer: str
    agent: str


_b = bindparam
_s = t.web_session.c
_COLUMNS = (_s.id, _s.account_id, _s.face, _s.stage, _s.created_at, _s.seen_at, _s.peer, _s.agent, _s.binding)
_FIND = select(*_COLUMNS).where(_s.digest == _b("digest"), _s.face == _b("face"))
_OF = select(*_COLUMNS).where(_s.account_id == _b("account")).order_by(_s.seen_at.desc())
_NEW = insert(t.web_session).values(
    organisation_id=_b("organisation"),
    account_id=_b("account"),
    digest=_b("digest"),
    binding=_b("binding"),
    face=_b("face"),
    stage=_b("stage"),
    created_at=_b("now"),
    seen_at=_b("now"),
    peer=_b("peer"),
    agent=_b("agent"),
)
_TOUCH = update(t.web_session).where(_s.id == _b("p_id")).values(seen_at=_b("now"))
_END = delete(t.web_session).where(_s.id == _b("p_id")).returning(_s.account_id)
_END_ONE = delete(t.web_session).where(_s.id == _b("p_id"), _s.account_id == _b("account"))
_END_OTHERS = delete(t.web_session).where(_s.account_id == _b("account"), _s.id != _b("keep"))
_SWEEP = delete(t.web_session).where(or_(_s.seen_at <= _b("idle"), _s.created_at <= _b("oldest")))


class Sessions:
    """The web sessions of every account. `ended` hears, in its transaction, of every one that is ended by a call."""

    def __init__(
        self,
        db: Database,
        directory: Directory,
        keys: Keys,
        clock: Clock,
        ended: Callable[[Tx, AccountId], None] = lambda tx, account: None,
    ) -> None:
        self._db, self._directory, self._keys, self._clock = db, directory, keys, clock
        self._ended = ended

    def issue_in(
        self,
        tx: Tx,
        account: Account,
        face: str,
        stage: Stage,
        *,
        peer: str = "",
        agent: str = "",
        verifier: str | None = None,
    ) -> str:
        """A new session; returns its token, which is nowhere kept. `verifier`: the one this transaction sets, if it does."""
        token = secrets.token_urlsafe(32)
        verifier = verifier or self._verifier(account.id)
        row = {
            "organisation": account.organisation,
            "account": account.id,
            "digest": self.digest(token),
            "binding": self._binding(verifier or ""),
            "face": face,
            "stage": stage.value,
            "now": tx.now,
            "peer": peer[:_TEXT_MOST],
            "agent": agent[:_TEXT_MOST],
        }
        tx.run(_NEW, row)
        return token

    def find(self, face: str, token: str) -> Session | None:
        """The living session of a token at one face."""
        with self._db.read() as reader:
            row = reader.first(_FIND, {"digest": self.digest(token), "face": face})
        return None if row is None else self._living(row)

    def of(self, account: AccountId) -> tuple[Session, ...]:
        """Everywhere an account is signed in, the latest first."""
        with self._db.read() as reader:
            rows = reader.all(_OF, {"account": account})
        living = (self._living(row) for row in rows)
        return tuple(one for one in living if one is not None and one.stage is Stage.FULL)

    def touch(self, session: Session) -> Future[int] | None:
        """Note that it is in use, now and then; the write is not waited for."""
        now = self._clock.now()
        if now - session.seen_at < TOUCH:
            return None
        return self._db.submit(lambda tx: tx.run(_TOUCH, {"p_id": session.id, "now": now}))

    def end_in(self, tx: Tx, session: int) -> None:
        """It is over."""
        account = tx.value(_END, {"p_id": session})
        if account is not None:
            self._ended(tx, AccountId(account))

    def end_one_in(self, tx: Tx, account: AccountId, session: int) -> bool:
        """End one of an account's own; False when it is not there."""
        ended = tx.run(_END_ONE, {"p_id": session, "account": account}) > 0
        if ended:
            self._ended(tx, account)
        return ended

    def end_others_in(self, tx: Tx, account: AccountId, *, keep: int) -> int:
        """End all of an account but one; returns how many."""
        self._ended(tx, account)
        return tx.run(_END_OTHERS, {"account": account, "keep": keep})

    def sweep(self) -> int:
        """Forget what has ended by itself; returns how many."""
        now = self._clock.now()
        return self._db.write(lambda tx: tx.run(_SWEEP, {"idle": now - IDLE, "oldest": now - ABSOLUTE}))

    def digest(self, token: str) -> bytes:
        """What is stored of a token."""
        return self._keys.digest(b"web session 1\0" + token.encode("utf-8", "surrogatepass"))

    def _living(self, row: tuple[object, ...]) -> Session | None:
        ident, account_id, face, stage, created_at, seen_at, peer, agent, binding = row
        assert isinstance(ident, int) and isinstance(account_id, int)
        assert isinstance(created_at, int) and isinstance(seen_at, int)
        now = self._clock.now()
        if now - seen_at >= IDLE or now - created_at >= ABSOLUTE:
            return None
        if stage == Stage.SECOND and now - created_at >= SECOND:
            return None
        try:
            account = self._directory.account_by_id(AccountId(account_id))
        except NotFound:
            return None
        verifier = self._verifier(account.id)
        if not account.active or verifier is None:
            return None
        assert isinstance(binding, bytes | memoryview)
        if not hmac.compare_digest(bytes(binding), self._binding(verifier)):
            return None
        return Session(
            ident, account, str(face), Stage(str(stage)), Millis(created_at), Millis(seen_at), str(peer), str(agent)
        )

    def _verifier(self, account: AccountId) -> str | None:
        return next((one.verifier for one in self._directory.credentials(account) if one.kind == PASSWORD), None)

    def _binding(self, verifier: str) -> bytes:
        return self._keys.digest(b"web binding 1\0" + verifier.encode())
