"""What the library does: open spools, with sinks that count or wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from piko_flow import Sink, Source, run
from piko_flow.connectors.spool import LiveSpool, Spool
from piko_flow.connectors.sql import SqlSink
from tests.benchmarks.delivery_spool_items import JOBS, ONE_BY_ONE, folder, lists_of
from tests.benchmarks.delivery_sql_rows import BATCH, COLUMNS, ROWS, check, rows

ROOM = 1_000_000_000  # items and bytes, so that nobody waits for room


class Counting:
    """A sink that counts, as soon as it may, and tells when it has so many."""

    def __init__(self, wanted: int, *, closed: bool = False) -> None:
        self._left, self.done, self.gate = wanted, asyncio.Event(), asyncio.Event()
        if not closed:
            self.gate.set()

    async def write(self, items: Sequence[Any]) -> None:
        await self.gate.wait()
        self._left -= len(items)
        if self._left <= 0:
            self.done.set()


def spool(sink: Any, place: Path, **options: Any) -> Spool[Any]:
    """A spool with room for all."""
    return Spool(sink, name="measured", folder=place, items=ROOM, bytes=ROOM, flush=600, **options)


def accepted(size: int, writers: int) -> float:
    """Seconds until all lists are accepted; the sink takes nothing meanwhile."""

    async def whole() -> float:
        lists = lists_of(size, JOBS[size])
        sink = Counting(size * len(lists), closed=True)
        with folder() as place:
            async with spool(sink, place).opened() as live:
                began = perf_counter()
                await _accept(live, lists, writers)
                seconds = perf_counter() - began
                sink.gate.set()
        assert sink.done.is_set()
        return seconds

    return asyncio.run(whole())


def passed(size: int, writers: int) -> float:
    """Seconds until all lists are accepted, taken by the sink, and gone from the disk."""

    async def whole() -> float:
        lists = lists_of(size, JOBS[size])
        sink = Counting(size * len(lists))
        with folder() as place:
            async with spool(sink, place).opened() as live:
                began = perf_counter()
                await _accept(live, lists, writers)
            seconds = perf_counter() - began
        assert sink.done.is_set()
        return seconds

    return asyncio.run(whole())


async def _accept(live: LiveSpool, lists: list[list[Any]], writers: int) -> None:
    left = iter(lists)

    async def write() -> None:
        for items in left:
            await live.accept(items)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(writers):
            tasks.create_task(write())


def waited() -> float:
    """Seconds from before an item is accepted until the sink has it; the median of many, one at a time."""

    async def whole() -> float:
        ((item,),) = lists_of(1, 1)
        taken = []
        sink = Counting(1)
        with folder() as place:
            async with spool(sink, place).opened() as live:
                for _ in range(ONE_BY_ONE):
                    sink.done.clear()
                    began = perf_counter()
                    await live.accept([item])
                    await sink.done.wait()
                    taken.append(perf_counter() - began)
        return median(taken)

    return asyncio.run(whole())


def _target(url: str) -> SqlSink[Any]:
    return SqlSink(table="measured", columns=COLUMNS, key="id", url=url)


async def flushed(url: str) -> float:
    """Seconds from opening a spool with all rows in it until it is empty."""
    given = rows(ROWS)
    with folder() as place:
        sink = Counting(0, closed=True)
        async with spool(sink, place).opened(flush=0) as live:
            for first in range(0, ROWS, BATCH):
                await live.accept(given[first : first + BATCH])
        began = perf_counter()
        async with spool(_target(url), place).opened():
            pass
        seconds = perf_counter() - began
    await check(url, ROWS)
    return seconds


async def direct(url: str) -> float:
    """Seconds for the same rows through the sink alone."""
    given = rows(ROWS)
    began = perf_counter()
    await run(Source(given) >> Sink(_target(url), batch=BATCH))
    seconds = perf_counter() - began
    await check(url, ROWS)
    return seconds
