"""First set-up: everything is there, private, once; a wrong key stops before a write."""

from __future__ import annotations

import hashlib
import stat
import sys
from pathlib import Path

import pytest

from appliance.ops import init
from appliance.ops import state as ground_floor
from appliance.ops.errors import ALREADY_SET_UP, LOCKED, USAGE, WRONG_KEY, OperatorError
from appliance.ops.state import Ground
from data.clock import FakeClock
from data.directory.dkim import DkimKeys

CONFIG = {"hostname": "mail.example.test", "base_port": 20000, "profile": "bench"}
CHOICES = init.Choices("example.test", "Example", CONFIG)


def fingerprint(state: Path) -> dict[str, str]:
    """Every file with the digest of its octets; the lock is anybody's to touch."""
    return {
        str(path.relative_to(state)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(state.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def opened(state: Path, clock: FakeClock) -> Ground:
    config = ground_floor.load_config(state)
    with ground_floor.hold(state) as held:
        return ground_floor.open_ground(held, config, clock)


def test_layout_and_permissions_N16(state: Path) -> None:
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for path in state.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert {"mailstead.toml", "mail.db", "master.key", "key.check", "blobs", "tls", "lock"} == {
        path.name for path in state.iterdir()
    }
    assert len(list((state / "blobs").iterdir())) == 257
    config = ground_floor.load_config(state)
    assert (config.hostname, config.profile, config.port("imap")) == ("mail.example.test", "bench", 20143)
    assert config.dns == "off"


def test_first_rows(ground: Ground) -> None:
    assert ground.directory.organisation().name == "Example"
    assert [domain.name for domain in ground.directory.domains()] == ["example.test"]
    keys = DkimKeys(ground.db, ground.keys, ground.clock).active("example.test")
    assert {key.algorithm for key in keys} == {"rsa", "ed25519"}
    assert [entry.action for entry in ground.audit.recent()] == ["init"]


def test_a_second_init_changes_nothing(state: Path, clock: FakeClock) -> None:
    before = fingerprint(state)
    with pytest.raises(OperatorError) as caught:
        init.initialise(state, init.Choices("other.test", "Other", {"hostname": "other.test"}), clock)
    assert caught.value.status == ALREADY_SET_UP
    assert fingerprint(state) == before


def test_an_init_that_was_broken_off_can_be_run_again(state: Path, clock: FakeClock) -> None:
    (state / "mailstead.toml").unlink()
    key = (state / "master.key").read_bytes()
    init.initialise(state, CHOICES, clock)
    assert (state / "master.key").read_bytes() == key
    ground = opened(state, clock)
    assert len(ground.directory.domains()) == 1
    ground.close()


def test_broken_off_and_another_key(state: Path, clock: FakeClock) -> None:
    (state / "mailstead.toml").unlink()
    (state / "master.key").write_text("11" * 32)
    with pytest.raises(OperatorError) as caught:
        init.initialise(state, CHOICES, clock)
    assert caught.value.status == WRONG_KEY


@pytest.mark.parametrize("content", [None, b"", b"short", b"22" * 32, b"x" * 32])
def test_a_wrong_or_missing_key_is_one_line_and_no_write(state: Path, clock: FakeClock, content: bytes | None) -> None:
    if content is None:
        (state / "master.key").unlink()
    else:
        (state / "master.key").write_bytes(content)
    before = fingerprint(state)
    with pytest.raises(OperatorError) as caught:
        opened(state, clock)
    assert caught.value.status == WRONG_KEY
    assert "\n" not in caught.value.line and "master" in caught.value.line
    assert fingerprint(state) == before


def test_the_database_of_another_key_is_refused(state: Path, tmp_path: Path, clock: FakeClock) -> None:
    other = tmp_path / "other"
    init.initialise(other, CHOICES, clock)
    (state / "mail.db").write_bytes((other / "mail.db").read_bytes())
    with pytest.raises(OperatorError) as caught:
        opened(state, clock)
    assert caught.value.status == WRONG_KEY


def test_a_lost_database_is_not_replaced_by_an_empty_one(state: Path, clock: FakeClock) -> None:
    (state / "mail.db").unlink()
    with pytest.raises(OperatorError, match=r"mail\.db is missing"):
        opened(state, clock)
    assert not (state / "mail.db").exists()


def test_a_database_that_is_none_is_one_line(state: Path, clock: FakeClock) -> None:
    (state / "mail.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(OperatorError, match="not a database"):
        opened(state, clock)


def test_key_file_elsewhere_is_made_or_taken(tmp_path: Path, clock: FakeClock) -> None:
    key = tmp_path / "keys" / "mail.key"
    key.parent.mkdir()
    choices = init.Choices("example.test", None, {**CONFIG, "key_file": str(key)})
    init.initialise(tmp_path / "one", choices, clock)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    made = key.read_bytes()
    init.initialise(tmp_path / "two", choices, clock)
    assert key.read_bytes() == made
    assert not (tmp_path / "one" / "master.key").exists()
    opened(tmp_path / "one", clock).close()


def test_missing_options_are_named_or_asked_for() -> None:
    with pytest.raises(OperatorError) as caught:
        init.complete(init.Choices(), None)
    assert caught.value.status == USAGE
    assert "--domain and --hostname" in caught.value.line
    asked: list[tuple[str, str]] = []

    def ask(question: str, default: str) -> str:
        asked.append((question, default))
        return default or "example.test"

    full = init.complete(init.Choices(), ask)
    assert full.domain == "example.test" and full.organisation == "example.test"
    assert full.config == {"hostname": "mail.example.test"}
    assert len(asked) == 3
    told = init.complete(init.Choices("a.test", None, {"hostname": "h.test", "dns": None}), None)
    assert told.config == {"hostname": "h.test"}


@pytest.mark.parametrize(
    "choices",
    [
        init.Choices("bad domain", None, CONFIG),
        init.Choices("example.test", None, {**CONFIG, "hostname": "-"}),
        init.Choices("example.test", None, {**CONFIG, "base_port": 70000}),
        init.Choices("example.test", None, {**CONFIG, "profile": "fast"}),
        init.Choices("example.test", None, {**CONFIG, "dns": "somewhere"}),
    ],
)
def test_bad_choices_leave_no_directory(tmp_path: Path, clock: FakeClock, choices: init.Choices) -> None:
    with pytest.raises(OperatorError) as caught:
        init.initialise(tmp_path / "state", choices, clock)
    assert caught.value.status == USAGE
    assert not (tmp_path / "state").exists()


def test_postgresql_without_its_driver_is_one_line(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    config = {**CONFIG, "database": "postgresql://nobody@127.0.0.1:1/none"}
    with pytest.raises(OperatorError) as caught:
        init.initialise(tmp_path / "state", init.Choices("example.test", None, config), clock)
    assert "needs the package psycopg" in caught.value.line
    assert not (tmp_path / "state" / "mailstead.toml").exists()


def test_one_holder_at_a_time(ground: Ground) -> None:
    with pytest.raises(OperatorError) as caught:
        ground_floor.hold(ground.state)
    assert caught.value.status == LOCKED


def test_what_was_not_set_up_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="init"):
        ground_floor.load_config(tmp_path)
