"""The texts of the house exist in every language."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.deploy.messages import collect, complaints, read, sources
from appliance.i18n import TRANSLATIONS, Catalogue

LANGUAGES = {"en", "zh_CN"}


def test_both_languages_are_there() -> None:
    """English and Simplified Chinese are kept from the first text on."""
    assert {language for language, _ in sources()} == LANGUAGES
    assert set(Catalogue.load().languages) == LANGUAGES


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_catalogue_is_complete(language: str) -> None:
    """Every text of the code is in the catalogue and translated, with the same parameters."""
    path = dict(sources())[language]
    assert not list(complaints(language, read(language, path), collect()))


def test_a_forgotten_translation_is_noticed(tmp_path: Path) -> None:
    """The check itself can fail: a new text, a missing translation and a wrong parameter are all named."""
    room = tmp_path / "smtp"
    room.mkdir()
    (room / "texts.py").write_text('A = N_("Queued for %(days)s days")\nB = NN_("one", "%(count)s of them")\n', "utf-8")
    path = tmp_path / "messages.po"
    shutil.copy(TRANSLATIONS / "zh_CN" / "LC_MESSAGES" / "messages.po", path)
    template = collect(tmp_path)
    catalogue = read("zh_CN", path)
    assert any("not in the catalogue" in line for line in complaints("zh_CN", catalogue, template))
    catalogue.update(template)
    assert any("not translated" in line for line in complaints("zh_CN", catalogue, template))
    for message in catalogue:
        if message.id and not isinstance(message.id, str):
            message.string = ("%(count)s 个",)
        elif message.id:
            message.string = "%(hours)s 小时"
    assert [line for line in complaints("zh_CN", catalogue, template) if "parameters" in line]
