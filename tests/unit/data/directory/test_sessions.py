"""Web sessions: new ids, ends, and the bond to password and account."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from data.clock import DAY, HOUR, MINUTE, FakeClock
from data.directory.directory import Directory
from data.directory.facts import Account, Status
from data.directory.sessions import Sessions, Stage
from data.disk import tables as t
from data.disk.db import Database
from data.disk.seal import Keys


@pytest.fixture
def sessions(db: Database, directory: Directory, clock: FakeClock) -> Sessions:
    return Sessions(db, directory, Keys(bytes(32)), clock)


@pytest.fixture
def ann(people, directory: Directory) -> Account:
    people.account("ann@example.test")
    return directory.account("ann@example.test")


def issue(db: Database, sessions: Sessions, account: Account, stage: Stage = Stage.FULL, face: str = "mail") -> str:
    return db.write(lambda tx: sessions.issue_in(tx, account, face, stage, peer="127.0.0.1", agent="Browser"))


def test_N1_a_token_has_256_bits_and_only_its_digest_is_kept(db: Database, sessions: Sessions, ann: Account) -> None:
    first, second = issue(db, sessions, ann), issue(db, sessions, ann)
    assert first != second
    assert len(first) == len(second) == 43
    with db.read() as reader:
        stored = reader.all(select(t.web_session))
    for row in stored:
        assert all(token not in str(value) and token.encode() != value for value in row for token in (first, second))
    found = sessions.find("mail", first)
    assert found is not None
    assert (found.account.address, found.peer, found.agent) == ("ann@example.test", "127.0.0.1", "Browser")


def test_a_session_of_one_face_is_nothing_at_the_other(db: Database, sessions: Sessions, ann: Account) -> None:
    token = issue(db, sessions, ann)
    assert sessions.find("admin", token) is None
    assert sessions.find("mail", token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert sessions.find("mail", "") is None


def test_N3_idle_twelve_hours_absolute_fourteen_days(
    db: Database, sessions: Sessions, ann: Account, clock: FakeClock
) -> None:
    token = issue(db, sessions, ann)
    clock.advance(12 * HOUR - 1)
    assert sessions.find("mail", token)
    clock.advance(1)
    assert sessions.find("mail", token) is None
    token, days = issue(db, sessions, ann), 0
    while (found := sessions.find("mail", token)) is not None:
        noted = sessions.touch(found)
        if noted is not None:
            noted.result()
        clock.advance(6 * HOUR)
        days += 6 * HOUR
    assert days == 14 * DAY
    assert sessions.sweep() == 2
    assert sessions.sweep() == 0


def test_a_half_session_lives_ten_minutes(db: Database, sessions: Sessions, ann: Account, clock: FakeClock) -> None:
    token = issue(db, sessions, ann, Stage.SECOND)
    clock.advance(10 * MINUTE - 1)
    assert sessions.find("mail", token)
    assert sessions.of(ann.id) == ()
    clock.advance(1)
    assert sessions.find("mail", token) is None


def test_N1_a_new_password_ends_them_wherever_it_was_set(
    db: Database, sessions: Sessions, ann: Account, directory: Directory
) -> None:
    token = issue(db, sessions, ann)
    db.write(lambda tx: directory.set_password_in(tx, ann.id, "$argon2id$other"))
    assert sessions.find("mail", token) is None
    kept = issue(db, sessions, ann)
    assert sessions.find("mail", kept)


def test_suspension_and_deletion_end_them(db: Database, sessions: Sessions, ann: Account, directory: Directory) -> None:
    token = issue(db, sessions, ann)
    db.write(lambda tx: directory.set_status_in(tx, ann.id, Status.SUSPENDED))
    assert sessions.find("mail", token) is None
    db.write(lambda tx: directory.set_status_in(tx, ann.id, Status.ACTIVE))
    assert sessions.find("mail", token)
    db.write(lambda tx: directory.delete_account_in(tx, ann.id))
    assert sessions.find("mail", token) is None


def test_one_ends_the_others_or_itself(db: Database, sessions: Sessions, ann: Account, people, directory) -> None:
    people.account("bob@example.test")
    bob = directory.account("bob@example.test")
    mine, other, foreign = issue(db, sessions, ann), issue(db, sessions, ann, face="admin"), issue(db, sessions, bob)
    me, them = sessions.find("mail", mine), sessions.find("mail", foreign)
    assert me is not None
    assert them is not None
    assert {one.face for one in sessions.of(ann.id)} == {"mail", "admin"}
    assert db.write(lambda tx: sessions.end_others_in(tx, ann.id, keep=me.id)) == 1
    assert sessions.find("admin", other) is None
    assert db.write(lambda tx: sessions.end_one_in(tx, ann.id, them.id)) is False
    assert sessions.find("mail", foreign)
    db.write(lambda tx: sessions.end_in(tx, me.id))
    assert sessions.find("mail", mine) is None


def test_N1_the_number_of_a_session_that_ended_is_never_given_again(db, sessions: Sessions, ann: Account) -> None:
    """What knows a session by its number (undo notes, a page of sessions, a half sign-in) must not mean a later one."""
    seen = set()
    for _ in range(20):
        found = sessions.find("mail", issue(db, sessions, ann))
        assert found is not None and 0 < found.id < 10**15
        seen.add(found.id)
        ended = found.id
        db.write(lambda tx, ended=ended: sessions.end_in(tx, ended))
    assert len(seen) == 20
