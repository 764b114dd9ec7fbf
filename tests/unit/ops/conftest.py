"""A state directory that init has made, opened by the test's own process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.ops import init, people
from appliance.ops import state as ground_floor
from appliance.ops.state import Ground
from data.clock import FakeClock

CONFIG = {"hostname": "mail.example.test", "base_port": 20000, "profile": "bench"}


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def state(tmp_path: Path, clock: FakeClock) -> Path:
    path = tmp_path / "state"
    init.initialise(path, init.Choices("example.test", "Example", CONFIG), clock)
    return path


@pytest.fixture
def ground(state: Path, clock: FakeClock) -> Iterator[Ground]:
    config = ground_floor.load_config(state)
    opened = ground_floor.open_ground(ground_floor.hold(state), config, clock)
    yield opened
    opened.close()


@pytest.fixture
def ann(ground: Ground) -> str:
    people.add_account(ground, "ann@example.test", password="secret", actor="test")
    return "ann@example.test"
