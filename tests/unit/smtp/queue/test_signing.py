"""What happens once when an item is first due: header found, line ends checked, the author's domain signs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from data.directory.dkim import ED25519, DkimKey, new_pair
from data.directory.dkim import _load as load_private
from data.disk.blobs import Content
from data.disk.seal import Keys, Opener, Sealer
from data.ids import BlobId, ItemId, Millis, OrganisationId
from data.reason import Reason
from data.spool.envelope import Item, Kind, Recipient, Work
from smtp.queue.signing import HEADER_MOST, Unfit, author_domain, header_of, needs_utf8, signed_prefix

MASTER = Keys(bytes(32))
PAIR = new_pair(ED25519)
KEY = DkimKey("example.test", "s", ED25519, PAIR.public, Millis(0), None, load_private(PAIR.private))


def content(data: bytes) -> Content:
    sealer = Sealer(MASTER, b"n")
    stored = sealer.header + sealer.feed(data) + sealer.finish()
    return Content(Opener(MASTER, b"n", sealer.wrapped, len(data), lambda at, n: stored[at : at + n]))


def item(prefix: bytes = b"Received: x\r\n", *, smtputf8: bool = False, return_path: str = "ann@example.test") -> Item:
    return Item(
        ItemId(1),
        OrganisationId(1),
        None,
        BlobId(1),
        "t",
        Kind.MESSAGE,
        return_path,
        prefix,
        False,
        1,
        None,
        None,
        False,
        smtputf8,
        False,
        Millis(0),
        Millis(0),
    )


@dataclass
class Asked:
    """Keys for example.test, and who was asked for."""

    domains: list[str]

    def __call__(self, domain: str) -> tuple[DkimKey, ...]:
        self.domains.append(domain)
        return (KEY,) if domain == "example.test" else ()


@pytest.mark.parametrize(
    ("data", "header", "start"),
    [
        (b"A: b\r\n\r\nbody", b"A: b\r\n\r\n", 8),
        (b"A: b\r\n", b"A: b\r\n", 6),
        (b"\r\nbody", b"\r\n", 2),
        (b"", b"", 0),
    ],
)
def test_header_of(data: bytes, header: bytes, start: int) -> None:
    """With its empty line; a message may have no header or nothing else."""
    assert header_of(content(data)) == (header, start)


def test_a_long_header_is_bounded_and_found_across_pieces() -> None:
    """The empty line may lie between two pieces; an endless header ends at its bound."""
    for size in range(65_530, 65_540):
        data = b"X: " + b"y" * (size - 5) + b"\r\n\r\nbody"
        assert header_of(content(data))[1] == size + 2
    assert len(header_of(content(b"X: " + b"y" * 400_000))[0]) == HEADER_MOST


@pytest.mark.parametrize(
    ("header", "domain"),
    [
        (b"From: Ann <ann@Example.TEST>\r\n", "example.test"),
        (b"From: =?utf-8?q?=22x=40y=22?= <ann@example.test>\r\n", "example.test"),
        ("From: ann@bücher.example\r\n".encode(), "xn--bcher-kva.example"),
        (b"From: a@example.test, b@example.test\r\n", "example.test"),
        (b"From: a@example.test, b@example.org\r\n", None),
        (b"From: a@example.test\r\nFrom: b@example.test\r\n", None),
        (b"To: a@example.test\r\n", None),
        (b"From: nobody\r\n", None),
        (b"From: x@[127.0.0.1]\r\n", None),
    ],
)
def test_author_domain(header: bytes, domain: str | None) -> None:
    """The one domain of From, in A-labels; where it is in doubt, nobody signs."""
    assert author_domain(header) == domain


def test_the_authors_domain_signs() -> None:
    """In front of the prefix, which stays as it was."""
    asked = Asked([])
    data = b"From: ann@example.test\r\n\r\nbody\r\n"
    made = signed_prefix(item(), content(data), asked, Millis(0))
    assert made.startswith(b"DKIM-Signature: v=1; a=ed25519-sha256;")
    assert made.endswith(b"\r\nReceived: x\r\n")
    assert asked.domains == ["example.test"]


def test_a_foreign_authors_mail_is_not_signed() -> None:
    """A forward is its author's, not ours."""
    data = b"From: ann@example.org\r\n\r\nbody\r\n"
    assert signed_prefix(item(), content(data), Asked([]), Millis(0)) == b"Received: x\r\n"


@pytest.mark.parametrize("bad", [b"\n", b"\r", b"x\ny", b"x\ry", b"\n.\r\n"])
@pytest.mark.parametrize("place", ["prefix", "header", "body", "end"])
def test_S2_bare_line_ends_are_unfit(bad: bytes, place: str) -> None:
    """Wherever they are: found before anybody is connected to."""
    prefix = b"Received: x" + (bad if place == "prefix" else b"") + b"\r\n"
    header = b"From: ann@example.test" + (bad if place == "header" else b"") + b"\r\n\r\n"
    body = b"a" + (bad if place == "body" else b"") + b"b" * 70_000 + (bad if place == "end" else b"\r\n")
    with pytest.raises(Unfit) as caught:
        signed_prefix(item(prefix), content(header + body), Asked([]), Millis(0))
    assert caught.value.reason == Reason("queue.bare")


@pytest.mark.parametrize(
    ("smtputf8", "header", "address", "needed"),
    [
        (False, "Subject: é", "b@example.org", False),
        (True, "Subject: e", "b@example.org", False),
        (True, "Subject: é", "b@example.org", True),
        (True, "Subject: e", "é@example.org", True),
    ],
)
def test_needs_utf8(smtputf8: bool, header: str, address: str, needed: bool) -> None:
    """Asked for and really so: a server without SMTPUTF8 may still take what is ASCII."""
    recipient = Recipient(1, address, "example.org", None, None, 0, None)  # type: ignore[arg-type]
    asked = Work(item(smtputf8=smtputf8), (recipient,), "l")
    assert needs_utf8(asked, content(header.encode() + b"\r\n\r\nbody\r\n")) is needed
