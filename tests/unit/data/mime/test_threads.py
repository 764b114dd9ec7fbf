"""Message-IDs and base subjects."""

from __future__ import annotations

import pytest

from data.mime.threads import base_subject, is_reply, message_ids


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b" <a@b>", ("a@b",)),
        (b"<a@b> <c@d>\r\n\t<e@f>", ("a@b", "c@d", "e@f")),
        (b"<a@b> junk <a@b> (comment)", ("a@b",)),
        (b'<"a.b"@c>', ("a.b@c",)),
        (b'<"a b"@c>', ("ab@c",)),
        (b"<a@\r\n b>", ("a@b",)),
        (b"<no-at-sign>", ("no-at-sign",)),
        (b"<a phrase>", ()),
        (b"<>", ()),
        (b"<<a@b>>", ("a@b",)),
        (b"a@b", ()),
        (b"<a\0@b>", ("a@b",)),
        (b"<" + b"x" * 999 + b"@b>", ()),
        ("<ä@b>".encode(), ("ä@b",)),
        (b"", ()),
    ],
)
def test_message_ids(value: bytes, ids: tuple[str, ...]) -> None:
    assert message_ids(value) == ids


def test_the_last_ids_are_kept() -> None:
    value = b" ".join(b"<%d@x>" % number for number in range(60))
    assert message_ids(value)[0] == "10@x"
    assert message_ids(value, 2) == ("58@x", "59@x")
    assert message_ids(value, 0) == ()


@pytest.mark.parametrize(
    ("subject", "base", "reply"),
    [
        ("Topic", "Topic", False),
        ("", "", False),
        ("  a \t b\r\n c ", "a b c", False),
        ("Re: Topic", "Topic", True),
        ("RE : re: Fw: FWD:Topic", "Topic", True),
        ("Re[2]: Topic", "Topic", True),
        ("re [x] : Topic", "Topic", True),
        ("[list] Topic", "Topic", False),
        ("[list] Re: [list] Topic", "Topic", True),
        ("[a][b] [c] Re: Topic", "Topic", True),
        ("[only]", "[only]", False),
        ("[a] [b]", "[b]", False),
        ("Re: [only]", "[only]", True),
        ("Topic (fwd)", "Topic", True),
        ("Topic (FWD) (fwd) ", "Topic", True),
        ("[Fwd: Topic]", "Topic", True),
        ("[fwd: Re: [x] Topic (fwd)]", "Topic", True),
        ("Re: [fwd: [fwd: Topic]] (fwd)", "Topic", True),
        ("[fwd: Topic", "[fwd: Topic", False),
        ("Regarding: x", "Regarding: x", False),
        ("Re", "Re", False),
        ("Re:", "", True),
        ("[a[b]] Topic", "[a[b]] Topic", False),
        ("(fwd)", "", True),
    ],
)
def test_base_subject(subject: str, base: str, reply: bool) -> None:
    assert base_subject(subject) == base
    assert is_reply(subject) is reply
