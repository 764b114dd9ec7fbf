"""The sidebar: mailboxes with their place, name, drawing and count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from appliance.i18n import N_
from data.errors import NotFound
from data.ids import MailboxId
from data.principal import Principal
from data.store.mailboxes import Mailbox, Mailboxes
from data.store.names import INBOX


@dataclass(frozen=True, slots=True)
class Kind:
    """How a mailbox of one special use is shown: the word in its path, its name, its drawing."""

    slug: str
    name: str
    icon: str


KINDS: Final[Mapping[str, Kind]] = {
    INBOX: Kind("inbox", N_("Inbox"), "inbox"),
    "\\Sent": Kind("sent", N_("Sent"), "send"),
    "\\Drafts": Kind("drafts", N_("Drafts"), "file-pen"),
    "\\Archive": Kind("archive", N_("Archive"), "archive"),
    "\\Junk": Kind("junk", N_("Junk"), "shield-alert"),
    "\\Trash": Kind("trash", N_("Trash"), "trash-2"),
}
_ORDER: Final = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class Folder:
    """One mailbox in the sidebar. `name` is translated when `known`; `count` is what stands beside it (0: nothing)."""

    box: Mailbox
    slug: str
    name: str
    icon: str
    known: bool
    count: int
    new: bool
    depth: int

    @property
    def total(self) -> int:
        """Messages."""
        return self.box.messages

    @property
    def unread(self) -> int:
        """Unread messages."""
        return self.box.unseen


@dataclass(frozen=True, slots=True)
class View:
    """A list that is no folder: what it is called, where it is; it has no messages of its own to count."""

    slug: str
    name: str
    icon: str
    known: bool = True
    total: int = 0
    unread: int = 0


STARRED: Final = View("starred", N_("Starred"), "star")
SEARCH: Final = View("search", N_("Search results"), "search")
VIEWS: Final[Mapping[str, View]] = {one.slug: one for one in (STARRED, SEARCH)}


def kind_of(box: Mailbox) -> Kind | None:
    """How a mailbox of a special use is shown; None for any other."""
    return KINDS.get(INBOX if box.name == INBOX else box.special_use or "")


def folder_of(box: Mailbox) -> Folder:
    """A mailbox for the sidebar."""
    kind = kind_of(box)
    if kind is None:
        name = box.name.rpartition("/")[2]
        depth = box.name.count("/")
        return Folder(box, box.objectid, name, "folder", False, box.unseen, box.unseen > 0, depth)
    drafts = kind.slug == "drafts"
    quiet = kind.slug in {"sent", "trash", "archive"}
    count = box.messages if drafts else 0 if quiet else box.unseen
    return Folder(box, kind.slug, kind.name, kind.icon, True, count, kind.slug == "inbox" and count > 0, 0)


def folders(boxes: Iterable[Mailbox]) -> tuple[tuple[Folder, ...], tuple[Folder, ...]]:
    """The special ones in their order, then the others by name."""
    all_of_them = [folder_of(box) for box in boxes]
    special = [one for one in all_of_them if one.known]
    special.sort(key=lambda one: _ORDER.index(INBOX if one.box.name == INBOX else one.box.special_use or INBOX))
    return tuple(special), tuple(one for one in all_of_them if not one.known)


def counts_of(boxes: Iterable[Mailbox]) -> dict[str, dict[str, int | bool]]:
    """How each folder stands, by its word in paths: for scripts, as webmail.events tells it."""
    return {
        one.slug: {"messages": one.total, "unread": one.unread, "count": one.count, "bright": one.new}
        for one in map(folder_of, boxes)
    }


def find(mailboxes: Mailboxes, principal: Principal, slug: str) -> Mailbox:
    """The mailbox of a path: a special one by its word, any by `m<id>`. Raises NotFound."""
    if slug[:1] == "m" and slug[1:].isascii() and slug[1:].isdigit():
        return mailboxes.get_id(principal, MailboxId(int(slug[1:19])))
    for box in mailboxes.list(principal, principal.account):
        kind = kind_of(box)
        if kind is not None and kind.slug == slug:
            return box
    raise NotFound(slug)
