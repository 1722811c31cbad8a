"""Draining: the intake closes, what is inside flows out, nothing is committed; and slices of sources without an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from piko_flow import Batch, CpuMap, FlatMap, Fold, Source, Throttle, Transform, run, start
from piko_flow.dataflow.commit.commit import MemoryJournal
from piko_flow.dataflow.running.engine import LocalEngine
from piko_flow.errors import StageFailed
from piko_flow.testing import CollectingSink, RecordingObserver, Script, Stall, items, until
from tests.property.balance import assert_balanced
from tests.runs import stopped


class Endless:
    """A plain source that never ends and knows how far it was read, and that it was closed."""

    def __init__(self) -> None:
        self.read, self.closed = 0, False

    def __iter__(self) -> Iterator[int]:
        try:
            while True:
                self.read += 1
                yield self.read
        finally:
            self.closed = True


async def waits_for_ever() -> AsyncIterator[int]:
    yield 1
    yield 2
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "stage",
    [
        FlatMap(lambda item: [item, item]),
        Fold(lambda total, item: total + item, start=int),
        Batch(1000, within=3600),
        Throttle(1_000_000),
        CpuMap(abs, workers=1),
    ],
    ids=lambda stage: stage.kind,
)
async def test_every_stage_hands_on_what_it_holds(stage: Any) -> None:
    sink: CollectingSink[Any] = CollectingSink()
    source = Endless()
    report = await stopped(Source(source) >> stage >> sink, "drain", until(lambda: source.read > 10))
    assert report.outcome == "drained"
    assert sink.written != []
    assert_balanced(report)


@pytest.mark.parametrize("parallel", [1, 3])
async def test_no_further_unit_begins(parallel: int) -> None:
    stalled = Stall()
    sink: CollectingSink[int] = CollectingSink()
    observer = RecordingObserver()
    pipeline = items(40, units=10) >> Transform(Script({0: [stalled]})) >> sink
    async with start(pipeline, engine=LocalEngine(parallel), observer=observer) as active:
        await stalled.reached.wait()
        active.drain()
        stalled.release()
        report = await active.wait()
    assert report.outcome == "drained"
    assert report.units == 10
    assert sink.record.count("open") < 10
    assert (sink.items, sink.record.unpublished) == ([], {})


async def test_a_drain_before_anything_was_read_ends_at_once() -> None:
    sink: CollectingSink[int] = CollectingSink()
    async with start(Source(waits_for_ever) >> sink) as active:
        active.drain()
        report = await active.wait()
    assert report.outcome == "drained"
    assert sink.items == []


async def test_a_stage_that_fails_while_draining_fails_the_run() -> None:
    stalled = Stall(error=OSError("too late"))
    async with start(
        Source(waits_for_ever) >> Transform(Script({1: [stalled]})) >> CollectingSink()
    ) as active:
        await stalled.reached.wait()
        active.drain()
        stalled.release()
        with pytest.raises(StageFailed, match="too late"):
            await active.wait()


class Spool:
    """An unbounded source of numbers, in slices; `waits` makes it wait for ever at the end of what there is."""

    def __init__(self, there: int, *, waits: bool = False) -> None:
        self.there, self.waits, self.at = there, waits, 0

    async def read(self, since: int | None) -> AsyncIterator[int]:
        self.at = since or 0
        while self.at < self.there:
            self.at += 1
            yield self.at
        if self.waits:
            await asyncio.Event().wait()

    def position(self) -> int:
        return self.at


class PlainSpool(Spool):
    """The same, read without waiting."""

    def read(self, since: int | None) -> Iterator[int]:  # type: ignore[override]
        self.at = since or 0
        while self.at < self.there:
            self.at += 1
            yield self.at


@pytest.mark.parametrize("kind", [Spool, PlainSpool])
async def test_slices_go_on_where_the_last_one_ended(kind: type[Spool]) -> None:
    since: int | None = None
    taken: list[list[int]] = []
    while True:
        sink: CollectingSink[int] = CollectingSink()
        report = await run(Source(kind(10), max_items=4) >> sink, since=since)
        taken.append(sink.items)
        since = report.position
        if not report.more:
            break
    assert [item for slice_ in taken for item in slice_] == list(range(1, 11))
    assert [len(slice_) for slice_ in taken][:2] == [4, 4]
    assert since == 10


async def test_the_position_is_known_to_the_decision() -> None:
    journal = MemoryJournal()
    decided: list[Any] = []

    class Watching(MemoryJournal):
        async def decide(self, run: str, results: Any) -> None:
            decided.extend(results)
            await super().decide(run, results)

    journal = Watching()
    await run(Source(Spool(5), max_items=2) >> CollectingSink(), journal=journal)
    assert [(result.position, result.more) for result in decided] == [(2, True)]


@pytest.mark.parametrize("count", [0, 1, 3, 100])
async def test_take_stops_reading_an_endless_source(count: int) -> None:
    source = Endless()
    taken = Source(source).take(count)
    assert taken == list(range(1, count + 1))
    assert source.read <= count + 2
    assert source.closed or count == 0


def test_take_works_without_a_loop_and_through_stages() -> None:
    source = Endless()
    chain = Source(source) >> FlatMap(lambda item: [item, -item]) >> Transform(lambda item: item * 2)
    assert chain.take(5) == [2, -2, 4, -4, 6]
    assert source.closed


def test_take_does_not_fall_over_what_comes_later() -> None:
    def read() -> Iterator[int]:
        yield from range(3)
        raise OSError("not needed")

    assert Source(read).take(3) == [0, 1, 2]
    with pytest.raises(StageFailed, match="not needed"):
        Source(read).take(4)


def test_take_of_a_source_that_waits_gives_what_it_needs() -> None:
    assert Source(waits_for_ever).take(2) == [1, 2]


async def test_collect_gives_everything_in_order() -> None:
    assert await (items(100, units=4) >> Transform(Script[int](), concurrency=5)).collect() == [
        number for unit in range(4) for number in range(unit, 100, 4)
    ]
