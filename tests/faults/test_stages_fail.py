"""A stage that fails: the error says which, where and on what, everything else stops, and nothing is committed."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from piko_flow import (
    Batch,
    Broadcast,
    CpuMap,
    Filter,
    FlatMap,
    Fold,
    Merge,
    On,
    Retry,
    Route,
    Sink,
    Source,
    Transform,
    run,
    run_sync,
)
from piko_flow.dataflow.running.engine import LocalEngine
from piko_flow.errors import StageFailed
from piko_flow.testing import (
    CollectingSink,
    FailingSink,
    RecordingObserver,
    Script,
    Stall,
    arriving,
    items,
    turns,
)


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


async def breaks_async(item: int) -> int:
    return breaks(item)


def breaks_several(item: int) -> Iterator[int]:
    yield breaks(item)


def breaks_adding(total: int, item: int) -> int:
    return total + breaks(item)


def breaks_reading() -> Iterator[int]:
    yield from range(3)
    raise Broken("three")


async def breaks_reading_async() -> AsyncIterator[int]:
    for number in breaks_reading():
        yield number


FAILING: dict[str, Any] = {
    "Transform": Transform(breaks, name="work"),
    "Transform, async": Transform(breaks_async, concurrency=4, name="work"),
    "Transform, keyed": Transform(breaks_async, concurrency=4, key=lambda item: item % 2, name="work"),
    "Transform, thread": Transform(breaks, on="thread", concurrency=2, name="work"),
    "Transform, tried in vain": Transform(breaks, retry=Retry(3, first=0), name="work"),
    "Filter": Filter(breaks, name="work"),
    "FlatMap": FlatMap(breaks_several, name="work"),
    "FlatMap, thread": FlatMap(breaks_several, on="thread", name="work"),
    "CpuMap": CpuMap(breaks, workers=1, name="work"),
    "Fold": Fold(breaks_adding, start=int, name="work"),
    "Fold, keyed": Fold(breaks_adding, start=int, key=lambda item: item % 2, name="work"),
    "Route's predicate": Route(On(breaks, Batch(1)), On(object, Batch(1)), name="work"),
}


@pytest.mark.parametrize("stage", FAILING.values(), ids=FAILING)
async def test_the_error_has_stage_place_item_run_and_cause(stage: Any) -> None:
    sink: CollectingSink[Any] = CollectingSink()
    with pytest.raises(StageFailed) as caught:
        await run(items(100) >> stage >> sink, run_id="r1")
    failed = caught.value
    assert (failed.stage, failed.item, failed.run) == ("work", 3, "r1")
    assert failed.where == str(stage.origin)
    assert isinstance(failed.__cause__, Broken)
    assert "stage 'work'" in str(failed)
    assert "Broken: three" in str(failed)
    assert sink.items == []


@pytest.mark.parametrize("read", [breaks_reading, breaks_reading_async])
@pytest.mark.parametrize("capacity", [1, 1024])
async def test_a_source_that_fails_is_named(read: Callable[[], Any], capacity: int) -> None:
    sink: CollectingSink[int] = CollectingSink()
    with pytest.raises(StageFailed) as caught:
        await run(Source(read, name="source") >> sink, capacity=capacity)
    assert (caught.value.stage, caught.value.item) == ("source", None)
    assert isinstance(caught.value.__cause__, Broken)
    assert sink.items == []


async def test_a_weight_that_fails_is_the_batch_s() -> None:
    with pytest.raises(StageFailed, match="three") as caught:
        await run(items(10) >> Batch(3, weight=breaks, name="batch") >> CollectingSink())
    assert caught.value.stage == "batch"


async def test_a_key_that_fails_is_the_stage_s() -> None:
    with pytest.raises(StageFailed, match="three") as caught:
        await run(items(10) >> Transform(turns, key=breaks, name="work") >> CollectingSink())
    assert (caught.value.stage, caught.value.item) == ("work", 3)


async def test_the_failing_stage_inside_a_fused_loop_is_named_without_a_second_call() -> None:
    script: Script[int] = Script({4: [Broken("four")]})
    stages: Any = Transform(same, name="first") >> Filter(is_even, name="second")
    stages = stages >> Transform(script.plain, name="third") >> Transform(same, name="fourth")
    pipeline: Any = items(10) >> stages >> Sink(same)
    assert "first" in pipeline.explain()
    with pytest.raises(StageFailed) as caught:
        await run(pipeline)
    assert (caught.value.stage, caught.value.item) == ("third", 4)
    assert script.calls == [0, 2, 4]


async def test_the_item_is_the_one_that_came_to_the_stage_not_the_one_that_was_read() -> None:
    stages = Transform(ten_times) >> FlatMap(itself_and_next) >> Transform(breaks_at_31)
    with pytest.raises(StageFailed) as caught:
        await run(items(10) >> stages >> CollectingSink())
    assert (caught.value.stage, caught.value.item) == ("breaks_at_31", 31)


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
    with pytest.raises(StageFailed) as caught:
        await run(items(10) >> double >> double >> CollectingSink())
    assert (caught.value.stage, caught.value.item) == ("double#2", 12)


async def test_a_failing_stage_cancels_its_siblings_and_nothing_runs_afterwards() -> None:
    waiting: Script[int] = Script({number: [Stall()] for number in range(100)})
    failing = Script({2: [Broken("two")]})
    observer = RecordingObserver()
    pipeline = items(100) >> Broadcast(
        Sink(waiting, concurrency=5, name="waits"), Sink(failing, name="fails")
    )
    with pytest.raises(StageFailed) as caught:
        await run(pipeline, observer=observer)
    assert caught.value.stage == "fails"
    assert (waiting.running, observer.running) == (0, [])
    assert sorted(waiting.cancelled) == sorted(waiting.calls)
    calls = len(waiting.calls)
    await turns(10)
    assert len(waiting.calls) == calls
    assert observer.error is caught.value


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
    with pytest.raises(StageFailed, match="sink") as caught:
        await run(Source(endless) >> sink, capacity=2)
    assert caught.value.__cause__ is sink.error
    assert closed == [True]


async def test_a_plain_endless_source_is_closed_when_its_sink_fails() -> None:
    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    closed: list[bool] = []
    with pytest.raises(StageFailed, match="disk full"):
        await run(Source(endless) >> FailingSink(after=3, error=OSError("disk full")))
    assert closed == [True]


async def test_the_first_of_several_failures_is_told_and_one_error_comes_out() -> None:
    failing = Script({number: [Broken(str(number))] for number in range(10)})
    with pytest.raises(StageFailed) as caught:
        await run(items(10) >> Transform(failing, concurrency=10) >> CollectingSink())
    assert caught.value.item == 0


async def test_a_cleanup_that_fails_too_does_not_replace_the_first_error() -> None:
    async def read() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise Broken("while cleaning up")

    with pytest.raises(StageFailed, match="disk full"):
        await run(Source(read, name="source") >> FailingSink(after=1, error=OSError("disk full")))


async def test_a_failing_unit_stops_the_units_beside_it() -> None:
    stalled = Stall()
    script: Script[int] = Script({0: [stalled]})

    async def work(item: int) -> int:
        if item == 1:
            await stalled.reached.wait()
            raise Broken("one")
        return int(await script(item))

    sink: CollectingSink[int] = CollectingSink()
    with pytest.raises(StageFailed) as caught:
        await run(items(8, units=4) >> Transform(work) >> sink, engine=LocalEngine(parallel=2))
    assert caught.value.item == 1
    assert script.cancelled == [0]
    assert {call.part.number for call in sink.record.calls if call.part} == {0, 1}
    assert sink.record.count("abort") == 2


async def test_one_branch_that_fails_ends_the_others_and_both_sources() -> None:
    branches: Any = Route(
        On(is_even, Sink(Script({8: [Broken("eight")]}), name="even")),
        On(object, Sink(Script[Any](), name="odd")),
    )
    with pytest.raises(StageFailed) as caught:
        await run(Merge(arriving(range(100)), items(100)) >> branches)
    assert caught.value.stage == "even"


async def test_an_error_may_be_pickled_with_its_facts() -> None:
    with pytest.raises(StageFailed) as caught:
        await run(items(5) >> Transform(breaks, name="work") >> CollectingSink(), run_id="r1")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.stage, copy.item, copy.run, str(copy)) == ("work", 3, "r1", str(caught.value))


def test_an_error_that_is_no_exception_ends_the_loop_and_the_run() -> None:
    def leave(item: int) -> int:
        raise KeyboardInterrupt

    sink: CollectingSink[int] = CollectingSink()
    with pytest.raises(KeyboardInterrupt):
        run_sync(items(5) >> Transform(leave) >> sink)
    assert sink.record.steps() == ["open", "abort"]
