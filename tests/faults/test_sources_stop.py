"""A source stops wherever it is: reading, between two attempts, on a full channel, on a thread."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from piko_flow import ActiveRun, Reject, Retry, RunReport, Sink, Source, StageFailed, run, start

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


class Lists:
    """A reader of lists that waits for ever after its first."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()

    async def read_chunks(self, split: Any, *, reject: Reject) -> AsyncIterator[list[int]]:
        yield [1, 2, 3]
        self.waits.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("kind", [Stream, Generators])
async def test_max_items_end_a_slice_whatever_read_is(kind: type[Stream]) -> None:
    found: list[int] = []
    stream = kind()
    async with asyncio.timeout(BOUND):
        report = await run(Source(stream, max_items=5) >> Sink(found.append))
    assert (found, report.more, report.position) == ([1, 2, 3, 4, 5], True, 5)


@pytest.mark.parametrize("kind", [Stream, Generators])
async def test_max_age_ends_a_slice_that_waits(kind: type[Stream]) -> None:
    found: list[int] = []
    async with asyncio.timeout(BOUND):
        report = await run(Source(kind(3), max_age=0.05) >> Sink(found.append))
    assert (found, report.outcome, report.more, report.position) == ([1, 2, 3], "succeeded", True, 3)


@pytest.mark.parametrize("kind", [Stream, Generators])
async def test_max_age_ends_a_slice_that_never_waits(kind: type[Stream]) -> None:
    async with asyncio.timeout(BOUND):
        report = await run(Source(kind(), max_age=0.05) >> Sink(lambda item: None))
    assert (report.outcome, report.more) == ("succeeded", True)
    assert report.position == report.items


def fails_at_once() -> Iterator[int]:
    raise OSError("not there yet")
    yield 1


async def fails_at_once_later() -> AsyncIterator[int]:
    raise OSError("not there yet")
    yield 1


def gives_failing() -> AsyncIterator[int]:
    return fails_at_once_later()


class FailingLists:
    def read_chunks(self, split: Any, *, reject: Reject) -> Iterator[list[int]]:
        raise OSError("not there yet")
        yield [1]


PATIENT = Retry(5, first=3600, limit=3600)
BETWEEN_ATTEMPTS: list[Any] = [
    Source(fails_at_once, retry=PATIENT),
    Source(fails_at_once, retry=PATIENT, on="thread"),
    Source(fails_at_once_later, retry=PATIENT),
    Source(gives_failing, retry=PATIENT),
    Source(FailingLists(), retry=PATIENT),
    Source(FailingLists(), retry=PATIENT, on="thread"),
]


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


@pytest.mark.parametrize("stop", [ActiveRun.drain, ActiveRun.cancel])
@pytest.mark.parametrize("source", BETWEEN_ATTEMPTS, ids=lambda source: f"{source.name} {source.on}")
async def test_a_wait_between_attempts_is_stopped_at_once(
    source: Any, stop: Callable[[ActiveRun], None]
) -> None:
    async with start(source >> Sink(lambda item: None)) as active:
        await until(lambda: active.progress().stages[0].retried)
        stop(active)
        report, seconds = await ended(active)
    assert report.outcome == ("drained" if stop is ActiveRun.drain else "cancelled")
    assert seconds < SOON


WAITING: list[Callable[[], Any]] = [lambda: Stream(3), lambda: Generators(3), Lists]


@pytest.mark.parametrize("make", WAITING, ids=["a stream", "a generator", "lists"])
async def test_a_drain_ends_the_wait_for_the_next_item_and_hands_on_what_was_read(
    make: Callable[[], Any],
) -> None:
    items, found = make(), list[int]()
    async with start(Source(items) >> Sink(found.append)) as active:
        await asyncio.wait_for(items.waits.wait(), BOUND)
        active.drain()
        report, seconds = await ended(active)
    assert (found, report.outcome) == ([1, 2, 3], "drained")
    assert seconds < SOON


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


async def hangs_when_closed() -> AsyncIterator[int]:
    try:
        yield 1
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()


@pytest.mark.parametrize("stop", [ActiveRun.drain, ActiveRun.cancel])
async def test_a_source_that_hangs_when_it_is_closed_is_cut_off_after_its_time(
    stop: Callable[[ActiveRun], None],
) -> None:
    found: list[int] = []
    async with start(Source(hangs_when_closed) >> Sink(found.append), teardown=0.05) as active:
        await until(lambda: found)
        stop(active)
        report, _ = await ended(active)
    assert report.outcome == ("drained" if stop is ActiveRun.drain else "cancelled")


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


async def test_a_source_on_a_full_channel_stops_when_what_it_has_read_is_handed_on() -> None:
    gate, found = asyncio.Event(), list[int]()

    async def slow(item: int) -> None:
        await gate.wait()
        found.append(item)

    stream = Stream()
    async with start(Source(stream) >> Sink(slow), capacity=2) as active:
        await until(lambda: stream.given >= 3)
        given = stream.given
        active.drain()
        gate.set()
        report, _ = await ended(active)
    assert report.outcome == "drained"
    assert len(found) == report.items <= given + 1
