"""Draining: the intake closes, what is inside flows out, nothing is committed; and slices of sources without an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from piko_flow import CpuMap, FlatMap, Source, Transform, run, start
from piko_flow.dataflow.commit.commit import MemoryJournal
from piko_flow.dataflow.running.engine import LocalEngine
from piko_flow.errors import StageFailed
from piko_flow.testing import CollectingSink, RecordingObserver, Script, Stall, items, until
from tests.faults.stop_sources import KINDS, Feed, Kind
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


async def test_workers_hand_on_what_they_hold() -> None:
    sink, source = CollectingSink[int](), Endless()
    pipeline = Source(source) >> CpuMap(abs, workers=1) >> sink
    report = await stopped(pipeline, "drain", until(lambda: source.read > 10))
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


@pytest.mark.parametrize(("stop", "outcome"), [("drain", "drained"), ("cancel", "cancelled")])
async def test_a_run_that_is_stopped_before_it_began_ends_at_once(stop: Any, outcome: str) -> None:
    sink: CollectingSink[int] = CollectingSink()
    assert (await stopped(Source(waits_for_ever) >> sink, stop)).outcome == outcome
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


SLICES = [kind for kind in KINDS if kind.slices]


@pytest.mark.parametrize("kind", SLICES, ids=str)
async def test_slices_go_on_where_the_last_one_ended_and_the_decision_knows_where(kind: Kind) -> None:
    feed, decided, since = Feed(ends_after=10), list[Any](), None
    taken: list[list[int]] = []

    class Watching(MemoryJournal):
        async def decide(self, run: str, results: Any) -> None:
            decided.extend((result.position, result.more) for result in results)
            await super().decide(run, results)

    for _ in range(3):
        sink: CollectingSink[int] = CollectingSink()
        report = await run(kind.source(feed, max_items=4) >> sink, since=since, journal=Watching())
        taken.append(sink.items)
        feed.given = since = report.position
    assert taken == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert decided == [(4, True), (8, True), (10, False)]


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
