"""A seeded corpus of junk and wanted mail, English and Chinese, in two halves that share no sender and no campaign.

    corpus("train", seed) and corpus("test", seed): Samples, junk and wanted in equal numbers.

Each kind is a small grammar: a choice of subjects, openings, middles and ends with slots. The kinds of HELD_BACK come in the
test half alone, so that a filter meets what it was never trained on. What it proves is bounded by who wrote it: the texts
of one author are more alike than the world's. The prior (prior_texts.py) was written apart from it.
"""

from __future__ import annotations

import base64
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from io import BytesIO

from tests.tables.spam.grammar import HAM, SPAM, Kind

HELD_BACK = frozenset({"spam.tickets", "spam.zh-visa", "spam.parking", "ham.landlord", "ham.zh-club", "ham.survey"})
PEOPLE = ("Ann Brown", "Bob Green", "Carla Stone", "Deng Wei", "Erik Lund", "Fang Li", "Gina Rossi", "Hugo Weiss")
_FIRST = (
    "Alex",
    "Brita",
    "Chen",
    "Dora",
    "Emil",
    "Fatima",
    "Georg",
    "Helen",
    "Ivo",
    "Jun",
    "Karin",
    "Liu",
    "Mara",
    "Nils",
)
_LAST = (
    "Adler",
    "Bauer",
    "Costa",
    "Dahl",
    "Eklund",
    "Fischer",
    "Gao",
    "Hoffman",
    "Ito",
    "Jensen",
    "Keller",
    "Lopez",
    "Ma",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One message: what it is, of which kind, its octets, who sent it in the envelope, what authentication would find,
    and whether the recipient wrote to its sender before."""

    spam: bool
    kind: str
    octets: bytes
    sender: str
    spf: str
    dkim: str
    dmarc: str
    known: bool = False


def corpus(half: str, seed: int = 20260105, count: int = 1000) -> Iterator[Sample]:
    """`count` messages of a half, junk and wanted in turn."""
    draw = random.Random(f"{half} {seed}")
    kinds = [[one for one in table if half == "test" or one.name not in HELD_BACK] for table in (SPAM, HAM)]
    for number in range(count):
        spam = number % 2 == 0
        kind = draw.choice(kinds[0 if spam else 1])
        yield _sample(kind, draw, spam=spam, half=half, number=number)


def _sample(kind: Kind, draw: random.Random, *, spam: bool, half: str, number: int) -> Sample:
    slots = _slots(draw, half)
    text = "\n\n".join(_filled(draw.choice(options), slots, draw) for options in kind.body if options)
    message = EmailMessage()
    name = draw.choice(kind.names) if kind.names else f"{draw.choice(_FIRST)} {draw.choice(_LAST)}"
    domain = _filled(draw.choice(kind.domains), slots, draw)
    local = draw.choice(kind.locals) if kind.locals else name.split()[0].lower()
    sender = f"{local}@{domain}"
    message["From"] = f'"{name}" <{sender}>'
    message["To"] = "ann@example.test" if not spam or draw.random() < 0.8 else "undisclosed-recipients:;"
    message["Subject"] = _filled(draw.choice(kind.subjects), slots, draw)
    if not (spam and draw.random() < 0.15):
        message["Date"] = format_datetime(datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=number))
    if not (spam and draw.random() < 0.2):
        message["Message-ID"] = f"<{draw.getrandbits(64):x}@{domain}>"
    if "reply" in kind.traits:
        message["In-Reply-To"] = message["References"] = f"<{draw.getrandbits(64):x}@example.test>"
    if "list" in kind.traits:
        message["List-Id"] = f"<news.{domain}>"
        message["List-Unsubscribe"] = f"<https://{domain}/unsubscribe/{draw.getrandbits(32):x}>"
    if "reply-to" in kind.traits:
        message["Reply-To"] = (
            f"{draw.choice(_FIRST).lower()}{draw.randrange(99)}@{draw.choice(('gmail.com', 'yandex.ru', 'qq.com'))}"
        )
    _bodies(message, kind, text, slots, draw, domain)
    spf, dkim, dmarc = _authentication(draw, spam=spam)
    known = not spam and "known" in kind.traits
    return Sample(
        spam,
        kind.name,
        message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        sender,
        spf,
        dkim,
        dmarc,
        known,
    )


def _authentication(draw: random.Random, *, spam: bool) -> tuple[str, str, str]:
    """Junk often passes today, for its own domain; wanted mail fails now and then (forwards, old servers)."""
    if spam:
        return draw.choice(
            (
                ("pass", "pass", "pass"),
                ("pass", "none", "none"),
                ("softfail", "none", "none"),
                ("fail", "none", "fail"),
                ("none", "none", "none"),
            )
        )
    return draw.choice(
        (("pass", "pass", "pass"),) * 8 + (("pass", "none", "none"), ("fail", "pass", "pass"), ("none", "none", "none"))
    )


def _slots(draw: random.Random, half: str) -> dict[str, str]:
    word = "".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(draw.choice((2, 3))))
    return {
        "name": draw.choice(PEOPLE).split()[0],
        "who": draw.choice(_FIRST),
        "n": str(draw.randrange(2, 90)),
        "big": str(draw.randrange(100, 99_000)),
        "day": draw.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")),
        "zhday": draw.choice(("周一", "周二", "周三", "周四", "周五")),
        "word": word,
        "half": half[0],
        "qq": str(draw.randrange(10**8, 10**9)),
        "file": draw.choice(("report", "offer", "summary", "notes", "plan")),
        "code": f"{draw.getrandbits(32):08x}",
    }


def _filled(text: str, slots: dict[str, str], draw: random.Random) -> str:
    return text.format_map(slots)


def _bodies(
    message: EmailMessage, kind: Kind, text: str, slots: dict[str, str], draw: random.Random, domain: str
) -> None:
    link = _filled(draw.choice(kind.links), slots, draw) if kind.links else ""
    shown = _filled(draw.choice(kind.shown), slots, draw) if kind.shown else link
    style = draw.choice(kind.styles)
    plain = f"{text}\n\n{link}\n" if link else f"{text}\n"
    rich = "".join(f"<p>{part}</p>" for part in text.split("\n\n"))
    rich = f"<html><body>{rich}{f'<p><a href={chr(34)}{link}{chr(34)}>{shown}</a></p>' if link else ''}</body></html>"
    if style == "html":
        message.set_content(rich, subtype="html")
    else:
        message.set_content(plain)
        if style == "both":
            message.add_alternative(rich, subtype="html")
    if kind.files:
        name, kind_of, data = _file(draw.choice(kind.files), slots, draw)
        message.add_attachment(
            data, maintype=kind_of.partition("/")[0], subtype=kind_of.partition("/")[2], filename=name
        )


def _file(made: str, slots: dict[str, str], draw: random.Random) -> tuple[str, str, bytes]:
    filler = bytes(draw.getrandbits(8) for _ in range(400))
    name = f"{slots['file']}-{slots['n']}"
    if made == "pdf":
        return f"{name}.pdf", "application/pdf", b"%PDF-1.5\n" + filler
    if made == "docx":
        return (
            f"{name}.docx",
            "application/zip",
            _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": filler}),
        )
    if made == "docm":
        held = {"[Content_Types].xml": b"<Types/>", "word/document.xml": filler, "word/vbaProject.bin": filler}
        return f"{name}.docm", "application/octet-stream", _zip(held)
    if made == "exe-zip":
        return f"{name}.zip", "application/zip", _zip({f"{name}.pdf.exe": b"MZ" + filler})
    if made == "js":
        return f"{name}.pdf.js", "application/octet-stream", b"var a = 1;" + filler
    if made == "smuggle":
        page = f"<script>var b=atob('{base64.b64encode(filler).decode()}');new Blob([b]);</script>"
        return f"{name}.html", "text/html", page.encode()
    return f"{name}.png", "image/png", b"\x89PNG\r\n\x1a\n" + filler


def _zip(held: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as box:
        for name, data in held.items():
            box.writestr(zipfile.ZipInfo(name, (2026, 1, 5, 0, 0, 0)), data)
    return out.getvalue()
