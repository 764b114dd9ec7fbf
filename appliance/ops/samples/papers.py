"""Files for sample messages: papers as PDF, pictures as PNG, an appointment, a table; made here, octet by octet.

Promises: each opens in any program (ISO 32000-1, PNG 3rd edition, RFC 5545, RFC 4180); the same call gives the same
octets. Pure.
"""

from __future__ import annotations

import struct
import textwrap
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from data.ids import Millis
from data.mime.compose import Attachment

_TOP, _LEFT, _LEADING = 780, 56, 15
Pixel = tuple[int, int, int]


def paper(name: str, title: str, lines: Sequence[str]) -> Attachment:
    """One A4 page of text as PDF: a title, then lines in a typewriter face, so that columns stand."""
    text = [f"BT /F1 18 Tf {_LEFT} {_TOP} Td ({_escaped(title)}) Tj ET", "BT /F2 10 Tf"]
    text.append(f"{_LEFT} {_TOP - 40} Td {_LEADING} TL")
    text += [f"({_escaped(line)}) Tj T*" for line in lines]
    text.append("ET")
    return Attachment(_pdf("\n".join(text).encode("latin-1", "replace")), "application/pdf", name)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _pdf(content: bytes) -> bytes:
    """A document of one page (ISO 32000-1 §7.5): header, objects, their offsets, trailer."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /%s /Encoding /WinAnsiEncoding >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        font % b"Helvetica-Bold",
        font % b"Courier",
    )
    out, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def invoice(name: str, number: str, rows: Sequence[tuple[str, int, int]], sender: Sequence[str]) -> Attachment:
    """An invoice; rows are (what, pieces, cents each). 19 % tax."""
    net = sum(pieces * cents for _, pieces, cents in rows)
    tax = net * 19 // 100
    lines = [*sender, "", "To: Example Joinery, 4 Mill Lane", ""]
    lines += [f"{'Description':<38}{'Qty':>5}{'Each':>11}{'Amount':>13}", "-" * 67]
    lines += [f"{what:<38}{pieces:>5}{_money(cents):>11}{_money(pieces * cents):>13}" for what, pieces, cents in rows]
    lines += ["-" * 67, f"{'Net':<54}{_money(net):>13}", f"{'Tax 19 %':<54}{_money(tax):>13}"]
    lines += [f"{'Total EUR':<54}{_money(net + tax):>13}", "", "Payable within 14 days. Thank you for your order."]
    return paper(name, f"Invoice {number}", lines)


def _money(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02d}"


# --- pictures ------------------------------------------------------------------------------------------------------------


def picture(
    name: str, width: int, height: int, colour: Callable[[int, int], Pixel], inline: str | None = None
) -> Attachment:
    """A PNG twice as wide and high, whose square at (x, y) is `colour(x, y)`; `inline` is its Content-ID in HTML."""
    rows = bytearray()
    for y in range(height):
        rows += 2 * (b"\0" + b"".join(2 * bytes(colour(x, y)) for x in range(width)))
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 2 * width, 2 * height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(rows), 6)),
        (b"IEND", b""),
    ):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return Attachment(data, "image/png", name, inline)


_WALL: Final = (238, 232, 220)
_BEAM: Final = (150, 104, 62)
_GLASS: Final = (176, 208, 226)
_FLOOR: Final = (196, 176, 150)


def room(x: int, y: int) -> Pixel:
    """A café under construction, 240 by 160: window, counter, floor."""
    if 30 <= x < 110 and 24 <= y < 78:
        return _BEAM if x in range(68, 72) or y in range(49, 52) else _GLASS
    if y >= 118:
        return _darker(_FLOOR, 12 * ((x + 3 * y) // 24 % 2))
    if x >= 130 and y >= 86:
        return _darker(_BEAM, 10 * (y // 3 % 2)) if y >= 92 else (104, 66, 34)
    return _WALL


def _darker(colour: Pixel, much: int) -> Pixel:
    red, green, blue = colour
    return red - much, green - much, blue - much


def grain(x: int, y: int) -> Pixel:
    """Oak, 240 by 160: rings around a knot."""
    far = ((x - 168) ** 2 // 9 + (y - 74) ** 2) ** 0.5
    ring = int(far * 1.6 + 5 * ((x // 40) % 2)) % 14
    return (206 - 5 * ring, 164 - 5 * ring, 108 - 4 * ring)


def plan(x: int, y: int) -> Pixel:
    """The plan of a worktop in the shape of an L, 240 by 160."""
    edge = ((20 <= x <= 220 and y in (30, 31)) or (x in (20, 21) and 30 <= y <= 130) or (x in (220, 219) and 30 <= y <= 70)
            or (70 <= x <= 220 and y in (70, 71)) or (x in (70, 71) and 70 <= y <= 130) or (20 <= x <= 71 and y in (130, 129)))  # fmt: skip
    if edge:
        return (30, 48, 92)
    return (226, 234, 246) if x % 10 == 0 or y % 10 == 0 else (250, 252, 255)


def sign(x: int, y: int) -> Pixel:
    """The proposal for a sign, 240 by 80: a plane on dark green."""
    if 60 <= x <= 180 and 42 <= y <= 58:
        return (214, 170, 104)
    if (x - 84) ** 2 + (y - 36) ** 2 < 100 or (150 <= x <= 172 and 26 <= y <= 42 and x - 150 < (y - 14) * 2):
        return (188, 140, 78)
    return (28, 66, 52) if 4 < x < 235 and 4 < y < 75 else (214, 170, 104)


# --- appointments and tables ---------------------------------------------------------------------------------------------


def appointment(
    uid: str, summary: str, place: str, organiser: str, guest: str, start: Millis, minutes: int
) -> Attachment:
    """An invitation (RFC 5546 §3.2.2) as a file."""
    begin, end = (
        datetime.fromtimestamp(at / 1000, UTC).strftime("%Y%m%dT%H%M%SZ") for at in (start, start + minutes * 60_000)
    )
    lines = (
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example.test//samples//EN", "METHOD:REQUEST", "BEGIN:VEVENT",
        f"UID:{uid}", f"DTSTAMP:{begin}", f"DTSTART:{begin}", f"DTEND:{end}", f"SUMMARY:{summary}", f"LOCATION:{place}",
        f"ORGANIZER:mailto:{organiser}", f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{guest}", "SEQUENCE:0",
        "END:VEVENT", "END:VCALENDAR",
    )  # fmt: skip
    return Attachment("".join(f"{line}\r\n" for line in lines).encode(), "text/calendar", "invite.ics")


def table(name: str, rows: Sequence[Sequence[str]]) -> Attachment:
    """A table that spreadsheet programs open; it begins with a mark that tells them it is UTF-8."""
    text = "".join(",".join(cells) + "\r\n" for cells in rows)
    return Attachment(b"\xef\xbb\xbf" + text.encode(), "text/csv", name)


def wrapped(text: str) -> str:
    """Paragraphs as people write them in plain text: lines of 72 columns, blank lines between."""
    return "\n\n".join(textwrap.fill(" ".join(part.split()), 72) for part in text.strip().split("\n\n")) + "\n"
