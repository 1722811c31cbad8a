"""Plain functions on worker processes from within a run, and the run's share of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from piko_flow import CpuMap, WorkerPool
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.runs.cpu import RunCpu, WorkerShare
from piko_flow.dataflow.workers.pool import CallResult
from piko_flow.dataflow.workers.shipping import Shipment, pack
from piko_flow.planning.run_state import RunStatus
from piko_flow.testing import CollectingSink, items
from tests.unit.executing import Place


def add(one: int, other: int) -> int:
    return one + other


def double(number: int) -> int:
    return number * 2


def process(number: int) -> int:
    return os.getpid()


def refuse_three(number: int) -> int:
    if number == 3:
        raise ValueError("three is refused")
    return number


async def called(pool: WorkerPool, call: Callable[[RunContext], Any], place: Place) -> tuple[Any, Any]:
    """What the call gives inside a job, and the job's outcome."""
    results: list[Any] = []

    async def job(run: RunContext) -> None:
        results.append(await call(run))

    place.with_tools(pool=pool, workers_per_run=2)
    outcome = await place.execute(Flow.register("job", job, registry=Registry()))
    return results[0] if results else None, outcome


async def test_functions_are_called_in_worker_processes() -> None:
    place, factor = Place(), 3
    async with WorkerPool(1) as pool:

        async def call(run: RunContext) -> list[Any]:
            return [
                await run.cpu.submit(add, 1, 2),
                await run.cpu.submit(double, 4),
                await run.cpu.submit(os.getpid) != os.getpid(),
                await run.cpu.submit(lambda number: number * factor, 5),
                await run.cpu.map(double, range(200)),
                await run.cpu.map(double, []),
                await run.cpu.map(double, [7], concurrency=1),
            ]

        results, outcome = await called(pool, call, place)
    assert outcome.status is RunStatus.SUCCESS, outcome.error_msg
    assert results == [3, 8, True, 15, [number * 2 for number in range(200)], [], [14]]


async def test_a_closure_is_sent_as_it_is_at_each_call() -> None:
    factor = 2
    async with WorkerPool(1) as pool:
        cpu = RunCpu(pool, 1)

        def scaled(number: int) -> int:
            return number * factor

        assert await cpu.submit(scaled, 10) == 20
        factor = 3
        assert await cpu.submit(scaled, 10) == 30


async def test_the_error_of_a_call_is_the_runs() -> None:
    place = Place()
    async with WorkerPool(1) as pool:
        _, outcome = await called(pool, lambda run: run.cpu.map(refuse_three, range(9)), place)
        assert outcome.status is RunStatus.FAILED
        assert outcome.error_msg.startswith("ValueError: three is refused (test_execution_cpu.py:")
        _, outcome = await called(pool, lambda run: run.cpu.submit(refuse_three, 3), place)
        assert outcome.error_type == "ValueError"


class CountingPool(WorkerPool):
    """Answers in this process when the test says so, and counts the calls that are out at once."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.out = self.most = 0
        self.sizes: list[int] = []
        self.gate = asyncio.Event()

    async def call(self, shipment: Shipment, items: Sequence[Any], **options: Any) -> CallResult:
        self.out += 1
        self.most = max(self.most, self.out)
        self.sizes.append(len(items))
        await self.gate.wait()
        await asyncio.sleep(0)
        self.out -= 1
        return CallResult([item * 2 for item in items], seconds=0.0)


async def test_one_run_keeps_no_more_workers_busy_than_it_may() -> None:
    pool = CountingPool(8)
    cpu = RunCpu(pool, 3)
    pool.gate.set()
    mapped, *submitted = await asyncio.gather(
        cpu.map(double, range(500)), *(cpu.submit(double, number) for number in range(20))
    )
    assert (mapped, submitted) == (
        [number * 2 for number in range(500)],
        [number * 2 for number in range(20)],
    )
    assert pool.most == 3


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (2, 2), (9, 4), (None, 4)])
async def test_map_has_as_many_calls_out_as_it_is_told(concurrency: int | None, most: int) -> None:
    pool = CountingPool(8)
    pool.gate.set()
    assert await RunCpu(pool, 4).map(double, range(100), concurrency=concurrency) == list(range(0, 200, 2))
    assert pool.most == most


async def test_chunks_grow_where_calls_are_quick_and_end_together() -> None:
    pool = CountingPool(8)
    pool.gate.set()
    await RunCpu(pool, 1).map(double, range(100))
    assert pool.sizes == [1, 4, 16, 64, 15]
    pool.sizes.clear()
    await RunCpu(pool, 4).map(double, range(8))
    assert max(pool.sizes) <= 2


async def test_a_pipeline_of_the_run_keeps_to_its_share_too() -> None:
    place, pool = Place(), CountingPool(8)
    pool.gate.set()
    place.with_tools(pool=pool, workers_per_run=2)
    written: CollectingSink[int] = CollectingSink()
    flow = Flow.register("p", items(50) >> CpuMap(double) >> written, capacity=4, registry=Registry())
    outcome = await place.execute(flow)
    assert outcome.status is RunStatus.SUCCESS, outcome.error_msg
    assert written.items == list(range(0, 100, 2))
    assert pool.most == 2


async def test_a_share_is_no_larger_than_the_pool_and_shows_its_processes() -> None:
    async with WorkerPool(1) as pool, WorkerShare(pool, 5) as share:
        assert share.workers == 1
        shipment = pack(process, stage="s", where="here")
        assert (await share.call(shipment, [1])).results == share.pids == pool.pids
        assert share.spawned == 1


async def later(number: int) -> int:
    return number


BAD: list[tuple[Any, str]] = [
    (lambda cpu: cpu.submit(later, 1), "run.cpu calls plain functions; later is async or a generator"),
    (lambda cpu: cpu.submit(3), "run.cpu calls plain functions, got 3"),
    (lambda cpu: cpu.map(double, [1], concurrency=0), "concurrency must be >= 1, got 0"),
    (lambda cpu: cpu.map(double, [1], concurrency="2"), "concurrency must be a whole number, got '2'"),
]


@pytest.mark.parametrize(("call", "told"), BAD, ids=[told for _, told in BAD])
async def test_what_cannot_be_called_is_refused(call: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        await call(RunCpu(CountingPool(1), 1))


async def test_without_a_pool_cpu_is_refused() -> None:
    place = Place()

    async def job(run: RunContext) -> None:
        await run.cpu.submit(double, 1)

    outcome = await place.execute(Flow.register("job", job, registry=Registry()))
    assert "this application has no worker processes" in outcome.error_msg
