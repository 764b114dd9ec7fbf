"""SEARCH: search keys into a program of data.store.keys (RFC 9051 §6.4.4; RFC 5032; RFC 7162 §3.1.5; RFC 8474; RFC 8514).

Promises: no recursion and no work beyond the length of the command: keys are read with a stack of open groups and
written in postfix order, so that 10 000 parentheses cost what 10 000 characters cost (attack I1). What the client means
by sequence numbers, `$` and \\Recent is filled in by `build`, against the selected mailbox. A chain of ORs becomes a
balanced tree, so that a search for a thousand Message-IDs is no deep one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data.store.keys import (
    All,
    And,
    AnyText,
    Body,
    EmailId,
    Field,
    Flag,
    HasFlag,
    HasKeyword,
    Header,
    Internal,
    Larger,
    ModSeqSince,
    Not,
    Or,
    Ranges,
    Saved,
    SearchKey,
    Sent,
    Smaller,
    Stored,
    ThreadKey,
    Uids,
    When,
    Within,
)
from imap.command import AndOf, Join, Numbers, Op, Recent, Search, SequenceSet
from imap.errors import Bad, No
from imap.grammar.sequence import sequence_set
from imap.grammar.tokens import MAX_MODSEQ, MAX_NUMBER, Cursor, utf8

MAX_NESTING = 32
"""Groups open at once, NOT among them: what is deeper was not written by a person."""
MAX_KEYS = 2000
_CHARSETS = frozenset({"US-ASCII", "ASCII", "UTF-8", "UTF8"})
_RETURNS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE"})


def search(cursor: Cursor, *, uid: bool) -> Search:
    """The arguments of SEARCH and UID SEARCH."""
    cursor.space()
    returns = _returns(cursor)
    _charset(cursor)
    program = _Program(cursor).read()
    cursor.end()
    modseq = any(isinstance(op, ModSeqSince) for op in program)
    return Search(program, uid, returns, modseq)


def _word_ahead(cursor: Cursor, word: bytes) -> bool:
    size = len(word)
    if cursor.data[cursor.at : cursor.at + size].upper() != word:
        return False
    cursor.at += size
    return True


def _returns(cursor: Cursor) -> frozenset[str] | None:
    """`RETURN (MIN MAX ...)` (RFC 9051 §6.4.4); an empty list means ALL."""
    if not _word_ahead(cursor, b"RETURN ("):
        return None
    names: set[str] = set()
    while not cursor.accept(b")"):
        if names:
            cursor.space()
        name = cursor.word().decode("ascii")
        if name not in _RETURNS:
            raise Bad("Unknown search return option")
        names.add(name)
    cursor.space()
    return frozenset(names) or frozenset({"ALL"})


def _charset(cursor: Cursor) -> None:
    """`CHARSET name`: what we search is Unicode, so that UTF-8 and its subset are all there is."""
    if not _word_ahead(cursor, b"CHARSET "):
        return
    if utf8(cursor.astring()).upper() not in _CHARSETS:
        raise No("That character set is not supported", b"BADCHARSET (UTF-8 US-ASCII)")
    cursor.space()


# --- keys -------------------------------------------------------------------------------------------------------------

_Leaf = Callable[[Cursor], SearchKey]


def _value(cursor: Cursor) -> str:
    cursor.space()
    return cursor.text()


def _day(cursor: Cursor) -> int:
    cursor.space()
    return cursor.date()


def _number(cursor: Cursor, top: int = MAX_NUMBER) -> int:
    cursor.space()
    return cursor.number(top)


def _header(cursor: Cursor) -> SearchKey:
    return Header(_value(cursor), _value(cursor))


def _modseq(cursor: Cursor) -> SearchKey:
    """`MODSEQ ["/flags/\\Draft" all] n`: the entry is read and not looked at (RFC 7162 §3.1.5)."""
    cursor.space()
    if cursor.peek(b'"'):
        cursor.string()
        cursor.space()
        if cursor.word() not in (b"ALL", b"PRIV", b"SHARED"):
            raise Bad("Expected all, priv or shared")
        cursor.space()
    return ModSeqSince(cursor.modseq())


def _within(younger: bool) -> _Leaf:
    def leaf(cursor: Cursor) -> SearchKey:
        cursor.space()
        return Within(cursor.number(MAX_NUMBER, least=1), younger)

    return leaf


def _flag(flag: Flag) -> tuple[_Leaf, _Leaf]:
    return (lambda c: HasFlag(flag)), (lambda c: Not(HasFlag(flag)))


def _leaves() -> dict[bytes, _Leaf]:
    leaves: dict[bytes, _Leaf] = {
        b"ALL": lambda c: All(),
        b"BODY": lambda c: Body(_value(c)),
        b"TEXT": lambda c: AnyText(_value(c)),
        b"HEADER": _header,
        b"KEYWORD": lambda c: HasKeyword(_keyword(c)),
        b"UNKEYWORD": lambda c: Not(HasKeyword(_keyword(c))),
        b"LARGER": lambda c: Larger(_number(c, MAX_MODSEQ)),
        b"SMALLER": lambda c: Smaller(_number(c, MAX_MODSEQ)),
        b"MODSEQ": _modseq,
        b"YOUNGER": _within(True),
        b"OLDER": _within(False),
        b"SAVEDATESUPPORTED": lambda c: All(),
        b"EMAILID": lambda c: EmailId(_value(c)),
        b"THREADID": lambda c: ThreadKey(_value(c)),
    }
    for flag in Flag:
        name = (flag.name or "").encode()
        leaves[name], leaves[b"UN" + name] = _flag(flag)
    for field in Field:
        leaves[field.name.encode()] = _stored(field)
    for when in When:
        leaves[when.name.encode()] = _dated(Internal, when)
        leaves[b"SENT" + when.name.encode()] = _dated(Sent, when)
        leaves[b"SAVED" + when.name.encode()] = _dated(Saved, when)
    return leaves


def _stored(field: Field) -> _Leaf:
    return lambda c: Stored(field, _value(c))


def _dated(kind: Callable[[When, int], SearchKey], when: When) -> _Leaf:
    return lambda c: kind(when, _day(c))


def _keyword(cursor: Cursor) -> str:
    cursor.space()
    return cursor.atom().decode("ascii")


_LEAVES = _leaves()
_UNSEEN = Not(HasFlag(Flag.SEEN))
_RECENT: dict[bytes, tuple[Op, ...]] = {
    b"RECENT": (Recent(),),
    b"OLD": (Recent(), Join.NOT),
    b"NEW": (Recent(), _UNSEEN, AndOf(2)),
}


@dataclass(slots=True)
class _Group:
    """An open group: a parenthesis (or the whole command), or NOT or OR that waits for its keys."""

    join: Join | None
    count: int = 0


class _Program:
    """Reads keys up to the end of the command."""

    __slots__ = ("_cursor", "_depth", "_groups", "_keys", "_ops")

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._ops: list[Op] = []
        self._groups = [_Group(None)]
        self._depth = 0
        self._keys = 0

    def read(self) -> tuple[Op, ...]:
        """The program, in postfix order."""
        while True:
            if self._open():
                continue
            self._leaf()
            if self._close():
                return tuple(self._ops)
            self._cursor.space()

    def _open(self) -> bool:
        """Step into a group if one begins here."""
        cursor, groups = self._cursor, self._groups
        if cursor.accept(b"("):
            self._push(_Group(None))
        elif _word_ahead(cursor, b"NOT "):
            if groups[-1].join is Join.NOT:
                groups.pop()  # twice not
                self._depth -= 1
            else:
                self._push(_Group(Join.NOT))
        elif _word_ahead(cursor, b"OR "):
            groups.append(_Group(Join.OR))
            if len(groups) > MAX_KEYS:
                raise Bad("The search has too many keys")
        else:
            return False
        return True

    def _push(self, group: _Group) -> None:
        self._groups.append(group)
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise Bad("The search is nested too deeply")

    def _leaf(self) -> None:
        cursor = self._cursor
        self._keys += 1
        if self._keys > MAX_KEYS:
            raise No("The search has too many keys", b"LIMIT")
        if not cursor.done and cursor.data[cursor.at] in b"0123456789*$":
            self._ops.append(Numbers(sequence_set(cursor), uid=False))
            return
        word = cursor.word()
        if word == b"UID":
            cursor.space()
            self._ops.append(Numbers(sequence_set(cursor), uid=True))
        elif word in _RECENT:
            self._ops += _RECENT[word]
        elif word in _LEAVES:
            self._ops.append(_LEAVES[word](cursor))
        else:
            raise Bad("Unknown search key")

    def _close(self) -> bool:
        """One key is complete: complete what waited for it. True at the end of the command."""
        groups = self._groups
        while True:
            group = groups[-1]
            group.count += 1
            if group.join is None:
                if not self._end_of(len(groups) == 1):
                    return False
                self._ops.append(AndOf(group.count))
            elif group.join is Join.OR and group.count == 1:
                return False
            else:
                self._ops.append(group.join)
            groups.pop()
            if not groups:
                return True
            self._depth -= group.join is not Join.OR

    def _end_of(self, outermost: bool) -> bool:
        return self._cursor.done if outermost else self._cursor.accept(b")")


# --- against a mailbox --------------------------------------------------------------------------------------------------


class _Either(list[SearchKey]):
    """Keys of which one must hold, not yet made a tree."""


def build(program: tuple[Op, ...], numbers: Callable[[SequenceSet, bool], Ranges], recent: Ranges) -> SearchKey:
    """The tree a program stands for; `numbers` tells the UIDs of a sequence set (and whether it holds UIDs already)."""
    stack: list[SearchKey | _Either] = []
    for op in program:
        if isinstance(op, AndOf):
            keys = [_settle(key) for key in stack[-op.count :]]
            del stack[-op.count :]
            stack.append(keys[0] if len(keys) == 1 else And(tuple(keys)))
        elif op is Join.NOT:
            stack.append(_not(_settle(stack.pop())))
        elif op is Join.OR:
            right, left = stack.pop(), stack.pop()
            stack.append(_either(left, right))
        elif isinstance(op, Numbers):
            stack.append(Uids(numbers(op.sequence, op.uid)))
        elif isinstance(op, Recent):
            stack.append(Uids(recent))
        elif not isinstance(op, Join):
            stack.append(op)
    return _settle(stack[0])


def _not(key: SearchKey) -> SearchKey:
    return key.key if isinstance(key, Not) else Not(key)


def _either(left: SearchKey | _Either, right: SearchKey | _Either) -> _Either:
    if isinstance(right, _Either):
        both, other = right, left  # the usual chain: OR a OR b c
    elif isinstance(left, _Either):
        both, other = left, right
    else:
        return _Either((left, right))
    if isinstance(other, _Either):
        both.extend(other)
    else:
        both.append(other)
    return both


def _settle(key: SearchKey | _Either) -> SearchKey:
    """A chain of alternatives as a balanced tree."""
    if not isinstance(key, _Either):
        return key
    level: list[SearchKey] = list(key)
    while len(level) > 1:
        pairs: list[SearchKey] = [Or(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = [*pairs, level[-1]] if len(level) % 2 else pairs
    return level[0]
