"""Framed octets -> Tagged: the tag, the name, and the grammar of its arguments (RFC 9051 §9 command).

Promises: `parse` returns a Tagged or raises Bad (syntax) or No (a value that names nothing); `head` finds the tag of
anything, so that even nonsense is answered under it. A table names the commands; there is no other list of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from imap.command import (
    Append,
    Authenticate,
    Capability,
    Close,
    Command,
    Copy,
    Create,
    Delete,
    Enable,
    Expunge,
    Id,
    Idle,
    Login,
    Logout,
    Namespace,
    Noop,
    Rename,
    Select,
    StartTls,
    Store,
    Subscribe,
    Tagged,
)
from imap.errors import Bad
from imap.grammar import listing, names
from imap.grammar.fetch import fetch
from imap.grammar.search import search
from imap.grammar.sequence import sequence_set
from imap.grammar.tokens import Cursor, utf8

Grammar = Callable[[Cursor], Command]
_HEAD = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]{1,64}) (?:([A-Za-z]{1,16})( [A-Za-z]{1,16})?)?')
_MESSAGE_LITERAL = re.compile(rb"~?\{[0-9]+\+?\}\r\n\Z")
MAX_ID_FIELDS = 30
_ID_FIELD, _ID_VALUE = 30, 1024


def head(data: bytes) -> tuple[bytes, bytes]:
    """(tag, name in capitals) as far as they can be made out; the tag is `*` where there is none."""
    found = _HEAD.match(data)
    if found is None:
        return b"*", b""
    name = (found[2] or b"").upper()
    if name == b"UID" and found[3]:
        name += found[3].upper()
    return found[1], name


def parse(data: bytes, *, utf8_names: bool = False) -> Tagged:
    """One framed command."""
    cursor = Cursor(data, utf8=utf8_names)
    tag = cursor.tag()
    cursor.space()
    name = cursor.word()
    if name == b"UID":
        cursor.space()
        name += b" " + cursor.word()
    grammar = _GRAMMARS.get(name)
    if grammar is None:
        raise Bad("Unknown command")
    return Tagged(tag, name, grammar(cursor))


def append_head(data: bytes, *, utf8_names: bool = False) -> Append | None:
    """The APPEND whose message literal comes next, or None when the literal is another argument's."""
    cursor = Cursor(data, utf8=utf8_names)
    cursor.tag()
    cursor.space()
    cursor.word()
    cursor.space()
    if _MESSAGE_LITERAL.match(data, cursor.at):
        return None  # the mailbox name is a literal
    mailbox = names.mailbox(cursor)
    cursor.space()
    message = Append(mailbox)
    if cursor.peek(b"("):
        flags, keywords = cursor.flag_list()
        message = Append(mailbox, flags, keywords)
        cursor.space()
    if cursor.peek(b'"'):
        message = replace(message, date=cursor.date_time())
        cursor.space()
    if not _MESSAGE_LITERAL.match(data, cursor.at):
        raise Bad("Expected the message as a literal")
    return message


# --- one grammar for each command -------------------------------------------------------------------------------------


def _bare(command: Command) -> Grammar:
    def grammar(cursor: Cursor) -> Command:
        cursor.end()
        return command

    return grammar


def _one_mailbox(make: Callable[[str], Command]) -> Grammar:
    def grammar(cursor: Cursor) -> Command:
        cursor.space()
        mailbox = names.mailbox(cursor)
        cursor.end()
        return make(mailbox)

    return grammar


def _authenticate(cursor: Cursor) -> Command:
    cursor.space()
    mechanism = cursor.atom().upper().decode("ascii")
    initial = None
    if not cursor.done:  # SASL-IR (RFC 4959)
        cursor.space()
        initial = cursor.match(re.compile(rb"[A-Za-z0-9+/=]+"), "an initial response in base64")
    cursor.end()
    return Authenticate(mechanism, initial)


def _login(cursor: Cursor) -> Command:
    cursor.space()
    user = cursor.text()
    cursor.space()
    password = cursor.text()
    cursor.end()
    return Login(user, password)


def _enable(cursor: Cursor) -> Command:
    found: list[str] = []
    while not cursor.done or not found:
        cursor.space()
        found.append(cursor.atom().upper().decode("ascii"))
    return Enable(tuple(found))


def _select(readonly: bool) -> Grammar:
    def grammar(cursor: Cursor) -> Command:
        cursor.space()
        mailbox = names.mailbox(cursor)
        condstore = False
        if not cursor.done:  # RFC 7162 §3.1.8
            cursor.space()
            cursor.expect(b"(")
            condstore = cursor.word() == b"CONDSTORE"
            if not condstore:
                raise Bad("Unknown SELECT parameter")
            cursor.expect(b")")
        cursor.end()
        return Select(mailbox, readonly, condstore)

    return grammar


def _create(cursor: Cursor) -> Command:
    cursor.space()
    mailbox = names.mailbox(cursor)
    special_use = None
    if not cursor.done:  # RFC 6154 §3
        cursor.space()
        cursor.expect(b"(")
        if cursor.word() != b"USE":
            raise Bad("Unknown CREATE parameter")
        cursor.space()
        cursor.expect(b"(")
        cursor.expect(b"\\")
        special_use = "\\" + cursor.atom().decode("ascii").capitalize()
        if not cursor.accept(b"))"):
            raise Bad("One special use is all a mailbox can have")
    cursor.end()
    return Create(mailbox, special_use)


def _rename(cursor: Cursor) -> Command:
    cursor.space()
    old = names.mailbox(cursor)
    cursor.space()
    new = names.mailbox(cursor)
    cursor.end()
    return Rename(old, new)


def _append(cursor: Cursor) -> Command:
    """An APPEND that comes whole has no literal; with one, `append_head` reads it."""
    raise Bad("Expected the message as a literal")


def _uid_expunge(cursor: Cursor) -> Command:
    cursor.space()
    uids = sequence_set(cursor)
    cursor.end()
    return Expunge(uids)


def _store(uid: bool) -> Grammar:
    def grammar(cursor: Cursor) -> Command:
        cursor.space()
        sequence = sequence_set(cursor)
        cursor.space()
        since = _unchanged_since(cursor)
        mode = cursor.data[cursor.at : cursor.at + 1].decode("latin-1")
        if mode in ("+", "-"):
            cursor.at += 1
        else:
            mode = "="
        word = cursor.word()
        if word not in (b"FLAGS", b"FLAGS.SILENT"):
            raise Bad("Expected FLAGS or FLAGS.SILENT")
        cursor.space()
        flags, keywords = cursor.flag_list() if cursor.peek(b"(") else cursor.bare_flags()
        cursor.end()
        return Store(sequence, uid, mode, word == b"FLAGS.SILENT", flags, keywords, since)

    return grammar


def _unchanged_since(cursor: Cursor) -> int | None:
    """`(UNCHANGEDSINCE n)` (RFC 7162 §3.1.3)."""
    if not cursor.accept(b"("):
        return None
    if cursor.word() != b"UNCHANGEDSINCE":
        raise Bad("Unknown STORE modifier")
    cursor.space()
    since = cursor.modseq()
    cursor.expect(b")")
    cursor.space()
    return since


def _copy(uid: bool, move: bool) -> Grammar:
    def grammar(cursor: Cursor) -> Command:
        cursor.space()
        sequence = sequence_set(cursor)
        cursor.space()
        mailbox = names.mailbox(cursor)
        cursor.end()
        return Copy(sequence, uid, mailbox, move)

    return grammar


def _id(cursor: Cursor) -> Command:
    """`ID NIL` or `ID ("name" "value" ...)`, bounded as RFC 2971 §3.3 says."""
    cursor.space()
    fields: list[tuple[str, str]] = []
    if not cursor.accept(b"("):
        if cursor.nstring() is not None:
            raise Bad("Expected NIL or a list")
        cursor.end()
        return Id(())
    while not cursor.accept(b")"):
        if fields:
            cursor.space()
        name = utf8(cursor.string())
        cursor.space()
        value = utf8(cursor.nstring() or b"")
        fields.append((name[:_ID_FIELD], value[:_ID_VALUE]))
        if len(fields) > MAX_ID_FIELDS:
            raise Bad("Too many fields")
    cursor.end()
    return Id(tuple(fields))


_GRAMMARS: dict[bytes, Grammar] = {
    b"CAPABILITY": _bare(Capability()),
    b"NOOP": _bare(Noop()),
    b"CHECK": _bare(Noop()),
    b"LOGOUT": _bare(Logout()),
    b"ID": _id,
    b"STARTTLS": _bare(StartTls()),
    b"AUTHENTICATE": _authenticate,
    b"LOGIN": _login,
    b"ENABLE": _enable,
    b"SELECT": _select(False),
    b"EXAMINE": _select(True),
    b"CREATE": _create,
    b"DELETE": _one_mailbox(Delete),
    b"RENAME": _rename,
    b"SUBSCRIBE": _one_mailbox(lambda mailbox: Subscribe(mailbox, True)),
    b"UNSUBSCRIBE": _one_mailbox(lambda mailbox: Subscribe(mailbox, False)),
    b"LIST": listing.list_,
    b"LSUB": listing.lsub,
    b"NAMESPACE": _bare(Namespace()),
    b"STATUS": listing.status,
    b"APPEND": _append,
    b"IDLE": _bare(Idle()),
    b"CLOSE": _bare(Close(expunge=True)),
    b"UNSELECT": _bare(Close(expunge=False)),
    b"EXPUNGE": _bare(Expunge()),
    b"UID EXPUNGE": _uid_expunge,
    b"SEARCH": lambda cursor: search(cursor, uid=False),
    b"UID SEARCH": lambda cursor: search(cursor, uid=True),
    b"FETCH": lambda cursor: fetch(cursor, uid=False),
    b"UID FETCH": lambda cursor: fetch(cursor, uid=True),
    b"STORE": _store(uid=False),
    b"UID STORE": _store(uid=True),
    b"COPY": _copy(uid=False, move=False),
    b"UID COPY": _copy(uid=True, move=False),
    b"MOVE": _copy(uid=False, move=True),
    b"UID MOVE": _copy(uid=True, move=True),
}
NAMES = frozenset(_GRAMMARS)
"""The names of all commands, in capitals."""
