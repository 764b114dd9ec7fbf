"""Responses as octets: values, lists, and what is cut out of a stored structure."""

from __future__ import annotations

import pytest

from imap import response
from imap.grammar.structure import without_extension


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", b'""'),
        (b"a b", b'"a b"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xc3\xa4", b"{2}\r\n\xc3\xa4"),
        (b"\0", b"{1}\r\n\0"),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_strings(value: bytes, expected: bytes) -> None:
    """Quoted where that is allowed, a literal where not."""
    assert response.string(value) == expected


def test_words_and_names() -> None:
    assert response.astring(b"INBOX") == b"INBOX"
    assert response.astring(b"a b") == b'"a b"'
    assert response.astring(b"") == b'""'
    assert response.nstring(None) == b"NIL"
    assert response.utf8_string('日"') == '"日\\""'.encode()


def test_status_lines() -> None:
    """Text is one line of ASCII, whatever it was made of."""
    assert response.tagged(b"a", b"NO", "né\r\n* OK", b"CANNOT") == b"a NO [CANNOT] n???* OK\r\n"
    assert response.untagged(b"BYE", "x") == b"* BYE x\r\n"


def test_flags() -> None:
    assert response.flags(0, "") == b"()"
    assert response.flags(31, "a b", True) == b"(\\Answered \\Flagged \\Deleted \\Seen \\Draft a b \\Recent)"


@pytest.mark.parametrize(
    ("numbers", "expected"), [([1], b"1"), ([1, 2, 3], b"1:3"), ([1, 3, 4, 9], b"1,3:4,9"), ([7, 2, 3], b"7,2:3")]
)
def test_sequence_sets(numbers: list[int], expected: bytes) -> None:
    assert response.sequence_set(numbers) == expected


@pytest.mark.parametrize(
    ("millis", "expected"),
    [(0, " 1-Jan-1970 00:00:00"), (951_782_400_000, "29-Feb-2000 00:00:00"), (-1, "31-Dec-1969 23:59:59")],
)
def test_dates(millis: int, expected: str) -> None:
    assert response.date_time(millis) == f'"{expected} +0000"'.encode()


def test_body_out_of_bodystructure() -> None:
    """What comes behind the basic fields is left out, at every level; strings that look like structure stay strings."""
    text = b'("text" "plain" ("charset" "utf-8") NIL ") (" "7bit" 5 1%b)'
    message = b'("message" "rfc822" NIL NIL NIL "7bit" 50 (NIL "s" NIL NIL NIL NIL NIL NIL NIL {3}\r\n)(") %b 3%b)'
    whole = b"(%b%b%b)" % (
        text % b' NIL ("inline" NIL) NIL NIL',
        message % (text % b' "md5" NIL NIL NIL', b" NIL NIL NIL NIL"),
        b' "mixed" ("boundary" "x") NIL NIL NIL',
    )
    bare = b'(%b%b "mixed")' % (text % b"", message % (text % b"", b""))
    assert without_extension(whole) == bare
    assert without_extension(bare) == bare


@pytest.mark.parametrize("broken", [b"", b"(", b'("text" "plain"', b"x", b"(()", b'("a" "b" NIL NIL NIL "c" 1) '])
def test_what_is_no_structure(broken: bytes) -> None:
    with pytest.raises(ValueError, match="BODYSTRUCTURE"):
        without_extension(broken)
