"""Dates of mail and of IMAP."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.mime.date import format_date, format_internaldate, parse, parse_imap_date, parse_internaldate


def millis(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, offset: int = 0) -> int:
    zone = timezone(timedelta(minutes=offset))
    return int(datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()) * 1000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Tue, 3 Nov 2026 10:11:12 +0100", (millis(2026, 11, 3, 10, 11, 12, 60), 60)),
        (b"3 Nov 2026 10:11 -0530", (millis(2026, 11, 3, 10, 11, 0, -330), -330)),
        (b"03 nov 26 10:11:12 GMT", (millis(2026, 11, 3, 10, 11, 12), 0)),
        (b"Fri, 21 Nov 97 09(comment):   55  :  06 -0600", (millis(1997, 11, 21, 9, 55, 6, -360), -360)),
        (
            b"Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)",
            (millis(1969, 2, 13, 23, 32, 0, -210), -210),
        ),
        (b"Tue, 3 Nov 2026 10:11:12 EST", (millis(2026, 11, 3, 10, 11, 12, -300), -300)),
        (b"Tue, 3 Nov 2026 10:11:12 PDT", (millis(2026, 11, 3, 10, 11, 12, -420), -420)),
        (b"Tue, 3 Nov 2026 10:11:12 Z", (millis(2026, 11, 3, 10, 11, 12), 0)),
        (b"Tue, 3 Nov 2026 10:11:12 -0000", (millis(2026, 11, 3, 10, 11, 12), 0)),
        (b"Tue, 3 Nov 2026 10:11:12", (millis(2026, 11, 3, 10, 11, 12), 0)),
        (b"3-Nov-2026 10:11:12 +01:00", (millis(2026, 11, 3, 10, 11, 12, 60), 60)),
        (b"Tue Nov  3 10:11:12 2026", (millis(2026, 11, 3, 10, 11, 12), 0)),
        (b"Tue Nov 3 10:11:12 CET 2026", (millis(2026, 11, 3, 10, 11, 12), 0)),
        (b"31 Dec 2016 23:59:60 +0000", (millis(2016, 12, 31, 23, 59, 59), 0)),
        (b"1 Jan 103 00:00:00 +0000", (millis(2003, 1, 1), 0)),
        (b"29 Feb 2027 00:00:00 +0000", None),
        (b"32 Jan 2026 00:00:00 +0000", None),
        (b"1 Foo 2026 00:00:00 +0000", None),
        (b"1 Jan 2026 24:00:00 +0000", None),
        (b"1 Jan 2026 10:60:00 +0000", None),
        (b"1 Jan 2026 10:10:61 +0000", None),
        (b"1 Jan 2026 10:10:10 +9900", None),
        (b"1 Jan 0000 10:10:10 +0000", None),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_parse(value: bytes, expected: tuple[int, int] | None) -> None:
    assert parse(value) == expected


INSTANTS = st.integers(-62_000_000_000, 253_000_000_000).map(lambda seconds: seconds * 1000)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@given(INSTANTS, OFFSETS)
def test_what_we_write_we_read(instant: int, offset: int) -> None:
    assert parse(format_date(instant, offset)) == (instant, offset)
    assert parse_internaldate(format_internaldate(instant, offset)) == (instant, offset)


@given(st.binary(max_size=80))
def test_parse_takes_anything(value: bytes) -> None:
    parse(value)
    parse_internaldate(value)
    parse_imap_date(value)


def test_the_forms() -> None:
    instant = millis(2026, 11, 3, 10, 11, 12)
    assert format_date(instant) == "Tue, 3 Nov 2026 10:11:12 +0000"
    assert format_date(instant, -90) == "Tue, 3 Nov 2026 08:41:12 -0130"
    assert format_internaldate(instant) == b'" 3-Nov-2026 10:11:12 +0000"'
    assert format_internaldate(millis(2026, 11, 13), 60) == b'"13-Nov-2026 01:00:00 +0100"'
    assert format_internaldate(10**18) == b'"31-Dec-9999 00:00:00 +0000"'
    assert format_internaldate(-(10**18)) == b'" 2-Jan-0001 00:00:00 +0000"'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'" 3-Nov-2026 10:11:12 +0100"', (millis(2026, 11, 3, 10, 11, 12, 60), 60)),
        ("13-NOV-2026 10:11:12 -0000", (millis(2026, 11, 13, 10, 11, 12), 0)),
        ("03-Nov-2026 10:11:12 +0000", (millis(2026, 11, 3, 10, 11, 12), 0)),
        ("3-Nov-2026 10:11:12 +0000", None),
        ('"13-Nov-2026 10:11:12 +0000', None),
        ("31-Nov-2026 10:11:12 +0000", None),
        ("13-Foo-2026 10:11:12 +0000", None),
        ("13-Nov-2026 10:11:12", None),
        ("13-Nov-2026 10:11:12 +0000 ", None),
        ("40-Nov-2026 10:11:12 +0000", None),
    ],
)
def test_parse_internaldate(value: bytes | str, expected: tuple[int, int] | None) -> None:
    assert parse_internaldate(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"3-Nov-2026", date(2026, 11, 3)),
        ('"03-nov-2026"', date(2026, 11, 3)),
        ("31-Nov-2026", None),
        ("3-Nov-26", None),
        ('"3-Nov-2026', None),
        ("3-Xyz-2026", None),
        ("", None),
    ],
)
def test_parse_imap_date(value: bytes | str, expected: date | None) -> None:
    assert parse_imap_date(value) == expected
