"""What a client is told, and when; tests/fuzz/test_imap_view.py holds it against a model."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from data.ids import AccountId, MailboxId
from data.store.changes import (
    AccessEnded,
    Added,
    Change,
    ChangeBus,
    Expunged,
    FlagsChanged,
    MailboxDeleted,
    QueueChanged,
)
from imap.hub import MAX_COMMITS, Hub
from imap.view import MAX_CHANGES, Shape, View

ME, BOX, OTHER = AccountId(1), MailboxId(1), MailboxId(2)


def view(*uids: int, modseq: int = 10, **more: bool) -> View:
    return View(ME, BOX, array("I", uids), modseq, **more)  # type: ignore[arg-type]


def told(one: View, renumber: bool = True, shape: Shape | None = None) -> list[bytes]:
    return b"".join(one.flush(renumber, shape or Shape())).split(b"\r\n")[:-1]


def added(modseq: int, *uids: int, keywords: str = "") -> Added:
    return Added(ME, BOX, modseq, tuple((uid, 0, keywords) for uid in uids))


def test_what_the_snapshot_holds_is_not_told_again() -> None:
    one = view(1, 2)
    one.note(added(10, 2))
    one.note(FlagsChanged(ME, BOX, 9, ((1, 1, ""),)))
    assert told(one) == []


def test_expunges_come_first_and_from_the_highest_number_down() -> None:
    one = view(5, 6, 7, 8)
    one.note(Expunged(ME, BOX, 11, (5, 7)))
    one.note(added(12, 9))
    one.note(FlagsChanged(ME, BOX, 13, ((9, 1, ""),)))
    assert told(one) == [
        b"* 3 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 3 EXISTS",
        b"* 0 RECENT",
        b"* 3 FETCH (UID 9 FLAGS (\\Seen))",
    ]
    assert list(one.uids) == [6, 8, 9]


def test_an_expunge_waits_for_a_command_that_may_renumber() -> None:
    one = view(1, 2, 3)
    one.note(Expunged(ME, BOX, 11, (2,)))
    assert told(one, renumber=False) == []
    assert one.number(3) == 3
    one.note(added(12, 4))
    assert told(one, renumber=False) == [b"* 4 EXISTS", b"* 0 RECENT"]
    assert told(one) == [b"* 2 EXPUNGE"]


def test_what_came_and_went_is_not_told() -> None:
    one = view(1)
    one.note(added(11, 2, 3))
    one.note(Expunged(ME, BOX, 12, (2,)))
    assert told(one) == [b"* 2 EXISTS", b"* 0 RECENT"]
    assert list(one.uids) == [1, 3]


def test_many_expunges_at_once() -> None:
    one = view(*range(1, 301))
    one.note(Expunged(ME, BOX, 11, tuple(range(1, 301, 2))))
    assert told(one) == [b"* %d EXPUNGE" % n for n in range(299, 0, -2)]
    assert list(one.uids) == list(range(2, 301, 2))


def test_shapes() -> None:
    """MODSEQ with CONDSTORE; no RECENT with IMAP4rev2."""
    one = view(1)
    one.note(added(11, 2), first=True)
    one.note(FlagsChanged(ME, BOX, 12, ((2, 4, "k"),)))
    lines = told(one, shape=Shape(condstore=True, rev2=True))
    assert lines[0] == b"* 2 EXISTS"
    assert lines[1].startswith(b"* FLAGS")
    assert lines[-1] == b"* 2 FETCH (UID 2 MODSEQ (12) FLAGS (\\Flagged k))"


def test_recent_belongs_to_the_first_that_is_told() -> None:
    one = view(1)
    one.note(added(11, 2), first=True)
    one.note(added(12, 3, 4), first=True)
    one.note(added(13, 5))
    assert told(one) == [b"* 5 EXISTS", b"* 3 RECENT"]
    assert [one.is_recent(uid) for uid in range(1, 6)] == [False, True, True, True, False]
    assert one.recent == ((2, 4),)


def test_a_deleted_mailbox_is_an_empty_one() -> None:
    one = view(1, 2)
    one.note(added(11, 3))
    one.note(MailboxDeleted(ME, BOX, 12, "x"))
    assert told(one) == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
    assert one.deleted


def test_too_much_that_waits_is_lost() -> None:
    one = view(1)
    for modseq in range(11, 12 + MAX_CHANGES):
        one.note(FlagsChanged(ME, BOX, modseq, ((1, modseq % 2, ""),)))
    assert one.lost
    one.recover(array("I", [1, 4]), 99_999, [(1, 1, "", 50_000)])
    assert told(one) == [b"* 2 EXISTS", b"* 0 RECENT", b"* 1 FETCH (UID 1 FLAGS (\\Seen))"]


# --- the hub ----------------------------------------------------------------------------------------------------------


class Loop:
    """Takes what should run soon, and runs it when told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def soon(self, fn: Callable[[], None]) -> None:
        self.waiting.append(fn)

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for fn in waiting:
            fn()


def hub() -> tuple[Hub, ChangeBus, Loop]:
    bus, loop = ChangeBus(), Loop()
    return Hub(bus, loop.soon), bus, loop


def join(made: Hub, one: View) -> View:
    made.join(made.opening(), one)
    return one


def test_a_burst_of_commits_wakes_the_loop_once() -> None:
    made, bus, loop = hub()
    one = join(made, view(1))
    woken: list[int] = []
    one.wake = lambda: woken.append(len(told(one)))
    for modseq in range(11, 21):
        bus.publish((added(modseq, modseq), QueueChanged(0)))
    assert len(loop.waiting) == 1
    loop.turn()
    assert woken == [2]
    bus.publish((added(30, 30),))
    made.catch_up()
    assert len(one) == 12


def test_changes_go_to_their_mailbox_alone() -> None:
    made, bus, _ = hub()
    one = join(made, view(1))
    other: tuple[Change, ...] = (Added(ME, OTHER, 11, ((2, 0, ""),)), MailboxDeleted(ME, OTHER, 12, "x"))
    bus.publish(other)
    made.catch_up()
    assert not one.pending
    made.leave(one)
    bus.publish((added(13, 2),))
    made.catch_up()
    assert not one.pending
    assert made.listeners == 0


def test_a_mailbox_hears_what_happens_while_it_opens() -> None:
    """What the snapshot holds is dropped, what came after it is told, and nothing falls between."""
    made, bus, _ = hub()
    opening = made.opening()
    bus.publish((added(10, 2), added(11, 3)))
    one = view(1, 2)
    bus.publish((added(12, 4),))
    made.join(opening, one)
    assert told(one) == [b"* 4 EXISTS", b"* 0 RECENT"]


def test_new_messages_are_recent_for_one_session() -> None:
    made, bus, _ = hub()
    reader, first, second = (join(made, view(1, readonly=readonly)) for readonly in (True, False, False))
    bus.publish((added(11, 2),))
    made.catch_up()
    assert [told(v)[1] for v in (reader, first, second)] == [b"* 0 RECENT", b"* 1 RECENT", b"* 0 RECENT"]
    assert made.recent_from(BOX, 2, take=False) == 3
    assert made.recent_from(BOX, 2, take=True) == 3
    assert made.recent_from(BOX, 2, take=True) == 2


def test_a_flooded_hub_loses_and_says_so() -> None:
    made, bus, loop = hub()
    one = join(made, view(1))
    shown_out: list[AccountId] = []
    made.on_access_ended(shown_out.append)
    bus.publish((AccessEnded(ME),))
    for modseq in range(MAX_COMMITS + 1):
        bus.publish((added(11 + modseq, 2 + modseq),))
    loop.turn()
    assert shown_out == [ME]
    assert one.lost
    assert made.known(BOX) is None


def test_uids_are_remembered_while_they_stand() -> None:
    """The next SELECT is given them, at the MODSEQ up to which they are right."""
    made, bus, _ = hub()
    made.leave(join(made, view(1, 2, 3)))
    bus.publish((added(11, 4), Expunged(ME, BOX, 12, (2,)), FlagsChanged(ME, BOX, 13, ((1, 1, ""),))))
    made.catch_up()
    assert made.known(BOX) == (13, array("I", [1, 3, 4]))
    assert made.known(OTHER) is None
    bus.publish((Expunged(ME, BOX, 14, tuple(range(1, 40))),))
    made.catch_up()
    assert made.known(BOX) == (14, array("I"))
