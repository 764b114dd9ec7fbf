"""The grammar, case by case: what a client writes and what it means."""

from __future__ import annotations

import pytest

from data.store import keys as k
from imap import command as c
from imap.errors import Bad, No
from imap.grammar import commands
from imap.grammar.search import build
from imap.table import RULES

NOTHING = c.NO_FLAGS


def parsed(text: str | bytes, *, utf8: bool = False) -> c.Command:
    raw = text.encode() if isinstance(text, str) else text
    return commands.parse(b"a " + raw, utf8_names=utf8).command


def test_every_command_has_a_grammar_and_a_rule() -> None:
    """The two tables name the same commands."""
    assert RULES.keys() == commands.NAMES
    assert all((rule.quick is None) != (rule.slow is None) for rule in RULES.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("capability", c.Capability()),
        ("CHECK", c.Noop()),
        ('LOGIN "a b" {3+}\r\nc"d', c.Login("a b", 'c"d')),
        ("LOGIN a] b", c.Login("a]", "b")),
        ("AUTHENTICATE plain =", c.Authenticate("PLAIN", b"=")),
        ("AUTHENTICATE plain", c.Authenticate("PLAIN", None)),
        ("ENABLE condstore Imap4Rev2", c.Enable(("CONDSTORE", "IMAP4REV2"))),
        ("SELECT &AOQ-", c.Select("ä", readonly=False)),
        ("EXAMINE INBOX (CONDSTORE)", c.Select("INBOX", readonly=True, condstore=True)),
        ("CREATE x (USE (\\sent))", c.Create("x", "\\Sent")),
        ("RENAME a {1+}\r\nb", c.Rename("a", "b")),
        ("UNSUBSCRIBE a", c.Subscribe("a", on=False)),
        ('LIST "" %', c.List("", ("%",))),
        (
            'LIST (SUBSCRIBED) "" ("a" b*) RETURN (CHILDREN STATUS (UNSEEN))',
            c.List(
                "", ("a", "b*"), frozenset({"SUBSCRIBED"}), frozenset({"CHILDREN", "STATUS"}), (c.Item.UNSEEN,), True
            ),
        ),
        ('LSUB "" *', c.List("", ("*",), frozenset({"SUBSCRIBED"}), lsub=True)),
        ("STATUS a (MESSAGES messages)", c.Status("a", (c.Item.MESSAGES,))),
        ("UID EXPUNGE 4,2:3", c.Expunge(c.SequenceSet(((2, 4),)))),
        ("COPY 3:1 x", c.Copy(c.SequenceSet(((1, 3),)), uid=False, mailbox="x", move=False)),
        ("UID MOVE * x", c.Copy(c.SequenceSet(((c.STAR, c.STAR),)), uid=True, mailbox="x", move=True)),
        ("STORE 1 flags \\seen X x", c.Store(c.SequenceSet(((1, 1),)), False, "=", False, k.Flag.SEEN, ("X",))),
        (
            "UID STORE 1 (UNCHANGEDSINCE 9) -FLAGS.SILENT ()",
            c.Store(c.SequenceSet(((1, 1),)), True, "-", True, NOTHING, (), 9),
        ),
        ('ID ("name" NIL "os" "x")', c.Id((("name", ""), ("os", "x")))),
        ("id nil", c.Id(())),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_commands(text: str, expected: c.Command) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NOOP x",
        "LOGIN a",
        "LOGIN a b c",
        "LOGIN (a) b",
        'LOGIN "a b',
        "SELECT",
        "SELECT a (X)",
        "CREATE a (USE (x))",
        "CREATE a (USE (\\Sent \\Junk))",
        "UID",
        "UID NOOP",
        "STATUS a ()",
        "FETCH 1",
        "FETCH 1 ()",
        "FETCH 1 (FLAGS",
        "STORE 1 +X ()",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_command(text: str) -> None:
    with pytest.raises(Bad):
        parsed(text)


def items(text: str) -> tuple[c.Att | c.Section, ...]:
    command = parsed(f"FETCH 1 {text}")
    assert isinstance(command, c.Fetch)
    return command.items


def test_fetch_items() -> None:
    """Macros, single items, sections in all their forms."""
    assert items("ALL") == (c.Att.FLAGS, c.Att.INTERNALDATE, c.Att.SIZE, c.Att.ENVELOPE)
    assert items("full")[-1] is c.Att.BODY
    assert items("(FLAGS FLAGS uid)") == (c.Att.FLAGS, c.Att.UID)
    assert items("BODY") == (c.Att.BODY,)
    assert items("body.peek[]") == (c.Section(b"BODY[]", peek=True),)
    assert items("BODY[1.2.MIME]<5.7>") == (c.Section(b"BODY[1.2.MIME]<5>", (1, 2), c.Kind.MIME, offset=5, count=7),)
    assert items('BODY[2.header.fields.not (To "X Y")]') == (
        c.Section(b'BODY[2.HEADER.FIELDS.NOT (To "X Y")]', (2,), c.Kind.FIELDS_NOT, frozenset({b"to", b"x y"})),
    )
    assert items("BINARY.SIZE[3]") == (c.Section(b"BINARY.SIZE[3]", (3,), peek=True, form=c.Form.SIZE),)
    assert items("RFC822.HEADER") == (c.Section(b"RFC822.HEADER", kind=c.Kind.HEADER, peek=True),)
    assert items("PREVIEW (LAZY)") == (c.Att.PREVIEW,)


@pytest.mark.parametrize(
    "text",
    [
        "BODY[MIME]",
        "BODY[0]",
        "BODY[1.]",
        "BODY[.1]",
        "BODY[1",
        "BODY[]<1>",
        "BODY[]<1.0>",
        "BINARY[TEXT]",
        "BODY[HEADER.FIELDS]",
        "BODY[HEADER.FIELDS ()]",
        "BINARY.SIZE[]<0.1>",
        "PREVIEW (NOW)",
        "ALL FLAGS",
        "(ALL)",
    ],
)
def test_what_is_no_item(text: str) -> None:
    with pytest.raises(Bad):
        items(text)


def test_uid_fetch_and_changedsince_add_what_they_imply() -> None:
    """RFC 9051 §6.4.9, RFC 7162 §3.1.4.1."""
    command = parsed("UID FETCH 1 FLAGS (CHANGEDSINCE 7)")
    assert isinstance(command, c.Fetch)
    assert command.items == (c.Att.UID, c.Att.FLAGS, c.Att.MODSEQ)
    assert command.changed_since == 7


def key(text: str) -> k.SearchKey:
    command = parsed(f"SEARCH {text}")
    assert isinstance(command, c.Search)
    return build(command.program, lambda sequence, uid: sequence.ranges, ((5, 9),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALL", k.All()),
        ("UNSEEN from x", k.And((k.Not(k.HasFlag(k.Flag.SEEN)), k.Stored(k.Field.FROM, "x")))),
        ("NOT NOT SEEN", k.HasFlag(k.Flag.SEEN)),
        ("NOT UNDELETED", k.HasFlag(k.Flag.DELETED)),
        ("OR SEEN (DRAFT 1:2)", k.Or(k.HasFlag(k.Flag.SEEN), k.And((k.HasFlag(k.Flag.DRAFT), k.Uids(((1, 2),)))))),
        ("HEADER X-Y {3+}\r\na b", k.Header("X-Y", "a b")),
        ("SENTSINCE 2-Jan-1970", k.Sent(k.When.SINCE, 1)),
        ('SAVEDON "1-Jan-1970"', k.Saved(k.When.ON, 0)),
        ("BEFORE 31-Dec-1969", k.Internal(k.When.BEFORE, -1)),
        ("UNKEYWORD $x", k.Not(k.HasKeyword("$x"))),
        ("OLD", k.Not(k.Uids(((5, 9),)))),
        ("NEW", k.And((k.Uids(((5, 9),)), k.Not(k.HasFlag(k.Flag.SEEN))))),
        ('MODSEQ "/flags/\\\\Draft" all 5', k.ModSeqSince(5)),
        ("OLDER 60", k.Within(60, younger=False)),
        ("EMAILID e12 THREADID t3", k.And((k.EmailId("e12"), k.ThreadKey("t3")))),
        ("LARGER 5 SMALLER 9", k.And((k.Larger(5), k.Smaller(9)))),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_search_keys(text: str, expected: k.SearchKey) -> None:
    assert key(text) == expected


def depth(found: k.SearchKey) -> int:
    return 1 + max(depth(found.left), depth(found.right)) if isinstance(found, k.Or) else 1


def test_a_chain_of_alternatives_is_a_flat_tree() -> None:
    """However it was nested by whoever wrote it."""
    assert depth(key("OR " * 255 + "ALL " * 255 + "SEEN")) == 9
    assert depth(key("OR ALL " * 255 + "SEEN")) == 9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BOGUS",
        "()",
        "(ALL",
        "ALL)",
        "NOT",
        "OR ALL",
        "FROM",
        "SINCE 31-Feb-2020",
        "SINCE 1-Foo-2020",
        "UID",
        "ON 1-Jan-20",
        "YOUNGER 0",
        "ALL  SEEN",
    ],
)
def test_what_is_no_search(text: str) -> None:
    with pytest.raises(Bad):
        key(text)


def test_charsets() -> None:
    """UTF-8 and its subset; anything else is told what there is."""
    assert parsed("SEARCH CHARSET us-ascii ALL") == parsed("SEARCH ALL")
    with pytest.raises(No) as refused:
        parsed("SEARCH CHARSET koi8-r ALL")
    assert refused.value.code == b"BADCHARSET (UTF-8 US-ASCII)"


def test_append_heads() -> None:
    """APPEND as far as it goes before its message."""
    head = commands.append_head
    assert head(b"a APPEND x {3}\r\n") == c.Append("x")
    assert head(b"a APPEND {5}\r\n") is None
    assert head(b"a APPEND {1}\r\nx (\\Draft) {3+}\r\n") == c.Append("x", k.Flag.DRAFT)
    dated = head(b'a APPEND x (k) " 1-Jan-1970 01:00:00 +0100" ~{3}\r\n')
    assert dated == c.Append("x", NOTHING, ("k",), 0)
    for bad in (b"a APPEND x (\\Recent) {3}\r\n", b"a APPEND x y {3}\r\n", b'a APPEND x "soon" {3}\r\n'):
        with pytest.raises(Bad):
            head(bad)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a1 NOOP", (b"a1", b"NOOP")),
        (b"a uid fetch 1", (b"a", b"UID FETCH")),
        (b"a", (b"*", b"")),
        (b"\0 x", (b"*", b"")),
    ],
)
def test_heads(raw: bytes, expected: tuple[bytes, bytes]) -> None:
    """The tag of anything that has one."""
    assert commands.head(raw) == expected


def test_names_in_both_forms() -> None:
    """Modified UTF-7 until IMAP4rev2 is enabled, UTF-8 from then on."""
    assert parsed("DELETE &AOQ-") == c.Delete("ä")
    assert parsed('DELETE "ä"', utf8=True) == c.Delete("ä")
    assert parsed('DELETE "&AOQ-"', utf8=True) == c.Delete("&AOQ-")
    for bad in ('"ä"', "&", "&AOQ", "&AGE-", "&AOQ-&AOQ-"):
        with pytest.raises(No) as refused:
            parsed(f"DELETE {bad}")
        assert refused.value.code == b"CANNOT"
