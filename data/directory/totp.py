"""The second factor: time-based codes (RFC 6238) and the recovery codes that stand in for them.

Promises (RELIABILITY N6): a code is accepted once: the time step it belongs to is stored in the transaction that accepts
it, and no step at or before it is accepted again. After five wrong codes none is looked at for fifteen minutes; recovery
codes (80 random bits each) still are, so that nobody locks the owner out. Secrets are sealed under the master key, of
recovery codes only keyed digests are kept, each is good for one use. The only importer of pyotp.
May not: decide who must have a second factor. Every answer is a value, for a transaction that raises forgets its counters.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from enum import StrEnum

import pyotp
from sqlalchemy import bindparam, delete, func, insert, select, update

from data.clock import MINUTE, Clock
from data.directory.facts import Account
from data.disk import tables as t
from data.disk.db import Database, Reader, Tx
from data.disk.seal import Keys
from data.ids import AccountId, OrganisationId

STEP = 30
"""Seconds of one code."""
WINDOW = 1
"""Steps a clock may be off, to both sides (RFC 6238 §5.2)."""
TRIES = 5
PAUSE = 15 * MINUTE
RECOVERY_CODES = 10
_RECOVERY_OCTETS = 10


class Outcome(StrEnum):
    """What became of a code."""

    OK = "ok"
    RECOVERY = "recovery"
    WRONG = "wrong"
    PAUSED = "paused"
    NONE = "none"

    @property
    def good(self) -> bool:
        """Did it prove the account?"""
        return self in {Outcome.OK, Outcome.RECOVERY}


_b = bindparam
_f = t.second_factor.c
_r = t.recovery_code.c
_GET = select(_f.sealed, _f.confirmed_at, _f.last_step, _f.failures, _f.failed_at).where(_f.account_id == _b("account"))
_CONFIRMED = select(_f.account_id).where(_f.account_id == _b("account"), _f.confirmed_at.is_not(None))
_NEW = insert(t.second_factor).values(
    account_id=_b("account"), organisation_id=_b("organisation"), sealed=_b("sealed"), created_at=_b("now")
)
_DROP = delete(t.second_factor).where(_f.account_id == _b("p_account"))
_CONFIRM = (
    update(t.second_factor)
    .where(_f.account_id == _b("p_account"))
    .values(confirmed_at=_b("now"), last_step=_b("step"), failures=0)
)
_ACCEPT = (
    update(t.second_factor)
    .where(_f.account_id == _b("p_account"), _f.last_step < _b("step"))
    .values(last_step=_b("step"), failures=0)
)
_CALM = update(t.second_factor).where(_f.account_id == _b("p_account")).values(failures=0)
_FAIL = (
    update(t.second_factor)
    .where(_f.account_id == _b("p_account"))
    .values(failures=_b("new_failures"), failed_at=_b("now"))
)
_NEW_CODE = insert(t.recovery_code).values(
    organisation_id=_b("organisation"), account_id=_b("account"), digest=_b("digest"), created_at=_b("now")
)
_DROP_CODES = delete(t.recovery_code).where(_r.account_id == _b("p_account"))
_USE_CODE = (
    update(t.recovery_code)
    .where(_r.account_id == _b("p_account"), _r.digest == _b("p_digest"), _r.used_at.is_(None))
    .values(used_at=_b("now"))
)
_LEFT = select(func.count()).select_from(t.recovery_code).where(_r.account_id == _b("account"), _r.used_at.is_(None))


class SecondFactors:
    """The second factors of every account."""

    def __init__(self, db: Database, keys: Keys, clock: Clock, changed: Callable[[Tx], None] = lambda tx: None) -> None:
        """`changed` is called in each transaction that puts a factor into force or takes it away."""
        self._db, self._keys, self._clock, self._changed = db, keys, clock, changed

    def enrolled(self, account: AccountId) -> bool:
        """Must a code be given at sign-in?"""
        with self._db.read() as reader:
            return reader.first(_CONFIRMED, {"account": account}) is not None

    def left(self, account: AccountId) -> int:
        """Recovery codes not used yet."""
        with self._db.read() as reader:
            return int(reader.value(_LEFT, {"account": account}))

    # --- setting up ---------------------------------------------------------------------------------------------------

    def begin(self, account: Account) -> str:
        """The secret (base32) of a factor that is being set up: the same until it is confirmed or thrown away."""
        return self._db.write(lambda tx: self._begin_in(tx, account))

    def _begin_in(self, tx: Tx, account: Account) -> str:
        row = tx.first(_GET, {"account": account.id})
        if row is not None and row[1] is None:
            return self._secret(account.id, row[0])
        if row is not None:
            raise ValueError("a confirmed factor is removed before another is set up")
        secret = pyotp.random_base32()
        sealed = self._keys.wrap(secret.encode(), _context(account.id))
        new = {"account": account.id, "organisation": account.organisation, "sealed": sealed, "now": tx.now}
        tx.run(_NEW, new)
        return secret

    def link(self, secret: str, address: str, issuer: str) -> str:
        """The otpauth URI that authenticator programs read from a QR code."""
        return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=address, issuer_name=issuer)

    def confirm_in(self, tx: Tx, account: Account, code: str) -> tuple[str, ...] | None:
        """Put the factor into force by its first code; returns the recovery codes, or None when the code is wrong."""
        row = tx.first(_GET, {"account": account.id})
        if row is None or row[1] is not None:
            return None
        step = self._step(self._secret(account.id, row[0]), code)
        if step is None:
            return None
        self._changed(tx)
        tx.run(_CONFIRM, {"p_account": account.id, "now": tx.now, "step": step})
        return self.renew_codes_in(tx, account)

    def renew_codes_in(self, tx: Tx, account: Account) -> tuple[str, ...]:
        """New recovery codes in place of the old; told once."""
        tx.run(_DROP_CODES, {"p_account": account.id})
        codes = tuple(_new_code() for _ in range(RECOVERY_CODES))
        tx.many(_NEW_CODE, [self._code_row(account.id, account.organisation, tx.now, code) for code in codes])
        return codes

    def _code_row(self, account: AccountId, organisation: OrganisationId, now: int, code: str) -> dict[str, object]:
        digest = self._digest(account, code)
        return {"organisation": organisation, "account": account, "digest": digest, "now": now}

    def remove_in(self, tx: Tx, account: AccountId) -> None:
        """Take the factor and its recovery codes away."""
        self._changed(tx)
        tx.run(_DROP, {"p_account": account})
        tx.run(_DROP_CODES, {"p_account": account})

    # --- proving ------------------------------------------------------------------------------------------------------

    def check_in(self, tx: Tx, account: AccountId, code: str) -> Outcome:
        """Is it the code of this half minute, or a recovery code? Counts, stores the step, spends the recovery code."""
        row = tx.first(_GET, {"account": account})
        if row is None or row[1] is None:
            return Outcome.NONE
        sealed, _, last_step, failures, failed_at = row
        plain = _plain(code)
        if len(plain) > _CODE_DIGITS:
            return self._recover_in(tx, account, plain, failures)
        if failures >= TRIES and tx.now - failed_at < PAUSE:
            return Outcome.PAUSED
        step = self._step(self._secret(account, sealed), plain)
        accepted = step is not None and step > last_step and tx.run(_ACCEPT, {"p_account": account, "step": step}) == 1
        if accepted:
            return Outcome.OK
        fresh = 0 if failures >= TRIES else failures
        tx.run(_FAIL, {"p_account": account, "new_failures": fresh + 1, "now": tx.now})
        return Outcome.WRONG

    def _recover_in(self, tx: Tx, account: AccountId, plain: str, failures: int) -> Outcome:
        row = {"p_account": account, "p_digest": self._digest(account, plain), "now": tx.now}
        if tx.run(_USE_CODE, row) != 1:
            return Outcome.WRONG
        if failures:
            tx.run(_CALM, {"p_account": account})
        return Outcome.RECOVERY

    def paused(self, reader: Reader, account: AccountId) -> bool:
        """Are codes of this account not looked at just now?"""
        row = reader.first(_GET, {"account": account})
        return row is not None and row[3] >= TRIES and self._clock.now() - row[4] < PAUSE

    def _step(self, secret: str, code: str) -> int | None:
        """The time step a code belongs to, if it is within the window. RFC 6238 §4.2."""
        totp, current, found = pyotp.TOTP(secret, interval=STEP), self._clock.now() // 1000 // STEP, None
        for step in range(current - WINDOW, current + WINDOW + 1):
            if hmac.compare_digest(totp.generate_otp(step), _plain(code)):
                found = step
        return found

    def _secret(self, account: AccountId, sealed: bytes) -> str:
        return self._keys.unwrap(bytes(sealed), _context(account)).decode()

    def _digest(self, account: AccountId, code: str) -> bytes:
        return self._keys.digest(b"recovery code 1\0%d\0" % account + _plain(code).encode())


_CODE_DIGITS = 6


def _context(account: AccountId) -> bytes:
    return b"totp %d" % account


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_RECOVERY_OCTETS)).decode().lower()
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def _plain(code: str) -> str:
    """As it is compared: lower case, ASCII letters and digits only (people write blanks and hyphens between)."""
    return "".join(c for c in code[:64].lower() if c.isascii() and c.isalnum())
