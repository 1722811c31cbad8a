"""What the matrix of stops does not show of a source: a thread closes what it reads, and says what it cannot interrupt."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import pytest

from piko_flow import Sink, Source, StageFailed, run, start
from piko_flow.testing import until
from tests.faults.stop_sources import AwaitedSlices, Feed, GivenSlices
from tests.runs import stopped

BOUND = 20.0  # seconds; nothing here takes longer than a fraction of one


@pytest.mark.parametrize("kind", [AwaitedSlices, GivenSlices])
async def test_max_age_ends_a_slice_that_never_waits(kind: Any) -> None:
    async with asyncio.timeout(BOUND):
        report = await run(Source(kind(Feed()), max_age=0.05) >> Sink(lambda item: None))
    assert (report.outcome, report.more) == ("succeeded", True)
    assert report.position == report.items


class Blocking:
    """A generator function that blocks a thread inside `next`, and knows that it was closed."""

    def __init__(self) -> None:
        self.inside, self.release, self.closed = threading.Event(), threading.Event(), threading.Event()

    def items(self) -> Iterator[int]:
        try:
            yield 1
            self.inside.set()
            self.release.wait(BOUND)
            yield from (2, 3)
        finally:
            self.closed.set()


@pytest.mark.parametrize("stop", ["drain", "cancel"])
async def test_a_thread_that_is_left_inside_next_closes_the_source_when_it_returns(
    stop: Literal["drain", "cancel"],
) -> None:
    blocking, found = Blocking(), list[int]()
    pipeline = Source(blocking.items, on="thread") >> Sink(found.append)
    report = await stopped(pipeline, stop, until(blocking.inside.is_set), teardown=0.05)
    assert (found, len(report.leftovers)) == ([1], 1)
    blocking.release.set()
    assert blocking.closed.wait(BOUND)


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
            report = await active.wait()
    assert (found[:2], report.outcome) == ([1, 2], "drained")
    assert "cannot be interrupted" in caplog.text
    assert blocking.closed.is_set()


async def stubborn(release: asyncio.Event) -> AsyncIterator[int]:
    yield 1
    while not release.is_set():
        try:
            await release.wait()
        except asyncio.CancelledError:
            continue


async def test_a_source_that_swallows_every_stop_fails_the_run_after_its_time() -> None:
    release, found = asyncio.Event(), list[int]()
    pipeline = Source(lambda: stubborn(release)) >> Sink(found.append)
    with pytest.raises(StageFailed, match="did not end within") as caught:
        await stopped(pipeline, "drain", until(lambda: found), teardown=0.05)
    assert caught.value.leftovers
    release.set()
    await asyncio.sleep(0)
