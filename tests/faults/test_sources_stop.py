"""A source stops wherever it is: reading, between two attempts, on a full channel, on a thread."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from piko_flow import ActiveRun, RunReport, Sink, Source, StageFailed, run, start

BOUND = 20.0  # seconds; nothing here takes longer than a fraction of one
SOON = 2.0  # seconds that a busy machine may need for what takes a tenth of one


class Stream:
    """An unbounded source whose `read` is a plain function that gives an asynchronous iterable."""

    def __init__(self, items: int | None = None) -> None:
        self.items, self.given = items, 0
        self.waits = asyncio.Event()

    def read(self, since: Any) -> AsyncIterator[int]:
        return self._items(since or 0)

    async def _items(self, start: int) -> AsyncIterator[int]:
        self.given = start
        while self.items is None or self.given < self.items:
            self.given += 1
            yield self.given
        self.waits.set()
        await asyncio.Event().wait()

    def position(self) -> int:
        return self.given


class Generators(Stream):
    """The same by an asynchronous generator method."""

    async def read(self, since: Any) -> AsyncIterator[int]:
        async for item in self._items(since or 0):
            yield item


@pytest.mark.parametrize("kind", [Stream, Generators])
async def test_max_age_ends_a_slice_that_never_waits(kind: type[Stream]) -> None:
    async with asyncio.timeout(BOUND):
        report = await run(Source(kind(), max_age=0.05) >> Sink(lambda item: None))
    assert (report.outcome, report.more) == ("succeeded", True)
    assert report.position == report.items


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110  # conditions of other threads set no event of this loop
            await asyncio.sleep(0)


async def ended(active: ActiveRun) -> tuple[RunReport, float]:
    """The report, and how long it took from now on."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(BOUND):
        return await active.wait(), loop.time() - began


class Blocking:
    """A generator function that blocks a thread inside `next`, and knows how it was closed."""

    def __init__(self) -> None:
        self.inside, self.release, self.closed = threading.Event(), threading.Event(), threading.Event()

    def items(self) -> Iterator[int]:
        try:
            yield 1
            self.inside.set()
            self.release.wait(BOUND)
            yield 2
            yield 3
        finally:
            self.closed.set()


async def test_cancelling_a_source_inside_next_on_a_thread_is_a_cancelled_run() -> None:
    blocking = Blocking()
    async with start(Source(blocking.items, on="thread") >> Sink(lambda item: None)) as active:
        await until(blocking.inside.is_set)
        active.cancel()
        report, seconds = await ended(active)
    assert report.outcome == "cancelled"
    assert seconds < SOON
    assert report.leftovers  # the thread goes on
    blocking.release.set()
    assert blocking.closed.wait(BOUND)  # by the thread that was inside


async def test_a_drain_waits_for_the_next_item_of_a_thread_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piko_flow.dataflow.running.operators.reader.SAID_AFTER", 0.01)
    blocking, found = Blocking(), list[int]()
    with caplog.at_level(logging.WARNING, "piko_flow.sources"):
        async with start(Source(blocking.items, on="thread") >> Sink(found.append)) as active:
            await until(blocking.inside.is_set)
            active.drain()
            await until(lambda: caplog.records)
            blocking.release.set()
            report, _ = await ended(active)
    assert (found[:2], report.outcome) == ([1, 2], "drained")
    assert "cannot be interrupted" in caplog.text
    assert blocking.closed.is_set()


async def test_a_drain_leaves_a_thread_that_gives_nothing_within_the_teardown() -> None:
    blocking, found = Blocking(), list[int]()
    async with start(Source(blocking.items, on="thread") >> Sink(found.append), teardown=0.05) as active:
        await until(blocking.inside.is_set)
        active.drain()
        report, _ = await ended(active)
    assert (found, report.outcome, len(report.leftovers)) == ([1], "drained", 1)
    blocking.release.set()
    assert blocking.closed.wait(BOUND)


async def stubborn(release: asyncio.Event) -> AsyncIterator[int]:
    yield 1
    while not release.is_set():
        try:
            await release.wait()
        except asyncio.CancelledError:
            continue


async def test_a_source_that_swallows_every_stop_fails_the_run_after_its_time() -> None:
    release, found = asyncio.Event(), list[int]()

    async def drained() -> None:
        pipeline = Source(lambda: stubborn(release)) >> Sink(found.append)
        async with start(pipeline, teardown=0.05) as active:
            await until(lambda: found)
            active.drain()
            await ended(active)

    with pytest.raises(StageFailed, match="did not end within") as caught:
        await drained()
    assert caught.value.leftovers
    release.set()
    await asyncio.sleep(0)
