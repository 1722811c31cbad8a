"""The options `concurrency`, `ordered` and `key`, for every stage that takes them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from piko_flow import Filter, FlatMap, Sink, Source, Transform, run, start
from piko_flow.testing import CollectingSink, Script, Stall, Turns, items, turns, until

SLOWER_THE_EARLIER = {number: [Turns(40 - 2 * number)] for number in range(20)}


@pytest.mark.parametrize("kind", ["ordered", "unordered", "sink"])
@pytest.mark.parametrize("concurrency", [1, 2, 7])
async def test_calls_in_flight_reach_concurrency_and_never_pass_it(concurrency: int, kind: str) -> None:
    script = Script({number: [Turns(10)] for number in range(50)})
    work = Transform(script, concurrency=concurrency, ordered=kind == "ordered") >> CollectingSink[int]()
    await run(items(50) >> (Sink(script, concurrency=concurrency) if kind == "sink" else work))
    assert script.most == concurrency
    assert sorted(script.ended) == list(range(50))


@pytest.mark.parametrize("key", [None, lambda item: item])
async def test_a_result_that_waits_for_its_turn_counts_as_in_flight(key: Callable[[int], int] | None) -> None:
    first = Stall()
    script = Script({0: [first]})
    pipeline = items(50) >> Transform(script, concurrency=4, key=key) >> CollectingSink()
    async with start(pipeline):
        await first.reached.wait()
        await turns(100)
        assert script.calls == [0, 1, 2, 3]
        first.release()
    assert script.calls == list(range(50))


async def test_a_second_chunk_does_not_widen_the_bound() -> None:
    """Finished results behind a slow first one stay counted when more items come after a pause."""
    first, pause = Stall(), Stall()
    script = Script({0: [first]})

    async def numbers() -> AsyncIterator[int]:
        for number in range(30):
            if number == 2:
                await pause.happen()
            yield number

    pipeline = Source(numbers) >> Transform(script, concurrency=3) >> CollectingSink()
    async with start(pipeline):
        await until(lambda: script.ended == [1])
        pause.release()
        await turns(200)
        assert len(script.calls) <= 3
        first.release()


@pytest.mark.parametrize("capacity", [1, 5])
async def test_items_that_the_output_has_no_room_for_count_as_in_flight(capacity: int) -> None:
    writing = Stall()
    script: Script[int] = Script()
    sink = Sink(Script({0: [writing]}), name="sink")
    async with start(items(50) >> Transform(script, concurrency=3) >> sink, capacity=capacity):
        await writing.reached.wait()
        await turns(100)
        # one is being written, the sink has taken as many as the channel holds, which is full again, three wait
        assert len(script.calls) <= 1 + 2 * capacity + 3
        writing.release()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("stage", [Transform, Filter])
async def test_results_leave_in_the_order_of_their_inputs_or_as_they_finish(
    stage: Any, ordered: bool
) -> None:
    script = Script(SLOWER_THE_EARLIER, function=lambda item: item + 1)
    sink: CollectingSink[int] = CollectingSink()
    await run(items(20) >> stage(script, concurrency=20, ordered=ordered) >> sink)
    assert script.ended != sorted(script.ended)
    given = sorted(script.ended) if ordered else script.ended
    assert sink.items == (given if stage is Filter else [item + 1 for item in given])


@pytest.mark.parametrize("many", [3, 1000])  # fewer than an item holds back, and more
@pytest.mark.parametrize("ordered", [True, False])
async def test_what_one_item_gives_stays_together(ordered: bool, many: int) -> None:
    async def spread(item: int) -> AsyncIterator[tuple[int, int]]:
        for place in range(many):
            await turns(5 - item)
            yield item, place

    sink: CollectingSink[tuple[int, int]] = CollectingSink()
    await run(items(5) >> FlatMap(spread, concurrency=5, ordered=ordered) >> sink)
    first = [item for item, place in sink.items if place == 0]
    assert sink.items == [(item, place) for item in first for place in range(many)]
    assert (first == [0, 1, 2, 3, 4]) is ordered
    assert sorted(first) == [0, 1, 2, 3, 4]


async def test_flat_map_keeps_to_its_concurrency() -> None:
    first, inside, most = Stall(), set[int](), set[int]()

    async def spread(item: int) -> AsyncIterator[int]:
        inside.add(item)
        most.add(len(inside))
        if item == 0:
            await first.happen()
        yield item

    async with start(items(40) >> FlatMap(spread, concurrency=3) >> Sink(inside.discard), capacity=1):
        await first.reached.wait()
        await turns(100)
        assert len(inside) == 3
        first.release()
    # besides three in flight one may be in the channel and one in the hand of the sink, however slow that is
    assert max(most) <= 3 + 2


@pytest.mark.parametrize("ordered", [True, False])
async def test_one_item_a_key_is_in_flight_and_keys_go_side_by_side(ordered: bool) -> None:
    running: Counter[int] = Counter()
    together: set[int] = set()
    order: dict[int, list[int]] = {0: [], 1: [], 2: []}

    async def work(item: int) -> int:
        key = item % 3
        running[key] += 1
        together.add(len(+running))
        assert running[key] == 1
        await turns(item * 5 % 7)
        running[key] -= 1
        order[key].append(item)
        return item

    sink: CollectingSink[int] = CollectingSink()
    await run(items(60) >> Transform(work, concurrency=6, key=lambda item: item % 3, ordered=ordered) >> sink)
    assert order == {key: list(range(key, 60, 3)) for key in range(3)}
    assert max(together) == 3
    assert sorted(sink.items) == list(range(60))
    assert not ordered or sink.items == list(range(60))


async def test_a_slow_key_does_not_hold_up_the_others() -> None:
    slow = Stall()
    script = Script({0: [slow]})
    async with start(items(10) >> Sink(script, concurrency=10, key=lambda item: item == 0)):
        await slow.reached.wait()
        await until(lambda: script.ended == list(range(1, 10)))
        slow.release()


async def test_threads_run_side_by_side_up_to_concurrency() -> None:
    together = threading.Barrier(3)  # passes when three calls are there at once

    def work(item: int) -> int:
        together.wait(60)
        return item

    sink: CollectingSink[int] = CollectingSink()
    await run(items(9) >> Transform(work, on="thread", concurrency=3) >> sink)
    assert sink.items == list(range(9))


async def test_threads_are_never_more_than_concurrency() -> None:
    lock, names, inside, most = threading.Lock(), set[int](), 0, 0

    def work(item: int) -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            names.add(threading.get_ident())
        with lock:
            inside -= 1
        return item

    await run(items(200) >> Transform(work, on="thread", concurrency=2) >> CollectingSink())
    assert most <= 2
    assert len(names) <= 2
    assert threading.main_thread().ident not in names


async def test_a_function_that_never_waits_needs_no_other_task() -> None:
    seen = set[int]()

    async def ready(item: int) -> int:
        seen.add(id(asyncio.current_task()))
        return item

    sink: CollectingSink[int] = CollectingSink()
    await run(items(1000) >> Transform(ready, concurrency=50) >> sink)
    assert sink.items == list(range(1000))
    assert len(seen) <= 50
