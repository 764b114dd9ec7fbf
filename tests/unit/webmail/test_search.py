"""Turns of searches: few at a time, few of one account, and nobody waits for long."""

from __future__ import annotations

import threading
import time

import pytest

from data.ids import AccountId
from webmail import search
from webmail.search import Turns


def test_an_account_has_its_share_and_others_theirs() -> None:
    turns = Turns()
    ann, bob, cy = map(AccountId, (1, 2, 3))
    with turns.turn(ann) as first, turns.turn(ann) as second, turns.turn(ann) as third:
        assert (first, second, third) == (True, True, False)
        with turns.turn(bob) as fourth, turns.turn(bob) as fifth, turns.turn(cy) as sixth:
            assert (fourth, fifth, sixth) == (True, True, False)
    with turns.turn(ann) as again:
        assert again


def test_a_turn_comes_when_another_ends() -> None:
    turns, ann = Turns(), AccountId(1)
    got: list[bool] = []

    def ask() -> None:
        with turns.turn(ann) as granted:
            got.append(granted)

    waiting = threading.Thread(target=ask)
    with turns.turn(ann), turns.turn(ann):
        waiting.start()
        while not turns._waiting:
            time.sleep(0.001)
    waiting.join()
    assert got == [True]


def test_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PATIENCE", 30)
    turns, ann = Turns(), AccountId(1)
    got: list[bool] = []

    def ask() -> None:
        with turns.turn(ann) as granted:
            got.append(granted)

    threads = [threading.Thread(target=ask) for _ in range(search.WAITING)]
    with turns.turn(ann), turns.turn(ann):
        for one in threads:
            one.start()
        while turns._waiting < search.WAITING:
            time.sleep(0.001)
        with turns.turn(ann) as granted:
            assert not granted
    for one in threads:
        one.join()
    assert got == [True] * search.WAITING


def test_a_search_that_fails_gives_its_turn_back() -> None:
    turns, ann = Turns(), AccountId(1)
    for _ in range(5):
        with pytest.raises(RuntimeError), turns.turn(ann):
            raise RuntimeError
    with turns.turn(ann) as granted:
        assert granted
