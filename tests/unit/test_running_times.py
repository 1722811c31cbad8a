"""Where the time of a run went: busy, waiting and blocked by a clock that goes on only where a test says so."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest

from piko_flow import Sink, Source, Transform, run, start
from piko_flow.clock import monotonic
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.testing import CollectingSink, Script, Stall, arriving, turns

ITEMS = 20


class HandClock:
    """A monotonic clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """The clock of everything that runs."""
    hand = HandClock()
    for name, module in list(sys.modules.items()):
        if name.startswith("piko_flow.dataflow.") and getattr(module, "monotonic", None) is monotonic:
            monkeypatch.setattr(module, "monotonic", hand)
    return hand


async def run_three(clock: HandClock, slow: str) -> RunReport:
    """Run a source, a stage and a sink, each an operator of its own, of which one takes a second for each item."""

    async def spend(name: str) -> None:
        if name == slow:
            await turns(20)  # by then the others have nothing left to do
            clock.seconds += 1

    async def read() -> AsyncIterator[int]:
        for number in range(ITEMS):
            await spend("read")
            yield number

    async def work(item: int) -> int:
        await spend("work")
        return item

    async def write(item: int) -> None:
        await spend("write")

    stages = Source(read, name="read") >> Transform(work, name="work")
    return await run(stages >> Sink(write, name="write"), capacity=1)


@pytest.mark.parametrize("slow", ["read", "work", "write"])
async def test_the_slow_stage_is_busy_those_before_it_blocked_those_after_it_waiting(
    clock: HandClock, slow: str
) -> None:
    report = await run_three(clock, slow)
    names = ["read", "work", "write"]
    place = names.index(slow)
    most = ITEMS - 6  # what channels, stages and the first and last items take from the seconds
    for stage in map(report.stage, names[:place]):
        assert stage.blocked >= most, stage
        assert stage.busy + stage.waiting <= ITEMS - most, stage
    for stage in map(report.stage, names[place + 1 :]):
        assert stage.waiting >= most, stage
        assert stage.busy + stage.blocked <= ITEMS - most, stage
    busiest = report.stage(slow)
    assert busiest.busy >= most
    assert busiest.waiting + busiest.blocked <= ITEMS - most
    assert report.bottleneck == slow
    assert report.seconds == ITEMS
    for stage in report.stages:
        assert stage.busy + stage.waiting + stage.blocked <= ITEMS


async def test_the_progress_counts_the_work_that_goes_on(clock: HandClock) -> None:
    stalled = Stall()
    slow: Transform[int, int] = Transform(Script({1: [stalled]}), concurrency=1, name="slow")
    async with start(arriving(range(3)) >> slow >> CollectingSink(name="sink")) as active:
        await stalled.reached.wait()
        await turns(5)
        before = {stage.name: stage for stage in active.progress().stages}
        clock.seconds += 7
        after = {stage.name: stage for stage in active.progress().stages}
        assert after["slow"].busy - before["slow"].busy == 7
        assert active.progress().bottleneck == "slow"
        stalled.release()
        report = await active.wait()
    assert report.stage("slow").busy == 7
    assert report.stage("sink").waiting == 7
