"""The torture set: every message is read as the .expect file beside it says, whole and byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.mime.part import decode_layout, encode_layout, slim
from data.mime.scanner import Scanner, scan
from tests.corpus.describe import describe

CORPUS = Path(__file__).parents[3] / "corpus"
MESSAGES = sorted(CORPUS.glob("*.eml"))


def test_the_corpus_is_there() -> None:
    assert len(MESSAGES) >= 30
    assert {path.stem for path in MESSAGES} == {path.stem for path in CORPUS.glob("*.expect")}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_as_expected(path: Path) -> None:
    assert describe(path.read_bytes()) == path.with_suffix(".expect").read_text("utf-8")


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_byte_by_byte(path: Path) -> None:
    message = path.read_bytes()
    scanner = Scanner(window=1)
    for at in range(len(message)):
        scanner.feed(message[at : at + 1])
    assert scanner.finish() == scan(message)


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_layout(path: Path) -> None:
    root = scan(path.read_bytes()).root
    layout = encode_layout(root)
    assert decode_layout(layout) == slim(root)
    if not root.parts and root.filename is None:
        assert len(layout) < 60
