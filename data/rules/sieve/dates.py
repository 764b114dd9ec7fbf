"""The parts of a date (RFC 5260 §4.2) and its zones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone

from data.mime.date import format_date

_ZONE = re.compile(r"([+-])([0-9]{2})([0-9]{2})\Z", re.ASCII)
_MJD = 678_576
"""date.toordinal() of the day before the first modified Julian day."""
_LOW, _HIGH = -62_135_510_400_000, 253_402_214_400_000


def zone_offset(text: str) -> int | None:
    """Minutes east of UTC of `+hhmm`, or None."""
    found = _ZONE.match(text)
    if found is None or int(found[3]) > 59 or int(found[2]) > 23:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return -minutes if found[1] == "-" else minutes


def part_of(name: str, millis: int, offset: int) -> str:
    """One part of an instant as it reads at that offset."""
    seconds = min(max(millis, _LOW), _HIGH) // 1000
    zone = timezone(timedelta(minutes=offset))
    at = datetime(1970, 1, 1, tzinfo=zone) + timedelta(seconds=seconds, minutes=offset)
    if name == "std11":
        return format_date(seconds * 1000, offset)
    return _PARTS[name](at)


def _zone(at: datetime, colon: str = "") -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{colon}{abs(minutes) % 60:02d}"


_PARTS: Mapping[str, Callable[[datetime], str]] = {
    "year": lambda at: f"{at.year:04d}",
    "month": lambda at: f"{at.month:02d}",
    "day": lambda at: f"{at.day:02d}",
    "date": lambda at: f"{at.year:04d}-{at.month:02d}-{at.day:02d}",
    "julian": lambda at: str(at.toordinal() - _MJD),
    "hour": lambda at: f"{at.hour:02d}",
    "minute": lambda at: f"{at.minute:02d}",
    "second": lambda at: f"{at.second:02d}",
    "time": lambda at: f"{at.hour:02d}:{at.minute:02d}:{at.second:02d}",
    "iso8601": lambda at: f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at:%H:%M:%S}{_zone(at, ':')}",
    "zone": _zone,
    "weekday": lambda at: str(at.isoweekday() % 7),
}
