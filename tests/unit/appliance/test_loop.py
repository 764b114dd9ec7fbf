"""Workers and Landing: results of other threads come back in order, cancellation loses nothing."""

from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from appliance import log
from appliance.loop import LagProbe, Workers

ROOT = Path(__file__).parents[3]


def test_blocking_runs_elsewhere_and_returns() -> None:
    async def main() -> None:
        workers = Workers(threads=2)
        here = threading.get_ident()
        assert await workers.blocking(threading.get_ident) != here
        assert await workers.heavy(lambda a, b: a + b, 1, b=2) == 3
        with pytest.raises(ZeroDivisionError):
            await workers.blocking(lambda: 1 / 0)
        assert workers.waiting == 0
        workers.close()

    asyncio.run(main())


def test_heavy_runs_at_most_two_at_once() -> None:
    async def main() -> None:
        workers = Workers()
        both = threading.Barrier(2, timeout=10)
        running, most, lock = 0, 0, threading.Lock()

        def work(index: int) -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            if index < 2:
                both.wait()
            with lock:
                running -= 1

        await asyncio.gather(*(workers.heavy(work, n) for n in range(8)))
        assert most == 2
        workers.close()

    asyncio.run(main())


def test_landed_takes_results_and_errors_in_order() -> None:
    async def main() -> None:
        workers = Workers()
        futures: list[concurrent.futures.Future[int]] = [concurrent.futures.Future() for _ in range(50)]
        order: list[int] = []

        async def wait(index: int) -> None:
            assert await workers.landed(futures[index]) == index
            order.append(index)

        tasks = [asyncio.create_task(wait(n)) for n in range(50)]
        await asyncio.sleep(0)

        def resolve() -> None:
            for n, future in enumerate(futures):
                future.set_result(n)

        threading.Thread(target=resolve).start()
        await asyncio.gather(*tasks)
        assert order == list(range(50))
        broken: concurrent.futures.Future[int] = concurrent.futures.Future()
        broken.set_exception(OSError(5, "io"))
        with pytest.raises(OSError):
            await workers.landed(broken)
        workers.close()

    asyncio.run(main())


def test_cancelling_the_waiter_leaves_the_write_alone() -> None:
    async def main() -> None:
        workers = Workers()
        future: concurrent.futures.Future[int] = concurrent.futures.Future()
        task = asyncio.create_task(workers.landed(future))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not future.cancelled()
        future.set_result(1)
        workers.close()

    asyncio.run(main())


def test_a_result_after_the_loop_is_closed_is_dropped() -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()

    async def main() -> None:
        workers = Workers()
        task = asyncio.create_task(workers.landed(future))
        await asyncio.sleep(0)
        task.cancel()
        workers.close()

    asyncio.run(main())
    future.set_result(1)


def test_lag_probe_sees_a_stall() -> None:
    async def main() -> None:
        seen: list[float] = []
        enough = asyncio.Event()

        def observe(late: float) -> None:
            seen.append(late)
            enough.set()

        probe = LagProbe(observe, log.get("loop"), every=0.01, warn=10)
        await probe.start()
        stall = threading.Event()
        stall.wait(0.2)  # the loop stands still
        await enough.wait()
        await probe.stop()
        assert probe.worst == max(seen) >= 0.1

    asyncio.run(main())


PROGRAM = """
import asyncio, sys
from appliance import loop
the_loop = loop.make_loop({kind!r})
async def main():
    from twisted.internet import defer, reactor
    landed = asyncio.Event()
    reactor.callLater(0, landed.set)
    await landed.wait()
    async def forgotten():
        try:
            await asyncio.Event().wait()
        finally:
            print("tidied")
    left = asyncio.create_task(forgotten())
    await asyncio.sleep(0)
    if {fail!r}:
        raise ValueError("as told")
    return 7
try:
    print(loop.run(the_loop, main()), type(the_loop).__module__, sys.getswitchinterval())
except ValueError as error:
    print("raised", error)
"""


@pytest.mark.parametrize(
    ("kind", "fail", "said"),
    [
        ("uvloop", False, "tidied\n7 uvloop 0.0005"),
        ("asyncio", False, "tidied\n7 asyncio.unix_events 0.0005"),
        ("auto", True, "tidied\nraised as told"),
    ],
)
def test_one_loop_carries_both(kind: str, fail: bool, said: str) -> None:
    program = PROGRAM.format(kind=kind, fail=fail)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == (said, "")


def test_a_reactor_made_too_early_is_named() -> None:
    program = (
        "import twisted.internet.reactor\nfrom appliance import loop\n"
        "try:\n loop.make_loop()\nexcept loop.LoopError as e:\n print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert "must be made first" in done.stdout
