"""Messages: UIDs, MODSEQ, counters, the change log, copying, moving, expunging and reading."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from data.disk import tables as t
from data.disk.blobs import INLINE
from data.errors import DiskFull, NotFound, OverQuota, Refused, StoreError, TooBig, Unavailable
from data.ids import MailboxId
from data.store.changes import Added, Expunged, FlagsChanged
from data.store.keys import Flag
from data.store.messages import MAX_SIZE
from data.store.repair import Repair

if TYPE_CHECKING:
    from tests.unit.data.conftest import Kit

ALL = ((1, 4294967295),)


def msg(subject: str = "Hello", body: str = "A line.\r\n", extra: str = "") -> bytes:
    return (
        f"From: bob@example.test\r\nTo: ann@example.test\r\nSubject: {subject}\r\n{extra}"
        f"Message-ID: <{subject.replace(' ', '.')}@example.test>\r\n\r\n{body}"
    ).encode()


def sound(kit: Kit) -> None:
    assert list(Repair(kit.db, kit.store.blobs).verify()) == []


def test_an_account_begins_with_its_mailboxes(kit: Kit) -> None:
    found = kit.store.mailboxes.list(kit.ann, kit.ann.account)
    assert [m.name for m in found] == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
    assert {m.name: m.special_use for m in found}["Sent"] == "\\Sent"
    assert len({m.uidvalidity for m in found}) == 6
    assert kit.store.mailboxes.subscriptions(kit.ann, kit.ann.account) == {m.name for m in found}


def test_uids_rise_and_modseq_rises_over_the_account(kit: Kit) -> None:
    assert [kit.add(msg("a")), kit.add(msg("b")), kit.add(msg("c"), "Sent")] == [1, 2, 1]
    inbox = kit.store.mailboxes.get(kit.ann, kit.ann.account, "inbox")
    sent = kit.store.mailboxes.get(kit.ann, kit.ann.account, "Sent")
    assert (inbox.uidnext, inbox.messages, inbox.unseen) == (3, 2, 2)
    assert sent.highestmodseq > inbox.highestmodseq > 1
    added = [c for c in kit.changes if isinstance(c, Added)]
    assert [c.rows for c in added] == [((1, 0, ""),), ((2, 0, ""),), ((1, 0, ""),)]
    assert [c.modseq for c in added] == sorted({c.modseq for c in added})
    sound(kit)


def test_a_uid_is_never_given_twice(kit: Kit) -> None:
    kit.add(msg("a"))
    last = kit.add(msg("b"), flags=Flag.DELETED)
    assert kit.store.messages.expunge(kit.ann, kit.box(), None) == (last,)
    assert kit.add(msg("c")) == last + 1
    sound(kit)


@pytest.mark.parametrize("size", [10, INLINE - 500, INLINE + 1, 700_000])
def test_octets_come_back_as_they_were(kit: Kit, size: int) -> None:
    data = msg("big", os.urandom(size).hex()[:size] + "\r\n")
    intake = kit.store.messages.intake()
    for at in range(0, len(data), 9_000):
        intake.feed(data[at : at + 9_000])
    prepared = intake.finish()
    assert prepared.read(0, len(data)) == data
    uid = kit.store.messages.append(kit.ann, kit.box(), prepared).uid
    rows = kit.store.messages.rows(kit.ann, kit.box(), ((uid, uid),), ("size", "blob_id", "prefix"))
    assert rows[0][1] == len(data)
    content = kit.store.messages.content(rows[0][2])
    assert content.read(0, content.size) == data
    assert content.read(5, 25) == data[5:25]
    (whole,) = kit.store.messages.contents(kit.ann, kit.box(), ALL)
    assert whole[4] is not None
    assert whole[4].read(0, 1 << 30) == data
    sound(kit)


def test_whole_and_streamed_are_the_same_facts(kit: Kit) -> None:
    data = msg("same", "x" * 3000 + "\r\n")
    intake = kit.store.messages.intake()
    for at in range(0, len(data), 7):
        intake.feed(data[at : at + 7])
    streamed, whole = intake.finish(), kit.store.messages.prepare(data)
    assert streamed.facts == whole.facts
    assert streamed.digest == whole.digest


def test_a_prefix_counts_and_is_kept_apart(kit: Kit) -> None:
    prepared = kit.store.messages.prepare(msg("p"))
    prefix = b"Return-Path: <bob@example.test>\r\n"
    done = kit.db.write(lambda tx: kit.store.messages.append_in(tx, kit.box(), prepared, prefix=prefix))
    (row,) = kit.store.messages.rows(kit.ann, kit.box(), ALL, ("size", "prefix"))
    assert row == (done.uid, len(prefix) + len(msg("p")), prefix)
    sound(kit)


def test_one_blob_serves_many_recipients_in_one_transaction(kit: Kit) -> None:
    prepared = kit.store.messages.prepare(msg("both"))

    def op(tx: object) -> None:
        for who in (kit.ann, kit.bob):
            kit.store.messages.append_in(tx, kit.box(who=who), prepared)  # type: ignore[arg-type]

    kit.db.write(op)
    with kit.db.read() as reader:
        assert reader.all(select(t.blob.c.refs)) == [(2,)]
    assert kit.uids() == kit.uids(who=kit.bob) == [1]
    sound(kit)


def test_expunge_takes_only_deleted_and_only_in_range(kit: Kit) -> None:
    for n in range(5):
        kit.add(msg(str(n)), flags=Flag.DELETED if n % 2 == 0 else Flag.SEEN)
    assert kit.store.messages.expunge(kit.ann, kit.box(), ((1, 2), (4, 4))) == (1,)
    assert kit.store.messages.expunge(kit.ann, kit.box(), None) == (3, 5)
    assert kit.uids() == [2, 4]
    assert [c.uids for c in kit.changes if isinstance(c, Expunged)] == [(1,), (3, 5)]
    sound(kit)
    assert kit.store.sweep.run() == 6
    sound(kit)
    with kit.db.read() as reader:
        assert len(reader.all(select(t.blob.c.id))) == 2


def test_sweeping_removes_the_file_of_what_nobody_holds(kit: Kit) -> None:
    kit.add(msg("big", "x" * (INLINE + 1)), flags=Flag.DELETED)
    assert len(list(kit.store.blobs.files())) == 1
    kit.store.messages.expunge(kit.ann, kit.box(), None)
    kit.store.sweep.run()
    assert list(kit.store.blobs.files()) == []
    sound(kit)


def test_copy_keeps_flags_keywords_and_date(kit: Kit) -> None:
    kit.add(msg("a"), flags=Flag.SEEN | Flag.FLAGGED, keywords=["$Forwarded", "todo"], internal_date=1_000_000)
    kit.add(msg("b"))
    target = kit.box("Archive")
    copied = kit.store.messages.copy(kit.ann, kit.box(), ALL, target)
    assert (copied.source, copied.target) == ((1, 2), (1, 2))
    columns = ("flags", "keywords", "internal_date", "message_id")
    source = kit.store.messages.rows(kit.ann, kit.box(), ALL, columns)
    assert kit.store.messages.rows(kit.ann, target, ALL, columns) == source
    sound(kit)
    assert kit.store.messages.copy(kit.ann, kit.box(), ((9, 9),), target).source == ()


def test_move_is_in_one_place_at_a_time(kit: Kit) -> None:
    for n in range(4):
        kit.add(msg(str(n)))
    moved = kit.store.messages.move(kit.ann, kit.box(), ((2, 3),), kit.box("Archive"))
    assert (moved.source, moved.target) == ((2, 3), (1, 2))
    assert kit.uids() == [1, 4]
    assert kit.uids("Archive") == [1, 2]
    again = kit.store.messages.move(kit.ann, kit.box(), ((1, 1),), kit.box())
    assert (again.source, again.target) == ((1,), (5,))
    assert kit.uids() == [4, 5]
    sound(kit)


def test_nobody_reaches_the_mail_of_another(kit: Kit) -> None:
    kit.add(msg("secret"))
    box = kit.box()
    prepared = kit.store.messages.prepare(msg("x"))
    mine = kit.box(who=kit.bob)
    for attempt in (
        lambda: kit.store.mailboxes.get_id(kit.bob, box),
        lambda: kit.store.mailboxes.get(kit.bob, kit.ann.account, "INBOX"),
        lambda: kit.store.messages.snapshot(kit.bob, box, take_recent=True),
        lambda: kit.store.messages.rows(kit.bob, box, ALL, ("flags",)),
        lambda: kit.store.messages.contents(kit.bob, box, ALL),
        lambda: kit.store.messages.append(kit.bob, box, prepared),
        lambda: kit.store.messages.copy(kit.bob, box, ALL, mine),
        lambda: kit.store.messages.move(kit.bob, box, ALL, mine),
        lambda: kit.store.messages.copy(kit.bob, mine, ALL, box),
        lambda: kit.store.messages.expunge(kit.bob, box, None),
        lambda: kit.store.flags.store(kit.bob, box, ALL, "+", Flag.SEEN),
        lambda: kit.store.mailboxes.delete(kit.bob, kit.ann.account, "Archive"),
        lambda: kit.store.mailboxes.create(kit.bob, kit.ann.account, "X"),
        lambda: kit.store.mailboxes.rename(kit.bob, kit.ann.account, "Archive", "Y"),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert kit.store.mailboxes.list(kit.bob, kit.ann.account) == ()
    assert kit.uids() == [1]


def test_a_right_that_was_given_holds_and_no_other(kit: Kit) -> None:
    kit.add(msg("shared"))
    box = kit.box()
    row = {"mailbox_id": box, "account_id": kit.bob.account, "rights": "lr"}
    kit.db.write(lambda tx: tx.run(t.mailbox_right.insert().values(**row)))
    assert kit.store.messages.rows(kit.bob, box, ALL, ("flags",)) == [(1, 0)]
    with pytest.raises(Refused):
        kit.store.flags.store(kit.bob, box, ALL, "+", Flag.SEEN)
    with pytest.raises(Refused):
        kit.store.messages.expunge(kit.bob, box, None)
    copied = kit.store.messages.copy(kit.bob, box, ALL, kit.box(who=kit.bob))
    assert copied.target == (1,)
    assert kit.uids(who=kit.bob) == [1]
    sound(kit)


def test_a_full_account_takes_nothing_and_says_so(kit: Kit) -> None:
    kit.add(msg("a"))
    kit.db.write(lambda tx: tx.run(update(t.account).where(t.account.c.id == kit.ann.account).values(quota=600)))
    with pytest.raises(OverQuota):
        kit.add(msg("b", "x" * 600))
    with pytest.raises(OverQuota):
        for _ in range(9):
            kit.store.messages.copy(kit.ann, kit.box(), ((1, 1),), kit.box("Archive"))
    sound(kit)


def test_too_big_is_refused(kit: Kit) -> None:
    with pytest.raises(TooBig):
        kit.store.messages.prepare(b"x" * (MAX_SIZE + 1))


def test_recent_is_for_the_first_that_opens(kit: Kit) -> None:
    kit.add(msg("a"))
    assert kit.store.messages.snapshot(kit.ann, kit.box(), take_recent=False).recent_from == 1
    assert kit.store.messages.snapshot(kit.ann, kit.box(), take_recent=True).recent_from == 1
    kit.add(msg("b"))
    assert kit.store.messages.snapshot(kit.ann, kit.box(), take_recent=True).recent_from == 2
    assert kit.store.messages.snapshot(kit.ann, kit.box(), take_recent=True).recent_from == 3


def test_the_first_unseen_is_told(kit: Kit) -> None:
    kit.add(msg("a"), flags=Flag.SEEN)
    assert kit.store.messages.snapshot(kit.ann, kit.box(), take_recent=False).first_unseen is None
    kit.add(msg("b"))
    kit.add(msg("c"))
    assert kit.store.messages.snapshot(kit.ann, kit.box(), take_recent=False).first_unseen == 2


def test_rows_come_in_batches_and_by_change(kit: Kit) -> None:
    for n in range(7):
        kit.add(msg(str(n)))
    rows = kit.store.messages.rows(kit.ann, kit.box(), ALL, ("modseq",), limit=3)
    assert [r[0] for r in rows] == [1, 2, 3]
    rest = kit.store.messages.rows(kit.ann, kit.box(), ((4, 4294967295),), ("modseq", "envelope"), limit=100)
    assert [r[0] for r in rest] == [4, 5, 6, 7]
    assert b'"5"' in rest[2][2]
    late = kit.store.messages.rows(kit.ann, kit.box(), ALL, ("flags",), changed_since=rows[2][1])
    assert [r[0] for r in late] == [4, 5, 6, 7]


def test_very_many_ranges_read_what_they_name(kit: Kit) -> None:
    for n in range(30):
        kit.add(msg(str(n)))
    ranges = tuple((n, n) for n in range(1, 2000, 2))
    odd = [n for n in range(1, 31) if n % 2]
    assert [r[0] for r in kit.store.messages.rows(kit.ann, kit.box(), ranges, ("flags",), limit=7)] == odd[:7]
    assert [r[0] for r in kit.store.messages.contents(kit.ann, kit.box(), ranges)] == odd
    result = kit.store.flags.store(kit.ann, kit.box(), ranges, "+", Flag.SEEN)
    assert [r[0] for r in result.changed] == odd
    sound(kit)


def test_threads_join_by_reference_in_either_order(kit: Kit) -> None:
    kit.add(msg("root"))
    kit.add(msg("reply", extra="In-Reply-To: <root@example.test>\r\n"))
    kit.add(msg("later", extra="References: <root@example.test> <reply@example.test>\r\n"))
    kit.add(msg("other"))
    kit.add(msg("answer", extra="References: <question@example.test>\r\n"))
    kit.add(msg("question"))
    rows = kit.store.messages.rows(kit.ann, kit.box(), ALL, ("thread_id",))
    threads = [r[1] for r in rows]
    assert threads[0] == threads[1] == threads[2] != threads[3]
    assert threads[4] == threads[5] not in threads[:4]


def test_store_adds_removes_replaces(kit: Kit) -> None:
    for n in range(3):
        kit.add(msg(str(n)))
    store = kit.store.flags.store
    first = store(kit.ann, kit.box(), ((1, 2),), "+", Flag.SEEN, ["Work"])
    assert [s[:3] for s in first.changed] == [(1, 1, "Work"), (2, 1, "Work")]
    assert len({s[3] for s in first.changed}) == 1
    again = store(kit.ann, kit.box(), ALL, "+", Flag.SEEN, ["work"])
    assert [s[:3] for s in again.changed] == [(3, 1, "Work")]
    assert [s[:3] for s in again.unchanged] == [(1, 1, "Work"), (2, 1, "Work")]
    off = store(kit.ann, kit.box(), ((1, 1),), "-", Flag.SEEN, ["WORK"])
    assert [s[:3] for s in off.changed] == [(1, 0, "")]
    new = store(kit.ann, kit.box(), ALL, "=", Flag.FLAGGED | Flag.DELETED, ["b", "a"])
    assert {s[1:3] for s in new.changed} == {(12, "a b")}
    box = kit.store.mailboxes.get(kit.ann, kit.ann.account, "INBOX")
    assert (box.unseen, box.deleted) == (3, 3)
    assert next(c.rows for c in kit.changes if isinstance(c, FlagsChanged)) == ((1, 1, "Work"), (2, 1, "Work"))
    sound(kit)


def test_conditional_store_leaves_what_changed_since(kit: Kit) -> None:
    kit.add(msg("a"))
    kit.add(msg("b"))
    since = kit.store.mailboxes.get(kit.ann, kit.ann.account, "INBOX").highestmodseq
    kit.store.flags.store(kit.ann, kit.box(), ((1, 1),), "+", Flag.SEEN)
    result = kit.store.flags.store(kit.ann, kit.box(), ALL, "+", Flag.FLAGGED, unchanged_since=since)
    assert result.modified == (1,)
    assert [s[0] for s in result.changed] == [2]


def test_the_log_of_changes_is_in_order(kit: Kit) -> None:
    kit.add(msg("a"))
    kit.add(msg("b"))
    kit.store.flags.store(kit.ann, kit.box(), ALL, "+", Flag.DELETED)
    kit.store.messages.expunge(kit.ann, kit.box(), None)
    query = select(t.change.c.kind, t.change.c.uids).where(t.change.c.mailbox_id == kit.box())
    with kit.db.read() as reader:
        rows = reader.all(query.order_by(t.change.c.modseq))
    assert rows == [("created", ""), ("added", "1"), ("added", "2"), ("flags", "1:2"), ("expunged", "1:2")]


def test_many_threads_append_without_a_gap(kit: Kit) -> None:
    box = kit.box()

    def work(n: int) -> None:
        for i in range(10):
            kit.store.messages.append(kit.ann, box, kit.store.messages.prepare(msg(f"{n}.{i}")))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kit.uids() == list(range(1, 61))
    sound(kit)


def test_a_mailbox_that_is_gone_is_not_found(kit: Kit) -> None:
    with pytest.raises(NotFound):
        kit.store.messages.snapshot(kit.ann, MailboxId(999), take_recent=True)


@pytest.mark.parametrize(
    ("error", "kept"), [(Unavailable("the disk"), 1), (DiskFull("no room"), 0), (OverQuota("no room"), 0)]
)
def test_octets_stay_when_nobody_knows_what_became_of_their_row(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, error: StoreError, kept: int
) -> None:
    """A commit that ended in an error of the disk may have been written: a row without its octets would be damage."""

    def fails(op: object) -> None:
        raise error

    prepared = kit.store.messages.prepare(b"Subject: large\r\n\r\n" + b"x" * INLINE)
    box = kit.box()
    with monkeypatch.context() as patch:
        patch.setattr(kit.db, "write", fails)
        with pytest.raises(type(error)):
            kit.store.messages.append(kit.ann, box, prepared)
    assert len(list(kit.store.blobs.files())) == kept
