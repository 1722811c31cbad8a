"""Worker processes that die, and what that costs."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from piko_flow.dataflow.workers import process as worker_process
from piko_flow.dataflow.workers.errors import WorkerDied, WorkersCannotStart
from piko_flow.dataflow.workers.pool import CallResult, WorkerPool
from piko_flow.dataflow.workers.shipping import CannotShip, pack
from tests.runs import python


async def call(
    function: Callable[[Any], Any], items: list[Any], *, timeout: float | None = None, workers: int = 2
) -> tuple[CallResult, WorkerPool]:
    async with WorkerPool(workers) as pool:
        shipment = pack(function, stage="work", where="here.py:1")
        return await pool.call(shipment, items, timeout=timeout), pool


def is_gone(pid: int) -> bool:
    """Wait until the process has ended, whoever's child it is; False when it still lives after ten seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ended, _, _ = select.select([handle], [], [], 10)
    finally:
        os.close(handle)
    return bool(ended)


async def test_a_worker_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    flag = str(tmp_path / "killed")

    def double(item: int) -> int:
        if item == 5 and not os.path.exists(flag):  # noqa: PTH110
            os.close(os.open(flag, os.O_CREAT))
            os.kill(os.getpid(), signal.SIGKILL)
        return item * 2

    result, pool = await call(double, list(range(10)))
    assert result.results == [item * 2 for item in range(10)]
    assert result.errors == {}
    assert (pool.spawned, pool.replaced) == (2, 1)


async def test_an_item_that_kills_its_worker_each_time_fails_alone() -> None:
    def fragile(item: int) -> int:
        if item == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return item + 1

    result, pool = await call(fragile, list(range(6)))
    assert result.results == [1, 2, 3, None, 5, 6]
    assert list(result.errors) == [3]
    error = result.errors[3]
    assert isinstance(error, WorkerDied)
    assert error.code == -signal.SIGKILL
    assert str(error) == (
        "the worker process that worked on 3 ended with signal 9 (SIGKILL), each time it was tried"
    )
    assert pool.replaced == 2


async def test_items_that_end_the_interpreter_fail_one_by_one() -> None:
    def leave(item: int) -> int:
        if item % 2:
            os._exit(item)
        return item

    result, _ = await call(leave, [0, 1, 2, 3, 4])
    assert result.results == [0, None, 2, None, 4]
    assert {index: str(error) for index, error in result.errors.items()} == {
        1: "the worker process that worked on 1 ended with exit code 1, each time it was tried",
        3: "the worker process that worked on 3 ended with exit code 3, each time it was tried",
    }


class KillsWhereItIsLoaded:
    """Travels well, and ends the process that loads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


async def test_an_item_that_kills_its_worker_while_it_is_loaded_is_found_by_halving() -> None:
    items = [1, 2, KillsWhereItIsLoaded(), 4, 5]
    result, _ = await call(lambda item: item, items)
    assert result.results == [1, 2, None, 4, 5]
    assert [type(error) for error in result.errors.values()] == [WorkerDied]


async def test_a_result_that_kills_its_worker_while_it_is_packed_is_found_by_halving() -> None:
    def make(item: int) -> object:
        class Deadly:
            def __reduce__(self) -> tuple[Any, ...]:
                os._exit(11)

        return Deadly() if item == 2 else item

    result, _ = await call(make, [0, 1, 2, 3])
    assert result.results == [0, 1, None, 3]
    assert "exit code 11" in str(result.errors[2])


async def test_a_function_that_kills_the_worker_that_loads_it_is_refused() -> None:
    bomb = KillsWhereItIsLoaded()
    with pytest.raises(CannotShip, match="loading it ended the worker process with exit code 9"):
        await call(lambda item: (bomb, item), [1, 2])


async def test_workers_that_cannot_start_are_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 42\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(WorkersCannotStart, match="end with exit code 42 before they are ready"):
        await call(lambda item: item, [1])


async def test_an_item_that_takes_too_long_is_ended_also_inside_c_code() -> None:
    def slow(item: int) -> int:
        if item == 1:
            return sum(range(10**12))  # one call into C, which no Python signal handler would interrupt
        while item == 3:
            continue
        return item

    result, pool = await call(slow, [0, 1, 2, 3, 4], timeout=1)
    assert result.results == [0, None, 2, None, 4]
    assert {index: repr(error) for index, error in result.errors.items()} == {
        1: "TimeoutError('no result after 1 seconds; its worker was replaced')",
        3: "TimeoutError('no result after 1 seconds; its worker was replaced')",
    }
    assert pool.replaced == 2


@pytest.mark.parametrize("how", ["ignores the timer", "stops the process"])
async def test_an_item_that_escapes_the_timer_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(worker_process, "MARGIN", 0.05)

    def escape(item: int) -> int:
        if item == 1 and how == "stops the process":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif item == 1:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            threading.Event().wait()
        return item

    result, pool = await call(escape, [0, 1, 2], timeout=1)
    assert result.results == [0, None, 2]
    assert {index: repr(error) for index, error in result.errors.items()} == {
        1: "TimeoutError('no result after 1 seconds; its worker was replaced')"
    }
    assert pool.replaced == 1


@pytest.mark.parametrize("timeout", [1, None])
async def test_what_a_function_started_ends_with_its_worker(tmp_path: Path, timeout: float | None) -> None:
    def start(item: int) -> int:
        seconds, _ = signal.setitimer(signal.ITIMER_REAL, 0)  # they are not for starting the child
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        if timeout is not None:
            (tmp_path / "pid").write_text(str(child.pid))
            signal.setitimer(signal.ITIMER_REAL, seconds)
            child.wait()
        return child.pid

    result, _ = await call(start, [0], timeout=timeout)
    assert is_gone(int((tmp_path / "pid").read_text()) if timeout else result.results[0])


async def test_a_timeout_counts_for_each_item_and_ends_with_the_chunk() -> None:
    def left(item: int) -> float:
        seconds, _ = signal.getitimer(signal.ITIMER_REAL)
        if item == 1:
            signal.setitimer(signal.ITIMER_REAL, 100)
        return seconds

    async with WorkerPool(1) as pool:
        shipment = pack(left, stage="work", where="here.py:1")
        timed = await pool.call(shipment, [0, 1, 2], timeout=1000)
        untimed = await pool.call(shipment, [0])
    assert all(900 < seconds <= 1000 for seconds in timed.results)
    assert untimed.results == [0]
    assert pool.spawned == 1


async def test_a_worker_does_not_hear_ctrl_c() -> None:
    def interrupt(item: int) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return item

    result, pool = await call(interrupt, [1, 2, 3])
    assert result.results == [1, 2, 3]
    assert pool.replaced == 0


async def test_ctrl_c_does_not_end_a_worker_that_is_just_starting() -> None:
    async with WorkerPool(1) as pool:
        first = asyncio.create_task(pool.call(pack(abs, stage="work", where="here.py:1"), [-1]))
        await asyncio.sleep(0)
        os.kill(pool.pids[0], signal.SIGINT)
        assert (await first).results == [1]
        assert pool.replaced == 0


PARENT = """
import asyncio, os, sys
from piko_flow.dataflow.workers.shipping import pack
from piko_flow.dataflow.workers.pool import WorkerPool

def stay(item):
    print(os.getpid(), flush=True)
    if item == "busy":
        while True:
            pass

async def main():
    async with WorkerPool(2) as pool:
        shipment = pack(stay, stage="stay", where="here.py:1")
        await pool.call(shipment, [sys.argv[1]])
        print("idle", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_workers_go_with_a_parent_that_is_killed(state: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, str(script), state], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        if state == "idle":
            assert parent.stdout.readline() == "idle\n"
        parent.kill()
        assert is_gone(worker)


def test_what_functions_print_arrives_also_from_a_worker_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "prints.py"
    script.write_text(
        PARENT.replace("print(os.getpid(), flush=True)", "print('printed', item)").replace(
            "await asyncio.Event().wait()", "os.kill(pool.pids[0], 9)"
        )
    )
    assert python(str(script), "hello").stdout == "printed hello\nidle\n"
