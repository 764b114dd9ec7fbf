"""The grammar: a command or the named error, nothing else, and never slowly; values mean what a plain reading says."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.ids import AccountId, MailboxId
from data.mime.scanner import scan
from data.mime.structure import body, bodystructure
from data.store import keys as k
from imap import response
from imap.command import STAR, SequenceSet, Tagged
from imap.errors import Bad, ImapError
from imap.grammar import commands, names
from imap.grammar.search import build, search
from imap.grammar.sequence import sequence_set
from imap.grammar.structure import without_extension
from imap.grammar.tokens import Cursor
from imap.view import View

_words = st.sampled_from(
    [
        *sorted(commands.NAMES),
        *(
            b"a",
            b"(",
            b")",
            b" ",
            b"  ",
            b"{3}\r\nabc",
            b"{3+}\r\nab",
            b'"',
            b'"x"',
            b"\\Seen",
            b"\0",
            b"\xc3\xa9",
            b"\xff",
        ),
        *(
            b"1:*",
            b"*",
            b"$",
            b"0",
            b"4294967296",
            b"BODY[",
            b"]",
            b"<0.5>",
            b"HEADER.FIELDS (a b)",
            b"NOT",
            b"OR",
            b"%",
        ),
        *(
            b"RETURN (",
            b"CHARSET UTF-8",
            b"UNCHANGEDSINCE 5",
            b"CHANGEDSINCE 5",
            b"FLAGS",
            b"+FLAGS.SILENT",
            b"&",
            b"&-",
        ),
        *(b"INBOX", b"ALL", b"SINCE 1-Feb-2020", b'"17-Jul-1996 02:44:25 -0700"', b"NIL", b"UID", b"KEYWORD x"),
        *(b"BINARY.SIZE[1]", b"BODY.PEEK[1.2.MIME]", b"STATUS (MESSAGES)", b"(SUBSCRIBED)", b"SEARCH"),
    ]
)
_commands = (
    st.lists(_words, max_size=12).map(b" ".join) | st.lists(_words, max_size=16).map(b"".join) | st.binary(max_size=80)
)


@given(_commands, st.booleans())
def test_a_command_or_the_named_error(text: bytes, utf8: bool) -> None:
    """`parse`, `append_head` and `head` of anything."""
    for data in (text, b"a " + text):
        try:
            assert isinstance(commands.parse(data, utf8_names=utf8), Tagged)
        except ImapError as error:
            assert error.public and "\n" not in error.public
        try:
            commands.append_head(data + b" {5}\r\n", utf8_names=utf8)
        except ImapError:
            continue
        finally:
            tag, _ = commands.head(data)
            assert tag == b"*" or data.startswith(tag)


# --- names --------------------------------------------------------------------------------------------------------------

_text = st.text(st.characters(codec="utf-8"), max_size=40)


@given(_text)
def test_names_travel(name: str) -> None:
    """A name survives the wire in either form, and has one spelling there."""
    raw = names.encode(name)
    assert re.fullmatch(rb"[ -~]*", raw)
    assert names.decode(raw, utf8=False) == name
    assert names.decode(name.encode(), utf8=True) == name


@given(st.binary(max_size=30))
def test_what_decodes_is_canonical(raw: bytes) -> None:
    """No two spellings of one name."""
    try:
        name = names.decode(raw, utf8=False)
    except ImapError:
        return
    assert names.encode(name) == raw


_pattern_text = st.text("ab/*%", max_size=10)


@given(_pattern_text, st.text("ab/", max_size=10))
def test_patterns(pattern: str, name: str) -> None:
    """A pattern matches what the regular expression of its meaning matches."""
    meaning = "".join(".*" if c == "*" else "[^/]*" if c == "%" else re.escape(c) for c in pattern)
    assert names.Pattern(pattern).matches(name) == bool(re.fullmatch(meaning, name, re.DOTALL))


# --- sequence sets --------------------------------------------------------------------------------------------------------

_number = st.integers(1, 40).map(str) | st.just("*")
_range = _number | st.tuples(_number, _number).map(":".join)
_set = st.lists(_range, min_size=1, max_size=6).map(",".join)
_uids = st.lists(st.integers(1, 40), unique=True, max_size=20).map(sorted)


def _view(uids: list[int]) -> View:
    return View(AccountId(1), MailboxId(1), array("I", uids), 1)


def _meant(text: str, top: int) -> set[int]:
    """Every number a set names, one by one."""
    meant: set[int] = set()
    for piece in text.split(","):
        ends = [top if end == "*" else int(end) for end in piece.split(":")]
        meant.update(range(min(ends), max(ends) + 1))
    return meant


def _inside(uids: list[int], ranges: k.Ranges) -> list[int]:
    return [uid for uid in uids if any(lo <= uid <= hi for lo, hi in ranges)]


@given(_set, _uids)
def test_uid_sets(text: str, uids: list[int]) -> None:
    """UIDs: those that are there, whatever else is named."""
    parsed = sequence_set(Cursor(text.encode()))
    ranges = _view(uids).ranges(parsed, uid=True)
    expected = [uid for uid in uids if uid in _meant(text, uids[-1])] if uids else []
    assert _inside(uids, ranges) == expected
    assert list(ranges) == sorted(ranges)
    assert all(a[1] < b[0] for a, b in pairwise(ranges))


@given(_set, _uids)
def test_number_sets(text: str, uids: list[int]) -> None:
    """Numbers: a range that begins beyond the mailbox is Bad, one that ends there stops there."""
    view = _view(uids)
    parsed = sequence_set(Cursor(text.encode()))
    beyond = any(low != STAR and low > len(uids) and not (not uids and high == STAR) for low, high in parsed.ranges)
    if beyond:
        with pytest.raises(Bad):
            view.ranges(parsed, uid=False)
        return
    meant = _meant(text, len(uids)) if uids else set()
    expected = [uid for number, uid in enumerate(uids, 1) if number in meant]
    assert _inside(uids, view.ranges(parsed, uid=False)) == expected


@given(_uids, st.lists(st.integers(1, 40), max_size=20).map(sorted))
def test_saved_results(uids: list[int], saved: list[int]) -> None:
    """`$` names what was found and is still there."""
    ranges = _view(uids).ranges(SequenceSet(saved=True), uid=False, saved=saved)
    assert _inside(uids, ranges) == [uid for uid in uids if uid in saved]


@given(st.lists(st.integers(1, 60), unique=True, min_size=1).map(sorted))
def test_sequence_sets_round_trip(numbers: list[int]) -> None:
    """What we write is what we read."""
    parsed = sequence_set(Cursor(response.sequence_set(numbers)))
    assert [n for low, high in parsed.ranges for n in range(low, high + 1)] == numbers


# --- search ---------------------------------------------------------------------------------------------------------------

_leaf = st.sampled_from(["SEEN", "UNSEEN", "FLAGGED", "ALL", "1:3", "UID 2:4", "DELETED", "RECENT", "NEW", "OLD"])
_key = st.recursive(
    _leaf,
    lambda inner: st.one_of(
        inner.map("NOT {}".format),
        st.tuples(inner, inner).map(lambda pair: f"OR {pair[0]} {pair[1]}"),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: f"({' '.join(found)})"),
    ),
    max_leaves=12,
)


def _naive(words: list[str], flags: set[str], number: int, uid: int, recent: bool) -> bool:
    """One key read recursively, as RFC 9051 §6.4.4 puts it; takes its words off the front."""

    def one(word: str) -> bool:
        if word == "(":
            verdict = True
            while words[0] != ")":
                verdict = _naive(words, flags, number, uid, recent) and verdict
            words.pop(0)
            return verdict
        if word == "NOT":
            return not _naive(words, flags, number, uid, recent)
        if word == "OR":
            left = _naive(words, flags, number, uid, recent)
            return _naive(words, flags, number, uid, recent) or left
        plain = {
            "ALL": True,
            "UNSEEN": "SEEN" not in flags,
            "1:3": 1 <= number <= 3,
            "RECENT": recent,
            "OLD": not recent,
            "NEW": recent and "SEEN" not in flags,
        }
        if word == "UID":
            words.pop(0)
            return 2 <= uid <= 4
        return plain.get(word, word in flags)

    return one(words.pop(0))


def _holds(key: k.SearchKey, flags: set[str], uid: int) -> bool:
    match key:
        case k.All():
            return True
        case k.And(found):
            return all(_holds(one, flags, uid) for one in found)
        case k.Or(left, right):
            return _holds(left, flags, uid) or _holds(right, flags, uid)
        case k.Not(inner):
            return not _holds(inner, flags, uid)
        case k.HasFlag(flag):
            return flag.name in flags
        case k.Uids(ranges):
            return any(lo <= uid <= hi for lo, hi in ranges)
    raise AssertionError(key)


@given(st.lists(_key, min_size=1, max_size=3).map(" ".join), st.sets(st.sampled_from(["SEEN", "FLAGGED", "DELETED"])))
def test_search_programs(text: str, flags: set[str]) -> None:
    """A program holds for a message exactly when the keys do, read one by one."""
    uids = [1, 2, 4, 5]
    view = _view(uids)
    program = search(Cursor(b" " + text.encode()), uid=False).program
    key = build(program, view.ranges, ((4, 5),))
    for uid in uids:
        words = text.replace("(", "( ").replace(")", " )").split()
        expected = True
        while words:
            expected = _naive(words, flags, bisect_left(uids, uid) + 1, uid, uid >= 4) and expected
        assert _holds(key, flags, uid) == expected


# --- values ---------------------------------------------------------------------------------------------------------------


@given(st.integers(-(10**12), 10**13))
def test_dates(millis: int) -> None:
    """INTERNALDATE as the calendar has it, and back."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=millis // 1000)
    if not 1 <= when.year <= 9999:
        return
    told = response.date_time(millis)
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * when.month - 3 : 3 * when.month]
    assert told.decode() == f'"{when.day:2d}-{month}-{when.year:04d} {when:%H:%M:%S} +0000"'
    assert Cursor(told).date_time() == millis // 1000 * 1000


@given(st.binary(max_size=60))
def test_strings_are_read_back(value: bytes) -> None:
    """A string is one token, whatever is in it."""
    cursor = Cursor(response.string(value))
    assert cursor.string() == value
    assert cursor.done


_heads = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b'Content-Type: text/html; charset=utf-8\r\nContent-Description: a (b) "c"\r\n\r\n',
        b'Content-Disposition: attachment; filename="f\\"("\r\nContent-Language: de, en\r\n\r\n',
        b"Subject: s {3}\r\nFrom: a@example.org\r\n\r\n",
        b"text\r\n",
        b"\r\n--x\r\n",
        b"\r\n--x--\r\n",
        b"\r\n",
    ]
)


@given(st.lists(_heads, max_size=10).map(b"".join))
def test_body_is_bodystructure_without_extension(message: bytes) -> None:
    """What is cut out of the rendered BODYSTRUCTURE is the BODY that the parts themselves give."""
    root = scan(message).root

    def octets(start: int, stop: int) -> bytes:
        return message[start:stop]

    assert without_extension(bodystructure(root, octets)) == body(root, octets)
