"""What is listed is used, what is used is listed, and both are pinned with hashes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES = ("data", "appliance", "smtp", "imap", "webmail", "admin")
# Not imported by us: Twisted checks the names in certificates with it, and warns when it is missing.
INDIRECT = {"service-identity"}
# Imported by us, not part of the run-time requirements: an installation on PostgreSQL adds it by itself.
OPTIONAL = {"psycopg"}


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip())[0].lower().replace("_", "-")


def _listed() -> set[str]:
    return {_name(line) for line in PROJECT["project"]["dependencies"]}


def _imported() -> set[str]:
    floors = importlib.util.spec_from_file_location("floors_imports", Path(__file__).with_name("test_imports.py"))
    assert floors and floors.loader
    read = importlib.util.module_from_spec(floors)
    floors.loader.exec_module(read)
    tops = {name.split(".")[0] for module in read.modules() for name in read.imports(module)}
    owners = importlib.metadata.packages_distributions()
    foreign = tops - set(sys.stdlib_module_names) - set(PACKAGES) - {"run"}
    return {owners[top][0].lower().replace("_", "-").replace(".", "-") for top in foreign}


def test_what_is_imported_is_listed() -> None:
    """No library is used by accident of another one needing it."""
    assert _imported() - OPTIONAL - _transitive_doors() <= _listed()


def test_what_is_listed_is_imported() -> None:
    """No library is carried along that nobody uses."""
    assert _listed() - INDIRECT <= _imported()


def _transitive_doors() -> set[str]:
    """zope.interface is the vocabulary of Twisted and comes with it."""
    return {"zope-interface"}


def test_everything_is_pinned_with_hashes() -> None:
    """Each requirement names one version and at least one hash, and no file names an index."""
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-build.txt"):
        text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert lines
        assert all(re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line) for line in lines), name
        assert "://" not in text


def test_the_two_files_pin_the_same_versions() -> None:
    """The tests run with what is installed in production."""

    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text("utf-8")))

    runtime, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: dev.get(name) for name in runtime} == runtime
    assert _listed() <= runtime.keys()
