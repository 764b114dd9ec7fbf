"""An index beside the store of tests/unit/data/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from data.index.index import Index
from data.index.walk import Cursor, Found
from data.index.writer import Step
from data.store.query import parse

if TYPE_CHECKING:
    from tests.unit.data.conftest import Kit


@dataclass
class Library:
    """A Kit with an index."""

    kit: Kit
    index: Index
    lost: list[str] = field(default_factory=list)

    def drain(self) -> list[Step]:
        """Work until there is none; what was done."""
        done: list[Step] = []
        while (step := self.index.writer.step()) is not Step.IDLE:
            done.append(step)
        return done

    def find(self, text: str, limit: int = 1000, after: Cursor | None = None) -> Found:
        """A page of what ann finds."""
        ann = self.kit.ann
        return self.index.finder.find(ann, ann.account, parse(text), limit=limit, after=after, seconds=60)

    def uids(self, text: str) -> list[int]:
        """UIDs of what ann finds, ascending."""
        return sorted(hit.uid for hit in self.find(text).hits)


@pytest.fixture
def library(kit: Kit) -> Iterator[Library]:
    index = Index(kit.root / "index", kit.db, kit.store.blobs, kit.clock)
    made = Library(kit, index)
    index.writer.on_lost = lambda account, why: made.lost.append(why)
    yield made
    index.close()
