"""State directories of earlier versions open, say the same, and can be worked with."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from tests.house import house
from tests.instruments.make_state import ANN, STATES, read

ARCHIVES = sorted(STATES.glob("*.tar.gz"))


def test_there_is_one() -> None:
    assert ARCHIVES


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_a_state_directory_of_that_version_opens(archive: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with tarfile.open(archive) as packed:
        packed.extractall(state, filter="data")
    expected = json.loads((state / "expected.json").read_text())
    with house(state, prepared=True) as h:
        found = json.loads(json.dumps(read(h)))
        known = {one["name"] for one in expected["settings"]}
        found["settings"] = [one for one in found["settings"] if one["name"] in known]
        for one in (*found["settings"], *expected["settings"]):
            del one["doc"]
        assert found == expected
        h.deliver("Subject: new\r\n\r\nnew\r\n", ANN)
        client = h.imap(ANN)
        assert client.select("INBOX")[1] == [str(len(expected["mailboxes"]["INBOX"]) + 1).encode()]
        client.logout()
        assert h.run("verify").stdout == "everything agrees\n"
