"""Workers of a concurrent stage: an item that comes alone, bursts, and the share that the output has no room for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from piko_flow import Sink, Source, Transform, start
from piko_flow.testing import turns

ITEMS = 6


class Tap:
    """Gives items in groups, the next when it is told to."""

    def __init__(self, groups: list[int]) -> None:
        self.groups = groups
        self.open = asyncio.Semaphore(0)

    async def __aiter__(self) -> AsyncIterator[int]:
        number = 0
        for group in self.groups:
            await self.open.acquire()
            for _ in range(group):
                yield number
                number += 1


class Gate:
    """Calls that wait until all are let through."""

    def __init__(self) -> None:
        self.inside = 0
        self.opened = asyncio.Event()

    async def __call__(self, item: int) -> int:
        self.inside += 1
        await self.opened.wait()
        self.inside -= 1
        return item


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("groups", [[1, 1, 1, 1, 1, 1], [1, 3, 2], [2, 1, 3], [6]])
async def test_an_item_that_comes_while_others_are_in_work_is_begun_at_once(
    groups: list[int], ordered: bool
) -> None:
    tap, gate, given = Tap(groups), Gate(), list[int]()
    pipeline = Source(tap) >> Transform(gate, concurrency=10, ordered=ordered) >> Sink(given.append)
    async with start(pipeline):
        got = 0
        for group in groups:
            tap.open.release()
            got += group
            await turns(20)
            assert gate.inside == got
        gate.opened.set()
    assert sorted(given) == list(range(ITEMS))


@pytest.mark.parametrize("ordered", [True, False])
async def test_workers_that_have_become_idle_begin_again_at_once(ordered: bool) -> None:
    groups = [5, 1, 1, 4]
    tap, gate, given = Tap(groups), Gate(), list[int]()
    pipeline = Source(tap) >> Transform(gate, concurrency=5, ordered=ordered) >> Sink(given.append)
    async with start(pipeline):
        for began in ([5], [1, 2], [4]):
            gate.opened.clear()
            for inside in began:
                tap.open.release()
                await turns(20)
                assert gate.inside == inside
            gate.opened.set()
            await turns(20)
            assert gate.inside == 0
    assert sorted(given) == list(range(sum(groups)))


async def test_items_behind_a_slow_one_are_begun_up_to_the_concurrency_and_again_when_it_has_ended() -> None:
    begun, given = list[int](), list[int]()
    slow = {0: asyncio.Event(), 5: asyncio.Event()}

    async def call(item: int) -> int:
        begun.append(item)
        if item in slow:
            await slow[item].wait()
        return item

    async with start(Source(range(20)) >> Transform(call, concurrency=5) >> Sink(given.append)):
        await turns(30)
        assert begun == list(range(5))
        assert given == []
        slow[0].set()
        await turns(30)
        assert begun == list(range(10))
        assert given == list(range(5))
        slow[5].set()
    assert given == list(range(20))
    assert begun == given
