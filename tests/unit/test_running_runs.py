"""Runs as a whole: from scripts and notebooks, side by side, watched, described, and what they leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from piko_flow import Batch, Filter, Fold, Merge, Retry, Sink, Source, Transform, run, run_sync
from piko_flow.dataflow.drawing.labels import label_of
from piko_flow.dataflow.running.engine import LocalEngine
from piko_flow.errors import PipelineError, StageFailed
from piko_flow.testing import CollectingSink, RecordingObserver, Script, arriving, items
from tests.runs import error_of, failure


async def test_run_sync_works_inside_a_running_loop() -> None:
    sink: CollectingSink[int] = CollectingSink()
    report = (arriving(range(5)) >> Transform(Script[int](), concurrency=2) >> sink).run_sync()
    assert (sink.items, report.outcome) == ([0, 1, 2, 3, 4], "succeeded")


async def test_an_error_comes_through_run_sync_inside_a_running_loop() -> None:
    with pytest.raises(StageFailed, match="no") as caught:
        run_sync(items(5) >> Sink(Script({2: [OSError("no")]})))
    assert caught.value.item == 2


async def test_runs_of_one_pipeline_side_by_side_do_not_meet() -> None:
    held: dict[str, list[int]] = {}

    def pipeline(name: str) -> Any:
        held[name] = []
        return (
            arriving(range(30))
            >> Transform(Script[int](), concurrency=3)
            >> Fold(add, start=int)
            >> Sink(held[name].append)
        )

    reports = await asyncio.gather(*(run(pipeline(str(number))) for number in range(10)))
    assert all(values == [sum(range(30))] for values in held.values())
    assert len({report.run for report in reports}) == 10


def add(total: int, item: int) -> int:
    return total + item


async def test_one_pipeline_runs_any_number_of_times() -> None:
    gathered: list[list[int]] = []
    pipeline = items(10) >> Filter(is_even) >> Batch(3) >> Sink(gathered.append)
    await run(pipeline)
    await asyncio.gather(run(pipeline), run(pipeline))
    assert sorted(gathered) == sorted([[0, 2, 4], [6, 8]] * 3)


def is_even(item: int) -> bool:
    return item % 2 == 0


async def test_a_blocking_source_on_a_thread_is_read_and_closed_there() -> None:
    threads: set[int] = set()

    def read() -> Iterator[int]:
        try:
            for number in range(300):
                threads.add(threading.get_ident())
                yield number
        finally:
            threads.add(threading.get_ident())

    sink: CollectingSink[int] = CollectingSink()
    await run(Source(read, on="thread") >> sink)
    assert sink.items == list(range(300))
    assert threading.get_ident() not in threads


async def test_an_observer_hears_how_a_run_failed() -> None:
    observer = RecordingObserver()
    caught = await failure(items(3) >> Sink(Script({1: [OSError("no")]})), observer=observer)
    assert observer.error is caught
    assert (observer.report, observer.running) == (None, [])


async def test_an_empty_source_is_a_run_too() -> None:
    sink: CollectingSink[Any] = CollectingSink()
    report = await run(items(0) >> Transform(Script[int]()) >> Batch(5) >> sink)
    assert (sink.items, report.outcome, report.items) == ([], "succeeded", 0)
    assert sink.record.count("commit") == 1
    folded: CollectingSink[int] = CollectingSink()
    await run(items(0) >> Fold(add, start=int) >> folded)
    assert folded.items == [0]


async def test_splits_that_give_nothing_are_refused_in_the_source_s_name() -> None:
    source: Source[int] = Source(read_split, splits=list, name="files")
    await error_of(source >> CollectingSink(), PipelineError, match="splits gave nothing")


def read_split(split: int) -> Iterator[int]:
    yield from range(split)


@pytest.mark.parametrize("parallel", [1, 4])
async def test_each_split_is_a_unit_with_a_part_of_its_own(parallel: int) -> None:
    sink: CollectingSink[int] = CollectingSink(batch=10)
    pipeline = Source(read_split, splits=[3, 2, 1]) >> sink
    report = await run(pipeline, engine=LocalEngine(parallel))
    assert (report.units, report.items) == (3, 6)
    assert sink.items == [0, 1, 2, 0, 1, 0]
    opened = [call.part for call in sink.record.calls if call.step == "open"]
    assert [(part.number, part.units) for part in opened if part] == [(0, 3), (1, 3), (2, 3)]
    assert len({part.token for part in opened if part}) == 3


async def test_batches_do_not_cross_units() -> None:
    sink: CollectingSink[list[int]] = CollectingSink()
    await run(Source(read_split, splits=[3, 4]) >> Batch(5) >> sink)
    assert sink.items == [[0, 1, 2], [0, 1, 2, 3]]


@pytest.mark.parametrize("splits", [[2, 3], lambda: [2, 3]])
async def test_a_fold_or_a_merge_makes_one_unit_that_reads_all_splits(splits: Any) -> None:
    source = Source(read_split, splits=splits)
    folded: CollectingSink[int] = CollectingSink()
    report = await run(source >> Fold(add, start=int) >> folded)
    assert (report.units, folded.items) == (1, [4])
    merged: CollectingSink[int] = CollectingSink()
    report = await run(Merge(source, items(2)) >> merged)
    assert report.units == 1
    assert sorted(merged.items) == [0, 0, 0, 1, 1, 1, 2]


async def test_an_async_function_of_a_split_reads_it() -> None:
    async def read(split: int) -> AsyncIterator[int]:
        for number in range(split):
            yield number

    sink: CollectingSink[int] = CollectingSink()
    await run(Source(read, splits=[2, 3]) >> sink)
    assert sink.items == [0, 1, 0, 1, 2]
    folded: CollectingSink[int] = CollectingSink()
    await run(Source(read, splits=[2, 3]) >> Fold(add, start=int) >> folded)
    assert folded.items == [4]


async def test_the_plan_says_what_is_fused_and_where_the_channels_are() -> None:
    pipeline: Any = (
        items(10)
        >> Filter(is_even)
        >> Transform(Script[int](), concurrency=2, name="fetch")
        >> CollectingSink()
    )
    plan = pipeline.plan(capacity=7)
    assert [len(operator.boxes) for operator in plan.operators] == [2, 1, 1]
    assert [channel.capacity.items for channel in plan.channels] == [7, 7]
    for word in ("items", "is_even", "fetch", "collecting_sink"):
        assert word in pipeline.explain()


def test_a_plan_and_a_drawing_say_the_same_of_a_stage() -> None:
    fetch = Transform(
        Script[int](), concurrency=2, ordered=False, retry=Retry(3), timeout=5, on_error="skip", name="fetch"
    )
    pipeline: Any = items(10) >> fetch >> CollectingSink()
    explained = pipeline.explain().partition("Transform fetch (")[2].partition(")")[0]
    (drawn,) = (label_of(box) for box in pipeline.plan().graph.boxes if box.name == "fetch")
    assert explained == ", ".join(drawn.options)
    assert drawn.options == ("concurrency 2", "unordered", "3 attempts", "timeout 5 s", "skips errors")
