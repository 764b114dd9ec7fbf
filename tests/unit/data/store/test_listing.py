"""Pages of conversations: each once, in order, wherever pages are cut."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Select, create_engine
from sqlalchemy.dialects import sqlite

from data.disk.tables import metadata
from data.errors import NotFound
from data.ids import ThreadId
from data.store import listing
from data.store.keys import Flag
from data.store.listing import Cursor, Show


def letter(
    subject: str, ident: str, answers: str = "", to: str = "ann@example.test", who: str = "Bob <bob@example.test>"
) -> bytes:
    head = f"From: {who}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{ident}@example.org>\r\n"
    if answers:
        head += f"References: <{answers}@example.org>\r\nIn-Reply-To: <{answers}@example.org>\r\n"
    return head.encode() + f"\r\nText of {subject}.\r\n".encode()


def pages(kit, size: int, show: Show = Show.ALL, name: str = "INBOX"):
    found, at = [], None
    for _ in range(500):
        page = kit.store.listing.page(kit.ann, kit.box(name), before=at, show=show, size=size)
        assert len(page.rows) <= size
        found += page.rows
        if page.next is None:
            return found
        assert Cursor.parse(str(page.next)) == page.next
        at = page.next
    raise AssertionError("pages without end")


def test_a_conversation_stands_once_at_its_newest_message(kit) -> None:
    kit.add(letter("Offer", "a"), internal_date=1_000)
    kit.add(letter("Other", "x"), internal_date=2_000)
    kit.add(letter("Re: Offer", "b", "a", who="Carol <carol@example.org>"), internal_date=3_000, flags=Flag.SEEN)
    first, second = pages(kit, 50)
    assert (first.subject, first.count, first.unread) == ("Re: Offer", 2, 1)
    assert first.people == ("Bob <bob@example.test>", "Carol <carol@example.org>")
    assert (second.subject, second.count) == ("Other", 1)
    assert first.preview == "Text of Re: Offer."


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_every_conversation_once_wherever_pages_are_cut(kit, size: int) -> None:
    chance = random.Random(size)
    for n in range(60):
        root = chance.randrange(20)
        answers = "" if n < 20 else f"r{root}"
        kit.add(letter(f"S{n if n < 20 else root}", f"r{n}", answers), internal_date=chance.randrange(10) * 1_000)
    rows = pages(kit, size)
    assert len({row.thread for row in rows}) == len(rows) == 20
    assert sum(row.count for row in rows) == 60
    assert [(row.date, row.uid) for row in rows] == sorted(((r.date, r.uid) for r in rows), reverse=True)


def test_filters(kit) -> None:
    kit.add(letter("Seen", "a"), internal_date=1, flags=Flag.SEEN)
    kit.add(letter("Starred", "b"), internal_date=2, flags=Flag.SEEN | Flag.FLAGGED)
    kit.add(letter("New", "c", to="list@example.org"), internal_date=3)
    kit.add(letter("Gone", "d"), internal_date=4, flags=Flag.DELETED)
    file = letter("File", "e", to="x%_@example.org").replace(
        b"\r\n\r\n",
        b'\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="a.pdf"\r\n\r\n',
        1,
    )
    kit.add(file, internal_date=5, flags=Flag.SEEN)

    def subjects(show: Show) -> list[str]:
        return [row.subject for row in pages(kit, 2, show)]

    assert subjects(Show.ALL) == ["File", "New", "Starred", "Seen"]
    assert subjects(Show.UNREAD) == ["New"]
    assert subjects(Show.STARRED) == ["Starred"]
    assert subjects(Show.FILES) == ["File"]
    assert subjects(Show.TO_ME) == ["Starred", "Seen"]


def test_answers_in_sent_belong_to_it_and_trash_does_not(kit) -> None:
    kit.add(letter("Offer", "a"), internal_date=1_000)
    kit.add(letter("Re: Offer", "b", "a", who="Ann <ann@example.test>"), "Sent", internal_date=2_000)
    kit.add(letter("Re: Offer", "c", "a"), "Trash", internal_date=3_000)
    (row,) = pages(kit, 50)
    assert (row.subject, row.count, row.unread) == ("Offer", 2, 1)
    letters = kit.store.listing.conversation(kit.ann, kit.box(), row.thread)
    assert [one.subject for one in letters] == ["Offer", "Re: Offer"]
    assert [one.mailbox for one in letters] == [kit.box(), kit.box("Sent")]
    (trashed,) = pages(kit, 50, name="Trash")
    assert trashed.count == 3
    assert [one.subject for one in kit.store.listing.conversation(kit.ann, kit.box("Trash"), row.thread)] == [
        "Offer", "Re: Offer", "Re: Offer",
    ]  # fmt: skip
    assert kit.store.listing.uids(kit.ann, kit.box("Trash"), row.thread) == (1,)


def test_a_copied_message_is_one(kit) -> None:
    uid = kit.add(letter("Offer", "a"))
    kit.store.messages.copy(kit.ann, kit.box(), ((uid, uid),), kit.box("Archive"))
    (row,) = pages(kit, 50)
    assert row.count == 1
    assert len(kit.store.listing.conversation(kit.ann, kit.box("Archive"), row.thread)) == 1


def test_nobody_sees_anothers(kit) -> None:
    kit.add(letter("Offer", "a"))
    (row,) = pages(kit, 50)
    with pytest.raises(NotFound):
        kit.store.listing.page(kit.bob, kit.box())
    with pytest.raises(NotFound):
        kit.store.listing.conversation(kit.bob, kit.box(), row.thread)
    with pytest.raises(NotFound):
        kit.store.listing.conversation(kit.bob, kit.box(who=kit.bob), row.thread)
    with pytest.raises(NotFound):
        kit.store.listing.letter(kit.bob, kit.box(), row.uid)
    with pytest.raises(NotFound):
        kit.store.listing.uids(kit.bob, kit.box(), row.thread)
    with pytest.raises(NotFound):
        kit.store.listing.conversation(kit.ann, kit.box(), ThreadId(999))
    with pytest.raises(NotFound):
        kit.store.listing.letter(kit.ann, kit.box(), 999)
    assert kit.store.listing.letter(kit.ann, kit.box(), row.uid).subject == "Offer"


def test_stars_of_all_folders_each_conversation_once(kit) -> None:
    starred = Flag.SEEN | Flag.FLAGGED
    kit.add(letter("Old", "a"), internal_date=1_000, flags=starred)
    kit.add(letter("Kept", "b"), "Archive", internal_date=3_000, flags=starred)
    kit.add(letter("Re: Old", "c", "a"), "Archive", internal_date=2_000, flags=starred)
    kit.add(letter("Plain", "d"), internal_date=4_000)
    kit.add(letter("Away", "e"), "Trash", internal_date=5_000, flags=starred)
    kit.add(letter("Gone", "f"), internal_date=6_000, flags=starred | Flag.DELETED)
    listing = kit.store.listing
    rows = listing.starred(kit.ann).rows
    assert [(row.subject, row.mailbox) for row in rows] == [
        ("Kept", kit.box("Archive")),
        ("Re: Old", kit.box("Archive")),
    ]
    first = listing.starred(kit.ann, size=1)
    assert first.rows == rows[:1] and first.next is not None
    assert listing.starred(kit.ann, before=Cursor.parse(str(first.next)), size=1).rows == rows[1:]
    assert listing.home(kit.ann, rows[1].thread) == kit.box("Archive")
    assert listing.starred(kit.bob).rows == ()
    for thread in (rows[0].thread, ThreadId(999)):
        with pytest.raises(NotFound):
            listing.home(kit.bob, thread)


def test_some_conversations_as_a_page_would_show_them(kit) -> None:
    kit.add(letter("Seen", "a"), internal_date=1_000, flags=Flag.SEEN)
    kit.add(letter("New", "b"), internal_date=2_000)
    kit.add(letter("Elsewhere", "c"), "Archive", internal_date=3_000)
    listing, rows = kit.store.listing, pages(kit, 50)
    threads = [row.thread for row in reversed(rows)] + [pages(kit, 50, name="Archive")[0].thread, ThreadId(999)]
    assert listing.some(kit.ann, kit.box(), threads) == tuple(rows)
    assert listing.some(kit.ann, kit.box(), threads, show=Show.UNREAD) == tuple(rows[:1])
    with pytest.raises(NotFound):
        listing.some(kit.bob, kit.box(), threads)


@pytest.mark.parametrize("text", [None, "", "1", "x.y", "1.-2", "1.2.3", "٣.٤", "9" * 60, " 1.2"])
def test_what_is_no_cursor_is_none(text: str | None) -> None:
    assert Cursor.parse(text) is None


def test_conversations_of_messages_tell_of_those_messages(kit) -> None:
    first = kit.add(letter("plan", "a"))
    kit.add(letter("Re: plan", "b", "a"))
    other = kit.add(letter("other", "c"))
    sent = kit.add(letter("sent", "d"), name="Sent")
    box, of_bob = kit.box(), kit.box("INBOX", kit.bob)
    places = [(box, other), (box, first), (box, 99), (of_bob, 1), (kit.box("Sent"), sent)]
    found = kit.store.listing.by_message(kit.ann, places)
    assert [(one.subject, one.uid, one.count) for one in found] == [
        ("other", other, 1),
        ("plan", first, 2),
        ("sent", sent, 1),
    ]
    assert [one.mailbox for one in found] == [box, box, kit.box("Sent")]
    kit.store.flags.store(kit.ann, box, ((first, first),), "+", Flag.DELETED, frozenset())
    assert kit.store.listing.by_message(kit.ann, [(box, first)]) == ()


def plan(statement: Select[Any]) -> list[str]:
    """How SQLite goes about it in a database without statistics, as ours is."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
    with engine.connect() as connection:
        bare = connection.connection.driver_connection
        assert bare is not None
        rows = bare.execute(f"EXPLAIN QUERY PLAN {compiled}", dict.fromkeys(compiled.params, 1)).fetchall()
    engine.dispose()
    return [row[3] for row in rows]


@pytest.mark.parametrize(
    "statement",
    [
        *listing._NEWERS.values(),
        *listing._NEWEST.values(),
        listing._MEMBERS,
        listing._OF_THREAD,
        listing._UIDS,
        listing._HOMES,
    ],
)
def test_a_conversation_is_found_by_its_number_however_large_the_mailbox(statement: Select[Any]) -> None:
    first, second, *_ = plan(statement)
    assert first.startswith("SEARCH message USING") and "thread_id=?" in first
    assert second.startswith("SEARCH entry USING") and "message_id=?" in second


@pytest.mark.parametrize("show", Show)
def test_a_page_begins_where_it_begins_however_large_the_mailbox(show: Show) -> None:
    first, *rest = plan(listing._WALKS[show])
    assert "mailbox_id=? AND internal_date<?" in first
    assert not [line for line in rest if "TEMP B-TREE" in line]
