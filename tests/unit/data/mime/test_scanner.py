"""The scanner: where parts begin and end, what bounds it, what it says of the octets."""

from __future__ import annotations

import pytest

from data.mime.part import Part
from data.mime.scanner import Limits, Scan, Scanner, scan


def bodies(message: bytes, limits: Limits | None = None) -> list[bytes]:
    """The bodies of all leaves."""
    root = scan(message, limits or Limits()).root
    return [message[part.body_start : part.body_end] for part in root.walk() if not part.parts]


def multipart(body: bytes, boundary: bytes = b"b", subtype: bytes = b"mixed") -> bytes:
    return b"Content-Type: multipart/" + subtype + b"; boundary=" + boundary + b"\r\n\r\n" + body


def test_single_part() -> None:
    root = scan(b"Subject: x\r\n\r\none\r\ntwo\r\n").root
    assert root == Part(0, 14, 24, lines=2)
    assert root.size == 10


def test_the_line_end_before_a_delimiter_belongs_to_it() -> None:
    assert bodies(multipart(b"--b\r\n\r\none\r\n\r\n--b\r\n\r\ntwo\r\n--b--\r\n")) == [b"one\r\n", b"two"]


def test_preamble_and_epilogue_are_no_parts() -> None:
    assert bodies(multipart(b"pre\r\n--b\r\n\r\none\r\n--b--\r\nepi\r\n--b\r\n\r\nno\r\n")) == [b"one"]


def test_a_delimiter_stands_at_the_beginning_of_a_line() -> None:
    assert bodies(multipart(b"--b\r\n\r\none --b\r\n --b\r\n--b--")) == [b"one --b\r\n --b"]


def test_an_outer_delimiter_ends_inner_parts() -> None:
    inner = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n"
    assert bodies(multipart(inner + b"--b\r\n\r\ntwo\r\n--b--\r\n")) == [b"one", b"two"]


def test_the_longest_boundary_wins() -> None:
    inner = b"--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\none\r\n--bb--\r\n"
    message = multipart(inner + b"--b\r\n\r\ntwo\r\n--b--\r\n")
    root = scan(message).root
    assert [len(part.parts) for part in root.walk()] == [2, 1, 0, 0]
    inside_out = (
        b"--bb\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--bb\r\n\r\ntwo\r\n--bb--\r\n"
    )
    assert [len(part.parts) for part in scan(multipart(inside_out, b"bb")).root.walk()] == [2, 1, 0, 0]


def test_after_its_closing_delimiter_a_boundary_means_nothing() -> None:
    inner = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n--c--\r\n--c\r\n\r\nno\r\n"
    assert bodies(multipart(inner + b"--b\r\n\r\ntwo\r\n--b--")) == [b"one", b"two"]


def test_a_part_may_have_no_blank_line() -> None:
    message = multipart(b"--b\r\nContent-Type: image/gif\r\n--b\r\n--b--")
    first, second = scan(message).root.parts
    assert (first.type, first.size, first.header_start < first.body_start) == ("image", 0, True)
    assert second.header_start == second.body_start == second.body_end


def test_a_blank_line_may_be_the_line_end_before_a_delimiter() -> None:
    message = multipart(b"--b\r\n\r\n\r\n--b--\r\n", subtype=b"digest")
    root = scan(message).root
    (part,) = root.parts
    assert part.parts[0].body_start == part.parts[0].body_end == part.body_end
    assert part.lines == 1
    inner = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n--b--\r\n"
    (part,) = scan(multipart(inner)).root.parts
    assert part.parts[0].body_end == part.body_end


def test_digest_parts_are_messages() -> None:
    message = multipart(b"--b\r\n\r\nSubject: one\r\n\r\nbody\r\n--b--", subtype=b"digest")
    (part,) = scan(message).root.parts
    assert part.is_message
    assert part.parts[0].header_start == part.body_start
    assert message[part.parts[0].body_start : part.parts[0].body_end] == b"body"


@pytest.mark.parametrize(("encoding", "looked_into"), [(b"7bit", True), (b"binary", True), (b"base64", False)])
def test_embedded_messages_under_an_encoding_stay_closed(encoding: bytes, looked_into: bool) -> None:
    head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    root = scan(head + b"Subject: x\r\n\r\nbody\r\n").root
    assert (root.is_message, root.opaque) == (looked_into, not looked_into)


def test_a_multipart_without_boundary_is_plain_text() -> None:
    root = scan(b"Content-Type: multipart/mixed\r\n\r\n--x\r\n").root
    assert (root.type, root.subtype, root.params, root.parts) == ("text", "plain", (), ())
    too_long = scan(multipart(b"x", b"b" * 999)).root
    assert too_long.type == "text"


def test_the_body_of_a_multipart_whose_delimiter_never_comes_can_be_read() -> None:
    assert bodies(multipart(b"words\r\n")) == [b"words\r\n"]
    assert bodies(multipart(b"--b--\r\nwords\r\n")) == [b""]


def test_nesting_bound_keeps_what_follows() -> None:
    inner = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ndeep\r\n--c--\r\n"
    root = scan(multipart(inner + b"--b\r\n\r\ntwo\r\n--b--"), Limits(nesting=2)).root
    first, second = root.parts
    assert first.opaque
    assert not first.parts
    assert not first.is_multipart
    assert not second.opaque


def test_part_bound_makes_the_tail_one_part() -> None:
    message = multipart(b"--b\r\n\r\nx\r\n" * 10 + b"--b--\r\n")
    root = scan(message, Limits(parts=4)).root
    assert [part.opaque for part in root.parts] == [False, False, True]
    assert root.parts[-1].body_end == len(message)


def test_header_bound_parses_the_beginning() -> None:
    message = b"A: 1\r\nB: 2\r\nContent-Type: image/png\r\n\r\nbody"
    found = scan(message, Limits(header=14))
    assert found.header == b"A: 1\r\nB: 2\r\n"
    assert (found.root.type, found.root.body_start) == ("text", len(message) - 4)


def test_parameter_bound() -> None:
    message = b"Content-Type: text/plain; a=1; b=2; charset=utf-8\r\n\r\n"
    assert scan(message, Limits(parameters=2)).root.params == (("a", "1"), ("b", "2"))


def measured(found: Scan) -> tuple[bool, bool, bool, int]:
    return found.eightbit, found.nul, found.bare, found.longest_line


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", (False, False, False, 998)),
        (b"A: b\r\n\r\n", (False, False, False, 998)),
        (b"\xe4\r\n", (True, False, False, 998)),
        (b"a\0\r\n", (False, True, False, 998)),
        (b"a\nb", (False, False, True, 998)),
        (b"a\rb", (False, False, True, 998)),
        (b"a\r\r\n", (False, False, True, 998)),
        (b"a\n\r", (False, False, True, 998)),
        (b"x" * 998 + b"\r\n", (False, False, False, 998)),
        (b"x" * 999 + b"\r\n", (False, False, False, 999)),
        (b"x" * 999, (False, False, False, 999)),
        (b"a\r\n" + b"x" * 2000 + b"\n" + b"y" * 1500, (False, False, True, 2000)),
    ],
)
def test_octets(message: bytes, expected: tuple[bool, bool, bool, int]) -> None:
    assert measured(scan(message)) == expected
    scanner = Scanner(window=1)
    for at in range(len(message)):
        scanner.feed(message[at : at + 1])
    assert measured(scanner.finish()) == expected


def test_line_feeds_alone_end_lines_too() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n"
    assert bodies(message) == [b"one"]


def test_a_message_may_begin_with_its_blank_line() -> None:
    assert scan(b"\r\nbody").root.body_start == 2
    assert scan(b"\nbody").root.body_start == 1
    assert scan(b"\r\n").header == b"\r\n"


def test_large_messages_in_one_piece_and_in_many() -> None:
    message = multipart(
        b"--b\r\n\r\n" + b"line of text\r\n" * 30_000 + b"--b\r\n\r\n" + b"x" * 300_000 + b"\r\n--b--\r\n"
    )
    whole = scan(message)
    assert [part.size for part in whole.root.parts] == [14 * 30_000 - 2, 300_000]
    for size in (1_000, 65_536, 70_001):
        scanner = Scanner()
        for at in range(0, len(message), size):
            scanner.feed(message[at : at + size])
        assert scanner.finish() == whole
