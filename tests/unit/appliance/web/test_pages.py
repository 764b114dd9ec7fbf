"""Pages: languages, times in the reader's zone, escaping, drawings without styles."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.i18n import Catalogue
from appliance.web.access import ADMIN, MAIL
from appliance.web.pages import FAILURES, STATIC, Pages, View, browser, initials, qr, tone
from appliance.web.statics import Statics
from data.clock import DAY, FakeClock

ROOT = Path(__file__).resolve().parents[4]
NOW = int(datetime(2026, 11, 23, 10, 0, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def pages() -> Pages:
    statics = Statics([STATIC, ROOT / "webmail" / "static"])
    return Pages(Catalogue.load(), statics, FakeClock(wall=NOW), {}, lambda: "Ex<b>ample")


def said(pages: Pages, template: str, language: str = "en", zone: str = "UTC", **values: object) -> str:
    source = pages._env.from_string(template)
    return source.render({**pages._context(View(language, zone=zone)), **values})


def test_the_closest_language_is_chosen(pages: Pages) -> None:
    for header, language in (
        (None, "en"), ("", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh_CN"), ("en-GB", "en"), ("fr,zh;q=0.2", "zh_CN"),
        ("en;q=0.1,zh-TW;q=0.5", "zh_CN"), ("zh;q=0,en", "en"), ("zh;q=nonsense", "en"), ("," * 900, "en"),
    ):  # fmt: skip
        assert pages.language(header) == language, header


def test_times_are_the_readers(pages: Pages) -> None:
    hour, week = NOW - 3_600_000, NOW - 2 * DAY
    assert said(pages, "{{ t|when }}", t=hour) == "9:00\u202fAM"
    assert said(pages, "{{ t|when }}", t=hour, zone="Asia/Shanghai", language="zh_CN") == "17:00"
    assert said(pages, "{{ t|when }}", t=week) == "Sat"
    assert said(pages, "{{ t|when }}", t=week, language="zh_CN") == "周六"
    assert said(pages, "{{ t|when }}", t=NOW - 40 * DAY) == "14 Oct"
    assert said(pages, "{{ t|when }}", t=NOW - 400 * DAY) == "10/19/25"
    assert "2026" in said(pages, "{{ t|moment }}", t=NOW)
    for strange in (-1, 2**62, 0):
        assert said(pages, "{{ t|when }}{{ t|moment }}", t=strange)
    assert said(pages, "{{ t|when }}", t=hour, zone="Nowhere/Never") == "9:00\u202fAM"


def test_sizes_and_numbers(pages: Pages) -> None:
    assert [said(pages, "{{ n|octets }}", n=n) for n in (0, 999, 214_000, 1_400_000, 4_200_000_000)] == [
        "0 B", "999 B", "214 KB", "1.4 MB", "4.2 GB",
    ]  # fmt: skip
    assert said(pages, "{{ n|number }}", n=8412) == "8,412"


def test_parameters_are_escaped(pages: Pages) -> None:
    text = said(pages, '{{ _("Read and write your mail at %(name)s.", name="<img>") }}')
    assert "&lt;img&gt;" in text
    assert "100% <b>" not in said(pages, "{{ tell(t) }}", t="100% <b>")
    assert "&lt;b&gt;" in said(pages, "{{ icon('x') }}{{ t }}", t="<b>")


def test_error_pages_speak_and_name_the_status(pages: Pages) -> None:
    for status in FAILURES:
        for face in (None, MAIL, ADMIN):
            text = pages.error(status, View("zh_CN", face=face))
            assert str(status) in text
            assert "Ex&lt;b&gt;ample" in text


def test_a_qr_code_is_attributes_only() -> None:
    drawing = str(qr("otpauth://totp/x?secret=ABC", 'A "label" <b>'))
    assert "style" not in drawing
    assert "&lt;b&gt;" in drawing
    assert drawing.count("<svg") == 1


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Maria Lindqvist", "ML"),
        ("stripe", "S"),
        ("李静", "李"),
        ("", "?"),
        ("<script>", "S"),
        ("a.b@c", "AC"),
        ("++", "?"),
    ],
)
def test_initials(name: str, letters: str) -> None:
    assert initials(name) == letters
    assert tone(name) in {f"c{n}" for n in range(1, 9)}


def test_browsers_by_name() -> None:
    assert browser("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140") == "Edge, Windows"
    assert browser("curl/8") == "curl/8"
    assert browser("") == "?"
