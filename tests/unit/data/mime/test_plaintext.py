"""Readable text and previews."""

from __future__ import annotations

import pytest

from data.mime.plaintext import preview, preview_of, strip_html, text_of, texts
from data.mime.scanner import scan


def text(message: bytes, limit: int = 262_144) -> str:
    return text_of(scan(message).root, lambda start, end: message[start:end], limit)


def parts(*bodies: bytes, subtype: bytes = b"mixed") -> bytes:
    head = b"Content-Type: multipart/" + subtype + b"; boundary=b\r\n\r\n"
    return head + b"".join(b"--b\r\n" + body + b"\r\n" for body in bodies) + b"--b--\r\n"


PLAIN = b"\r\nplain words"
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>rich words</p>"
ATTACHED = b"Content-Disposition: attachment\r\n\r\nattached words"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\r\nwords\r\n", "words\r\n"),
        (parts(PLAIN, HTML, subtype=b"alternative"), "plain words"),
        (parts(HTML, PLAIN, subtype=b"alternative"), "plain words"),
        (parts(b"\r\n  ", HTML, subtype=b"alternative"), "rich words"),
        (parts(ATTACHED, HTML), "rich words"),
        (parts(ATTACHED), ""),
        (parts(HTML, b"Content-Type: message/rfc822\r\n\r\n\r\nembedded words"), "rich words"),
        (parts(b"Content-Type: message/rfc822\r\n\r\n\r\nembedded words"), "embedded words"),
        (b"Content-Type: image/png\r\n\r\nxyz", ""),
        (
            b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4",
            "ä",
        ),
    ],
)
def test_text_of(message: bytes, expected: str) -> None:
    assert text(message) == expected


def test_the_limit_cuts_between_characters() -> None:
    message = "Content-Type: text/plain; charset=utf-8\r\n\r\nabcä".encode()
    assert text(message, 4) == "abc"


def test_texts_are_all_text_parts() -> None:
    message = parts(PLAIN, HTML, ATTACHED, b"Content-Type: image/png\r\n\r\nx")
    found = texts(scan(message).root, lambda start, end: message[start:end])
    assert [each for _, each in found] == ["plain words", "rich words", "attached words"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a<br>b<p>c</p>d", "a\nb\nc\nd"),
        ("a <b>b</b>\n  c", "a b c"),
        ("<td>a</td><td>b</td>", "a b"),
        ("a&amp;b &lt;c&gt; &nbsp;d &#228;&#xe4; &nosuch; &", "a&b <c>  d ää &nosuch; &"),
        ("<STYLE>x{}</style >a<script>if (a<b) c()</script>b", "ab"),
        ("<style/>a", "a"),
        ("<script>never closed", ""),
        ("a<!-- <p>b</p> -->c", "ac"),
        ("a<!-- never closed", "a"),
        ("<!DOCTYPE html><?xml x?>a", "a"),
        ("<a title='x > y' href=\"q>r\">b</a>", "b"),
        ("<a title=it's>b</a> it's", "b it's"),
        ('<a title="never closed>b</a> c', "b c"),
        ("1 < 2 and 3 <4", "1 < 2 and 3 <4"),
        ("<title>t</title>a", "a"),
        ("a\x00b", "ab"),
        ("&#0;&#xD800;&#x110000;", "\ufffd\ufffd\ufffd"),
        ("</p>a</", "a"),
        ("", ""),
    ],
)
def test_strip_html(source: str, expected: str) -> None:
    assert strip_html(source) == expected


def test_strip_html_stops_when_it_has_enough() -> None:
    assert len(strip_html("<p>word</p>" * 10_000, enough=100)) < 200


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a\r\n\r\n b\tc", "a b c"),
        ("> quoted\nanswer\n> more", "answer"),
        ("> quoted\n> alone", "> quoted > alone"),
        ("x" * 300, "x" * 200),
        ("a" * 199 + " b", "a" * 199),
        ("a\u200b\u00ad\u034fb\x1b", "ab"),
        ("\u200c \u00a0\u200c \u00a0 a", "a"),
        ("👨‍👩‍👧", "👨‍👩‍👧"),
        ("", ""),
    ],
)
def test_preview(source: str, expected: str) -> None:
    assert preview(source) == expected


def test_preview_of_html_with_a_long_head() -> None:
    message = b"Content-Type: text/html\r\n\r\n<style>" + b"p { color: red }\n" * 5_000 + b"</style><p>At last."
    assert preview_of(scan(message).root, lambda start, end: message[start:end]) == "At last."


def test_preview_reads_only_the_beginning() -> None:
    message = b"\r\n" + b"words " * 100_000
    asked: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return message[start:end]

    assert preview_of(scan(message).root, fetch).startswith("words words")
    assert asked == [(2, 2 + 16 * 1024)]
