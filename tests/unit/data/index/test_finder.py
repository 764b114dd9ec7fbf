"""Searching: each operator, pages, freshness, rights, and the same set as a brute-force reference, always."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from data.disk import tables as t
from data.errors import Invalid, NotFound
from data.index.walk import Cursor
from data.reason import Reason
from data.store import keys as k
from data.store.keys import Flag
from data.store.query import parse
from tests.unit.data.conftest import message

if TYPE_CHECKING:
    from tests.unit.data.index.conftest import Library

DAY = 86_400_000
ATTACHED = (
    b"From: ann@example.test\r\nTo: bob@example.org\r\nSubject: plans\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee inside\r\n'
    b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment;\r\n"
    b' filename="=?utf-8?b?5pyI5bqm5oql5ZGK?= Q1-2026.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n'
)


@pytest.fixture(params=["indexed", "waiting", "half"])
def filled(request: pytest.FixtureRequest, library: Library) -> Library:
    """Five messages in INBOX and one in Sent, known to the index, or not, or the older ones only."""
    add = library.kit.add
    add(message("Invoice 2026-17", "Please pay the bill.\r\n"), internal_date=5 * DAY, flags=Flag.SEEN)
    add(message("Straße", "Grüße aus Köln, Müller\r\n", From="Jörg <joerg@example.net>"), internal_date=3 * DAY)
    add(
        message("bill of the week", "buy now\r\n", Cc="Carol <carol@example.org>"),
        flags=Flag.FLAGGED,
        internal_date=9 * DAY,
    )
    if request.param == "half":
        library.drain()
    add(ATTACHED, internal_date=7 * DAY, flags=Flag.ANSWERED)
    add(message("报告", "月度报告书\r\n"), internal_date=7 * DAY)
    add(message("sent bill", "the bill\r\n"), name="Sent", internal_date=1 * DAY)
    if request.param == "indexed":
        library.drain()
    return library


CASES: list[tuple[str, list[int]]] = [
    ("", [1, 1, 2, 3, 4, 5]),
    ("bill", [1, 1, 3]),
    ("BILL", [1, 1, 3]),
    ("bil", []),
    ('"the bill"', [1, 1]),
    ('"bill the"', []),
    ("bill -pay", [1, 3]),
    ("-bill", [2, 4, 5]),
    ("pay OR buy", [1, 3]),
    ("muller", [2]),
    ("strasse", [2]),
    ("GRÜSSE köln", [2]),
    ("from:joerg@example.net", [2]),
    ("from:jörg", [2]),
    ("from:bob", [1, 1, 3, 5]),
    ("to:ann", [1, 1, 2, 3, 5]),
    ("to:carol", [3]),
    ("to:bob", [4]),
    ("from:carol", []),
    ("subject:bill", [1, 3]),
    ("has:attachment", [4]),
    ("-has:attachment bill", [1, 1, 3]),
    ("q1-2026.pdf", [4]),
    ("月度报告", [4, 5]),
    ("度", [4, 5]),
    ("报告书", [5]),
    ("is:unread", [1, 2, 3, 4, 5]),
    ("is:read", [1]),
    ("is:starred OR is:answered", [3, 4]),
    ("after:1970-01-08", [3, 4, 5]),
    ("before:1970-01-05", [1, 2]),
    ("bill in:inbox", [1, 3]),
    ("bill in:sent", [1]),
    ("bill in:Sent in:INBOX", [1, 1, 3]),
    ("bill -in:sent", [1, 3]),
    ("is:starred OR köln", [2, 3]),
    ("2026-17", [1]),
    ("zzz", []),
]


def test_operators(filled: Library) -> None:
    for text, uids in CASES:
        assert filled.uids(text) == uids, text
    assert set(filled.lost) <= {"account 1 has no index on record"}


def test_newest_first_and_pages_meet(filled: Library) -> None:
    whole = filled.find("")
    dates = [(hit.internal_date, hit.mailbox, hit.uid) for hit in whole.hits]
    assert dates == sorted(dates, reverse=True)
    assert [hit.internal_date // DAY for hit in whole.hits] == [9, 7, 7, 5, 3, 1]
    for text in ("", "bill", "-zzz", "is:unread"):
        hits, after = [], None
        while True:
            page = filled.find(text, limit=2, after=after)
            assert page.complete
            assert len(page.hits) <= 2
            hits += page.hits
            if page.next is None:
                break
            after = Cursor.decode(page.next.encode())
        assert tuple(hits) == filled.find(text).hits


def test_a_message_is_found_once_it_is_stored_and_never_once_it_is_gone(library: Library) -> None:
    kit = library.kit
    library.drain()
    uid = kit.add(message("fresh", "news\r\n"))
    assert library.uids("fresh") == [uid]
    library.drain()
    assert library.uids("fresh") == [uid]
    kit.store.flags.store(kit.ann, kit.box(), ((uid, uid),), "+", Flag.DELETED, frozenset())
    kit.store.messages.expunge(kit.ann, kit.box(), None)
    assert library.uids("fresh") == []
    kit.store.sweep.run()
    assert library.uids("fresh") == []
    library.drain()
    assert library.uids("fresh") == []
    assert library.index.writer.status(kit.ann.account).indexed == 0


BEGUN: list[tuple[str, list[int]]] = [
    ("bil", [1, 1, 3]),
    ("the bil", [1, 1, 3]),
    ("bil the", []),
    ("bill th", [1, 1, 3]),
    ("bill ", [1, 1, 3]),
    ("bil ", []),
    ("from:joerg@exam", [2]),
    ("from:jo", [2]),
    ("subject:bi", [1, 3]),
    ("subject:pay", []),
    ("MÜL", [2]),
    ("strass", [2]),
    ("月", [4, 5]),
    ("q1-2026.p", [4]),
    ("-bil", [2, 4, 5]),
    ("zz", []),
]


def test_the_beginning_of_a_word_finds_what_it_begins(filled: Library) -> None:
    kit = filled.kit
    for text, uids in BEGUN:
        found = filled.index.finder.find(kit.ann, kit.ann.account, parse(text, begun=True), seconds=60)
        assert sorted(hit.uid for hit in found.hits) == uids, text
    assert filled.uids("bil*") == [1, 1, 3]


def test_a_beginning_of_too_many_words_is_looked_for_in_the_store(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for word in ("zaa", "zab", "zac", "zad"):
        library.kit.add(message("many", f"{word}\r\n"))
    library.drain()
    monkeypatch.setattr("data.index.reader.WORDS", 2)
    assert library.uids("za*") == [1, 2, 3, 4]


def test_junk_and_trash_are_searched_when_they_are_named(filled: Library) -> None:
    kit = filled.kit
    kit.add(message("junk bill", "x\r\n"), name="Junk")
    kit.add(message("old bill", "x\r\n"), name="Trash")
    named = {box.id: box.name for box in kit.store.mailboxes.list(kit.ann, kit.ann.account)}

    def boxes(text: str) -> set[str]:
        return {named[hit.mailbox] for hit in filled.find(text).hits}

    everywhere = {"INBOX", "Sent", "Junk", "Trash"}
    assert boxes("bill") == {"INBOX", "Sent"}
    for word in ("anywhere", "ALL", "所有文件夹"):
        assert boxes(f"bill in:{word}") == everywhere
    assert boxes("bill in:anywhere -in:trash") == everywhere - {"Trash"}
    for text, box in (("in:spam", "Junk"), ("位于:垃圾邮件", "Junk"), ("in:已删除", "Trash"), ("in:收件箱", "INBOX")):
        assert boxes(f"bill {text}") == {box}
    only = filled.index.finder.find(kit.ann, kit.ann.account, parse("bill in:inbox"), only=kit.box("Junk"))
    assert [hit.mailbox for hit in only.hits] == [kit.box("Junk")]
    foreign = filled.index.finder.find(kit.ann, kit.ann.account, parse("bill"), only=kit.box("INBOX", kit.bob))
    assert foreign.hits == ()


def test_hits_are_counted(filled: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    found = filled.find("bill", limit=1)
    assert (len(found.hits), found.count, found.counted) == (1, 3, True)
    assert found.next is not None
    rest = filled.find("bill", limit=1, after=found.next)
    assert (rest.count, rest.counted) == (2, True)
    monkeypatch.setattr("data.index.walk.COUNT", 2)
    some = filled.find("", limit=2)
    assert (some.count, some.counted) == (2, False)
    monkeypatch.setattr("data.index.finder.COUNTING", -1)
    assert not filled.find("bill", limit=1).counted


def test_a_conversation_is_one_hit_where_its_newest_stands(library: Library) -> None:
    kit = library.kit
    for n in range(6):
        fields = {"Message_ID": f"<{n}@example.test>"} | ({"References": f"<{n - 3}@example.test>"} if n > 2 else {})
        kit.add(message("plan", f"word {n}\r\n", **fields), internal_date=n * DAY, flags=Flag(n % 2))
    library.drain()
    finder, ann = library.index.finder, kit.ann

    def pages(text: str, limit: int) -> list[list[int]]:
        found, after = [], None
        while True:
            page = finder.find(ann, ann.account, parse(text), once=True, limit=limit, after=after)
            found.append([hit.uid for hit in page.hits])
            if (after := page.next) is None:
                return found

    assert pages("word", 50) == [[6, 5, 4]]
    assert [uid for page in pages("word", 1) for uid in page] == [6, 5, 4]
    assert [uid for page in pages("is:unread", 1) for uid in page] == [5, 3, 1]
    assert finder.find(ann, ann.account, parse("word"), once=True).count == 3
    hits = finder.find(ann, ann.account, parse("word")).hits
    one = finder.find(ann, ann.account, parse("word"), threads=(hits[1].thread,)).hits
    assert [hit.uid for hit in one] == [5, 2]
    assert finder.find(ann, ann.account, parse("other"), threads=(hits[1].thread,)).hits == ()


def test_what_is_marked_deleted_is_not_found(library: Library) -> None:
    kit = library.kit
    uid = kit.add(message("gone", "soon\r\n"))
    kit.store.flags.store(kit.ann, kit.box(), ((uid, uid),), "+", Flag.DELETED, frozenset())
    assert library.uids("gone") == []


def test_days_are_those_of_the_reader(filled: Library) -> None:
    kit = filled.kit
    east = timezone(timedelta(hours=8))
    for text, uids in (("after:1970-01-10", [3]), ("after:1970-01-11", []), ("before:1970-01-02", [])):
        found = filled.index.finder.find(kit.ann, kit.ann.account, parse(text, zone=east))
        assert sorted(hit.uid for hit in found.hits) == uids, text
    kit.add(message("late", "x\r\n"), internal_date=20 * DAY + 17 * 3_600_000)
    late = filled.index.finder.find(kit.ann, kit.ann.account, parse("after:1970-01-22", zone=east))
    assert [hit.internal_date for hit in late.hits] == [20 * DAY + 17 * 3_600_000]
    assert filled.find("after:1970-01-22").hits == ()


def test_a_copy_is_found_in_both_mailboxes(library: Library) -> None:
    kit = library.kit
    uid = kit.add(message("twice", "news\r\n"))
    library.drain()
    kit.store.messages.copy(kit.ann, kit.box(), ((uid, uid),), kit.box("Archive"))
    assert {hit.mailbox for hit in library.find("twice").hits} == {kit.box(), kit.box("Archive")}


def test_an_unknown_mailbox_finds_nothing_and_says_so(library: Library) -> None:
    library.kit.add()
    found = library.find("hello in:nowhere")
    assert found.hits == ()
    assert found.hints == (Reason("search.mailbox"),)


def test_hints_of_the_query_come_along(library: Library) -> None:
    library.kit.add()
    found = library.find('"hello')
    assert len(found.hits) == 1
    assert found.hints == (Reason("search.quote"),)


def test_another_account_is_not_there(filled: Library) -> None:
    kit = filled.kit
    with pytest.raises(NotFound):
        filled.index.finder.find(kit.bob, kit.ann.account, parse("bill"))
    assert filled.index.finder.find(kit.bob, kit.bob.account, parse("bill")).hits == ()


def test_a_shared_mailbox_is_searched_by_who_may_read_it(filled: Library) -> None:
    kit = filled.kit
    row = {"mailbox_id": kit.box("Sent"), "account_id": kit.bob.account, "rights": "lr"}
    kit.db.write(lambda tx: tx.run(insert(t.mailbox_right).values(**row)))
    found = filled.index.finder.find(kit.bob, kit.ann.account, parse("bill"))
    assert [hit.mailbox for hit in found.hits] == [kit.box("Sent")]


def test_what_the_box_never_asks_is_refused(library: Library) -> None:
    library.kit.add()
    query = parse("a")
    odd = type(query)(k.Header("x-tag", "a"))
    with pytest.raises(Invalid):
        library.index.finder.find(library.kit.ann, library.kit.ann.account, odd)


@pytest.mark.parametrize("text", ["", "1.2", "1.2.x", "1.2.3.4", "1.2.³", "1.2." + "9" * 30])
def test_a_broken_cursor_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        Cursor.decode(text)


def test_a_page_that_takes_too_long_goes_on_from_where_it_was(library: Library) -> None:
    for n in range(7):
        library.kit.add(message(f"number {n}", "same\r\n"))
    finder, ann = library.index.finder, library.kit.ann
    hits, after, pages = [], None, 0
    while True:
        page = finder.find(ann, ann.account, parse("same"), after=after, seconds=-1)
        hits += page.hits
        pages += 1
        after = page.next
        if after is None:
            break
        assert not page.complete
    assert [hit.uid for hit in hits] == [7, 6, 5, 4, 3, 2, 1]
    assert pages >= 7


# --- the reference ----------------------------------------------------------------------------------------------------

VOCABULARY = ["red", "green", "blue", "Über", "café", "月度", "报告", "报", "42", "2026-17", "ann@example.test"]


@dataclass(frozen=True)
class Said:
    """A message of the reference: what it says, where."""

    sender: str
    to: str
    subject: str
    body: str
    flags: Flag
    day: int

    def octets(self) -> bytes:
        return message(self.subject, self.body + "\r\n", From=self.sender, To=self.to).replace(
            b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", 1
        )


def normal(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f")


CJK = "\u4e00-\u9fff"


def contains(text: str, asked: str) -> bool:
    """The reference: the parts of what was asked one after the other, words as whole words, CJK anywhere in its run."""
    parts = re.findall(rf"[{CJK}]+|[^\W_{CJK}]+", normal(asked))
    each = [p if re.match(rf"[{CJK}]", p) else rf"(?<![^\W_{CJK}]){p}(?![^\W_{CJK}])" for p in parts]
    return re.search(r"[\W_]*".join(each), normal(text)) is not None


def reference(said: Said, key: k.SearchKey) -> bool:
    match key:
        case k.And(found):
            return all(reference(said, one) for one in found)
        case k.Or(left, right):
            return reference(said, left) or reference(said, right)
        case k.Not(inner):
            return not reference(said, inner)
        case k.AnyText(value):
            return any(contains(text, value) for text in (said.sender, said.to, said.subject, said.body))
        case k.Stored(field, value):
            texts = {k.Field.FROM: said.sender, k.Field.TO: said.to, k.Field.SUBJECT: said.subject}
            return contains(texts.get(field, ""), value)
        case k.HasFlag(flag):
            return bool(said.flags & flag)
        case k.Internal(k.When.BEFORE, day):
            return said.day < day
        case k.Internal(k.When.SINCE, day):
            return said.day >= day
        case _:
            return False


TEXT = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6).map(" ".join)
SAID = st.builds(
    Said,
    sender=st.sampled_from(["Red Green <red@example.org>", "ann@example.test", "Über <blue@example.net>"]),
    to=st.sampled_from(["ann@example.test", "café@example.test", "Green <green@example.org>, ann@example.test"]),
    subject=TEXT,
    body=TEXT,
    flags=st.sampled_from([Flag(0), Flag.SEEN, Flag.FLAGGED | Flag.SEEN, Flag.ANSWERED]),
    day=st.integers(0, 20),
)
WORDS = st.one_of(
    st.sampled_from(VOCABULARY), TEXT.map(lambda text: f'"{text}"'), st.sampled_from(["ember", "度报", "告"])
)
TERMS = st.one_of(
    WORDS,
    st.tuples(st.sampled_from(["from:", "to:", "subject:"]), WORDS).map("".join),
    st.sampled_from(["is:unread", "is:read", "is:starred", "is:answered", "has:attachment"]),
    st.tuples(st.sampled_from(["before:", "after:"]), st.integers(1, 20).map(lambda d: f"1970-01-{d:02}")).map("".join),
)
SIGNED = st.tuples(st.sampled_from(["", "", "-"]), TERMS).map("".join)
QUERIES = st.lists(st.one_of(SIGNED, SIGNED, st.just("OR")), max_size=6).map(" ".join)


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(
    population=st.lists(SAID, min_size=3, max_size=12),
    queries=st.lists(QUERIES, min_size=15, max_size=30),
    known=st.integers(0, 12),
)
def test_the_same_set_as_the_reference(
    library: Library, population: list[Said], queries: list[str], known: int
) -> None:
    kit = library.kit
    kit.store.flags.store(kit.ann, kit.box(), ((1, 2**32 - 1),), "+", Flag.DELETED, frozenset())
    kit.store.messages.expunge(kit.ann, kit.box(), None)
    said: dict[int, Said] = {}
    for nth, one in enumerate(population):
        if nth == known:
            library.drain()
        uid = kit.add(one.octets(), flags=one.flags, internal_date=one.day * DAY)
        said[uid] = one
    for text in queries:
        key = parse(text).key
        expected = sorted(uid for uid, one in said.items() if reference(one, key))
        assert library.uids(text) == expected, text
