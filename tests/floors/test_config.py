"""Every field of the configuration is documented, read by somebody and shown in the README."""

from __future__ import annotations

import ast
from pathlib import Path

from appliance.config import documented, table

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("appliance", "data", "smtp", "imap", "webmail", "admin", "run.py")


def _attributes_read() -> set[str]:
    files = [
        path for room in ROOMS for path in ([ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py"))
    ]
    nodes = (node for path in files if path.exists() for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


def test_every_field_is_documented() -> None:
    """One line each, in plain words."""
    assert documented()
    assert not [one.key for one in documented() if len(one.doc) < 15 or "\n" in one.doc]


def test_every_field_is_read() -> None:
    """A field that nobody reads is a promise that nobody keeps."""
    read = _attributes_read()
    assert not [one.key for one in documented() if one.key.rpartition(".")[2] not in read]


def test_the_readme_shows_the_fields() -> None:
    """The README's table is the one the code makes."""
    assert table() in (ROOT / "README.md").read_text("utf-8")
