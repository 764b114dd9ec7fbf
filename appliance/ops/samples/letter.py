"""What a sample message is: who wrote it to whom, when, what it answers, and in which state it lies where.

May not: know the store. Dates are told from the day of the first start, so that a trial is never old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from data.clock import DAY, HOUR, MINUTE
from data.ids import Millis
from data.mime.compose import Attachment

DOMAIN: Final = "example.test"
PEOPLE: Final[Mapping[str, str]] = {
    "ada": "Ada Marsh",
    "ann": "Ann Weber",
    "bob": "Bob Li",
    "clara": "Clara Winter",
    "chen": "陈伟",
    "chen.old": "陈伟",
    "wang": "王芳",
    "timber": "Larchfield Timber",
    "journal": "The Bench Letter",
    "hinge": "合页与滑轨周报",
    "tax": "Petra Vogel",
    "insurer": "Harbourside Mutual",
    "parcel": "Swift Parcel",
    "tools": "Tools & Blades Online",
    "applicant": "Jonas Reed",
    "museum": "Nadia Osei",
    "tenant": "Martin Quill",
    "course": "Guild of Joiners",
    "bank": "Riverbank Cooperative",
    "prize": "Grand Prize Office",
    "pills": "Cheap Watches 4U",
    "server": "Mail delivery",
    "trial": "Mailstead",
}
"""The name of everybody who writes."""

ADDRESSES: Final[Mapping[str, str]] = {
    "ada": f"admin@{DOMAIN}",
    "ann": f"ann@{DOMAIN}",
    "bob": f"bob@{DOMAIN}",
    "server": f"postmaster@{DOMAIN}",
    "trial": f"postmaster@{DOMAIN}",
    "clara": "clara@winter-cafe.example.org",
    "chen": "chen.wei@hardware.example.net",
    "chen.old": "chen.wei@old-hardware.example.net",
    "wang": "wang.fang@teahouse.example.org",
    "timber": "accounts@larchfield.example.net",
    "journal": "letter@bench.example.net",
    "hinge": "news@hardware.example.net",
    "tax": "petra.vogel@tax.example.org",
    "insurer": "service@harbourside.example.net",
    "parcel": "tracking@parcel.example.net",
    "tools": "orders@tools.example.net",
    "applicant": "jonas.reed@students.example.org",
    "museum": "n.osei@museum.example.org",
    "tenant": "m.quill@lakeside.example.org",
    "course": "courses@guild.example.org",
    "bank": "notice@riverbank.example.net",
    "prize": "claims@lottery.example.net",
    "pills": "deal@watches.example.net",
}
STAFF: Final = ("ada", "ann", "bob")
"""Those of them who have an account here."""


@dataclass(frozen=True, slots=True)
class Lies:
    """How a copy lies with whoever got it: unread or not, starred or not, and in which mailbox."""

    new: bool = False
    star: bool = False
    mailbox: str = "INBOX"


NEW: Final = Lies(new=True)
STAR: Final = Lies(star=True)
NEW_STAR: Final = Lies(new=True, star=True)
JUNK: Final = Lies(new=True, mailbox="Junk")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. `days` before today at the hour `at`; for today, `at` is how long ago (H:MM).

    It lies in the Sent of whoever of the staff wrote it and in the INBOX of each who got it, read; `lies` says where it is
    otherwise, by person.
    """

    key: str
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    days: int
    at: str
    cc: tuple[str, ...] = ()
    answers: str | None = None
    html: str | None = None
    files: tuple[Attachment, ...] = ()
    lies: Mapping[str, Lies] = field(default_factory=dict)
    bounced: str | None = None
    """The key of the letter this is a delivery report about."""
    draft: bool = False

    @property
    def message_id(self) -> str:
        """Its Message-ID, without angle brackets."""
        return f"sample.{self.key}@{ADDRESSES[self.sender].partition('@')[2]}"

    def date(self, now: Millis) -> Millis:
        """When it was written, if today is `now`; never later than now."""
        hours, minutes = (int(part) for part in self.at.split(":"))
        span = hours * HOUR + minutes * MINUTE
        if not self.days:
            return Millis(now - span)
        midnight = now - now % DAY
        return Millis(midnight - self.days * DAY + span)
