"""Dovecot as a second opinion: the same messages and the same questions, and the data of the answers compared.

What is compared is what IMAPClient reads out of the responses: spacing, the choice between quoted strings and literals
and the wording of human-readable text do not count. Where the two differ for a reason, the table says so, and the
difference must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient  # type: ignore[import-untyped]
from imapclient.exceptions import IMAPClientError  # type: ignore[import-untyped]

from tests.interop.dovecot import PASSWORD, USER, dovecot
from tests.interop.outside import SECONDS, Person, compose

CORPUS = {file.stem: file for file in sorted((Path(__file__).parents[1] / "corpus").glob("*.eml"))}
REFUSED = {"empty", "nul-and-controls"}
"""What we do not take: no octets at all, and NUL."""

# The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1); Dovecot counts it to a multipart inside.
_LINE_END = "the line end after an inner multipart"
# A header without its empty line has one in HEADER.FIELDS and MIME all the same, or has not (RFC 9051 §6.4.5).
_EMPTY_LINE = "the empty line of a part without a header, or of a message without a body"
_UNKNOWN = "what is not MIME is text/plain to us, and kept as it is by Dovecot"
DIFFERENT = {
    "addresses": ({"ENVELOPE"}, "Dovecot invents MISSING_MAILBOX for an address that is none"),
    "alternative-related": ({"1", "1.2"}, _LINE_END),
    "boundary-prefixes": ({"1", "1.1"}, _LINE_END),
    "digest": ({"BODY", "BODYSTRUCTURE", "2"}, _LINE_END),
    "forwarded": ({"BODY", "BODYSTRUCTURE", "2"}, _LINE_END),
    "same-boundary-nested": ({"1"}, _LINE_END),
    "delimiter-at-once": ({"2.MIME", "4.MIME"}, _EMPTY_LINE),
    "empty-parts": ({"2.MIME"}, _EMPTY_LINE),
    "only-header": ({"HEADER.FIELDS (SUBJECT FROM)"}, _EMPTY_LINE),
    "bad-types": ({"BODY", "BODYSTRUCTURE"}, _UNKNOWN),
    "boundary-never-comes": ({"BODY", "BODYSTRUCTURE", "1"}, _UNKNOWN),
    "no-boundary-parameter": ({"BODY", "BODYSTRUCTURE", "1", "1.MIME"}, _UNKNOWN),
    "rfc822-base64": ({"BODY", "BODYSTRUCTURE", "1"}, "a message may not be in base64 (RFC 2046 §5.2.1)"),
    "duplicate-fields": ({"ENVELOPE"}, "of two Subject fields the first counts to us, the last to Dovecot"),
    "eight-bit-header": ({"BODY", "BODYSTRUCTURE"}, "octets above 127 are given in the form of RFC 2231 by us"),
    "rfc2231": ({"BODY", "BODYSTRUCTURE"}, "parameters are put together by us, and given as they are by Dovecot"),
    "folded-everywhere": ({"ENVELOPE"}, "a fold before a tab stays a tab"),
}
ITEMS = ("ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE")
SECTIONS = (
    "", "HEADER", "TEXT", "HEADER.FIELDS (SUBJECT FROM)", "HEADER.FIELDS.NOT (SUBJECT FROM)", "TEXT]<3.20>",
)  # fmt: skip

Pair = tuple[IMAPClient, IMAPClient]


@pytest.fixture(scope="module")
def peer() -> Iterator[int]:
    """The port of a Dovecot."""
    with dovecot() as port:
        yield port


@pytest.fixture
def both(program: Callable[[str], str], peer: int, ann: Person) -> Iterator[Pair]:
    """Signed-in clients of Dovecot and of the house; Dovecot's account is emptied."""
    program("dovecot")
    with IMAPClient("127.0.0.1", peer, ssl=False, timeout=SECONDS) as theirs, ann.client() as ours:
        theirs.login(USER, PASSWORD)
        yield theirs, ours


def put(both: Pair, name: str, *messages: bytes) -> None:
    """The same messages into a new mailbox of both, selected."""
    for client in both:
        client.create_folder(name)
        for octets in messages:
            client.append(name, octets, (), datetime(2025, 6, 7, 8, 9, 10))
        client.select_folder(name)


def lowered(value: Any) -> Any:
    """The same without case, which does not count in a body structure."""
    if isinstance(value, bytes):
        return value.lower()
    return tuple(lowered(one) for one in value) if isinstance(value, list | tuple) else value


def parts(structure: Any, before: str = "") -> Iterator[str]:
    """The numbers of all parts of a body structure."""
    if isinstance(structure[0], list | tuple):
        for number, one in enumerate(structure[0], 1):
            yield from parts(one, f"{before}{number}.")
        if before:
            yield before[:-1]
    else:
        yield (before or "1.")[:-1]


def fetched(client: IMAPClient, uid: int, item: str) -> Any:
    """One item of one message."""
    row = client.fetch([uid], [item])[uid]
    (value,) = (value for name, value in row.items() if name not in {b"SEQ", b"UID", b"FLAGS"})
    return lowered(value) if item in {"BODY", "BODYSTRUCTURE"} else value


def section(text: str) -> str:
    """The item that gives a section and marks nothing as seen."""
    return f"BODY.PEEK[{text}" if "]" in text else f"BODY.PEEK[{text}]"


def test_messages_of_every_kind(both: Pair) -> None:
    names = [name for name in CORPUS if name not in REFUSED]
    put(both, "Corpus", *(CORPUS[name].read_bytes() for name in names))
    found: dict[str, set[str]] = {}
    for uid, name in enumerate(names, 1):
        numbers = list(parts(both[1].fetch([uid], ["BODYSTRUCTURE"])[uid][b"BODYSTRUCTURE"]))
        asked = {item: item for item in ITEMS}
        asked |= {text: section(text) for text in (*SECTIONS, *numbers, *(f"{number}.MIME" for number in numbers))}
        unlike = {text for text, item in asked.items() if fetched(both[0], uid, item) != fetched(both[1], uid, item)}
        if unlike:
            found[name] = unlike
    assert found == {name: unlike for name, (unlike, _) in DIFFERENT.items()}
    for name in REFUSED:
        with pytest.raises(IMAPClientError):
            both[1].append("Corpus", CORPUS[name].read_bytes())


CRITERIA = (
    "ALL", "1:3", "*", "2:*", "UID 3:5", "UID 100:*", "NOT ALL", "ANSWERED", "UNANSWERED", "DELETED", "UNDELETED",
    "SEEN", "UNSEEN", "FLAGGED", "UNFLAGGED", "DRAFT", "UNDRAFT", "KEYWORD $Work", "UNKEYWORD $Work", "KEYWORD $None",
    'SUBJECT "apple"', 'SUBJECT "APPLE"', 'SUBJECT ""', 'FROM "dora"', 'FROM "Dora Green"', 'FROM "example.net"',
    'TO "ann"', 'CC "x"', 'BCC "x"', 'BODY "fifth"', 'BODY "needle"', 'TEXT "needle"', 'TEXT "subject"',
    'HEADER X-Colour "red"', 'HEADER X-Colour ""', 'HEADER Message-ID "2@"', "LARGER 500", "SMALLER 500",
    "SINCE 7-Jun-2025", "SINCE 8-Jun-2025", "BEFORE 8-Jun-2025", "ON 7-Jun-2025", "SENTSINCE 2-Mar-2026",
    "SENTBEFORE 2-Mar-2026", "SENTON 2-Mar-2026", 'OR SUBJECT "apple" SUBJECT "pear"', 'NOT SUBJECT "apple"',
    'OR (SEEN FLAGGED) (NOT (SUBJECT "apple"))', 'SEEN NOT DELETED LARGER 1', "(ALL (UID 1:* (2:4)))",
    'CHARSET UTF-8 SUBJECT "k\u00f6ln"', 'CHARSET UTF-8 SUBJECT "K\u00d6LN"', 'CHARSET UTF-8 BODY "gr\u00fc\u00dfe"',
    "NEW", "OLD", "RECENT", "YOUNGER 100", "OLDER 100",
)  # fmt: skip


def test_searches(both: Pair) -> None:
    letters = [
        compose("Dora Green <dora@example.net>", "ann@example.test", "Apples and pears", "The first.\n"),
        compose("eve@example.org", "Ann <ann@example.test>", "pear", "The second.\n" * 60, {"Cc": "x@example.org"}),
        compose("dora@example.net", "bob@example.test", "nothing", "needle\n", {"X-Colour": "dark red"}),
        compose("dora@example.net", "bob@example.test", "Grüße aus Köln", "Viele Grüße\n"),
        compose("dora@example.net", "bob@example.test", "needle", "The fifth.\n").replace(b"2026", b"2020"),
    ]
    put(both, "Search", *letters)
    for client in both:
        client.set_flags([1, 3], [b"\\Seen", b"\\Flagged"])
        client.set_flags([2], [b"\\Seen", b"\\Answered", b"$Work"])
        client.set_flags([4], [b"\\Deleted", b"\\Draft"])
    unlike = {}
    for criteria in CRITERIA:
        # as it stands: the client would quote what it is given in pieces
        answers = [client._imap.uid("SEARCH", criteria.encode())[1] for client in both]
        numbers = [sorted(int(word) for word in (answer[0] or b"").split()) for answer in answers]
        if numbers[0] != numbers[1]:
            unlike[criteria] = numbers
    assert unlike == {}


def test_numbers_flags_and_expunge(both: Pair) -> None:
    put(both, "Flags", *(compose("a@example.net", "b@example.test", f"n{number}") for number in range(6)))
    for client in both:
        client.create_folder("Aside")
        client.add_flags([1, 2, 4], [b"\\Deleted", b"$Work"])
        client.remove_flags([2], [b"$Work"])
        client.set_flags([5], [b"\\Seen"])
        client.copy([4, 5], "Aside")
        client.expunge()
        client.append("Flags", compose("a@example.net", "b@example.test", "late"), (b"\\Draft",))
        client.move([3], "Aside")
    flags = [{uid: sorted(set(row) - {b"\\Recent"}) for uid, row in c.get_flags("1:*").items()} for c in both]
    assert flags[0] == flags[1] == {5: [b"\\Seen"], 6: [], 7: [b"\\Draft"]}
    for client in both:
        client.unselect_folder()
    asked = ["MESSAGES", "UIDNEXT", "UNSEEN"]
    for name in ("Flags", "Aside"):
        assert both[0].folder_status(name, asked) == both[1].folder_status(name, asked)
    for client in both:
        client.select_folder("Aside")
    rows = [c.fetch("1:*", ["ENVELOPE", "FLAGS", "INTERNALDATE"]) for c in both]
    seen = [[(u, r[b"ENVELOPE"].subject, set(r[b"FLAGS"]) - {b"\\Recent"}) for u, r in one.items()] for one in rows]
    assert seen[0] == seen[1]


PATTERNS = (
    ("", "Tree*"), ("", "Tree%"), ("", "Tree/%"), ("Tree/", "%"), ("", "%/Leaf"), ("", "*Leaf"), ("Tree", "*"),
    ("", "tree*"), ("", "Tree/Branch"), ("", "Tree/Branch/"), ("", "inbox"), ("", "InBox"), ("", "Tree/Br%ch/%"),
)  # fmt: skip


def test_names(both: Pair) -> None:
    for client in both:
        for name in ("Tree/Branch/Leaf", "Tree/Other", "Treetop", "Tree/Grüße"):
            client.create_folder(name)
            client.subscribe_folder(name)
        client.rename_folder("Tree/Other", "Tree/Branch/Another")
        client.delete_folder("Treetop")
    for reference, pattern in PATTERNS:
        listed = [sorted(name for _, _, name in client.list_folders(reference, pattern)) for client in both]
        assert listed[0] == listed[1], (reference, pattern)
        # INBOX is subscribed from the beginning here, and is not there
        told = [client.list_sub_folders(reference, pattern) for client in both]
        subscribed = [sorted((name, flags) for flags, _, name in one if name != "INBOX") for one in told]
        assert subscribed[0] == subscribed[1], (reference, pattern)
    for bad in ("Tree/Branch/Leaf", "INBOX", "Tree//Leaf"):
        for client in both:
            with pytest.raises(IMAPClientError):
                client.create_folder(bad)
    for client in both:
        with pytest.raises(IMAPClientError):
            client.select_folder("Treetop")


def test_what_is_wrong_is_refused_by_both(both: Pair) -> None:
    put(both, "Wrong", compose("a@example.net", "b@example.test", "only one"))
    commands = (
        "FETCH 1 (NOSUCHITEM)", "FETCH 0 FLAGS", "FETCH 1:x FLAGS", "FETCH 1 BODY[", "FETCH 1 BODY[HEADER.FIELDS]",
        "STORE 1 ~FLAGS (\\Seen)", "STORE 1 FLAGS (\\Nosuch)", "SEARCH NOSUCHKEY",
        "SEARCH", "SEARCH OR ALL", "SEARCH (ALL", "COPY 1 Nowhere", "UID NOOP", "LIST", "STATUS Wrong", "NOSUCHCOMMAND",
        'APPEND Wrong "not a date" {1}', "RENAME Nowhere Elsewhere", "DELETE Nowhere", "SELECT Nowhere",
    )  # fmt: skip
    verdicts: list[dict[str, str]] = [{}, {}]
    for client, told in zip(both, verdicts, strict=True):
        for number, command in enumerate(commands):
            # past the client, which knows better than to send these
            tag = f"w{number}"
            client._imap.send(f"{tag} {command}\r\n".encode())
            while not (line := client._imap.readline()).startswith(tag.encode()):
                assert line, command
            told[command] = line.split()[1].decode()
            client.select_folder("Wrong")
    assert verdicts[0] == verdicts[1]
    assert set(verdicts[0].values()) == {"NO", "BAD"}
