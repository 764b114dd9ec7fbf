"""RELIABILITY T5, A1, A2, A4 and A5 on the login gate itself, with the real directory and the real argon2.

The gate is what every protocol asks.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from appliance import auth, log, sasl
from appliance.auth import BUSY, WRONG, Gate, LoginRefused
from appliance.loop import Workers
from appliance.metrics import Metrics
from data.clock import MINUTE, FakeClock, SystemClock
from data.directory import credentials
from data.directory.credentials import APP, app_digest, hash_password, new_app_password
from data.directory.directory import Directory
from data.directory.facts import Status
from data.disk.db import Database
from data.disk.migrate import upgrade
from data.ids import AccountId
from data.principal import Principal

STRANGER = "192.0.2.9"
PASSWORD = "correct horse"
APP_KEY = b"k" * 32


class Office:
    """A directory with ann, bob and sue; sue is suspended."""

    def __init__(self, path: Path) -> None:
        upgrade(path)
        self.db = Database.open(path, SystemClock())
        self.directory = Directory(self.db, SystemClock())
        organisation = self.db.write(lambda tx: self.directory.add_organisation_in(tx, "Example"))
        self.db.write(lambda tx: self.directory.add_domain_in(tx, organisation, "example.test"))
        verifier = hash_password(PASSWORD)
        self.ids: dict[str, AccountId] = {}
        for name in ("ann", "bob", "sue"):
            self.ids[name] = self.db.write(
                lambda tx, name=name: self.directory.add_account_in(  # type: ignore[misc]
                    tx, f"{name}@example.test", password_verifier=verifier
                )
            )
        self.set_status("sue", Status.SUSPENDED)

    def set_status(self, name: str, status: Status) -> None:
        self.db.write(lambda tx: self.directory.set_status_in(tx, self.ids[name], status))

    def set_password(self, name: str, password: str) -> None:
        verifier = hash_password(password)
        self.db.write(lambda tx: self.directory.set_password_in(tx, self.ids[name], verifier))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "mail.db")
    yield made
    made.db.close()


class Door:
    """A gate on a running loop, and how it answers."""

    def __init__(self, office: Office, *, bench: bool = False, clock: FakeClock | None = None) -> None:
        self.slept: list[float] = []
        self.workers = Workers()
        self.metrics = Metrics()
        self.gate = Gate(
            office.directory, self.workers, clock or SystemClock(), log.get("auth"), self.metrics,
            bench=bench, app_key=APP_KEY, sleep=self._sleep,
        )  # fmt: skip

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def login(
        self, identity: str, password: str = PASSWORD, *, peer: str = STRANGER, authzid: str = ""
    ) -> Principal:
        return await self.gate.login(identity, password, protocol="imap", peer=peer, tls=True, authzid=authzid)

    async def refused(
        self, identity: str, password: str = PASSWORD, *, peer: str = STRANGER, authzid: str = ""
    ) -> LoginRefused:
        with pytest.raises(LoginRefused) as caught:
            await self.login(identity, password, peer=peer, authzid=authzid)
        return caught.value

    def close(self) -> None:
        self.gate.close()
        self.workers.close()


def run(
    office: Office, story: Callable[[Door], Awaitable[None]], *, bench: bool = False, clock: FakeClock | None = None
) -> None:
    async def main() -> None:
        door = Door(office, bench=bench, clock=clock)
        try:
            await story(door)
        finally:
            door.close()

    asyncio.run(main())


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords argon2 was asked about."""
    asked: list[str] = []
    real = credentials.verify

    def verify(verifier: str, password: str) -> bool:
        asked.append(password)
        return real(verifier, password)

    monkeypatch.setattr(credentials, "verify", verify)
    return asked


def test_full_address_and_bare_local_part_lead_in(office: Office) -> None:
    async def story(door: Door) -> None:
        first = await door.login("Ann@Example.TEST")
        assert (first.account, first.address, first.language) == (office.ids["ann"], "ann@example.test", "en")
        assert await door.login("ann") == first
        organisation = office.directory.organisation().id
        office.db.write(lambda tx: office.directory.add_domain_in(tx, organisation, "example.org"))
        await door.refused("ann")
        assert await door.login("ann@example.test") == first

    run(office, story)


def test_a_verified_login_is_remembered_and_forgotten(office: Office, verified: list[str]) -> None:
    clock = FakeClock()

    async def story(door: Door) -> None:
        for _ in range(5):
            await door.login("ann")
        assert len(verified) == 1
        await door.refused("ann", "wrong")
        assert len(verified) == 2
        clock.advance(10 * MINUTE)
        await door.login("ann")
        assert len(verified) == 3
        office.set_password("ann", "another one")
        await door.refused("ann")
        await door.login("ann", "another one")
        await door.login("ann", "another one")
        assert len(verified) == 5
        office.set_status("ann", Status.SUSPENDED)
        await door.refused("ann", "another one")
        office.set_status("ann", Status.ACTIVE)
        await door.login("ann", "another one")
        assert door.gate._remembered.holds(b"another one") is False

    run(office, story, clock=clock)


def test_A4_same_text_and_same_work_for_all(
    office: Office, verified: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(door: Door) -> None:
        who = ["ann", "nobody", "sue", "nobody@elsewhere.test", "", "a" * 100_000, "@", "ann@", "\0", "ann\r\nx"]
        for name in who:
            refused = await door.refused(name, "canary-password")
            assert (refused.public, refused.temporary) == (WRONG, False)
        refused = await door.refused("sue", PASSWORD)
        assert (refused.public, refused.temporary) == (WRONG, False)
        assert len(verified) == len(who) + 1, "one verification for each, whoever was meant"
        assert (await door.refused("ann", "")).public == WRONG
        assert (await door.refused("ann", "x" * 1_000_000)).public == WRONG
        assert len(verified) == len(who) + 3

    with caplog.at_level(logging.INFO):
        run(office, story, bench=False)
    lines = [log.Logfmt().format(record) for record in caplog.records]
    assert not any("canary" in line or "correct horse" in line or "\n" in line for line in lines)
    assert any("why=suspended" in line for line in lines) and any("account=(unknown)" in line for line in lines)


@pytest.mark.parametrize(
    "typed", ["c@nary", "canary@", "@canary", "c@n@ry.example", "c@nary.99", "x@y.test verb=login"]
)
def test_N15_a_password_in_the_wrong_field_is_not_logged(
    office: Office, caplog: pytest.LogCaptureFixture, typed: str
) -> None:
    """Who types it where the name belongs finds it in no log; an address that somebody tried is named."""

    async def story(door: Door) -> None:
        await door.refused(typed, "wrong")
        await door.refused("nobody+x@elsewhere.test", "wrong")

    with caplog.at_level(logging.INFO):
        run(office, story)
    lines = [log.Logfmt().format(record) for record in caplog.records]
    assert not any(typed in line for line in lines)
    assert any("account=nobody+x@elsewhere.test" in line for line in lines)


def test_A4_timings_do_not_tell_who_exists(office: Office) -> None:
    """RELIABILITY A4: 200 timings each for existing, missing and suspended users."""

    async def story(door: Door) -> None:
        times: dict[str, list[float]] = {"ann": [], "nobody": [], "sue": []}
        for n in range(200):
            for name, taken in times.items():
                begun = time.perf_counter()
                await door.refused(name, f"wrong {n}", peer="127.0.0.1")
                taken.append(time.perf_counter() - begun)
        medians = [statistics.median(taken) for taken in times.values()]
        apart = max(medians) - min(medians)
        assert apart < 0.002 or apart < 0.05 * min(medians), medians

    run(office, story, bench=True)


def test_A1_failures_slow_a_network_and_lock_nobody(office: Office) -> None:
    async def story(door: Door) -> None:
        for n in range(10):
            await door.refused("ann", f"guess {n}")
        assert door.slept == [2, 4, 8, 16]
        for _ in range(20):
            await door.refused("bob", "always the same", peer="198.51.100.7")
        assert len(door.slept) == 4
        assert (await door.login("ann")).address == "ann@example.test", "slowed, never locked"
        assert door.slept[4:] == [16]
        await door.login("ann")
        assert len(door.slept) == 5, "a remembered login does not wait"
        await door.login("bob", peer="203.0.113.5")
        assert len(door.slept) == 5, "other networks do not wait"

    run(office, story)


def test_A1_an_ipv6_network_is_one(office: Office) -> None:
    async def story(door: Door) -> None:
        for n in range(7):
            await door.refused("ann", f"guess {n}", peer=f"2001:db8:0:1::{n}")
        assert door.slept == [2]
        await door.refused("ann", "guess", peer="::ffff:192.0.2.77")
        await door.refused("ann", "guess", peer="192.0.2.77")
        assert door.slept == [2]

    run(office, story)


def test_bench_lifts_the_limits_on_loopback_only(office: Office) -> None:
    async def story(door: Door) -> None:
        for n in range(9):
            await door.refused("ann", f"guess {n}", peer="::1")
            await door.refused("ann", f"guess {n}", peer="127.0.0.1")
        assert door.slept == []
        for n in range(7):
            await door.refused("ann", f"guess {n}", peer=STRANGER)
        assert door.slept == [2]
        assert door.gate.allows_plaintext("::ffff:127.0.0.1") and not door.gate.allows_plaintext(STRANGER)

    run(office, story, bench=True)
    run(office, _no_plaintext)


async def _no_plaintext(door: Door) -> None:
    assert not door.gate.allows_plaintext("127.0.0.1")


def test_A5_a_flood_of_logins_leaves_the_loop_free(office: Office) -> None:
    """RELIABILITY A5: 50 logins at once; what others do on the loop stays under half a second."""

    async def story(door: Door) -> None:
        flood = [asyncio.create_task(door.refused("ann", f"wrong {n}", peer=f"192.0.2.{n}")) for n in range(50)]
        waits: list[float] = []
        while not all(task.done() for task in flood):
            begun = time.perf_counter()
            await door.workers.blocking(sum, range(1000))
            waits.append(time.perf_counter() - begun)
            await asyncio.sleep(0.002)
        assert {task.result().public for task in flood} == {WRONG}
        waits.sort()
        assert waits[int(len(waits) * 0.99)] < 0.5
        assert door.gate.waiting == 0

    run(office, story)


def test_A5_the_queue_is_bounded_and_one_network_gets_half(office: Office, verified: list[str]) -> None:
    async def story(door: Door) -> None:
        most = 0
        flood = [asyncio.create_task(door.refused(f"user{n}", "wrong")) for n in range(300)]
        while door.gate.waiting < auth.NETWORK_MOST:
            await asyncio.sleep(0)
        most = max(most, door.gate.waiting)
        assert (await door.login("bob", peer="198.51.100.1")).address == "bob@example.test"
        refused = await asyncio.gather(*flood)
        busy = [one for one in refused if one.temporary]
        assert busy and {one.public for one in busy} == {BUSY}
        assert most <= auth.NETWORK_MOST
        assert len(verified) <= 300 - len(busy) + 1

    run(office, story)


def test_A5_two_are_verified_at_a_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    real, guard, running = credentials.verify, threading.Lock(), 0
    together: list[int] = []

    def verify(verifier: str, password: str) -> bool:
        nonlocal running
        with guard:
            running += 1
            together.append(running)
        try:
            return real(verifier, password)
        finally:
            with guard:
                running -= 1

    async def story(door: Door) -> None:
        await asyncio.gather(*(door.refused("ann", f"wrong {n}") for n in range(12)))

    monkeypatch.setattr(credentials, "verify", verify)
    run(office, story)
    assert len(together) == 12 and max(together) == 2


def test_A5_equal_attempts_share_one_verification(office: Office, verified: list[str]) -> None:
    async def story(door: Door) -> None:
        logins = await asyncio.gather(*(door.login("ann", peer="127.0.0.1") for _ in range(200)))
        assert len(set(logins)) == 1 and len(verified) == 1
        waiting = [asyncio.create_task(door.refused("ann", "wrong")) for _ in range(10)]
        while not door.gate.waiting:
            await asyncio.sleep(0)
        waiting[0].cancel()
        assert all(refused.public == WRONG for refused in await asyncio.gather(*waiting[1:]))
        assert len(verified) == 2, "one that went away does not cost the others their answer"

    run(office, story)


def test_A2_a_change_during_the_verification_counts(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    real = credentials.verify

    def verify(verifier: str, password: str) -> bool:
        office.set_status("ann", Status.SUSPENDED)
        return real(verifier, password)

    monkeypatch.setattr(credentials, "verify", verify)
    run(office, _ann_is_out)


async def _ann_is_out(door: Door) -> None:
    assert (await door.refused("ann")).public == WRONG


def test_T5_authzid_only_for_oneself(office: Office) -> None:
    async def story(door: Door) -> None:
        for same in ("", "ann", "ann@example.test", "ANN@EXAMPLE.TEST"):
            assert (await door.login("ann", authzid=same)).address == "ann@example.test"
        for other in ("bob", "bob@example.test", "nobody", "x" * 5000, "\0"):
            assert (await door.refused("ann", authzid=other)).public == WRONG
        office.db.write(lambda tx: office.directory.add_delegate_in(tx, office.ids["ann"], "bob@example.test"))
        assert (await door.refused("ann", authzid="bob")).public == WRONG, "to write as bob is not to be bob"

    run(office, story)


def test_T5_from_the_wire_s_octets_to_the_answer(office: Office) -> None:
    async def story(door: Door) -> None:
        async def say(text: bytes) -> str:
            try:
                found = sasl.Plain().step(text)
            except sasl.SaslError as error:
                return error.public
            assert isinstance(found, sasl.Credentials)
            try:
                return (await door.login(found.authcid, found.password, authzid=found.authzid)).address
            except LoginRefused as error:
                return error.public

        def b64(text: str) -> bytes:
            return base64.b64encode(text.encode())

        assert await say(b64(f"\0ann\0{PASSWORD}")) == "ann@example.test"
        assert await say(b64(f"bob\0ann\0{PASSWORD}")) == WRONG
        assert await say(b64(f"\0ann\0{PASSWORD}\0")) == "Malformed PLAIN message"
        assert await say(b"*") == "Authentication cancelled"
        assert await say(b"A" * 65_536) == "Authentication line too long"
        assert await say(b"????") == "Invalid base64"

    run(office, story)


def test_app_passwords_are_cheap_and_keep_to_their_scope(office: Office, verified: list[str]) -> None:
    secret = new_app_password()

    def add(scopes: str) -> Callable[..., int]:
        return lambda tx: office.directory.add_credential_in(
            tx, office.ids["ann"], kind=APP, verifier=app_digest(APP_KEY, secret), scopes=scopes
        )

    async def story(door: Door) -> None:
        await door.refused("ann", secret)
        first = office.db.write(add("smtp"))
        await door.refused("ann", secret)
        office.db.write(lambda tx: office.directory.drop_credential_in(tx, office.ids["ann"], first))
        office.db.write(add("smtp imap"))
        done = len(verified)
        assert (await door.login("ann", secret)).address == "ann@example.test" and len(verified) == done
        office.set_status("ann", Status.SUSPENDED)
        await door.refused("ann", secret)
        assert len(verified) == done + 1

    run(office, story)


def test_N7_the_right_password_without_a_second_factor_is_no_failure(
    office: Office, verified: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office.directory, "two_step", lambda account: account == office.ids["ann"])

    async def story(door: Door) -> None:
        refused = await door.refused("ann")
        assert (refused.app_password, refused.public) == (True, auth.TWO_STEP)
        assert not (await door.refused("ann", "wrong")).app_password
        for number in range(4):
            await door.refused("bob", f"wrong {number}")
        done = len(verified)
        assert (await door.refused("ann")).app_password and len(verified) == done, "remembered"
        await door.refused("bob", "wrong 4")
        assert not door.slept, "five failures are free, and the phone of ann made none"
        await door.refused("bob", "wrong 5")
        assert door.slept

    run(office, story)


def test_a_gate_that_closes_refuses_for_now(office: Office) -> None:
    async def story(door: Door) -> None:
        door.gate.close()
        refused = await door.refused("ann")
        assert refused.temporary and refused.public == BUSY

    run(office, story)


def test_outcomes_are_counted(office: Office) -> None:
    async def story(door: Door) -> None:
        await door.login("ann")
        await door.refused("nobody")
        text = door.metrics.render().decode()
        assert 'mailstead_logins_total{outcome="ok",protocol="imap"} 1.0' in text
        assert 'mailstead_logins_total{outcome="unknown",protocol="imap"} 1.0' in text

    run(office, story)
