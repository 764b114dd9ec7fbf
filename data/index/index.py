"""The index as one part: built once, handed to the searching faces and to the background service."""

from __future__ import annotations

from pathlib import Path

from data.clock import Clock
from data.disk.blobs import Blobs
from data.disk.db import Database
from data.index.finder import Finder
from data.index.reader import Searchers
from data.index.shelf import Shelf
from data.index.writer import Writer


class Index:
    """`find` for the search box, `writer` for who keeps it up to date."""

    def __init__(self, root: Path, db: Database, blobs: Blobs, clock: Clock) -> None:
        shelf = Shelf(root, blobs.keys)
        self.root = root
        self.writer = Writer(db, blobs, shelf)
        self._searchers = Searchers(shelf)
        self.finder = Finder(db, blobs, self._searchers, clock.now, self.writer.lost, clock.monotonic)

    def close(self) -> None:
        """Let go of every file."""
        self.writer.close()
        self._searchers.close()
