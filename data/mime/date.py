"""Dates: RFC 5322 §3.3 with its obsolete forms, and IMAP's date-time and date (RFC 9051 §9).

An instant is milliseconds since the epoch, UTC; an offset is minutes east of UTC. `parse` is lenient and answers None
for what has no sensible reading; `parse_internaldate` and `parse_imap_date` are strict. Years 1 to 9999.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

from data.mime.headers import uncommented_octets, unfold

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NUMBER = {name.lower(): number for number, name in enumerate(_MONTHS, start=1)}
_EPOCH = date(1970, 1, 1).toordinal()

# RFC 5322 §4.3: zones with a meaning of their own, in hours; all other names are of unknown offset, so +0000.
_ZONES = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}

_DATE = re.compile(
    r"(?:[a-z]+\.?\s*,?\s*)?"
    r"([0-9]{1,2})[\s-]+([a-z]{3})[a-z]*\.?,?[\s-]+([0-9]{2,4})\s*,?\s+"
    r"([0-9]{1,2})\s*[:.]\s*([0-9]{2})(?:\s*[:.]\s*([0-9]{2})(?:[.,][0-9]+)?)?"
    r"\s*([+-]\s*[0-9]{4}|[+-][0-9]{2}:[0-9]{2}|[a-z]{1,5})?",
    re.IGNORECASE | re.ASCII,
)
# asctime's order, as some programs write it: `Tue Nov  3 10:11:12 2026`.
_ASCTIME = re.compile(
    r"[a-z]{3,9},?\s+([a-z]{3})[a-z]*\s+([0-9]{1,2})\s+([0-9]{1,2}):([0-9]{2}):([0-9]{2})\s+(?:([a-z]{1,5}|[+-][0-9]{4})\s+)?([0-9]{4})",
    re.IGNORECASE | re.ASCII,
)
_LONGEST = 200


def parse(value: bytes | str) -> tuple[int, int] | None:
    """(milliseconds since the epoch, offset in minutes) of a Date value, or None."""
    raw = value.encode("latin-1", "replace") if isinstance(value, str) else value
    octets = unfold(raw[:_LONGEST])
    if b"(" in octets:
        octets = uncommented_octets(octets)
    text = octets.decode("latin-1")
    match = _DATE.match(text)
    if match is not None:
        day, month, year, hour, minute, second, zone = match.groups()
        return _instant(_year(year), month, day, hour, minute, second, zone)
    match = _ASCTIME.match(text)
    if match is not None:
        month, day, hour, minute, second, zone, year = match.groups()
        return _instant(int(year), month, day, hour, minute, second, zone)
    return None


def _year(digits: str) -> int:
    """RFC 5322 §4.3: two digits below 50 are of this century; three, and two from 50 on, count from 1900."""
    year = int(digits)
    if len(digits) == 2:
        return year + 2000 if year < 50 else year + 1900
    return year + 1900 if len(digits) == 3 else year


def _instant(
    year: int, month: str, day: str, hour: str, minute: str, second: str | None, zone: str | None
) -> tuple[int, int] | None:
    number = _MONTH_NUMBER.get(month.lower())
    if number is None:
        return None
    try:
        days = date(year, number, int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    hours, minutes = int(hour), int(minute)
    # A leap second is read as the second before it; no clock of ours has one.
    seconds = min(int(second or 0), 59) if int(second or 0) <= 60 else 60
    offset = _offset(zone)
    if hours > 23 or minutes > 59 or seconds > 59 or offset is None:
        return None
    return ((days * 24 + hours) * 60 + minutes - offset) * 60_000 + seconds * 1000, offset


def _offset(zone: str | None) -> int | None:
    if zone is None:
        return 0
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "").strip()
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        if int(digits[2:]) > 59 or minutes >= 24 * 60:
            return None
        return -minutes if zone[0] == "-" else minutes
    return _ZONES.get(zone.lower(), 0) * 60


def _moment(millis: int, offset: int) -> datetime:
    """The instant as a date and time of day at that offset, kept inside the years that can be written."""
    zone = timezone(timedelta(minutes=offset))
    low, high = -62_135_510_400_000, 253_402_214_400_000
    seconds = min(max(millis, low), high) // 1000
    return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)).astimezone(zone)  # noqa: UP017


def format_date(millis: int, offset: int = 0) -> str:
    """A Date value (RFC 5322 §3.3): `Tue, 3 Nov 2026 10:11:12 +0000`."""
    at = _moment(millis, offset)
    return (
        f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year:04d} "
        f"{at.hour:02d}:{at.minute:02d}:{at.second:02d} {_zone(offset)}"
    )


def _zone(offset: int) -> str:
    sign = "-" if offset < 0 else "+"
    return f"{sign}{abs(offset) // 60:02d}{abs(offset) % 60:02d}"


def format_internaldate(millis: int, offset: int = 0) -> bytes:
    """IMAP's date-time with its quotes: `" 3-Nov-2026 10:11:12 +0000"` (RFC 9051 §9)."""
    at = _moment(millis, offset)
    return (
        f'"{at.day:2d}-{_MONTHS[at.month - 1]}-{at.year:04d} {at.hour:02d}:{at.minute:02d}:{at.second:02d} {_zone(offset)}"'
    ).encode("ascii")


_INTERNALDATE = re.compile(
    r'"?([ 0-3][0-9])-([A-Z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-][0-9]{4})"?\Z',
    re.IGNORECASE | re.ASCII,
)
_IMAP_DATE = re.compile(r'"?([0-9]{1,2})-([A-Z]{3})-([0-9]{4})"?\Z', re.IGNORECASE | re.ASCII)


def parse_internaldate(value: bytes | str) -> tuple[int, int] | None:
    """(milliseconds, offset in minutes) of an IMAP date-time, with or without its quotes; None when it is not one."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    match = _INTERNALDATE.match(text)
    if match is None or text.startswith('"') != text.endswith('"'):
        return None
    day, month, year, hour, minute, second, zone = match.groups()
    return _instant(int(year), month, day.strip(), hour, minute, second, zone)


def parse_imap_date(value: bytes | str) -> date | None:
    """The day of an IMAP date such as `3-Nov-2026` (RFC 9051 §9), with or without quotes; None when it is not one."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    match = _IMAP_DATE.match(text)
    if match is None or text.startswith('"') != text.endswith('"'):
        return None
    number = _MONTH_NUMBER.get(match[2].lower())
    try:
        return date(int(match[3]), number, int(match[1])) if number else None
    except ValueError:
        return None
