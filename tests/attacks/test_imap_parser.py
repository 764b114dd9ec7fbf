"""Hostile commands (RELIABILITY §2.3): each is answered at once, in bounded work, and the connection goes on.

Held against the room in memory: what is measured is the server's own work, not the machine's network.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from imap.session import Rules
from tests.imap_rig import Answer, Desk, Talk, desk, message

MESSAGES = 5
SOON = 0.5
"""Seconds of this process's CPU: the work that a command makes, whatever else the machine does."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture(scope="module")
def reader(room: Desk) -> str:
    address = room.account()
    talk = room.login(address)
    for n in range(MESSAGES):
        assert talk.append(message(f"Number {n}")).ok
    return address


@pytest.fixture
def talk(room: Desk, reader: str) -> Talk:
    opened = room.login(reader)
    assert opened.do("SELECT INBOX").ok
    return opened


def quickly(talk: Talk, command: str | bytes) -> Answer:
    """The answer, which must come soon; afterwards the connection still works."""
    begun = time.process_time()
    answer = talk.do(command)
    assert time.process_time() - begun < SOON
    assert talk.do("NOOP").ok
    return answer


# --- I1: nesting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("(" * 10_000, b"BAD"),
        ("(" * 10_000 + "ALL" + ")" * 10_000, b"BAD"),
        ("NOT " * 5_000 + "ALL", b"OK"),
        ("NOT " * 5_000, b"BAD"),
        ("OR " * 2_000, b"BAD"),
        ("OR " * 999 + "ALL " * 1_000, b"OK"),
        ("NOT OR ALL " * 2_000 + "ALL", b"BAD"),
        ("(NOT " * 500 + "ALL" + ")" * 500, b"BAD"),
        ("ALL " * 1_999 + "ALL", b"OK"),
        ("ALL " * 3_000 + "ALL", b"NO"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else None,
)
def test_I1_nested_search(talk: Talk, key: str, expected: bytes) -> None:
    """Ten thousand parentheses, NOTs and ORs."""
    assert quickly(talk, f"SEARCH {key.strip()}").tagged.startswith(expected)


def test_I1_a_long_chain_of_alternatives_is_answered(talk: Talk) -> None:
    """A thousand Message-IDs in one search, as a client that synchronises asks for them."""
    keys = " ".join(f'OR SUBJECT "none{n}"' for n in range(500))
    answer = quickly(talk, f'UID SEARCH {keys} SUBJECT "Number 3"')
    assert answer.untagged == [b"* SEARCH 4"]


# --- I2: numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "expected", "count"),
    [
        ("1:4294967295", b"OK", MESSAGES),
        ("4294967295:1", b"OK", MESSAGES),
        (",".join(["1:*"] * 3_000), b"OK", MESSAGES),
        (",".join(f"{n}:*" for n in range(1, 3_000)), b"BAD", 0),
        ("0", b"BAD", 0),
        ("1:0", b"BAD", 0),
        ("4294967296", b"BAD", 0),
        ("99999999999999999999", b"BAD", 0),
        ("*:*", b"OK", 1),
        ("5,*", b"OK", 1),
        ("*,1:5,2:*", b"OK", MESSAGES),
        ("$", b"OK", 0),
        ("1:40000000", b"OK", MESSAGES),
        ("-1", b"BAD", 0),
        ("1,,2", b"BAD", 0),
        ("1:2:3", b"BAD", 0),
    ],
    ids=lambda value: value[:14] if isinstance(value, str) else None,
)
def test_I2_sequence_sets(talk: Talk, numbers: str, expected: bytes, count: int) -> None:
    """Work follows the messages that exist, not the numbers that are named."""
    answer = quickly(talk, f"FETCH {numbers} UID")
    assert answer.tagged.startswith(expected)
    assert len(answer.untagged) == count


@pytest.mark.parametrize(
    "command", ["UID FETCH {} UID", "UID STORE {} +FLAGS (\\Seen)", "UID COPY {} Trash", "UID SEARCH UID {}"]
)
def test_I2_uids(talk: Talk, command: str) -> None:
    """UIDs that nobody has are nothing, however many are named."""
    many = ",".join(f"{n}:{n + 1}" for n in range(1_000_000, 1_003_000, 3))
    assert quickly(talk, command.format(f"{many},1000000000:4294967295")).ok


# --- I3, I4: literals ---------------------------------------------------------------------------------------------------


def test_I3_a_huge_literal_before_login_is_refused(room: Desk) -> None:
    """`{4294967295}` is declined before anything is sent; the connection goes on."""
    talk = room.client()
    assert b"x BAD [TOOBIG]" in talk.say(b"x LOGIN {4294967295}\r\n")
    assert b"x BAD [TOOBIG]" in talk.say(b"x LOGIN a {4097}\r\n")
    assert talk.do("NOOP").ok


def test_I3_a_huge_literal_on_its_way_ends_the_connection(room: Desk) -> None:
    """`{200000000+}` cannot be skipped."""
    talk = room.client()
    said = talk.say(b"x LOGIN {200000000+}\r\nx NOOP\r\n")
    assert b"* BYE" in said
    assert b"NOOP" not in said
    assert talk.line.closed


def test_I3_many_small_literals_before_login(room: Desk) -> None:
    """Ten thousand literals in one command: 16 KiB is where it ends."""
    talk = room.client()
    said = talk.say(b"x LOGIN " + b"{1+}\r\na" * 10_000 + b"\r\n")
    assert b"BYE" in said or b"BAD" in said
    fresh = room.client()
    for _ in range(3_000):
        said = fresh.say(b"{1}\r\n" if said.endswith(b"+ OK\r\n") else b"x LOGIN {1}\r\n")
        if not said.endswith(b"+ OK\r\n"):
            break
        fresh.say(b"a")
    assert b"BAD" in said


def test_I3_a_literal_may_not_smuggle_a_command(room: Desk) -> None:
    """An overlong line with a literal behind it: the octets of the literal are never taken for commands."""
    talk = room.client()
    said = talk.say(b"x LOGIN " + b"a" * 20_000 + b" {15+}\r\ny CAPABILITY\r\n \r\n")
    assert b"* CAPABILITY" not in said
    assert talk.line.closed


@pytest.mark.parametrize("size", [3_000_000_000, (50 << 20) + 1, 99_999_999_999_999_999_999])
def test_I4_append_too_big(talk: Talk, size: int) -> None:
    """NO [TOOBIG] before the continuation; a literal that comes anyway ends the connection."""
    said = talk.say(b"x APPEND INBOX {%d}\r\n" % size)
    assert said.startswith(b"x NO [TOOBIG]")
    assert b"+" not in said
    assert talk.do("NOOP").ok
    said = talk.say(b"y APPEND INBOX {%d+}\r\nSubject: x\r\n" % size)
    assert b"* BYE" in said
    assert talk.line.closed


def test_I4_a_skipped_message_is_not_read_as_commands(talk: Talk) -> None:
    """An APPEND that is refused for another reason has its literal thrown away."""
    said = talk.say(b'x APPEND "a\\x" {17+}\r\ny LOGOUT\r\nz NOOP\r\nw NOOP\r\n')
    assert said.count(b"\r\n") == 2
    assert said.startswith(b"x BAD")
    assert b"w OK" in said


# --- I5: names ------------------------------------------------------------------------------------------------------------

NAMES = [
    *(
        "../x",
        "a/../b",
        "/etc/passwd",
        "a//b",
        "INBOX/../",
        "/",
        "a" * 1_001,
        "/".join(["a"] * 1_000),
        "/".join(["a"] * 101),
        "&",
        "&AA",
        "&AGE-",
    ),
    *("%", "*", "a*b", "&IA4-abc", "&IAs-", "&2AA-", ".", ".."),
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:10])
def test_I5_mailbox_names(talk: Talk, name: str) -> None:
    """Names that are no names: NO [CANNOT]; nothing is made, and no name is ever a path."""
    root = talk.desk.ground.state
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    assert quickly(talk, f'CREATE "{name}"').tagged.startswith(b"NO [CANNOT]")
    assert not quickly(talk, f'SELECT "{name}"').ok
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == before


@pytest.mark.parametrize("name", [b"a\0b", b"a\r\nb", b"\xff\xfe", b"a\rb"])
def test_I5_octets_by_literal(talk: Talk, name: bytes) -> None:
    """Control octets and what is no text, by way of a literal."""
    assert talk.do(b"CREATE {%d+}\r\n%b" % (len(name), name)).tagged.startswith(b"NO [CANNOT]")


def test_I5_strange_but_allowed_names(talk: Talk) -> None:
    """`con` and a name in another script are names like any other."""
    for name in ("con", "&ZeVnLIqe-", "a b", "-rf"):
        assert talk.do(f'CREATE "{name}"').ok
        assert talk.do(f'DELETE "{name}"').ok


# --- I6: patterns ---------------------------------------------------------------------------------------------------------


def test_I6_patterns_are_matched_in_one_pass(talk: Talk) -> None:
    """`*%*%...` a thousand times, against names that almost fit."""
    for n in range(50):
        talk.do(f'CREATE "{"a" * 200}{n}"')
    assert quickly(talk, 'LIST "" "' + "*%" * 1_000 + '"').ok
    assert not quickly(talk, 'LIST "" "' + "*a" * 400 + 'b"').untagged
    assert not quickly(talk, 'LIST "" "' + "%a" * 400 + 'b"').untagged


# --- I7: sections ---------------------------------------------------------------------------------------------------------


def test_I7_sections(talk: Talk) -> None:
    """Five thousand field names, a thousand part numbers, a partial beyond everything, BINARY of bad base64."""
    names = " ".join(f"X-{n}" for n in range(5_000))
    assert quickly(talk, f"FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject {names})]").untagged[0].count(b"Number 0") == 1
    assert quickly(talk, f"FETCH 1 BODY.PEEK[{'.'.join(['1'] * 1_000)}]").tagged.startswith(b"BAD")
    assert quickly(talk, f"FETCH 1 BODY.PEEK[{'.'.join(['1'] * 90)}]").one(b"NIL")
    answer = quickly(talk, "FETCH 1 BODY.PEEK[]<0.4294967295>")
    assert answer.one(rb"BODY\[\]<0> \{\d+\}")
    assert quickly(talk, "FETCH 1 BODY.PEEK[]<4294967295.1>").one(rb"\{0\}")
    assert quickly(talk, "FETCH 1 BODY.PEEK[]<0.0>").tagged.startswith(b"BAD")
    bad = b"Content-Transfer-Encoding: base64\r\n\r\n!!!!====AAAA\r\n"
    assert talk.append(bad).ok
    assert quickly(talk, "FETCH * (BINARY.PEEK[1] BINARY.SIZE[1])").ok
    assert quickly(talk, "FETCH 1 (" + " ".join(["BODY.PEEK[]"] * 1_500) + ")").tagged.startswith(b"BAD")


# --- and the rest ---------------------------------------------------------------------------------------------------------


def _nested(levels: int) -> bytes:
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels))
    return opened + b"\r\ndeep\r\n" + b"".join(b"--b%d--\r\n" % n for n in reversed(range(levels)))


BOMBS = {
    "nested": _nested(1_000),
    "messages": b"Content-Type: message/rfc822\r\n\r\n" * 1_000 + b"Subject: in\r\n\r\ntext\r\n",
    "parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 20_000 + b"--b--\r\n",
    "addresses": b"To: " + b"a@example.org, " * 20_000 + b"b@example.org\r\n\r\nx\r\n",
    "words": b"Subject: " + b"=?utf-8?q?x?= " * 20_000 + b"\r\n\r\nx\r\n",
    "parameters": b"Content-Type: text/plain" + b"; a=b" * 20_000 + b"\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_O4_O5_bombs_are_mail(room: Desk, bomb: bytes) -> None:
    """They are kept whole, described within bounds, and every section of them is answered."""
    talk = room.login()
    assert talk.append(bomb).ok
    assert talk.do("SELECT INBOX").ok
    begun = time.process_time()
    answer = talk.do("FETCH 1 (ENVELOPE BODYSTRUCTURE BODY PREVIEW RFC822.SIZE)")
    assert time.process_time() - begun < 1
    assert answer.ok
    assert answer.one(b"RFC822.SIZE %d\\)" % len(bomb))
    for section in ("", "HEADER.FIELDS (Subject To)", "1", ".".join(["1"] * 100), "1.1.MIME", "20000"):
        assert talk.do(f"FETCH 1 BODY.PEEK[{section}]").ok
    whole = talk.do("FETCH 1 BODY.PEEK[]").one(b"FETCH")
    assert bomb in whole


def test_O1_a_command_without_end(room: Desk) -> None:
    """Two megabytes and no line end: BAD at once, then the end."""
    talk = room.client()
    said = talk.say(b"x " + b"A" * 100_000)
    assert b"BAD" in said
    for _ in range(20):
        said += talk.say(b"A" * 100_000)
    assert b"* BYE" in said
    assert talk.line.closed


def test_T5_sasl(room: Desk) -> None:
    """Cancelled, broken and overlong exchanges; NUL in a name; acting for somebody else."""
    talk = room.client(Rules(failed_logins=100))
    for line, answer in (
        (b"*", b"BAD"),
        (b"====", b"BAD"),
        (b"YQ", b"BAD"),
        (b"YQBiAGMAZA==", b"BAD"),
        (b"A" * 15_000, b"BAD"),
        (b"b3RoZXIAdXNlcjFAZXhhbXBsZS50ZXN0AHNlY3JldA==", b"NO [AUTHENTICATIONFAILED]"),
    ):
        assert talk.say(b"x AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
        assert talk.say(line + b"\r\n").startswith(b"x " + answer)
    assert b"BAD" in talk.say(b"x AUTHENTICATE PLAIN " + b"A" * 65_536 + b"\r\n")
    assert talk.do("NOOP").ok
    assert talk.do('LOGIN "a" {3+}\r\na\0b').tagged.startswith(b"BAD")


def test_nonsense_before_login_is_not_listened_to_for_ever(room: Desk) -> None:
    """A web browser that lost its way is told BYE."""
    talk = room.client()
    said = b"".join(talk.say(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(20))
    assert b"* BYE" in said
    assert talk.line.closed


def test_F3_a_storm_of_changes_waits_in_bounded_memory(room: Desk) -> None:
    """Idlers that do not read: what waits for them melts together, and is told in one piece when they read again."""
    address = room.account()
    writer = room.login(address)
    for n in range(20):
        writer.append(message(f"n{n}"))
    writer.do("SELECT INBOX")
    idlers = [room.login(address) for _ in range(10)]
    for idler in idlers:
        idler.do("SELECT INBOX")
        assert idler.say(b"i IDLE\r\n") == b"+ idling\r\n"
        idler.line.deaf = True
    for n in range(100):
        assert writer.do(f"STORE 1:20 {'+-'[n % 2]}FLAGS.SILENT (\\Flagged)").ok
        assert writer.append(message(f"storm{n}")).ok
    room.settle(writer, *(idler for idler in idlers))
    for idler in idlers:
        assert idler.heard() == b""
        idler.line.hear()
        idler.dialogue.readable()
        told = idler.heard()
        assert told.count(b"EXISTS") == 1
        assert b"* 120 EXISTS" in told
        assert told.count(b"FETCH") <= 20
