"""Rows of a list as people see them: whom a conversation is with, under which day it stands, where it leads.

Promises: what a row shows is text without control characters; a heading stands where a day group begins, also where a page
was cut. Used by every list: folders, stars, what a search found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from appliance.i18n import N_
from appliance.web.apps import Here
from appliance.web.pages import zone_of
from data.ids import MailboxId
from data.store.listing import Conversation, Cursor
from data.store.mailboxes import Mailbox
from webmail.fates import marks_of
from webmail.folders import Folder
from webmail.reading import people, visible

_OUTGOING: Final = frozenset({"\\Sent", "\\Drafts"})
_MILLIS_MOST: Final = 253_402_214_400_000


Pieces = tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `day` heads a new group; `who` is whom it is about; `path` (below the face) is where it opens;
    `fate` of what one sent is waiting, failed or nothing.

    Of what a search found: `place` is the folder it lies in, and the texts come in pieces, those that were asked for true.
    """

    one: Conversation
    subject: str
    who: str
    initial: str
    day: str
    language: str
    path: str
    fate: str = ""
    place: Folder | None = None
    marked_who: Pieces = ()
    marked_subject: Pieces = ()
    marked_preview: Pieces = ()


def outgoing(boxes: Iterable[Mailbox]) -> frozenset[MailboxId]:
    """The mailboxes of what one writes oneself: their rows tell of the recipients."""
    return frozenset(box.id for box in boxes if box.special_use in _OUTGOING)


def rows_of(
    current: Here,
    found: Iterable[Conversation],
    *,
    sent: frozenset[MailboxId],
    path: Callable[[Conversation], str],
    after: Cursor | None = None,
) -> list[Row]:
    """Rows for conversations, newest first. `sent`: see `outgoing`; `after`: behind which row of this list they begin."""
    days = _Days(current)
    mark = marks_of(current) if sent else None
    rows, last = [], days.of(after.date) if after is not None else ""
    for one in found:
        day = days.of(one.date)
        who, first = _who(current, one, outgoing=one.mailbox in sent)
        language = _language(one.subject + one.preview)
        heading = day if day != last else ""
        fate = mark(one.message_id) if mark is not None and one.mailbox in sent else ""
        rows.append(Row(one, headline(one.subject, one.count), who, first, heading, language, path(one), fate))
        last = day
    return rows


_DAYS: Final = (
    N_("Today"),
    N_("Yesterday"),
    N_("This week"),
    N_("Last week"),
    N_("This month"),
    N_("Earlier this year"),
)


class _Days:
    """The group a time belongs to, in the reader's zone."""

    def __init__(self, current: Here) -> None:
        self._zone = zone_of(current.view.zone)
        self._today = self._date(current.parts.clock.now())

    def _date(self, millis: int) -> date:
        return datetime.fromtimestamp(max(0, min(millis, _MILLIS_MOST)) / 1000, self._zone).date()

    def of(self, millis: int) -> str:
        """Its heading."""
        return day_of(self._today, self._date(millis))


def day_of(today: date, then: date) -> str:
    """The group of a list a day belongs to."""
    ago = (today - then).days
    if ago <= 1:
        return _DAYS[max(0, ago)]
    if ago <= today.weekday():
        return _DAYS[2]
    if ago <= today.weekday() + 7:
        return _DAYS[3]
    if (then.year, then.month) == (today.year, today.month):
        return _DAYS[4]
    return _DAYS[5] if then.year == today.year else str(then.year)


def _who(current: Here, one: Conversation, *, outgoing: bool) -> tuple[str, str]:
    """Whom a row is about: the senders, oneself as "me"; of what one sends, the recipients. And whose initials it has."""
    texts = [one.to] if outgoing else one.people
    found = [person for text in texts for person in people(text)[: 3 if outgoing else 1]]
    if not found:
        return "", "?"
    me = current.parts.pages.text(current.language, N_("me"))
    mine = current.principal.address
    names = list(dict.fromkeys(me if person.address.lower() == mine else person.short for person in found))
    others = [person for person in found if person.address.lower() != mine]
    first = (others or found)[-1].short if not outgoing else found[0].short
    if len(names) > 3:
        names = [names[0], "…", *names[-1:]]
    if len(names) > 1:
        names = [name if name == me else name.split(" ")[0] for name in names]
    return ", ".join(names), first


_REPLIES = re.compile(r"(?:(?:re|aw|sv|fwd?|wg|回复|答复|转发)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE)


def headline(subject: str, count: int) -> str:
    """The subject of a conversation: of several messages without "Re:", of one as it was written."""
    plain = visible(subject)
    return _REPLIES.sub("", plain, count=1) if count > 1 and _REPLIES.match(plain) else plain


def _language(text: str) -> str:
    """The language of a text by its script, where it is plain to see; for `lang`."""
    han = sum("\u4e00" <= c <= "\u9fff" for c in text[:200])
    kana = sum("\u3040" <= c <= "\u30ff" for c in text[:200])
    return "ja" if kana else "zh-Hans" if han else ""
