"""SELECT, EXAMINE, CLOSE, UNSELECT, and reading a mailbox again when its changes were lost (RFC 9051 §6.3.2, §6.4).

Promises: no change is missed and none is told twice: the session listens first, then takes a snapshot, then drops what
the snapshot holds already.
"""

from __future__ import annotations

from array import array

from data.errors import NotFound
from data.principal import Principal
from data.store.keys import Ranges
from data.store.messages import Snapshot
from data.store.store import Store
from imap import response
from imap.actions.call import DONE, Call, Done, ImapParts
from imap.command import Close, Select
from imap.grammar.names import written
from imap.session import Session
from imap.view import View

_WRITING = frozenset("swtei")
_ROWS = 5000


async def select(call: Call, command: Select) -> Done:
    """SELECT and EXAMINE."""
    session, parts = call.session, call.parts
    if leave(call):
        call.send(response.untagged(b"OK", "The previous mailbox is closed", b"CLOSED"))
    if command.condstore:
        session.condstore = True
    opening = parts.hub.opening()
    try:
        snapshot, readonly = await parts.workers.blocking(
            _open, parts, call.principal, command, take_recent=not (command.readonly or session.rev2)
        )
        call.still_there()
    except BaseException:
        parts.hub.abandon(opening)
        raise
    view = _view(call, snapshot, readonly=readonly, taken=not (command.readonly or session.rev2))
    parts.hub.join(opening, view)
    session.selected(view)
    _describe(call, view, snapshot)
    if view.readonly:
        return Done("Mailbox selected, read-only", b"READ-ONLY")
    return Done("Mailbox selected", b"READ-WRITE")


def leave(call: Call) -> bool:
    """Select nothing any more; whether there was something."""
    view = call.session.deselected()
    if view is None:
        return False
    view.wake = None
    call.parts.hub.leave(view)
    return True


def _open(parts: ImapParts, who: Principal, command: Select, *, take_recent: bool) -> tuple[Snapshot, bool]:
    """Off the loop: the snapshot, and whether the mailbox can be looked at only."""
    store = parts.store
    mailbox = store.mailboxes.get(who, who.account, command.mailbox)
    readonly = command.readonly
    if mailbox.account != who.account:
        readonly = readonly or not store.mailboxes.rights(who, mailbox.id) & _WRITING
    known = parts.hub.known(mailbox.id)
    taking = take_recent and not readonly
    return store.messages.snapshot(who, mailbox.id, take_recent=taking, known=known), readonly


def _view(call: Call, snapshot: Snapshot, *, readonly: bool, taken: bool) -> View:
    mailbox = snapshot.mailbox
    first = call.parts.hub.recent_from(mailbox.id, snapshot.recent_from, take=taken and not readonly)
    recent = ((first, mailbox.uidnext - 1),) if first < mailbox.uidnext and not call.session.rev2 else ()
    return View(
        mailbox.account,
        mailbox.id,
        snapshot.uids,
        mailbox.highestmodseq,
        recent=recent,
        keywords=snapshot.keywords,
        readonly=readonly,
        rev2=call.session.rev2,
    )


def _describe(call: Call, view: View, snapshot: Snapshot) -> None:
    """What SELECT must tell (RFC 9051 §6.3.2; RFC 3501 §6.3.1; RFC 7162 §3.1.2.1; RFC 8474 §4.2)."""
    mailbox, rev2 = snapshot.mailbox, call.session.rev2
    call.send(response.mailbox_flags(view.keywords, not view.readonly))
    call.send(b"* %d EXISTS\r\n" % len(view))
    if rev2:
        call.send(b'* LIST () "/" %b\r\n' % written(mailbox.name, utf8=True))
    else:
        call.send(b"* %d RECENT\r\n" % view.recent_count())
        if snapshot.first_unseen is not None:
            unseen = b"UNSEEN %d" % view.number(snapshot.first_unseen)
            call.send(response.untagged(b"OK", "The first unseen message", unseen))
    call.send(
        b"* OK [UIDVALIDITY %d] UIDs are valid\r\n"
        b"* OK [UIDNEXT %d] The next UID\r\n"
        b"* OK [HIGHESTMODSEQ %d] The highest mod-sequence\r\n"
        b"* OK [MAILBOXID (%b)] The mailbox\r\n"
        % (mailbox.uidvalidity, mailbox.uidnext, mailbox.highestmodseq, mailbox.objectid.encode("ascii"))
    )


async def close(call: Call, command: Close) -> Done:
    """CLOSE and UNSELECT: both leave the mailbox; CLOSE expunges first, without telling (RFC 9051 §6.4.1)."""
    view = call.view
    if command.expunge and not view.readonly and not view.deleted:
        await call.parts.workers.blocking(call.parts.store.messages.expunge, call.principal, view.mailbox, None)
    leave(call)
    return DONE


# --- resync -----------------------------------------------------------------------------------------------------------


async def resync(call: Call, session: Session) -> None:
    """Read the mailbox again and tell the difference, after changes were lost.

    Expunged messages and new ones come from the UIDs; the flags of everything that changed since what the view knew
    are told, as a client may hold any of them.
    """
    view, parts = session.view, call.parts
    if view is None or not view.lost:
        return
    opening = parts.hub.opening()
    try:
        snapshot, states = await parts.workers.blocking(_again, parts.store, call.principal, view)
        call.still_there()
    except NotFound:
        parts.hub.abandon(opening)
        view.recover(array("I"), view.told, ())
        view.deleted = True
        return
    except BaseException:
        parts.hub.abandon(opening)
        raise
    parts.hub.leave(view)
    view.recover(snapshot.uids, snapshot.mailbox.highestmodseq, states)
    parts.hub.join(opening, view)
    parts.log.info("resync", id=call.id, mailbox=view.mailbox, messages=len(snapshot.uids))


def _again(store: Store, who: Principal, view: View) -> tuple[Snapshot, list[tuple[int, int, str, int]]]:
    """Off the loop: a new snapshot, and the flags that changed since the old one."""
    snapshot = store.messages.snapshot(who, view.mailbox, take_recent=False)
    states: list[tuple[int, int, str, int]] = []
    known = array("I", view.uids)
    after = 0
    while known and after < known[-1]:
        ranges: Ranges = ((after + 1, known[-1]),)
        columns = ("flags", "keywords", "modseq")
        rows = store.messages.rows(who, view.mailbox, ranges, columns, changed_since=view.told, limit=_ROWS)
        states += rows
        if len(rows) < _ROWS:
            break
        after = states[-1][0]
    return snapshot, states
