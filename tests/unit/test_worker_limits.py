"""`workers` of a stage: no more processes than so many work on its chunks, whatever else the pool does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from piko_flow import CpuMap, LocalEngine, Retry, Sink, Source, WorkerPool, run
from piko_flow.dataflow.running.engine import Engine
from piko_flow.dataflow.workers.shipping import Shipment, pack
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.testing import CollectingSink, items
from tests.contract.bell import Bell, hung_bell
from tests.unit.processes_at_work import most, work


def ship(function: Any) -> Shipment:
    return pack(function, stage="work", where="here.py:1")


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    async with WorkerPool(3) as shared:
        yield shared


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    with hung_bell(tmp_path / "bell") as bell:
        yield bell


def wait_for_the_bell(item: str, bell: Bell, begun: Bell) -> str:
    begun.ring()
    asyncio.run(bell.heard())
    return item


async def test_a_call_waits_for_its_limit_and_lets_the_calls_behind_it_go_first(
    bell: Bell, tmp_path: Path
) -> None:
    with hung_bell(tmp_path / "begun") as begun:
        async with WorkerPool(2) as pool:
            limited = ship(partial(wait_for_the_bell, bell=bell, begun=begun))
            first = asyncio.create_task(pool.call(limited, ["first"], workers=1))
            await begun.heard()
            second = asyncio.create_task(pool.call(limited, ["second"], workers=1))
            other = await pool.call(ship(abs), [-3])  # on the second process, where nobody else may be
            assert other.results == [3]
            assert not first.done()
            assert not second.done()
            bell.ring(2)
            assert [(await call).results for call in (first, second)] == [["first"], ["second"]]


async def test_a_cancelled_call_leaves_its_place_to_the_next(bell: Bell, tmp_path: Path) -> None:
    with hung_bell(tmp_path / "begun") as begun:
        async with WorkerPool(2) as pool:
            limited = ship(partial(wait_for_the_bell, bell=bell, begun=begun))
            calls = [
                asyncio.create_task(pool.call(limited, [name], workers=1)) for name in ("one", "two", "three")
            ]
            await begun.heard()
            calls[1].cancel()  # it waits for its place
            calls[0].cancel()  # it is at work
            bell.ring()
            assert (await calls[2]).results == ["three"]
            ended = await asyncio.gather(*calls[:2], return_exceptions=True)
            assert [type(one) for one in ended] == [asyncio.CancelledError] * 2


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("fault", ["", "raises", "dies"])
async def test_each_stage_keeps_its_own_limit_in_a_pool_of_many(
    pool: WorkerPool, tmp_path: Path, ordered: bool, fault: str
) -> None:
    def stage(name: str, workers: int) -> CpuMap[int, int]:
        function = partial(work, folder=tmp_path, name=name, fault=fault)
        return CpuMap(function, workers=workers, ordered=ordered, retry=Retry(2, first=0), name=name)

    sink: CollectingSink[int] = CollectingSink()
    await run(items(150) >> stage("one", 1) >> stage("two", 2) >> stage("many", 3) >> sink, pool=pool)
    assert sorted(sink.items) == list(range(150))
    assert most(tmp_path, "one") == 1
    assert most(tmp_path, "two") <= 2
    assert most(tmp_path, "many") <= 3


async def test_runs_that_share_a_pool_keep_the_limits_of_their_stages(
    pool: WorkerPool, tmp_path: Path
) -> None:
    def pipeline(name: str) -> Any:
        function = partial(work, folder=tmp_path, name=name)
        return items(200) >> CpuMap(function, workers=1, name=name) >> CollectingSink()

    async with asyncio.TaskGroup() as runs:
        for name in ("left", "right", "third"):
            runs.create_task(run(pipeline(name), pool=pool))
    assert [most(tmp_path, name) for name in ("left", "right", "third")] == [1, 1, 1]


def read(split: int) -> range:
    return range(split, split + 50)


@pytest.mark.parametrize("engine", [LocalEngine(2), SubprocessEngine(1)], ids=["local-2", "subprocess"])
async def test_units_that_share_a_pool_keep_the_limits_together(engine: Engine, tmp_path: Path) -> None:
    function = partial(work, folder=tmp_path)
    one, many = (
        CpuMap(partial(function, name="one"), workers=1),
        CpuMap(partial(function, name="many"), workers=3),
    )
    report = await run(Source(read, splits=[0, 50]) >> one >> many >> Sink(id), engine=engine)
    assert report.stages[-1].emitted == 100
    assert most(tmp_path, "one") == 1
