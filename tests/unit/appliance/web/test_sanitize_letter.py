"""appliance.web.letter and frame: what is shown of a message, and under which headers."""

from __future__ import annotations

import pytest

from appliance.web import frame, letter


def test_html_is_shown_as_html() -> None:
    found = letter.of("<p>a<img src=http://x.test/1><img src=http://x.test/2>", "text")
    assert (found.kind, found.remote, found.notes) == ("html", 2, frozenset())
    assert "x.test" not in found.html()
    assert 'src="/r/1"' in found.html(remote=lambda url: "/r/1")


def test_text_is_shown_when_there_is_no_html() -> None:
    found = letter.of(None, "a <b>")
    assert (found.kind, found.html()) == ("plain", '<div class="text">a &lt;b&gt;\n</div>')


@pytest.mark.parametrize(
    ("html", "bound"),
    [("<b>" * 300 + "word", "depth"), ("<br>" * 13_000 + "word", "tags"), ("x" * 600_000, "size"), ("&amp;" * 40_000, "references")],
)  # fmt: skip
def test_beyond_the_bounds_the_text_part_is_shown_and_it_is_said(html: str, bound: str) -> None:
    found = letter.of(html, "the text <part>")
    assert (found.kind, found.notes) == ("plain", {f"refused.{bound}"})
    assert "the text &lt;part&gt;" in found.html()


def test_without_a_text_part_the_text_of_the_html_is_shown() -> None:
    found = letter.of("<b>" * 300 + "word<script>x()</script>", "  ")
    assert (found.kind, found.notes) == ("plain", {"refused.depth"})
    assert "word" in found.html()
    assert "x()" not in found.html()


def test_long_text_says_that_it_was_cut() -> None:
    assert letter.of(None, "x\n" * 300_000).notes == {"cut"}


def test_W1_headers_of_the_frame() -> None:
    headers = dict(frame.HEADERS)
    assert frame.SANDBOX == "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
    )
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "private"


def test_W1_the_document_escapes_what_is_not_a_body() -> None:
    made = frame.document("<p>x</p>", title='"><script>', language='"x').decode()
    assert "<script" not in made
    assert 'lang="&quot;x"' in made
    for theme, scheme in (("light", "light"), ("dark", "dark"), ("auto", "light dark")):
        assert f"color-scheme:{scheme}}}" in frame.document("", kind="plain", theme=theme).decode()  # type: ignore[arg-type]
