"""Keep the translations in step with the texts in the code.

`python -m appliance.deploy.messages` collects what is marked with `N_` and `NN_` and brings every
`appliance/translations/LANGUAGE/LC_MESSAGES/messages.po` up to date; `--check` changes nothing and exits 1 when a
catalogue is behind the code, when a text of a language other than English has no translation, or when a
translation names other parameters than its text.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from appliance.i18n import DEFAULT_LANGUAGE, TRANSLATIONS

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("appliance", "data", "smtp", "imap", "webmail", "admin")
KEYWORDS = {"N_": None, "NN_": (1, 2), "gettext": None, "_": None, "ngettext": (1, 2)}
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2")]
PARAMETER = re.compile(r"%\((\w+)\)")


def collect(root: Path = ROOT) -> Catalog:
    """Every marked text below the rooms of `root`, without places (line numbers would change with every edit)."""
    template = Catalog(project="mailstead", charset="utf-8")
    for room in ROOMS:
        if not (root / room).is_dir():
            continue
        for _file, _line, message, comments, context in extract_from_dir(root / room, METHODS, keywords=KEYWORDS):
            template.add(message, auto_comments=comments, context=context)
    return template


def sources(directory: Path = TRANSLATIONS) -> Iterator[tuple[str, Path]]:
    """The languages and their files."""
    for path in sorted(directory.glob("*/LC_MESSAGES/messages.po")):
        yield path.parts[-3], path


def read(language: str, path: Path) -> Catalog:
    """One language as it is on disk."""
    with path.open("rb") as stream:
        return read_po(stream, locale=language)


def update(language: str, path: Path, template: Catalog) -> None:
    """Add what is new, drop what is gone, keep every translation that still has its text."""
    catalogue = read(language, path)
    catalogue.update(template, no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False)
    catalogue.obsolete.clear()
    with path.open("wb") as stream:
        write_po(stream, catalogue, width=120, no_location=True, sort_output=True, ignore_obsolete=True)


def complaints(language: str, catalogue: Catalog, template: Catalog) -> Iterator[str]:
    """What is wrong with one language, one line each."""
    wanted, present = _texts(template), _texts(catalogue)
    yield from (
        f"{language}: not in the catalogue: {text!r} (make messages)" for text in wanted.keys() - present.keys()
    )
    yield from (
        f"{language}: no longer in the code: {text!r} (make messages)" for text in present.keys() - wanted.keys()
    )
    for text, message in present.items():
        translations = _forms(message.string)
        if language != DEFAULT_LANGUAGE and (message.fuzzy or not all(translations)):
            yield f"{language}: not translated: {text!r}"
            continue
        known = set(PARAMETER.findall(" ".join(_forms(message.id))))
        for translation in filter(None, translations):
            if set(PARAMETER.findall(translation)) - known or ("%(" in text) != ("%(" in translation):
                yield f"{language}: the parameters of {text!r} differ in {translation!r}"


def _texts(catalogue: Catalog) -> dict[str, Message]:
    return {_forms(message.id)[0]: message for message in catalogue if message.id}


def _forms(value: str | Iterable[str] | None) -> list[str]:
    return [value or ""] if isinstance(value, str | None) else list(value)


def main(arguments: list[str] | None = None) -> int:
    """Bring the catalogues up to date, or with `--check` say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something is missing")
    template, wrong = collect(), []
    if parser.parse_args(arguments).check:
        wrong = [line for language, path in sources() for line in complaints(language, read(language, path), template)]
    else:
        for language, path in sources():
            update(language, path, template)
    print("\n".join(sorted(wrong)) or f"{len(_texts(template))} texts, {len(list(sources()))} languages")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
