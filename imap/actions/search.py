"""SEARCH and UID SEARCH, with ESEARCH and the saved result `$` (RFC 9051 §6.4.4; RFC 4731; RFC 5182; RFC 7162 §3.1.5).

Promises: the answer speaks of messages the client knows and of no others. A failed search that should have been saved
leaves `$` empty.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from data.store.keys import AnyText, Body, Header, Ranges, Stored
from imap.actions.call import DONE, Call, Done
from imap.actions.items import numbers_of
from imap.command import Search, SequenceSet
from imap.grammar.search import build
from imap.response import sequence_set, string
from imap.view import View

_TEXT = (AnyText, Body, Header, Stored)


async def search(call: Call, command: Search) -> Done:
    """SEARCH and UID SEARCH."""
    view, session, parts = call.view, call.session, call.parts
    if command.modseq:
        session.condstore = True  # RFC 7162 §3.1
    saving = command.returns is not None and "SAVE" in command.returns

    def numbers(sequence: SequenceSet, uid: bool) -> Ranges:
        return view.ranges(sequence, uid, session.saved)

    key = build(command.program, numbers, view.recent)
    # What reads stored text burns CPU: two such searches at once, whoever asks, so that others are served meanwhile.
    run = parts.workers.heavy if any(isinstance(op, _TEXT) for op in command.program) else parts.workers.blocking
    try:
        found = await run(parts.store.search.find, call.principal, view.mailbox, key)
    except BaseException:
        if saving:
            session.saved = ()  # RFC 5182 §2.1
        raise
    known = _known(view, found)
    modseq = await _highest(call, view, known) if command.modseq and known else 0
    if saving:
        session.saved = _saved(command, known)
    call.send(_answer(call, command, known, modseq))
    return DONE


def _known(view: View, found: Sequence[int]) -> Sequence[int]:
    """What of the found UIDs the client knows: all of them, unless mail came or went meanwhile."""
    numbers = numbers_of(view, found)
    if isinstance(numbers, range):
        return found
    return [uid for uid, number in zip(found, numbers, strict=True) if number]


async def _highest(call: Call, view: View, uids: Sequence[int]) -> int:
    """The highest mod-sequence of the messages found (RFC 7162 §3.1.5)."""
    ranges = view.ranges(SequenceSet(saved=True), True, uids)
    rows = await call.parts.workers.blocking(
        call.parts.store.messages.rows, call.principal, view.mailbox, ranges, ("modseq",), limit=len(view) + 1
    )
    wanted = frozenset(uids)
    return max((row[1] for row in rows if row[0] in wanted), default=0)


def _saved(command: Search, found: Sequence[int]) -> array[int]:
    """What `$` will mean: with MIN or MAX alone, only those (RFC 5182 §2.4)."""
    returns = command.returns or frozenset()
    if found and not returns & {"ALL", "COUNT"} and returns & {"MIN", "MAX"}:
        ends = ([found[0]] if "MIN" in returns else []) + ([found[-1]] if "MAX" in returns else [])
        return array("I", sorted(set(ends)))
    return array("I", found)


# --- the response -----------------------------------------------------------------------------------------------------


def _answer(call: Call, command: Search, found: Sequence[int], modseq: int) -> bytes:
    told = found if command.uid else numbers_of(call.view, found)
    returns = command.returns
    if returns is None:
        if not call.session.rev2:
            end = b" (MODSEQ %d)" % modseq if modseq else b""
            return b"* SEARCH%b%b\r\n" % (b"".join([b" %d" % n for n in told]), end)
        returns = frozenset({"ALL"})  # RFC 9051 §6.4.4: no SEARCH response once IMAP4rev2 is enabled
    if returns == {"SAVE"}:
        return b""
    return _esearch(call.tag, command.uid, returns, told, modseq)


def _esearch(tag: bytes, uid: bool, returns: frozenset[str], told: Sequence[int], modseq: int) -> bytes:
    """RFC 9051 §7.3.4: MIN, MAX and ALL are left out when nothing was found."""
    line = b"* ESEARCH (TAG %b)%b" % (string(tag), b" UID" if uid else b"")
    if told and "MIN" in returns:
        line += b" MIN %d" % told[0]
    if told and "MAX" in returns:
        line += b" MAX %d" % told[-1]
    if told and "ALL" in returns:
        line += b" ALL " + sequence_set(told)
    if "COUNT" in returns:
        line += b" COUNT %d" % len(told)
    if told and modseq:
        line += b" MODSEQ %d" % modseq
    return line + b"\r\n"
