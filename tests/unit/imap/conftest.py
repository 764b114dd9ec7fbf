"""One room in memory for the module, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.imap_rig import Desk, Talk, desk


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture
def talk(room: Desk) -> Talk:
    """Somebody new, logged in."""
    return room.login()
