"""Start in order, stop in reverse; signals; tasks that come back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance import lifecycle, log
from appliance.lifecycle import Signals, StartFailed, Supervisor, until

ROOT = Path(__file__).parents[3]


class Part:
    """A service that writes down what is asked of it."""

    def __init__(self, name: str, story: list[str], *, fails: str = "", hangs: str = "") -> None:
        self.name, self.story, self.fails, self.hangs = name, story, fails, hangs

    async def _note(self, what: str) -> None:
        self.story.append(f"{what} {self.name}")
        if self.fails == what:
            raise OSError(5, "as told")
        if self.hangs == what:
            await asyncio.Event().wait()

    async def start(self) -> None:
        await self._note("start")

    async def drain(self, deadline: float) -> None:
        assert deadline > asyncio.get_running_loop().time()
        await self._note("drain")

    async def stop(self) -> None:
        await self._note("stop")


def _supervisor(**bounds: float) -> Supervisor:
    return Supervisor(log.get("lifecycle"), **bounds)


def test_order() -> None:
    async def main() -> list[str]:
        story: list[str] = []
        house = _supervisor()
        for name in "abc":
            house.add(Part(name, story))
        await house.start()
        await house.finish()
        return story

    assert asyncio.run(main()) == [
        *("start a", "start b", "start c", "drain a", "drain b", "drain c", "stop c", "stop b", "stop a"),
    ]


def test_a_failed_start_stops_what_is_up_and_names_the_culprit() -> None:
    async def main() -> list[str]:
        story: list[str] = []
        house = _supervisor()
        for part in (Part("a", story), Part("b", story, fails="start"), Part("c", story)):
            house.add(part)
        with pytest.raises(StartFailed) as caught:
            await house.start()
        assert caught.value.service == "b"
        return story

    assert asyncio.run(main()) == ["start a", "start b", "stop a"]


def test_one_that_hangs_or_fails_does_not_keep_the_others() -> None:
    async def main() -> list[str]:
        story: list[str] = []
        house = _supervisor(drain=0.05, stop=0.05)
        house.add(Part("a", story, fails="drain"))
        house.add(Part("b", story, hangs="drain", fails="stop"))
        house.add(Part("c", story, hangs="stop"))
        await house.start()
        await house.finish()
        return story

    assert asyncio.run(main())[-3:] == ["stop c", "stop b", "stop a"]


def test_a_failed_task_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_PAUSE_FIRST", 0.001)

    async def main() -> None:
        runs = 0
        done = asyncio.Event()

        async def work() -> None:
            nonlocal runs
            runs += 1
            if runs < 4:
                raise ValueError("again")
            done.set()

        house = _supervisor()
        house.task("work", work)
        await done.wait()
        await house.stop()
        assert runs == 4

    asyncio.run(main())


def test_tasks_end_with_the_house() -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        house = _supervisor()
        house.task("work", work)
        await begun.wait()
        await house.stop()
        assert ended.is_set()

    asyncio.run(main())


def test_signals_first_drains_second_ends_at_once() -> None:
    async def main() -> None:
        ended: list[int] = []
        reloads = 0
        gate = asyncio.Event()

        async def reload() -> None:
            nonlocal reloads
            reloads += 1
            await gate.wait()

        signals = Signals(log.get("lifecycle"), reload, ended.append)
        waiting = asyncio.create_task(signals.stopped())
        for _ in range(3):
            signals.take(signal.SIGHUP)
            await asyncio.sleep(0)
        gate.set()
        await asyncio.sleep(0.01)
        assert reloads == 2  # one that ran, one more for all that came meanwhile
        signals.take(signal.SIGTERM)
        assert await waiting == signal.SIGTERM and ended == []
        signals.take(signal.SIGINT)
        assert ended == [130]

    asyncio.run(main())


def test_a_process_that_hangs_is_ended() -> None:
    async def main() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def at_once(code: int) -> None:
            assert code == 143
            loop.call_soon_threadsafe(ended.set)

        async def reload() -> None:
            raise AssertionError

        Signals(log.get("lifecycle"), reload, at_once, within=0.05).take(signal.SIGTERM)
        async with asyncio.timeout(10):
            await ended.wait()
        calm = Signals(log.get("lifecycle"), reload, at_once, within=3600)
        calm.take(signal.SIGTERM)
        calm.remove()

    asyncio.run(main())


def test_a_failed_reload_keeps_the_house_running() -> None:
    async def main() -> None:
        async def reload() -> None:
            raise ValueError("broken file")

        signals = Signals(log.get("lifecycle"), reload, lambda code: None)
        signals.take(signal.SIGHUP)
        await asyncio.sleep(0.01)
        signals.ask()
        assert await signals.stopped() is None

    asyncio.run(main())


PROGRAM = """
import asyncio
from appliance import lifecycle, log, loop
the_loop = loop.make_loop()
writer = log.setup("info")
class Slow:
    name = "slow"
    async def start(self): pass
    async def drain(self, deadline): await asyncio.sleep({drain})
    async def stop(self): print("stopped", flush=True)
async def main():
    async def reload(): print("reloaded", flush=True)
    signals = lifecycle.Signals(log.get("run"), reload)
    signals.install()
    house = lifecycle.Supervisor(log.get("run"))
    house.add(Slow())
    await house.start()
    print("ready", flush=True)
    await signals.stopped()
    await house.finish()
    return 0
code = loop.run(the_loop, main())
writer.close()
raise SystemExit(code)
"""


class Child:
    """The program above as a process."""

    def __init__(self, drain: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(drain=drain)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.line() == "ready\n"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> tuple[int, str, str]:
        out, errors = self.process.communicate(timeout=30)
        return self.process.returncode, out, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_clean_within_ten_seconds(number: signal.Signals) -> None:
    child = Child(0)
    begun = time.monotonic()
    child.process.send_signal(signal.SIGHUP)
    assert child.line() == "reloaded\n"
    child.process.send_signal(number)
    code, out, errors = child.end()
    assert (code, out) == (0, "stopped\n") and time.monotonic() - begun < 10
    assert "Traceback" not in errors and "verb=drain" in errors


def test_a_second_signal_ends_at_once() -> None:
    child = Child(60)
    child.process.send_signal(signal.SIGTERM)
    assert child.process.stderr is not None
    while "verb=drain" not in child.process.stderr.readline():
        pass
    child.process.send_signal(signal.SIGTERM)
    code, out, errors = child.end()
    assert (code, out) == (143, "") and "Traceback" not in errors


def test_until_gives_up() -> None:
    async def main() -> None:
        assert await until(5, asyncio.sleep(0, "value")) == "value"
        assert await until(0.01, asyncio.Event().wait()) is None

    asyncio.run(main())
