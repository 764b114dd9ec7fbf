"""Commands against a real store: what a dialogue in text cannot show."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import text as sql

from appliance.space import Space
from data.disk.blobs import INLINE
from imap.actions import bodies
from imap.actions.fetch import BUDGET
from imap.session import Rules
from imap.view import View
from tests.imap_rig import Desk, Talk, message

PARTS = (
    b"From: a@example.org\r\nSubject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
    b"--b\r\nContent-Type: text/plain\r\nX-One: 1\r\n\r\none\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: in@example.org\r\nSubject: inner\r\nContent-Type: multipart/mixed;"
    b" boundary=c\r\n\r\n--c\r\n\r\ninner one\r\n--c\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ninner=20two\r\n--c--\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\nepilogue\r\n"
)


def body(answer: bytes) -> bytes:
    """The octets of the one literal of a FETCH response."""
    found = re.search(rb"\{(\d+)\}\r\n", answer)
    assert found is not None
    return answer[found.end() : found.end() + int(found[1])]


def view(talk: Talk) -> View:
    found = talk.dialogue.session.view
    assert found is not None
    return found


# --- FETCH ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", PARTS),
        ("HEADER", PARTS[: PARTS.index(b"preamble")]),
        ("TEXT", PARTS[PARTS.index(b"preamble") :]),
        ("1", b"one"),
        ("1.MIME", b"Content-Type: text/plain\r\nX-One: 1\r\n\r\n"),
        ("2.HEADER.FIELDS (Subject)", b"Subject: inner\r\n\r\n"),
        ("2.HEADER.FIELDS.NOT (Subject Content-Type)", b"From: in@example.org\r\n\r\n"),
        ("2.1", b"inner one"),
        ("2.2", b"inner=20two"),
        ("2.2.MIME", b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"),
        ("3", b"AAEC"),
        ("HEADER.FIELDS (X-None)", b"\r\n"),
    ],
)
def test_sections(talk: Talk, section: str, expected: bytes) -> None:
    """Every section is a cut of the message as it was stored, whole and in part."""
    talk.append(PARTS)
    talk.do("SELECT INBOX")
    assert body(talk.do(f"FETCH 1 BODY.PEEK[{section}]").one(b"FETCH")) == expected
    for offset, count in ((0, 3), (1, 10_000), (len(expected), 5)):
        part = talk.do(f"FETCH 1 BODY.PEEK[{section}]<{offset}.{count}>").one(b"FETCH")
        assert body(part) == expected[offset : offset + count]


@pytest.mark.parametrize("section", ["4", "1.2", "1.HEADER", "1.TEXT", "2.3", "3.1", "2.1.1.1"])
def test_sections_that_are_not_there(talk: Talk, section: str) -> None:
    talk.append(PARTS)
    talk.do("SELECT INBOX")
    assert talk.do(f"FETCH 1 BODY.PEEK[{section}]").one(b"FETCH").endswith(b" NIL)")


def test_binary(talk: Talk) -> None:
    """Transfer encodings undone; a NUL makes it a literal8; an encoding we do not know is UNKNOWN-CTE."""
    talk.append(PARTS)
    talk.append(b"Content-Transfer-Encoding: x-strange\r\n\r\nabc\r\n")
    talk.do("SELECT INBOX")
    assert talk.do("FETCH 1 BINARY.PEEK[3]").one(b"FETCH") == b"* 1 FETCH (BINARY[3] ~{3}\r\n\0\1\2)"
    assert talk.do("FETCH 1 BINARY.PEEK[3]<1.1>").one(b"FETCH") == b"* 1 FETCH (BINARY[3]<1> ~{1}\r\n\1)"
    assert talk.do("FETCH 1 (BINARY.SIZE[3] BINARY.SIZE[2.2] BINARY.SIZE[9])").untagged == [
        b"* 1 FETCH (BINARY.SIZE[3] 3 BINARY.SIZE[2.2] 9 BINARY.SIZE[9] 0)"
    ]
    assert body(talk.do("FETCH 1 BINARY.PEEK[]").one(b"FETCH")) == PARTS
    assert talk.do("FETCH 2 BINARY.PEEK[1]").tagged.startswith(b"NO [UNKNOWN-CTE]")


def test_a_large_message_is_streamed_and_comes_whole(talk: Talk) -> None:
    """Beyond what rests in the database, and beyond what is read at once."""
    large = message("large", "".join(f"{n:070d}\r\n" for n in range(20_000)))
    assert len(large) > 4 * INLINE
    assert talk.append(large).ok
    talk.do("SELECT INBOX")
    assert body(talk.do("FETCH 1 BODY.PEEK[]").one(b"FETCH")) == large
    assert (
        body(talk.do("FETCH 1 BODY.PEEK[TEXT]<100000.700000>").one(b"FETCH"))
        == large.split(b"\r\n\r\n", 1)[1][100_000:800_000]
    )
    answer = talk.do("FETCH 1 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1] RFC822.SIZE)").one(b"FETCH")
    assert answer.startswith(b"* 1 FETCH (UID 1 RFC822.SIZE %d BODY[HEADER.FIELDS (SUBJECT)] {18}" % len(large))
    assert answer.endswith(large.split(b"\r\n\r\n", 1)[1] + b")")


def test_a_client_that_does_not_read_holds_back_its_fetch(room: Desk, talk: Talk) -> None:
    """What was asked for waits on the disk, not in memory."""
    for n in range(12):
        talk.append(message(f"n{n}", ("x" * 76 + "\r\n") * 3000))
    talk.do("SELECT INBOX")
    talk.line.patience = 100_000
    said = talk.say(b"x FETCH 1:* BODY.PEEK[]\r\n")
    assert 100_000 < len(said) < 2 * BUDGET
    assert talk.dialogue.busy
    talk.line.hear()
    room.settle(talk)
    assert talk.heard().endswith(b"x OK FETCH completed\r\n")


def test_a_client_that_vanishes_ends_its_fetch(room: Desk, talk: Talk) -> None:
    for n in range(4):
        talk.append(message(f"n{n}", ("x" * 76 + "\r\n") * 3000))
    talk.do("SELECT INBOX")
    talk.line.patience = 100_000
    assert talk.say(b"x FETCH 1:* BODY.PEEK[]\r\n")
    listeners = room.parts.hub.listeners
    talk.drop()
    assert not talk.dialogue.busy
    assert room.parts.hub.listeners == listeners - 1


def test_seen_is_set_by_reading(talk: Talk) -> None:
    """Once, told with the body, and not when peeking or looking at a mailbox opened read-only."""
    for n in range(3):
        talk.append(message(f"n{n}"))
    talk.do("EXAMINE INBOX")
    assert b"Seen" not in talk.do("FETCH 1 (FLAGS BODY[])").untagged[0]
    talk.do("SELECT INBOX")
    talk.do("FETCH 1:3 (BODY.PEEK[] RFC822.HEADER)")
    assert talk.do("SEARCH SEEN").untagged == [b"* SEARCH"]
    first = talk.do("FETCH 1:2 BODY[1]<0.1>").untagged
    assert [b"\\Seen" in line for line in first] == [True, True]
    again = talk.do("FETCH 1:3 BODY[1]<0.1>").untagged
    assert [b"\\Seen" in line for line in again] == [False, False, True]
    assert talk.do("STATUS INBOX (UNSEEN)").untagged == [b'* STATUS "INBOX" (UNSEEN 0)']


def test_changedsince_with_bodies(talk: Talk) -> None:
    for n in range(3):
        talk.append(message(f"n{n}"))
    talk.do("SELECT INBOX (CONDSTORE)")
    since = int(talk.do("FETCH 3 MODSEQ").untagged[0].split(b"MODSEQ (")[1].split(b")")[0])
    talk.do("STORE 2 +FLAGS (\\Flagged)")
    answer = talk.do(f"FETCH 1:* (BODY.PEEK[TEXT]) (CHANGEDSINCE {since})")
    assert [line.split()[1] for line in answer.untagged] == [b"2"]


def test_many_messages_in_several_batches(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches join without a gap, in fragments of a mailbox too."""
    monkeypatch.setattr("imap.actions.fetch.ROWS", 7)
    monkeypatch.setattr("imap.actions.fetch.LIGHT_ROWS", 7)
    monkeypatch.setattr("imap.actions.fetch.BUDGET", 2000)
    for n in range(40):
        talk.append(message(f"n{n}"))
    talk.do("SELECT INBOX")
    everything = [b"%d" % n for n in range(1, 41)]
    for items in ("UID", "(UID ENVELOPE)", "BODY.PEEK[HEADER]"):
        assert [line.split()[1] for line in talk.do(f"FETCH 1:* {items}").untagged] == everything
        some = talk.do(f"FETCH 2:3,10:20,39:* {items}").untagged
        assert [line.split()[1] for line in some] == everything[1:3] + everything[9:20] + everything[38:]


def test_large_structures_end_a_batch(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imap.actions.fetch.ROW_BUDGET", 500)
    for n in range(10):
        talk.append(message(f"n{n}"))
    talk.do("SELECT INBOX")
    assert len(talk.do("FETCH 1:* (ENVELOPE BODYSTRUCTURE)").untagged) == 10
    assert len(talk.do("FETCH 1:* (FLAGS) (CHANGEDSINCE 1)").untagged) == 10


# --- damaged messages -------------------------------------------------------------------------------------------------


def damage(room: Desk) -> None:
    """Flip what the newest blob of the database holds."""
    with room.ground.db.engine.connect() as connection:
        (blob,) = connection.execute(sql("SELECT max(blob_id) FROM blob_data")).one()
        connection.execute(sql("UPDATE blob_data SET data = zeroblob(length(data)) WHERE blob_id = :b"), {"b": blob})
        connection.commit()


def test_a_damaged_message_says_so(room: Desk, talk: Talk) -> None:
    """It stays listed under its UID; what the rows know is told, and its body is a placeholder (C14)."""
    talk.append(message("whole"))
    talk.append(message("lost", "gone for good\r\n"))
    talk.do("SELECT INBOX")
    damage(room)
    answer = talk.do("FETCH 1:2 (UID ENVELOPE BODY.PEEK[])")
    assert answer.ok
    assert b'"whole"' in answer.untagged[0]
    assert b"UID 2" in answer.untagged[1]
    shown = body(answer.untagged[1])
    assert b"X-Mailstead-Damaged: yes" in shown
    assert b"Subject: lost" in shown
    assert b"gone for good" not in shown
    for section in ("[HEADER]", "[TEXT]", "[1]", "[HEADER.FIELDS (SUBJECT)]", "[TEXT]<5.10>"):
        assert talk.do(f"FETCH 2 BODY.PEEK{section}").ok


def test_placeholders() -> None:
    """Text from rows cannot break out of its header line."""
    made = bodies.placeholder("a\r\nBcc: x", "s\u202e" * 400)
    assert made.count(b"\r\n\r\n") == 1
    assert b"\r\nBcc" not in made
    assert max(map(len, made.split(b"\r\n"))) < 1200


# --- APPEND -----------------------------------------------------------------------------------------------------------


def files(room: Desk) -> list[str]:
    return sorted(str(path) for path in (room.ground.state / "blobs").rglob("*") if path.is_file())


def test_an_append_that_is_broken_off_leaves_nothing(room: Desk, talk: Talk) -> None:
    """The client vanishes in the middle of a large message, and of a small one."""
    before = files(room)
    for size in (2_000_000, 200):
        other = room.login()
        said = other.say(b"x APPEND INBOX {%d}\r\n" % size)
        assert said == b"+ OK\r\n"
        other.say(b"x" * (size - 10))
        other.drop()
        assert not other.dialogue.busy
    assert files(room) == before


@pytest.mark.parametrize("size", [200, 100_000, 700_000])
def test_nul_is_refused(room: Desk, talk: Talk, size: int) -> None:
    """Whatever the size; nothing is left behind, and the connection goes on."""
    before = files(room)
    assert talk.append(b"x" * size + b"\0" + b"x" * size).tagged.startswith(b"NO [CANNOT]")
    assert files(room) == before
    assert talk.do("STATUS INBOX (MESSAGES)").untagged == [b'* STATUS "INBOX" (MESSAGES 0)']


def test_large_messages_are_refused_before_they_are_sent(talk: Talk) -> None:
    """TRYCREATE for a mailbox that is not there; with a literal that comes anyway, its octets are skipped."""
    assert talk.say(b"x APPEND Nowhere {500000}\r\n").startswith(b"x NO [TRYCREATE]")
    said = talk.say(b"y APPEND Nowhere {500000+}\r\n" + b"z" * 500_000 + b"\r\nz NOOP\r\n")
    assert said.startswith(b"y NO [TRYCREATE]")
    assert said.endswith(b"z OK NOOP completed\r\n")


def test_the_limit_is_the_listeners(room: Desk) -> None:
    talk = room.login(room.account(), Rules(message_size=1000))
    assert b"APPENDLIMIT=1000" in talk.do("CAPABILITY").untagged[0]
    assert talk.do("STATUS INBOX (APPENDLIMIT)").untagged == [b'* STATUS "INBOX" (APPENDLIMIT 1000)']
    assert talk.append(b"x" * 1000).ok
    assert talk.say(b"x APPEND INBOX {1001}\r\n").startswith(b"x NO [TOOBIG]")


@pytest.mark.parametrize("where", ["get", "intake"])
def test_a_failure_in_the_middle_does_not_let_a_message_be_read_as_commands(
    room: Desk, talk: Talk, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whatever fails, before the message or while it comes: its octets are thrown away to the last."""

    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    part = room.ground.store.mailboxes if where == "get" else room.ground.store.messages
    monkeypatch.setattr(part, where, broken)
    inside = b"y CREATE smuggled\r\n" * 40_000
    said = talk.say(b"x APPEND INBOX {%d+}\r\n%b\r\nz NOOP\r\n" % (len(inside), inside))
    assert said.startswith(b"x NO [SERVERBUG]")
    assert said.count(b"\r\n") == 2
    assert said.endswith(b"z OK NOOP completed\r\n")


def test_quota(room: Desk) -> None:
    """A full mailbox is told by OVERQUOTA; reading and expunging still work."""
    address = room.account()
    talk = room.login(address)
    talk.append(message("first"))
    room.ground.db.write(lambda tx: room.ground.directory.set_quota_in(tx, room.principal(address).account, 300))
    assert talk.append(message("second")).tagged.startswith(b"NO [OVERQUOTA]")
    talk.do("SELECT INBOX")
    assert talk.do("FETCH 1 BODY.PEEK[]").ok
    assert talk.do("COPY 1 Trash").tagged.startswith(b"NO [OVERQUOTA]")
    talk.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert talk.do("EXPUNGE").untagged == [b"* 1 EXPUNGE"]
    assert talk.append(message("third")).ok


# --- views ------------------------------------------------------------------------------------------------------------


def test_recent(room: Desk) -> None:
    r"""\Recent is told to the first session that selects, and to one of those that are there when mail comes."""
    address = room.account()
    first, second, looker = (room.login(address) for _ in range(3))
    first.append(message("one"))
    assert looker.do("EXAMINE INBOX").one(b"RECENT") == b"* 1 RECENT"
    assert looker.do("STATUS INBOX (RECENT)").untagged == [b'* STATUS "INBOX" (RECENT 1)']
    assert first.do("SELECT INBOX").one(b"RECENT") == b"* 1 RECENT"
    assert second.do("SELECT INBOX").one(b"RECENT") == b"* 0 RECENT"
    looker.append(message("two"))
    assert first.do("NOOP").untagged == [b"* 2 EXISTS", b"* 2 RECENT"]
    assert second.do("NOOP").untagged == [b"* 2 EXISTS", b"* 0 RECENT"]
    assert first.do("SEARCH RECENT").untagged == [b"* SEARCH 1 2"]
    assert looker.do("STATUS INBOX (RECENT)").untagged == [b'* STATUS "INBOX" (RECENT 0)']
    assert second.do("SELECT INBOX").one(b"RECENT") == b"* 0 RECENT"


def test_lost_changes_are_read_again(room: Desk) -> None:
    """Messages that came and went and flags that changed while nothing could be noted are told at the next command."""
    address = room.account()
    talk, other = room.login(address), room.login(address)
    for n in range(4):
        talk.append(message(f"n{n}"))
    for one in (talk, other):
        one.do("SELECT INBOX")
    view(talk).lose()
    other.do("STORE 1 +FLAGS.SILENT (\\Flagged)")
    other.do("UID MOVE 2 Trash")
    other.append(message("new"))
    told = talk.do("NOOP").untagged
    assert told[:3] == [b"* 2 EXPUNGE", b"* 4 EXISTS", b"* 3 RECENT"]
    assert b"* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent))" in told
    assert not view(talk).lost
    other.do("STORE 1 -FLAGS.SILENT (\\Flagged)")
    assert talk.do("NOOP").untagged == [b"* 1 FETCH (UID 1 FLAGS (\\Recent))"]


def test_lost_changes_of_an_idler(room: Desk) -> None:
    address = room.account()
    talk, other = room.login(address), room.login(address)
    talk.append(message("one"))
    talk.do("SELECT INBOX")
    talk.say(b"i IDLE\r\n")
    view(talk).lose()
    other.append(message("two"))
    room.settle(talk, other)
    assert b"* 2 EXISTS" in talk.heard()


def test_lost_changes_of_a_mailbox_that_is_gone(room: Desk) -> None:
    address = room.account()
    talk, other = room.login(address), room.login(address)
    talk.do("CREATE Short")
    talk.append(message("one"), "Short")
    talk.do("SELECT Short")
    view(talk).lose()
    other.do("DELETE Short")
    assert talk.do("NOOP").ok
    assert view(talk).deleted


def test_remembered_uids_are_right_whatever_happens_between(room: Desk) -> None:
    """SELECT again and again, with changes by others in between: always what the store holds."""
    address = room.account()
    talk, other = room.login(address), room.login(address)
    for n in range(30):
        other.append(message(f"n{n}"))
    other.do("SELECT INBOX")
    for n in range(12):
        assert talk.do("SELECT INBOX").ok
        who = room.principal(address)
        box = room.ground.store.mailboxes.get(who, who.account, "INBOX").id
        fresh = room.ground.store.messages.snapshot(who, box, take_recent=False)
        assert view(talk).uids == fresh.uids
        assert view(talk).modseq == fresh.mailbox.highestmodseq
        talk.do("UNSELECT")
        other.do((f"UID MOVE {n * 2 + 1} Trash", "UID COPY 30 INBOX", "UID STORE 30 +FLAGS (\\Seen)")[n % 3])


# --- the conversation -------------------------------------------------------------------------------------------------


def test_pipelined_commands_are_answered_in_order(talk: Talk) -> None:
    """Quick and slow ones mixed in one segment."""
    said = talk.say(
        b"1 NOOP\r\n2 SELECT INBOX\r\n3 CAPABILITY\r\n4 FETCH 1:* UID\r\n5 IDLE\r\nDONE\r\n6 NOOP\r\n7 LOGOUT\r\n8 NOOP\r\n"
    )
    tagged = [line[:4] for line in said.split(b"\r\n") if re.match(rb"\d ", line)]
    assert tagged == [b"1 OK", b"2 OK", b"3 OK", b"4 OK", b"5 OK", b"6 OK", b"7 OK"]
    assert talk.line.closed


def test_an_unexpected_failure_is_told_by_a_fixed_text(room: Desk, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO [SERVERBUG]; nothing of the exception reaches the client, and the connection goes on."""

    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("secret detail")

    talk.do("SELECT INBOX")
    monkeypatch.setattr(room.ground.store.search, "find", broken)
    monkeypatch.setattr(room.ground.store.messages, "append", broken)
    for answer in (talk.do("SEARCH ALL"), talk.append(message("x"))):
        assert answer.tagged.startswith(b"NO [SERVERBUG]")
        assert b"secret" not in answer.tagged
    assert talk.do("NOOP").ok


def test_failed_logins_end_the_conversation(room: Desk) -> None:
    talk = room.client(Rules(failed_logins=3))
    assert [talk.do("LOGIN nobody x").tagged[:2] for _ in range(2)] == [b"NO", b"NO"]
    assert b"* BYE" in talk.say(b"x LOGIN nobody x\r\n")
    assert talk.line.closed


def test_a_client_that_reads_nothing_is_not_answered_for_ever(room: Desk, talk: Talk) -> None:
    """Commands behind an unread answer wait, and what is read of them is bounded."""
    talk.line.deaf = True
    talk.say(b"x NOOP\r\n" * 20_000)
    assert talk.line.paused
    talk.line.hear()
    room.settle(talk)
    assert talk.heard().count(b"x OK") == 20_000
    assert not talk.line.paused


def test_a_large_append_pauses_reading_while_it_is_stored(talk: Talk) -> None:
    """Nothing beyond a bound is read from the socket while the disk is busy; in the end everything is there."""
    large = message("large", "y" * 998 + "\r\n" + ("x" * 76 + "\r\n") * 40_000)
    assert talk.append(large).ok
    assert talk.line.pauses and not talk.line.paused
    talk.do("SELECT INBOX")
    assert talk.do("FETCH 1 RFC822.SIZE").untagged == [b"* 1 FETCH (RFC822.SIZE %d)" % len(large)]


def test_F4_below_the_disk_floor_nothing_comes_in_and_the_rest_goes_on(room: Desk) -> None:
    """APPEND is refused before its octets come; reading and deleting work."""
    space = Space(room.ground.state, 1 << 60, room.ground.clock, share=1)
    full = replace(room, parts=replace(room.parts, space=space))
    talk = full.login()
    room.talks += full.talks
    assert talk.say(b"a APPEND INBOX {5}\r\n").startswith(b"a NO [OVERQUOTA]")
    assert b"b OK" in talk.say(b"b SELECT INBOX\r\n")
    assert b"c OK" in talk.say(b"c EXPUNGE\r\n")
