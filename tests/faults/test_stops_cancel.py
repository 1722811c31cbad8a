"""Cancelling at every place where a run waits: nothing goes on, and what was written is taken back or committed whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from piko_flow import (
    Batch,
    Broadcast,
    Filter,
    FlatMap,
    Fold,
    Merge,
    On,
    Retry,
    Route,
    Sink,
    Throttle,
    Transform,
    run,
    start,
)
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.errors import StageFailed
from piko_flow.testing import (
    CollectingSink,
    RecordingObserver,
    RecordingTarget,
    Script,
    Stall,
    Turns,
    arriving,
    cancel_everywhere,
    items,
    turns,
)
from tests.runs import stopped


async def slow(item: int) -> int:
    await turns(item % 3)
    return item


async def spread(item: int) -> AsyncIterator[int]:
    yield item
    await turns(1)
    yield item


def twice(item: int) -> Iterator[int]:
    yield item
    yield item


def same(item: int) -> int:
    return item


def is_even(item: int) -> bool:
    return item % 2 == 0


def add(total: int, item: int) -> int:
    return total + item


async def flaky(item: int) -> int:
    if item % 3 == 0:
        raise OSError("busy")
    return item


def anything(item: Any) -> Any:
    return item


def route(sink: Any) -> Any:
    return Route(On(is_even, Transform(slow, concurrency=2)), On(object, Transform(anything))) >> sink


GRAPHS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda sink: items(7) >> Transform(same) >> Filter(is_even) >> sink,
    "concurrent": lambda sink: arriving(range(7)) >> Transform(slow, concurrency=3) >> sink,
    "unordered": lambda sink: items(7) >> Transform(slow, concurrency=3, ordered=False) >> sink,
    "keyed": lambda sink: items(7) >> Transform(slow, concurrency=3, key=is_even) >> sink,
    "retried": lambda sink: (
        items(7) >> Transform(flaky, retry=Retry(2, first=0), on_error="skip", concurrency=2) >> sink
    ),
    "timed": lambda sink: items(5) >> Transform(slow, timeout=60) >> Batch(2, within=60) >> sink,
    "several": lambda sink: items(5) >> FlatMap(spread, concurrency=2) >> FlatMap(twice) >> sink,
    "gathered": lambda sink: items(7) >> Batch(2) >> Throttle(100) >> sink,
    "folded": lambda sink: items(7) >> Fold(add, start=int, key=is_even) >> sink,
    "branches": lambda sink: Merge(arriving(range(4)), items(4)) >> route(sink),
    "two sinks": lambda sink: items(5) >> Broadcast(sink, Sink(slow, concurrency=2)),
    "units": lambda sink: items(7, units=3) >> Transform(slow, concurrency=2) >> sink,
    "threads": lambda sink: items(3) >> Transform(same, on="thread", concurrency=2) >> sink,
}


def hesitant() -> RecordingTarget[Any]:
    """A target that takes its time over every step."""
    return RecordingTarget(
        faults={
            "open": [Turns(1)] * 9,
            "write": [Turns(2)] * 3,
            "prepare": [Turns(2)] * 9,
            "commit": [Turns(3)] * 9,
            "abort": [Turns(3)] * 9,
            "sweep": [Turns(2)] * 9,
        }
    )


@pytest.mark.parametrize("insist", [False, True], ids=["once", "again and again"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
async def test_a_cancelled_run_leaves_nothing_and_commits_all_or_nothing(
    graph: Callable[[Any], Any], insist: bool
) -> None:
    whole: RecordingTarget[Any] = RecordingTarget()
    await run(graph(Sink(whole, batch=2, name="sink")))
    targets: list[RecordingTarget[Any]] = []
    observers: list[RecordingObserver] = []

    async def once() -> RunReport:
        targets.append(hesitant())
        observers.append(RecordingObserver())
        return await run(graph(Sink(targets[-1], batch=2, name="sink")), observer=observers[-1], capacity=2)

    def check(task: asyncio.Task[RunReport]) -> None:
        assert asyncio.all_tasks() == {asyncio.current_task()}
        record = targets[-1].record if targets else None
        if task.cancelled():  # a cancellation that came when it was decided is raised after the commit
            assert record is None or record.unpublished == {}
            assert record is None or len(record.published) in (0, len(whole.record.published))
        else:
            assert record is not None
            assert len(record.published) == len(whole.record.published)
            assert task.result().outcome == "succeeded"
        if observers:
            assert observers[-1].running == []
        targets.clear()
        observers.clear()

    assert await cancel_everywhere(once, check, insist=insist) > 5


async def test_cancelling_before_anything_has_begun_gives_a_report() -> None:
    sink: CollectingSink[int] = CollectingSink()
    async with start(items(5) >> sink) as active:
        active.cancel()
        report = await active.wait()
    assert report.outcome == "cancelled"
    assert sink.items == []


async def test_a_decided_run_is_no_longer_cancelled() -> None:
    committing = Stall()
    target: RecordingTarget[int] = RecordingTarget(faults={"commit": [committing]})
    async with start(items(5) >> Sink(target, batch=2)) as active:
        await committing.reached.wait()
        active.cancel()
        active.drain()
        await turns(5)
        assert target.record.count("abort") == 0
        committing.release()
        report = await active.wait()
    assert report.outcome == "succeeded"
    assert target.record.published == [0, 1, 2, 3, 4]


async def test_every_part_that_was_opened_is_aborted_even_if_one_fails_to() -> None:
    first: RecordingTarget[int] = RecordingTarget(faults={"abort": [OSError("stuck")]})
    second: RecordingTarget[int] = RecordingTarget()
    stalled = Stall()
    branches = Broadcast(
        Sink(first, name="first"), Transform(Script({0: [stalled]})) >> Sink(second, name="second")
    )
    report = await stopped(items(5) >> branches, "cancel", stalled.reached.wait())
    assert report.outcome == "cancelled"
    assert (first.record.count("abort"), second.record.count("abort")) == (1, 1)


async def test_leaving_the_block_by_an_error_cancels_the_run_first() -> None:
    script: Script[int] = Script({0: [Stall()]})

    async def leave() -> None:
        async with start(items(5) >> Sink(script)):
            await script.reached(0)
            raise KeyError

    with pytest.raises(KeyError):
        await leave()
    assert script.cancelled == [0]


async def test_a_failure_is_raised_at_the_end_of_the_block_unless_wait_raised_it() -> None:
    pipeline = items(5) >> Sink(Script({2: [OSError("no"), OSError("no")]}))
    with pytest.raises(StageFailed):
        async with start(pipeline):
            pass
    async with start(pipeline) as active:
        with pytest.raises(StageFailed):
            await active.wait()


def busy_at_first() -> Callable[[int], Awaitable[int]]:
    """A function whose first call for each item fails."""
    seen = set[int]()

    async def function(item: int) -> int:
        if item not in seen:
            seen.add(item)
            raise OSError("busy")
        return item

    return function


@pytest.mark.parametrize(
    "options", [{}, {"concurrency": 3}, {"concurrency": 3, "ordered": False}, {"key": str}]
)
async def test_a_run_cancelled_at_any_turn_of_its_attempts_is_cancelled(options: Any) -> None:
    outcomes = list[str]()
    for late in range(40):
        stage = Transform(busy_at_first(), retry=Retry(2, first=0), **options)
        async with start(items(4) >> stage >> CollectingSink[int]()) as active:
            await turns(late)
            active.cancel()
            outcomes.append((await active.wait()).outcome)
    assert set(outcomes) <= {"cancelled", "succeeded"}
    assert outcomes[0] == "cancelled"
