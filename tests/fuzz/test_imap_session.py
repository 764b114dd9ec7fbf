"""Whole sessions of nonsense and half-sense, in every state: each command is answered under its tag or the connection is
ended with BYE; nothing is logged as a failure; the next client is served.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap.grammar import commands
from imap.session import Rules
from tests.imap_rig import PASSWORD, Desk, Talk, desk, message

MIME = (
    b"From: a@example.org\r\nSubject: =?utf-8?q?h=C3=A9?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntwo\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n!!notbase64\r\n--b--\r\n"
)
_numbers = st.sampled_from(["1", "1:*", "*", "2:1", "4294967295", "1:4294967295", "$", "0", "1,2,3", "9:*"])
_boxes = st.sampled_from(["INBOX", "Trash", "Nowhere", '"a b"', '"&"', "&-", '""', '"%"', "a/b/c", "{4+}\r\nmore"])
_items = st.sampled_from(
    [
        *(
            "FLAGS",
            "ALL",
            "FULL",
            "BODY[]",
            "BODY.PEEK[HEADER]",
            "(UID BODY[1.2]<0.5>)",
            "BODY.PEEK[2.1.MIME]",
            "MODSEQ",
        ),
        *("BINARY.PEEK[3]", "BINARY.SIZE[3]", "RFC822.TEXT", "BODY[HEADER.FIELDS.NOT (x)]", "(ENVELOPE BODYSTRUCTURE)"),
        *("BODY[TEXT]<4294967295.1>", "PREVIEW (LAZY)", "(EMAILID THREADID SAVEDATE)", "BODY"),
    ]
)
_keys = st.sampled_from(
    [
        *(
            "ALL",
            "UNSEEN",
            "NOT SEEN",
            "OR 1 2",
            "(1 (2))",
            "SUBJECT in",
            "BODY two",
            "TEXT é",
            "HEADER subject h",
            "UID 1:*",
        ),
        *("SINCE 1-Jan-2020", "MODSEQ 1", "KEYWORD x", "LARGER 10", "$", "YOUNGER 5", "EMAILID e1", "CHARSET X ALL"),
        *("RECENT", "NEW", "OLD", "SAVEDSINCE 1-Jan-2020", "CC x"),
    ]
)
_flags = st.sampled_from(["\\Seen", "(\\Deleted foo)", "()", "(\\Recent)", "bar baz", "(\\Flagged \\Flagged)"])
_modes = st.sampled_from(["FLAGS", "+FLAGS", "-FLAGS.SILENT", "(UNCHANGEDSINCE 2) +FLAGS", "NONSENSE"])


def _line(*parts: st.SearchStrategy[str] | str) -> st.SearchStrategy[str]:
    drawn = [part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts]
    return st.tuples(*drawn).map(" ".join)


_uid = st.sampled_from(["", "UID "])
_commands = st.one_of(
    _line("SELECT", _boxes),
    _line("EXAMINE", _boxes),
    st.tuples(_uid, _line("FETCH", _numbers, _items)).map("".join),
    st.tuples(_uid, _line("SEARCH", _keys, _keys)).map("".join),
    st.tuples(_uid, _line("SEARCH RETURN (SAVE COUNT)", _keys)).map("".join),
    st.tuples(_uid, _line("STORE", _numbers, _modes, _flags)).map("".join),
    st.tuples(_uid, _line("COPY", _numbers, _boxes)).map("".join),
    st.tuples(_uid, _line("MOVE", _numbers, _boxes)).map("".join),
    _line("CREATE", _boxes),
    _line("DELETE", _boxes),
    _line("RENAME", _boxes, _boxes),
    _line("SUBSCRIBE", _boxes),
    _line('LIST ""', _boxes),
    _line("STATUS", _boxes, "(MESSAGES RECENT UNSEEN)"),
    st.sampled_from(
        ["EXPUNGE", "UID EXPUNGE 1:*", "CLOSE", "UNSELECT", "NOOP", "CHECK", "CAPABILITY", "NAMESPACE", "ID NIL"]
    ),
    st.sampled_from(["ENABLE IMAP4rev2", "STARTTLS", "LOGIN a b", "AUTHENTICATE PLAIN AGEAYg=="]),
    st.sampled_from(["APPEND INBOX {5+}\r\nhello", "APPEND Nowhere (\\Seen) {3+}\r\nabc", "APPEND INBOX {3+}\r\na\0c"]),
    st.sampled_from(sorted(name.decode() for name in commands.NAMES - {b"IDLE", b"LOGOUT"})),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x17F), max_size=30),
)
_mutation = st.one_of(
    st.just(lambda data: data),
    st.integers(0, 60).map(lambda at: lambda data: data[:at] + data[at + 1 :]),
    st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=3)).map(
        lambda change: lambda data: data[: change[0]] + change[1] + data[change[0] :]
    ),
)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture
def quiet_log() -> Iterator[list[logging.LogRecord]]:
    """Everything the room logs as an error."""
    seen: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    keep, room_log = Keep(logging.ERROR), logging.getLogger("mailstead.imap")
    room_log.addHandler(keep)
    room_log.setLevel(logging.DEBUG)
    yield seen
    room_log.removeHandler(keep)


def _client(room: Desk, state: str, address: str) -> Talk:
    if state == "anonymous":
        return room.client(Rules(bad_commands=1000, failed_logins=1000))
    talk = room.login(address, Rules())
    if b"MESSAGES 0" in talk.do("STATUS INBOX (MESSAGES)").one(b"STATUS"):
        talk.append(MIME)
        talk.append(message())
    if state == "selected":
        talk.do("SELECT INBOX")
    return talk


def _answered(talk: Talk, tag: bytes, said: bytes) -> bool:
    """One tagged answer, an untagged BAD for what has no tag, a continuation that is due, or the end."""
    if talk.line.closed or not said:
        return True
    tagged = len(re.findall(rb"(?m)^%b (OK|NO|BAD)" % tag, said))
    return tagged <= 1 and (tagged == 1 or b"* BAD" in said or said.endswith(b"+ OK\r\n") or b"\n+ " in b"\n" + said)


@pytest.mark.parametrize("state", ["anonymous", "authenticated", "selected"])
def test_every_command_is_answered(state: str, room: Desk, quiet_log: list[logging.LogRecord]) -> None:
    """Grammar-shaped commands, some mutated, in each state."""
    talks: list[Talk] = []
    address = room.account()

    @given(st.lists(st.tuples(_commands, _mutation), min_size=1, max_size=12))
    def converse(script: list) -> None:  # type: ignore[type-arg]
        if not talks or talks[0].line.closed or talks[0].dialogue.waiting or state == "selected":
            for old in talks:
                old.drop()
            talks[:] = [_client(room, state, address)]
        talk = talks[0]
        for number, (command, mutate) in enumerate(script):
            tag = b"z%d" % number
            said = talk.say(tag + b" " + mutate(command.encode()) + b"\r\n")
            assert _answered(talk, tag, said), (command, said)
            if talk.line.closed or talk.dialogue.waiting or b"+ " in said:
                break

    converse()
    assert not [record.__dict__.get("fields") for record in quiet_log]
    assert room.client().do(f"LOGIN {room.account()} {PASSWORD}").ok
