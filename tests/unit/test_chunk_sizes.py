"""How many items CpuMap sends to a worker at a time, by what the workers say they took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from piko_flow import CpuMap, WorkerPool, run
from piko_flow.dataflow.running.operators.cpu import TARGET
from piko_flow.dataflow.workers.pool import CallResult
from piko_flow.testing import CollectingSink, arriving, turns

COUNT = 5_000


class TellingPool(WorkerPool):
    """Gives every item back at once, and says that the chunk took as long as a test wants; no process is started."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        super().__init__(workers=1)
        self.seconds, self.sizes = seconds, list[int]()

    async def call(self, shipment: Any, items: Sequence[Any], **options: Any) -> CallResult:
        if items:
            self.sizes.append(len(items))
            await turns(100)  # meanwhile the source fills the channel
        return CallResult(list(items), seconds=self.seconds(len(items)))


async def sizes(seconds: Callable[[int], float], *, capacity: int = COUNT) -> list[int]:
    """The sizes of the chunks of a run, but for the last, which is what was left."""
    sink: CollectingSink[int] = CollectingSink()
    pool = TellingPool(seconds)
    async with pool:
        await run(arriving(range(COUNT), turns=0) >> CpuMap(abs) >> sink, pool=pool, capacity=capacity)
    assert sink.items == list(range(COUNT))
    assert sum(pool.sizes) == COUNT
    return pool.sizes[:-1]


async def test_chunks_grow_by_four_at_most_until_they_hold_the_time_aimed_at() -> None:
    found = await sizes(lambda count: count * TARGET / 50.5)
    assert found[:2] == [1, 1]
    grown = found.index(50)
    largest = accumulate(found, max)  # a chunk in between may be smaller: it holds what has come by then
    assert all(later <= 16 * before for before, later in zip(largest, found[2:], strict=False)), "two are out"
    assert grown <= 8
    assert found.count(50) >= COUNT / 50 - 20


async def test_quick_items_make_chunks_no_larger_than_the_capacity() -> None:
    assert max(await sizes(lambda count: 0.0, capacity=100)) == 100
    assert max(await sizes(lambda count: count * 1e-9, capacity=100)) == 100


async def test_slow_items_go_one_by_one() -> None:
    assert set(await sizes(lambda count: count * TARGET * 2)) == {1}


async def test_chunks_shrink_at_once_when_items_become_slow() -> None:
    calls = iter(range(COUNT))

    def slower(count: int) -> float:
        return count * (TARGET / 100.5 if next(calls) < 20 else TARGET / 2.5)

    found = await sizes(slower)
    assert max(found[:20]) == 100
    assert set(found[25:]) == {2}
