"""What many small runs leave is written together, and all of it by the time when the replica has drained."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from piko_flow import Flow, Registry, Sink, Source, Transform
from piko_flow.clock import SystemClock
from piko_flow.control.runs.execution import RunOrder
from piko_flow.control.runs.executions import Executions
from piko_flow.control.runs.run_details import GATHERED, RunDetails
from piko_flow.telemetry.line_capture import line_capture
from tests.unit.executing import Place

RUNS = 60
small = logging.getLogger("small")


def speak(item: int) -> int:
    small.warning("item %d", item)
    return item


async def put(item: int) -> None:
    """Nothing."""


class Asked:
    """How often a store is asked to keep something."""

    def __init__(self, place: Place) -> None:
        self.times, self._store = 0, place.store

    async def __call__(self, write: Callable[[Any], Awaitable[None]]) -> None:
        self.times += 1
        await write(self._store)


async def test_reports_and_lines_of_many_runs_share_transactions() -> None:
    place, clock, left = Place(), SystemClock(), RUNS
    asked, ended = Asked(place), asyncio.Event()
    pipeline = Source([1]) >> Transform(speak) >> Sink(put)
    flow = Flow.register("work", pipeline, registry=Registry())
    records = [await place.claimed(flow) for _ in range(RUNS)]

    def done(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            ended.set()

    began = clock.monotonic()
    with line_capture.at_work("INFO"):
        async with RunDetails(ask=asked, clock=place.clock, replica="a") as details:
            place.with_tools(details=details)
            async with Executions(place.tools, done) as executions:
                executions.start([RunOrder(record, flow, None) for record in records])
                await ended.wait()
    seconds = clock.monotonic() - began
    for record in records:
        assert list(await place.store.reports(record.id)) == [1]
        assert [line.message for line in await place.store.log(record.id)] == ["item 1"]
    assert asked.times <= seconds / GATHERED + 2
