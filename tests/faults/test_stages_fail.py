"""A stage that fails: the error says which, where and on what, everything else stops, and nothing is committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from piko_flow import Broadcast, Filter, FlatMap, Sink, Source, Transform, run_sync
from piko_flow.dataflow.running.engine import LocalEngine
from piko_flow.testing import CollectingSink, FailingSink, RecordingObserver, Script, Stall, items, turns
from tests.runs import failure


class Broken(Exception):
    """What breaks here."""


def breaks(item: int) -> int:
    if item == 3:
        raise Broken("three")
    return item


def same(item: int) -> int:
    return item


def is_even(item: int) -> bool:
    return item % 2 == 0


async def test_the_failing_stage_inside_a_fused_loop_is_named_without_a_second_call() -> None:
    script: Script[int] = Script({4: [Broken("four")]})
    stages: Any = Transform(same, name="first") >> Filter(is_even, name="second")
    stages = stages >> Transform(script.plain, name="third") >> Transform(same, name="fourth")
    pipeline: Any = items(10) >> stages >> Sink(same)
    assert "first" in pipeline.explain()
    caught = await failure(pipeline)
    assert (caught.stage, caught.item) == ("third", 4)
    assert script.calls == [0, 2, 4]


async def test_the_item_is_the_one_that_came_to_the_stage_not_the_one_that_was_read() -> None:
    stages = Transform(ten_times) >> FlatMap(itself_and_next) >> Transform(breaks_at_31)
    caught = await failure(items(10) >> stages >> CollectingSink())
    assert (caught.stage, caught.item) == ("breaks_at_31", 31)


def ten_times(item: int) -> int:
    return item * 10


def itself_and_next(item: int) -> list[int]:
    return [item, item + 1]


def double_below_twelve(item: int) -> int:
    return item * 2 if item < 12 else breaks(3)


def breaks_at_31(item: int) -> int:
    if item == 31:
        raise Broken("thirty-one")
    return item


async def test_the_same_stage_used_twice_is_told_apart() -> None:
    double = Transform(double_below_twelve, name="double")
    caught = await failure(items(10) >> double >> double >> CollectingSink())
    assert (caught.stage, caught.item) == ("double#2", 12)


async def test_a_failing_stage_cancels_its_siblings_and_nothing_runs_afterwards() -> None:
    waiting: Script[int] = Script({number: [Stall()] for number in range(100)})
    failing = Script({2: [Broken("two")]})
    observer = RecordingObserver()
    pipeline = items(100) >> Broadcast(
        Sink(waiting, concurrency=5, name="waits"), Sink(failing, name="fails")
    )
    caught = await failure(pipeline, observer=observer)
    assert caught.stage == "fails"
    assert (waiting.running, observer.running) == (0, [])
    assert sorted(waiting.cancelled) == sorted(waiting.calls)
    calls = len(waiting.calls)
    await turns(10)
    assert len(waiting.calls) == calls
    assert observer.error is caught


async def test_a_failing_sink_ends_an_endless_source() -> None:
    async def endless() -> AsyncIterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            closed.append(True)

    closed: list[bool] = []
    sink: FailingSink[int] = FailingSink(after=3, error=OSError("disk full"))
    caught = await failure(Source(endless) >> sink, match="sink", capacity=2)
    assert caught.__cause__ is sink.error
    assert closed == [True]


async def test_the_first_of_several_failures_is_told_and_one_error_comes_out() -> None:
    failing = Script({number: [Broken(str(number))] for number in range(10)})
    caught = await failure(items(10) >> Transform(failing, concurrency=10) >> CollectingSink())
    assert caught.item == 0


async def test_a_cleanup_that_fails_too_does_not_replace_the_first_error() -> None:
    async def read() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise Broken("while cleaning up")

    await failure(
        Source(read, name="source") >> FailingSink(after=1, error=OSError("disk full")), match="disk full"
    )


async def test_a_failing_unit_stops_the_units_beside_it() -> None:
    stalled = Stall()
    script: Script[int] = Script({0: [stalled]})

    async def work(item: int) -> int:
        if item == 1:
            await stalled.reached.wait()
            raise Broken("one")
        return int(await script(item))

    sink: CollectingSink[int] = CollectingSink()
    caught = await failure(items(8, units=4) >> Transform(work) >> sink, engine=LocalEngine(parallel=2))
    assert caught.item == 1
    assert script.cancelled == [0]
    assert {call.part.number for call in sink.record.calls if call.part} == {0, 1}
    assert sink.record.count("abort") == 2


def test_an_error_that_is_no_exception_ends_the_loop_and_the_run() -> None:
    def leave(item: int) -> int:
        raise KeyboardInterrupt

    sink: CollectingSink[int] = CollectingSink()
    with pytest.raises(KeyboardInterrupt):
        run_sync(items(5) >> Transform(leave) >> sink)
    assert sink.record.steps() == ["open", "abort"]
