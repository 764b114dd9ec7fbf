"""What happens once when an item is first due: header found, line ends checked, the author's domain signs."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import pytest

from data.directory.dkim import ED25519, DkimKey, new_pair
from data.directory.dkim import _load as load_private
from data.disk.blobs import Blobs, Content
from data.disk.seal import Keys, Opener, Sealer
from data.ids import BlobId, ItemId, Millis, OrganisationId
from data.reason import Reason
from data.spool.envelope import Item, Kind, Recipient, Work
from data.store.intake import Intake
from smtp.queue.signing import (
    HEADER_MOST,
    KeysOf,
    Ready,
    Unfit,
    author_domain,
    header_of,
    made_ready,
    needs_utf8,
    signed_prefix,
)

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


def ready(data: bytes, tmp_path: Path, keys: KeysOf) -> Ready:
    blobs = Blobs(tmp_path / "blobs", MASTER)
    blobs.prepare_directories()
    return made_ready(item(), content(data), keys, Millis(0), lambda: Intake(blobs))


def test_our_own_mail_is_made_fit_before_it_is_signed(tmp_path: Path) -> None:
    """The signature is over what is sent: seven bits, whatever the author's program wrote."""
    data = b"From: ann@example.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe und viele Worte\r\n"
    done = ready(data, tmp_path, Asked([]))
    assert done.message is not None and not done.message.eightbit
    made = done.message.read(0, done.message.size)
    assert b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe und viele Worte\r\n" in made
    assert signed_prefix(item(), content(made), Asked([]), Millis(0)) == done.prefix


@pytest.mark.parametrize(
    "data",
    [
        b"From: ann@example.test\r\n\r\nplain\r\n",
        b"From: ann@example.org\r\n\r\nfor\xc3\xa9ign\r\n",
        b"DKIM-Signature: v=1; d=example.org\r\nFrom: ann@example.test\r\n\r\nsign\xc3\xa9d\r\n",
        b'From: ann@example.test\r\nContent-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\n\r\ntw\xc3\xa9\r\n--b--\r\n',
    ],
)
def test_other_mail_is_sent_as_it_is(data: bytes, tmp_path: Path) -> None:
    """What is fit, what is another author's, what is signed already."""
    done = ready(data, tmp_path, Asked([]))
    assert done.message is None
    assert done.prefix == signed_prefix(item(), content(data), Asked([]), Millis(0))


@pytest.mark.long
def test_a_large_message_is_made_fit_in_little_memory(tmp_path: Path) -> None:
    """Piece by piece, in and out: what is held does not grow with the message."""
    blobs = Blobs(tmp_path / "blobs", MASTER)
    blobs.prepare_directories()
    taking = Intake(blobs)
    taking.feed(b"From: ann@example.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
    for _ in range(20):
        taking.feed(("Grüße, and more words of this line.\r\n" * 30_000).encode())
    first = taking.finish()
    source = blobs.open(first.staged.name, first.staged.wrapped, first.size, 0, None)
    tracemalloc.start()
    try:
        done = made_ready(item(), source, Asked([]), Millis(0), lambda: Intake(blobs))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert done.message is not None and done.message.size > first.size > 20_000_000
    assert peak < 20_000_000
