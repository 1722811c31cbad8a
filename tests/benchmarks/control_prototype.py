"""The prototype: the least that recording runs can cost, with nothing of a library around it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from itertools import count as numbers
from time import perf_counter

from tests.benchmarks.control_group import START, GroupStore, GroupWriter, Row, writing
from tests.benchmarks.control_group_core import core_store
from tests.benchmarks.control_group_drivers import maria_store, sqlite_store

OpenStore = Callable[[str], AbstractAsyncContextManager[GroupStore]]
STORES: dict[str, OpenStore] = {
    "aiosqlite": sqlite_store,
    "asyncmy": maria_store,
    "core": core_store,
}
LEAD = 0.2  # seconds until the first fire is due


async def empty_runs(store: str, url: str, *, count: int, in_flight: int) -> float:
    """The seconds for so many runs, each queued, claimed, and finished with its ledger entry."""
    async with STORES[store](url) as database:
        async with writing(database) as writer:
            numbered = iter(range(1, count + 1))

            async def slot(flow: str) -> None:
                for number in numbered:
                    row = Row(number, flow, START + timedelta(seconds=number))
                    await writer.queue(row)
                    await writer.claim(row)
                    await writer.finish(row)

            began = perf_counter()
            async with asyncio.TaskGroup() as slots:
                for number in range(in_flight):
                    slots.create_task(slot(f"flow_{number}"))
            seconds = perf_counter() - began
        await database.check(count)
    return seconds


async def due_to_start(
    store: str | None, url: str, *, each_second: int, seconds: int, together: bool
) -> list[float]:
    """For each fire the seconds from when it was due to the first line of its run; its row is durable by then.

    Without a store it is the timer alone. `together`: all of a second are due at its beginning; else evenly spread.
    """
    if store is None:
        return await _fire(each_second, seconds, together, _nothing)
    async with STORES[store](url) as database:
        async with writing(database) as writer:
            late = await _fire(each_second, seconds, together, writer.start, writer)
        await database.check(len(late))
    return late


async def _nothing(row: Row) -> None:
    """No row is written."""


async def _fire(
    each_second: int,
    seconds: int,
    together: bool,
    record: Callable[[Row], Awaitable[None]],
    writer: GroupWriter | None = None,
) -> list[float]:
    late: list[float] = []
    names, first = numbers(1), perf_counter() + LEAD
    step = 1 / each_second
    due = [
        (first + second + (0 if together else place * step), next(names))
        for second in range(seconds)
        for place in range(each_second)
    ]
    heapq.heapify(due)

    async def run(at: float, number: int) -> None:
        row = Row(number, f"flow_{number % each_second}", START + timedelta(seconds=number))
        await record(row)
        late.append(perf_counter() - at)
        if writer is not None:
            await writer.finish(row)

    async with asyncio.TaskGroup() as runs:
        while due:
            await asyncio.sleep(max(due[0][0] - perf_counter(), 0))
            while due and due[0][0] <= perf_counter():
                at, number = heapq.heappop(due)
                runs.create_task(run(at, number))
    return late
