"""Calls to a pool of workers: order, concurrency, cancellation, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.dataflow.workers.process import FUNCTIONS_HELD
from piko_flow.dataflow.workers.shipping import Shipment, pack
from tests.children import own_children


def ship(function: Any) -> Shipment:
    return pack(function, stage="work", where="here.py:1")


def process_of(item: object) -> int:
    return os.getpid()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def test_results_come_in_the_order_of_the_items() -> None:
    async with WorkerPool(2) as pool:
        result = await pool.call(ship(lambda item: item * item), range(1000))
    assert result.results == [item * item for item in range(1000)]
    assert result.errors == {}
    assert result.seconds > 0


async def test_a_call_without_items_returns_nothing() -> None:
    async with WorkerPool(1) as pool:
        assert (await pool.call(ship(str), [])).results == []


async def test_workers_are_started_when_needed_and_never_more_than_allowed() -> None:
    async with WorkerPool(2) as pool:
        assert pool.spawned == 0
        shipment = ship(process_of)
        await pool.call(shipment, [1])
        await pool.call(shipment, [1])
        assert pool.spawned == 1
        results = await asyncio.gather(*(pool.call(shipment, [1]) for _ in range(20)))
        assert pool.spawned == 2
    assert len({result.results[0] for result in results}) == 2
    assert pool.replaced == 0


async def test_all_functions_share_the_workers() -> None:
    async with WorkerPool(1) as pool:
        for number in range(FUNCTIONS_HELD + 3):
            assert (await pool.call(ship(lambda item, n=number: item + n), [1])).results == [1 + number]
        first = ship(lambda item: -item)
        for number in range(FUNCTIONS_HELD + 3):
            assert (await pool.call(first, [number])).results == [-number]
            await pool.call(ship(lambda item, n=number: item + n), [1])


async def test_callers_are_served_in_the_order_they_came() -> None:
    served: list[int] = []

    async def caller(number: int) -> None:
        await pool.call(shipment, [number])
        served.append(number)

    async with WorkerPool(1) as pool:
        shipment = ship(abs)
        async with asyncio.TaskGroup() as callers:
            for number in range(30):
                callers.create_task(caller(number))
    assert served == list(range(30))


def wait_for(path: str) -> str:
    """Ends when the named pipe is opened for reading; that tells the test that the item has begun."""
    os.close(os.open(path, os.O_WRONLY))
    while True:
        signal_free_wait()


def signal_free_wait() -> None:
    import threading

    threading.Event().wait()


async def until_opened(path: Path) -> None:
    """Wait until the function that `wait_for`s the pipe has begun."""
    await asyncio.to_thread(lambda: os.close(os.open(path, os.O_RDONLY)))


async def test_a_cancelled_call_ends_its_worker_and_the_next_call_gets_its_own_results(
    tmp_path: Path,
) -> None:
    pipe = tmp_path / "begun"
    os.mkfifo(pipe)
    async with WorkerPool(1) as pool:
        stuck = asyncio.create_task(pool.call(ship(wait_for), [str(pipe)]))
        await until_opened(pipe)
        behind = asyncio.create_task(pool.call(ship(str), [1, 2]))
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
        assert (await behind).results == ["1", "2"]
        assert (pool.spawned, pool.replaced) == (2, 1)


async def test_calls_cancelled_at_any_moment_never_give_anothers_results() -> None:
    async with WorkerPool(2) as pool:
        shipment = ship(lambda item: item)
        for turns in range(30):
            doomed = [asyncio.create_task(pool.call(shipment, [turns, place])) for place in range(6)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in doomed[::2]:
                call.cancel()
            done = await asyncio.gather(*doomed, return_exceptions=True)
            for place, result in enumerate(done):
                if not isinstance(result, asyncio.CancelledError):
                    assert not isinstance(result, BaseException)
                    assert result.results == [turns, place]


async def test_leaving_the_pool_ends_a_worker_that_is_busy_for_ever(tmp_path: Path) -> None:
    pipe = tmp_path / "begun"
    os.mkfifo(pipe)
    before = open_files()
    async with WorkerPool(1) as pool:
        stuck = asyncio.create_task(pool.call(ship(wait_for), [str(pipe)]))
        await until_opened(pipe)
        waiting = [asyncio.create_task(pool.call(ship(str), [1])) for _ in range(3)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(stuck, *waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == [
        "the worker pool is not open: enter it with `async with` and call it inside the block"
    ] * 4
    assert open_files() == before
    assert own_children() == []


async def test_a_pool_that_is_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    pipe = tmp_path / "begun"
    os.mkfifo(pipe)
    before = open_files()

    async def use() -> None:
        async with WorkerPool(2) as pool:
            shipment = ship(wait_for)
            async with asyncio.TaskGroup() as calls:
                for _ in range(2):
                    calls.create_task(pool.call(shipment, [str(pipe)]))

    using = asyncio.create_task(use())
    await until_opened(pipe)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert open_files() == before
    assert own_children() == []


async def test_no_descriptor_is_left_after_large_values_went_both_ways() -> None:
    before = open_files()
    async with WorkerPool(2) as pool:
        shipment = ship(lambda array: array + 1)
        arrays = [np.zeros(300_000) for _ in range(4)]
        for _ in range(5):
            await pool.call(shipment, arrays)
        doomed = asyncio.create_task(pool.call(shipment, arrays))
        await asyncio.sleep(0)
        doomed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doomed
    assert open_files() == before


async def test_a_pool_that_was_not_entered_says_so() -> None:
    with pytest.raises(RuntimeError, match="enter it with `async with`"):
        await WorkerPool(1).call(ship(str), [1])
