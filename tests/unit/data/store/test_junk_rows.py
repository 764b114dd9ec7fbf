"""Moves teach once and can be taken back; correspondents are counted; what was put off passes later."""

from __future__ import annotations

from sqlalchemy import func, select

from data.clock import MINUTE
from data.disk import tables as t
from data.ids import MailboxId
from data.store import correspondents, learning
from data.store.changes import Taught
from data.store.greylist import WAIT, Greylist, digest_of
from data.store.learning import Lesson
from tests.unit.data.conftest import Kit

MESSAGE = b"From: x@example.org\r\nSubject: Hello\r\n\r\nBody\r\n"


def _box(kit: Kit, name: str) -> MailboxId:
    return kit.store.mailboxes.get(kit.ann, kit.ann.account, name).id


def _arrived(kit: Kit, name: str = "INBOX") -> None:
    kit.store.messages.append(kit.ann, _box(kit, name), kit.store.messages.prepare(MESSAGE))


def _move(kit: Kit, source: str, target: str) -> None:
    kit.store.messages.move(kit.ann, _box(kit, source), ((1, 1000),), _box(kit, target))


def _lessons(kit: Kit) -> list[Lesson]:
    with kit.store.db.read() as reader:
        return learning.lessons(reader)


def _learn(kit: Kit, words: list[int]) -> list[int | None]:
    return [kit.store.db.write(lambda tx, one=one: learning.learn_in(tx, one, words)) for one in _lessons(kit)]


def _known(kit: Kit, word: int) -> tuple[tuple[int, int], tuple[int, int] | None]:
    with kit.store.db.read() as reader:
        return learning.totals(reader, kit.ann.account), learning.counts(reader, kit.ann.account, word)


def test_a_move_into_junk_and_back_is_learned_and_taken_back(kit: Kit) -> None:
    _arrived(kit)
    _move(kit, "INBOX", "Junk")
    assert any(isinstance(one, Taught) for one in kit.changes)
    assert [one.spam for one in _lessons(kit)] == [True]
    assert _learn(kit, [5, 6]) == [-1]
    assert _known(kit, 5) == ((1, 0), (1, 0))
    _move(kit, "Junk", "INBOX")
    assert [one.spam for one in _lessons(kit)] == [False]
    assert _learn(kit, [5, 6]) == [1]
    assert _known(kit, 5) == ((0, 1), (0, 1))
    assert _lessons(kit) == []


def test_the_same_message_never_counts_twice(kit: Kit) -> None:
    _arrived(kit)
    junk = _box(kit, "Junk")
    for _ in range(3):
        kit.store.messages.copy(kit.ann, _box(kit, "INBOX"), ((1, 1),), junk)
    assert len(_lessons(kit)) == 3
    assert _learn(kit, [5]) == [-1, None, None]
    assert _known(kit, 5) == ((1, 0), (1, 0))


def test_what_says_nothing_teaches_nothing(kit: Kit) -> None:
    _arrived(kit)
    _move(kit, "INBOX", "Trash")
    _arrived(kit, "Junk")
    _move(kit, "Junk", "Trash")
    _move(kit, "Trash", "INBOX")
    assert _lessons(kit) == []


def test_filing_a_message_says_that_it_is_wanted(kit: Kit) -> None:
    _arrived(kit)
    _move(kit, "INBOX", "Archive")
    assert [one.spam for one in _lessons(kit)] == [False]


def test_a_message_that_is_gone_is_skipped(kit: Kit) -> None:
    _arrived(kit)
    _move(kit, "INBOX", "Junk")
    kit.store.db.write(lambda tx: tx.run(t.bayes_todo.update().values(message_id=999)))
    (lesson,) = _lessons(kit)
    assert lesson.blob is None
    kit.store.db.write(lambda tx: learning.skip_in(tx, lesson))
    assert _lessons(kit) == []


def test_words_of_an_account_are_bounded(kit: Kit, monkeypatch: object) -> None:
    from unittest import mock

    _arrived(kit)
    _move(kit, "INBOX", "Junk")
    (lesson,) = _lessons(kit)
    with mock.patch.object(learning, "WORDS_OF_ACCOUNT", 100), mock.patch.object(learning, "_PRUNED_EVERY", 1):
        kit.store.db.write(lambda tx: learning.learn_in(tx, lesson, range(500)))
    with kit.store.db.read() as reader:
        assert int(reader.value(select(func.count()).select_from(t.bayes_word))) <= 100


def test_correspondents_are_counted_by_person_and_by_organisation(kit: Kit) -> None:
    ann, bob = kit.ann, kit.bob

    def op(tx: object) -> None:
        count = correspondents.count_in
        count(tx, ann.account, ann.organisation, ["Pat+news@Example.org"], sent=2)  # type: ignore[arg-type]
        count(tx, ann.account, ann.organisation, ["pat@example.org"], received=1)  # type: ignore[arg-type]
        count(tx, bob.account, bob.organisation, ["pat@example.org"], junked=1)  # type: ignore[arg-type]

    kit.store.db.write(op)
    with kit.store.db.read() as reader:
        seen = correspondents.relation(reader, ann.account, ann.organisation, "pat@example.org")
        assert (seen.sent, seen.received, seen.others_junked) == (2, 1, 1)
        assert correspondents.domains(reader, ann.account) == ("example.org",)
        assert correspondents.domains(reader, bob.account) == ()
        assert (
            correspondents.relation(reader, ann.account, ann.organisation, "x@example.org") == correspondents.STRANGER
        )


def test_what_was_put_off_passes_after_a_minute(kit: Kit) -> None:
    grey, digest = Greylist(), digest_of("192.0.2.0/24", "A@example.org", ("b@example.test",))
    assert digest == digest_of("192.0.2.0/24", "a@example.org", ("b@example.test",))
    assert not kit.store.db.write(lambda tx: grey.passes_in(tx, digest))
    assert not kit.store.db.write(lambda tx: grey.passes_in(tx, digest))
    kit.clock.advance(WAIT + MINUTE)
    assert kit.store.db.write(lambda tx: grey.passes_in(tx, digest))
