"""LIST, LSUB, STATUS, NAMESPACE (RFC 9051 §6.3.9 to §6.3.11; RFC 5258; RFC 5819; RFC 6154; RFC 8438).

Promises: one read of the account's mailboxes answers a LIST with everything it returns; names are matched in one pass
each, whatever the pattern (attack I6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from data.ids import MailboxId
from data.principal import Principal
from data.store.entries import LAST_UID
from data.store.mailboxes import Mailbox
from imap.actions.call import DONE, Call, Done, ImapParts
from imap.command import Command, Item, List, Status
from imap.grammar.names import SEPARATOR, Pattern, on_wire, written

Fits = Callable[[str], bool]

_WORDS: dict[Item, Callable[[Mailbox], bytes]] = {
    Item.MESSAGES: lambda m: b"MESSAGES %d" % m.messages,
    Item.UIDNEXT: lambda m: b"UIDNEXT %d" % m.uidnext,
    Item.UIDVALIDITY: lambda m: b"UIDVALIDITY %d" % m.uidvalidity,
    Item.UNSEEN: lambda m: b"UNSEEN %d" % m.unseen,
    Item.DELETED: lambda m: b"DELETED %d" % m.deleted,
    Item.SIZE: lambda m: b"SIZE %d" % m.octets,
    Item.HIGHESTMODSEQ: lambda m: b"HIGHESTMODSEQ %d" % m.highestmodseq,
    Item.MAILBOXID: lambda m: b"MAILBOXID (%b)" % m.objectid.encode("ascii"),
}


@dataclass(frozen=True, slots=True)
class _Tree:
    """What one read of an account gave."""

    mailboxes: tuple[Mailbox, ...]
    subscribed: frozenset[str]
    recents: dict[MailboxId, int]


def namespace(call: Call, command: Command) -> Done:
    """RFC 2342: one personal namespace; mailboxes of others come with sharing."""
    call.send(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return DONE


async def list_(call: Call, command: List) -> Done:
    """LIST and LSUB."""
    if not command.extended and command.patterns == ("",):  # RFC 9051 §6.3.9: what separates levels
        call.send(b'* %b (\\Noselect) "/" ""\r\n' % (b"LSUB" if command.lsub else b"LIST"))
        return DONE
    tree = await call.parts.workers.blocking(_read, call.parts, call.principal, command)
    if Item.HIGHESTMODSEQ in command.status:
        call.session.condstore = True  # RFC 7162 §3.1
    for line in _lines(tree, command, call):
        call.send(line)
        await call.flow()
    return DONE


async def status(call: Call, command: Status) -> Done:
    """STATUS."""
    parts, who = call.parts, call.principal
    wants_recent = Item.RECENT in command.items

    def read() -> tuple[Mailbox, int]:
        mailbox = parts.store.mailboxes.get(who, who.account, command.mailbox)
        return mailbox, _recent(parts, who, mailbox) if wants_recent else 0

    if Item.HIGHESTMODSEQ in command.items:
        call.session.condstore = True  # RFC 7162 §3.1
    mailbox, recent = await parts.workers.blocking(read)
    call.send(_status_line(call, mailbox, command.items, recent))
    return DONE


def _read(parts: ImapParts, who: Principal, command: List) -> _Tree:
    """Off the loop: the account's mailboxes, and its subscriptions where they are asked for."""
    store = parts.store
    mailboxes = store.mailboxes.list(who, who.account)
    wants = "SUBSCRIBED" in command.select or "SUBSCRIBED" in command.returns
    subscribed = store.mailboxes.subscriptions(who, who.account) if wants else frozenset[str]()
    recents = {m.id: _recent(parts, who, m) for m in mailboxes} if Item.RECENT in command.status else {}
    return _Tree(mailboxes, subscribed, recents)


def _recent(parts: ImapParts, who: Principal, mailbox: Mailbox) -> int:
    """How many messages no session was told of."""
    first = parts.hub.recent_from(mailbox.id, mailbox.recent_from, take=False)
    if first >= mailbox.uidnext:
        return 0
    return len(parts.store.messages.rows(who, mailbox.id, ((first, LAST_UID),), (), limit=LAST_UID))


# --- lines ------------------------------------------------------------------------------------------------------------


def _lines(tree: _Tree, command: List, call: Call) -> Iterator[bytes]:
    utf8 = call.session.utf8
    verb = b"LSUB" if command.lsub else b"LIST"
    by_name = {m.name: m for m in tree.mailboxes}
    patterns = [Pattern(command.reference + pattern) for pattern in command.patterns]

    def fits(name: str) -> bool:
        form = on_wire(name, utf8=utf8)
        return any(pattern.matches(form) for pattern in patterns)

    parents = _parents(by_name)
    for name, info in _chosen(tree, command, fits):
        mailbox = by_name.get(name)
        flags = _attributes(name, mailbox, tree, command, parents)
        yield b'* %b (%b) "/" %b%b\r\n' % (verb, b" ".join(flags), written(name, utf8=utf8), info)
        if command.status and mailbox is not None:
            yield _status_line(call, mailbox, command.status, tree.recents.get(mailbox.id, 0))


def _chosen(tree: _Tree, command: List, fits: Fits) -> Iterator[tuple[str, bytes]]:
    """(name, extended data) of every line, in the order of names."""
    if "SUBSCRIBED" in command.select:
        yield from _subscribed(tree, command, fits)
        return
    special = "SPECIAL-USE" in command.select
    for mailbox in tree.mailboxes:
        if (not special or mailbox.special_use) and fits(mailbox.name):
            yield mailbox.name, b""


def _subscribed(tree: _Tree, command: List, fits: Fits) -> Iterator[tuple[str, bytes]]:
    """Subscribed names; with RECURSIVEMATCH what matches above them too (RFC 5258 §3.5). LSUB names those above only
    for a `%`, and only where the subscribed name itself does not fit (RFC 3501 §6.3.9).
    """
    special = {m.name for m in tree.mailboxes if m.special_use} if "SPECIAL-USE" in command.select else None
    names = {n for n in tree.subscribed if special is None or n in special}
    found = {name: b"" for name in names if fits(name)}
    if command.lsub:
        lower = names - found.keys() if any("%" in pattern for pattern in command.patterns) else set()
    else:
        lower = names if "RECURSIVEMATCH" in command.select else set()
    for above in {a for name in lower for a in _above(name)}:
        if fits(above) and (above not in found or not command.lsub):
            found[above] = b"" if command.lsub else b' (CHILDINFO ("SUBSCRIBED"))'
    yield from sorted(found.items(), key=lambda pair: (pair[0] != "INBOX", pair[0]))


def _above(name: str) -> Iterator[str]:
    at = name.find(SEPARATOR)
    while at >= 0:
        yield name[:at]
        at = name.find(SEPARATOR, at + 1)


def _parents(names: Iterable[str]) -> frozenset[str]:
    """Names that have a mailbox below them."""
    return frozenset(above for name in names for above in _above(name))


def _attributes(
    name: str, mailbox: Mailbox | None, tree: _Tree, command: List, parents: frozenset[str]
) -> Iterator[bytes]:
    if command.lsub:  # RFC 3501 §6.3.9: a name that only leads to subscribed ones
        if name not in tree.subscribed:
            yield b"\\Noselect"
        return
    if mailbox is None:
        yield b"\\NonExistent"
    elif mailbox.special_use:
        yield mailbox.special_use.encode("ascii")
    if name in tree.subscribed:
        yield b"\\Subscribed"
    yield b"\\HasChildren" if name in parents else b"\\HasNoChildren"


def _status_line(call: Call, mailbox: Mailbox, items: tuple[Item, ...], recent: int) -> bytes:
    told = [_word(call, mailbox, item, recent) for item in items]
    return b"* STATUS %b (%b)\r\n" % (written(mailbox.name, utf8=call.session.utf8), b" ".join(told))


def _word(call: Call, mailbox: Mailbox, item: Item, recent: int) -> bytes:
    if item is Item.RECENT:
        return b"RECENT %d" % recent
    if item is Item.APPENDLIMIT:  # RFC 7889 §4
        return b"APPENDLIMIT %d" % call.session.rules.message_size
    return _WORDS[item](mailbox)
