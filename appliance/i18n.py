"""Texts in the reader's language, by gettext.

Every text that a person reads (a bounce, a page, a notice) is written once in English, marked with `N_` or `NN_`
where it stands, and looked up here when it is shown, in the language of whoever reads it. Facts travel as a code
and parameters; they become a sentence only at display.

Promises: a `Catalogue` never changes after it was loaded, may be used from any thread, and never fails because a
translation or a language is missing: then the English text is shown. Compiled catalogues (`messages.mo`, made by
`make setup`) are read when they are as new as their sources; otherwise the sources are read.

Parameters are named, `%(name)s`; a text that is shown without parameters may hold a bare per cent sign.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_LANGUAGE = "en"
TRANSLATIONS = Path(__file__).with_name("translations")


def N_(message: str) -> str:
    """Mark `message` for translation where it is written; it is looked up where it is shown."""
    return message


def NN_(singular: str, plural: str) -> tuple[str, str]:
    """Mark a text that counts something, in its two English forms."""
    return singular, plural


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The texts of all languages. `languages` maps a tag such as `zh_CN` to its translations."""

    languages: Mapping[str, gettext.NullTranslations]

    @classmethod
    def load(cls, directory: Path = TRANSLATIONS) -> Catalogue:
        """Read every language found as `LANGUAGE/LC_MESSAGES/messages.po` below `directory`."""
        sources = sorted(directory.glob("*/LC_MESSAGES/messages.po"))
        found: dict[str, gettext.NullTranslations] = {DEFAULT_LANGUAGE: gettext.NullTranslations()}
        found |= {source.parts[-3]: _read(source) for source in sources}
        return cls(found)

    def text(self, language: str, message: str, **params: object) -> str:
        """`message` in `language`, with its parameters put in."""
        translated = self._of(language).gettext(message)
        return translated % params if params else translated

    def counted(self, language: str, forms: tuple[str, str], count: int, **params: object) -> str:
        """The form of a text made by `NN_` that fits `count`, which is also the parameter `count`."""
        return self._of(language).ngettext(*forms, count) % {**params, "count": count}

    def form(self, language: str, forms: tuple[str, str], count: int) -> str:
        """The form that fits `count`, parameters not yet put in; for templates, which escape them first."""
        return self._of(language).ngettext(*forms, count)

    def closest(self, tag: str) -> str:
        """The language we have that is closest to a tag such as `zh-Hans-CN` or `en_GB` (RFC 4647 §3.4)."""
        parts = tag.replace("-", "_").split("_")
        have = {name.lower(): name for name in self.languages}
        for length in range(len(parts), 0, -1):
            if name := have.get("_".join(parts[:length]).lower()):
                return name
        kin = sorted(name for name in self.languages if name.split("_")[0].lower() == parts[0].lower())
        return kin[0] if kin else DEFAULT_LANGUAGE

    def _of(self, language: str) -> gettext.NullTranslations:
        return self.languages.get(language) or self.languages[self.closest(language)]


def _read(source: Path) -> gettext.NullTranslations:
    """One language: the compiled file when it is as new as its source, otherwise the source itself."""
    compiled = source.with_suffix(".mo")
    if compiled.exists() and compiled.stat().st_mtime >= source.stat().st_mtime:
        with compiled.open("rb") as stream:
            return gettext.GNUTranslations(stream)
    from babel.messages.mofile import write_mo  # what reads sources is no burden to a server that has compiled ones
    from babel.messages.pofile import read_po

    with source.open("rb") as stream:
        catalogue = read_po(stream, locale=source.parts[-3])
    binary = io.BytesIO()
    write_mo(binary, catalogue)
    binary.seek(0)
    return gettext.GNUTranslations(binary)
