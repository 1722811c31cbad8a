"""Cancelling at every place where a run waits: nothing goes on, and what was written is taken back or committed whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from piko_flow import Broadcast, Retry, Sink, Source, Transform, run, start
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
from tests.property.drawing_programs import Choices, choose
from tests.runs import stopped


def graph(seed: int) -> Callable[[Any], Any]:
    """A random graph over a few numbers beside a sink that is given; threads have no turns at which to cancel."""
    modes: tuple[Any, ...] = ("plain", "waiting", "unordered", "keyed", "retried")
    whole = choose(Choices.seeded(Random(seed)), modes=modes, failing=False, most=3)

    def read(place: int, count: int) -> Source[int]:
        return arriving(range(count)) if place else items(count)

    return lambda sink: whole.read(read) >> Broadcast(whole.program.build_into({}, None, False), sink)


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
@pytest.mark.parametrize("seed", range(12))
async def test_a_cancelled_run_leaves_nothing_and_commits_all_or_nothing(seed: int, insist: bool) -> None:
    pipeline = graph(seed)
    whole: RecordingTarget[Any] = RecordingTarget()
    await run(pipeline(Sink(whole, batch=2, name="sink")))
    targets: list[RecordingTarget[Any]] = []
    observers: list[RecordingObserver] = []

    async def once() -> RunReport:
        targets.append(hesitant())
        observers.append(RecordingObserver())
        return await run(
            pipeline(Sink(targets[-1], batch=2, name="sink")), observer=observers[-1], capacity=2
        )

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
