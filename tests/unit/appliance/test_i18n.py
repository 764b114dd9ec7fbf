"""appliance.i18n: texts in the reader's language."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import write_po

from appliance.i18n import N_, NN_, Catalogue

QUEUED = N_("Delivery to %(address)s is delayed")
RECIPIENTS = NN_("%(count)s recipient", "%(count)s recipients")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A Chinese catalogue as a source file, not compiled."""
    folder = tmp_path / "zh_CN" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue = Catalog(locale="zh_CN", fuzzy=False)
    catalogue.add(QUEUED, "发往 %(address)s 的邮件被延迟")
    catalogue.add(RECIPIENTS, ("%(count)s 位收件人",))
    with (folder / "messages.po").open("wb") as stream:
        write_po(stream, catalogue)
    return tmp_path


def test_reads_the_source_when_nothing_is_compiled(directory: Path) -> None:
    texts = Catalogue.load(directory)
    assert texts.text("zh_CN", QUEUED, address="ann@example.org") == "发往 ann@example.org 的邮件被延迟"
    assert texts.counted("zh_CN", RECIPIENTS, 2) == "2 位收件人"


def test_reads_the_compiled_catalogue_unless_its_source_is_newer(directory: Path) -> None:
    folder = directory / "zh_CN" / "LC_MESSAGES"
    compiled = Catalog(locale="zh_CN", fuzzy=False)
    compiled.add(QUEUED, "compiled")
    with (folder / "messages.mo").open("wb") as stream:
        write_mo(stream, compiled)
    assert Catalogue.load(directory).text("zh_CN", QUEUED) == "compiled"
    os.utime(folder / "messages.mo", (0, 0))
    assert "延迟" in Catalogue.load(directory).text("zh_CN", QUEUED)


def test_english_is_the_text_itself(directory: Path) -> None:
    texts = Catalogue.load(directory)
    assert texts.text("en", QUEUED, address="bob@example.org") == "Delivery to bob@example.org is delayed"
    assert texts.counted("en", RECIPIENTS, 1) == "1 recipient"
    assert texts.counted("en", RECIPIENTS, 0) == "0 recipients"
    assert texts.text("en", "100 %") == "100 %"


def test_a_text_without_translation_is_shown_in_english(directory: Path) -> None:
    assert Catalogue.load(directory).text("zh_CN", "Never translated") == "Never translated"


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("zh_CN", "zh_CN"),
        ("zh-cn", "zh_CN"),
        ("zh-Hans-CN", "zh_CN"),
        ("zh", "zh_CN"),
        ("en-GB", "en"),
        ("fr", "en"),
        ("", "en"),
        ("../etc", "en"),
    ],
)
def test_closest_language(directory: Path, tag: str, language: str) -> None:
    texts = Catalogue.load(directory)
    assert texts.closest(tag) == language
    assert texts.text(tag, QUEUED, address="x") == texts.text(language, QUEUED, address="x")
