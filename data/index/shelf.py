"""Where the indexes lie: DIR/index/<account>/, one sealed storage each, and which commit of it counts."""

from __future__ import annotations

import secrets
from pathlib import Path

from data.disk.files import make_directory
from data.disk.seal import Keys
from data.ids import AccountId
from data.index import segments
from data.index.outbox import Record
from data.index.segments import Contents, Lost
from data.index.storage import Chunks, SealedStorage


class Shelf:
    """The directory of all indexes."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self.root = root
        self._keys = keys
        self._chunks = Chunks()

    def storage(self, account: AccountId) -> SealedStorage:
        """The storage of an account's index, whether it is there or not."""
        return SealedStorage(self.root / str(account), f"index/{account}".encode(), self._keys, self._chunks)

    def generation(self, account: AccountId, record: Record | None) -> int:
        """The commit on the disk that counts; raises Lost when it is not there or older than recorded."""
        if record is None:
            raise Lost(f"account {account} has no index on record")
        found = segments.latest(self.storage(account), record.name)
        if found < record.generation:
            raise Lost(f"the index of account {account} is at {found}, not {record.generation}")
        return found

    def contents(self, account: AccountId, record: Record | None) -> Contents:
        """What the index holds; raises Lost."""
        self.generation(account, record)
        assert record is not None
        return segments.contents(self.storage(account), record.name)

    def clear(self, account: AccountId) -> None:
        """Delete the files of an index."""
        storage = self.storage(account)
        if Path(storage.folder).is_dir():
            segments.remove_all(storage)

    def begin(self, account: AccountId) -> Record:
        """An empty index under a new name."""
        make_directory(self.root)
        storage = self.storage(account)
        make_directory(Path(storage.folder))
        name = f"x{secrets.token_hex(8)}"
        segments.commit(storage, name, 0, ())
        return Record(name, 0)
