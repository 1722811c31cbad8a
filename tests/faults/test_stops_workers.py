"""Runs with worker processes, stopped at any time: no process stays, and a shared pool goes on working."""

from __future__ import annotations

from typing import Any

import pytest

from piko_flow import CpuMap, Retry, StageFailed, Transform, WorkerPool, run, start
from piko_flow.testing import CollectingSink, Script, Stall, items, turns, until
from tests.property.balance import assert_balanced
from tests.runs import stopped


def double(item: int) -> int:
    return item * 2


def chain(sink: CollectingSink[Any], *, ordered: bool = True) -> Any:
    return items(3000) >> CpuMap(double, workers=2, ordered=ordered, name="cpu") >> sink


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("how", ["cancel", "drain"])
async def test_a_run_stopped_at_any_turn_leaves_the_pool_usable(
    pool: WorkerPool, how: str, ordered: bool
) -> None:
    for late in (0, 1, 3, 10, 30, 100, 300, 1000):
        sink: CollectingSink[int] = CollectingSink(batch=100)
        async with start(chain(sink, ordered=ordered), pool=pool, capacity=64) as active:
            await turns(late)
            getattr(active, how)()
            report = await active.wait()
        assert_balanced(report, stopped=report.outcome == "cancelled")
        if report.outcome != "succeeded":
            assert sink.items == []
    sink = CollectingSink(batch=100)
    await run(chain(sink), pool=pool)
    assert sink.items == [number * 2 for number in range(3000)]


async def test_a_failing_run_beside_another_leaves_its_chunks_alone(pool: WorkerPool) -> None:
    stalled = Stall(error=OSError("no"))
    sink: CollectingSink[int] = CollectingSink(batch=100)
    failing = (
        items(3000) >> CpuMap(double, workers=2) >> Transform(Script({10: [stalled]})) >> CollectingSink()
    )

    async def fail_in_between() -> None:
        async with start(failing, pool=pool):
            await stalled.reached.wait()
            stalled.release()

    async with start(chain(sink), pool=pool) as good:
        with pytest.raises(StageFailed, match="no"):
            await fail_in_between()
        report = await good.wait()
    assert report.outcome == "succeeded"
    assert sink.items == [number * 2 for number in range(3000)]


def fail_on_seven(item: int) -> int:
    if item % 1000 == 7:
        raise ValueError(f"seven in {item}")
    return item


async def test_failing_items_of_large_chunks_are_told_one_by_one(pool: WorkerPool) -> None:
    sink: CollectingSink[int] = CollectingSink(batch=100)
    stage: CpuMap[int, int] = CpuMap(
        fail_on_seven, on_error="dead_letter", retry=Retry(2, first=0), name="cpu"
    )
    report = await run(items(3000) >> stage >> sink, pool=pool)
    assert sink.items == [number for number in range(3000) if number % 1000 != 7]
    assert [letter.item for letter in report.dead_letters] == [7, 1007, 2007]
    assert report.stage("cpu").retried == 3


async def test_a_cancelled_run_s_own_workers_are_gone_when_it_ends() -> None:
    sink: CollectingSink[int] = CollectingSink()
    report = await stopped(chain(sink), "cancel", until(lambda: sink.written))
    assert report.outcome == "cancelled"
    assert report.leftovers == ()
