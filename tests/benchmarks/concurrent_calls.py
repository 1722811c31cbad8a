"""Asynchronous functions, many calls at once: those that wait a little, not at all, and ten milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from time import perf_counter
from typing import Any

from aiostream import pipe
from aiostream import stream as astream
from streamable import stream

from piko_flow import Sink, Source, Transform, run_sync
from tests.benchmarks.figure import LIMIT, OURS, Contender, Figure, ratio
from tests.benchmarks.jobs import Total, goes_on, suspends, takes_ten_milliseconds
from tests.benchmarks.recorder import Recorder

Call = Callable[[int], Coroutine[Any, Any, int]]
ITEMS, CONCURRENCY = 100_000, 100
WAITING_ITEMS, WAITING_CONCURRENCY, WAIT = 20_000, 1_000, 0.01
AIOSTREAM_SHARE = 0.05
asynchronous: Any = pipe  # its types ask for functions of any number of arguments


def figures() -> list[Figure]:
    """Each of the three, ordered and unordered."""
    return [
        figure
        for ordered in (True, False)
        for figure in (suspending(ordered), going_on(ordered), waiting(ordered))
    ]


def suspending(ordered: bool) -> Figure:
    """Calls that give way to the loop once, beside workers written by hand."""
    return Figure(
        name=f"suspends-{order(ordered)}",
        title=f"100,000 items that suspend once, concurrency 100, {order(ordered)}",
        contenders=(
            Contender(OURS, partial(ours, suspends, ITEMS, CONCURRENCY, ordered), expression(ordered)),
            Contender(LIMIT, partial(workers, suspends, ITEMS, CONCURRENCY), "100 tasks on one iterator"),
            *peers(suspends, ITEMS, CONCURRENCY, ordered),
        ),
        score=ratio,
        unit="x",
        better="less",
        target=2.0,
        aim=1.5,
        how="time / time of the workers, who keep no order",
    )


def going_on(ordered: bool) -> Figure:
    """Calls that never give way, beside a bare loop."""
    return Figure(
        name=f"goes-on-{order(ordered)}",
        title=f"100,000 items that never suspend, concurrency 100, {order(ordered)}",
        contenders=(
            Contender(OURS, partial(ours, goes_on, ITEMS, CONCURRENCY, ordered), expression(ordered)),
            Contender(LIMIT, partial(bare_loop, goes_on, ITEMS), "for item in items: add(await f(item))"),
            *peers(goes_on, ITEMS, CONCURRENCY, ordered),
        ),
        score=microseconds_more,
        unit="us",
        better="less",
        target=1.0,
        aim=0.4,
        how="(time - time of the bare loop) / items, source and sink included",
    )


def waiting(ordered: bool) -> Figure:
    """Calls that wait for ten milliseconds, beside what arithmetic allows."""
    ideal = WAIT * WAITING_ITEMS / WAITING_CONCURRENCY
    job = takes_ten_milliseconds
    return Figure(
        name=f"waits-{order(ordered)}",
        title=f"20,000 items of 10 ms, concurrency 1,000, {order(ordered)}",
        contenders=(
            Contender(
                OURS, partial(ours, job, WAITING_ITEMS, WAITING_CONCURRENCY, ordered), expression(ordered)
            ),
            Contender(
                LIMIT,
                partial(workers, job, WAITING_ITEMS, WAITING_CONCURRENCY),
                "1,000 tasks on one iterator",
            ),
            *peers(job, WAITING_ITEMS, WAITING_CONCURRENCY, ordered),
        ),
        score=lambda seconds, _: ideal / seconds,
        unit="of ideal",
        better="more",
        target=0.8,
        how="20,000 x 10 ms / 1,000 / time",
    )


def microseconds_more(seconds: float, limit: float) -> float:
    """What an item costs beyond the limit."""
    return (seconds - limit) / ITEMS * 1e6


def order(ordered: bool) -> str:
    return "ordered" if ordered else "unordered"


def expression(ordered: bool) -> str:
    return f"Source >> Transform(f, concurrency=, ordered={ordered}) >> Sink"


def peers(job: Call, items: int, concurrency: int, ordered: bool) -> tuple[Contender, ...]:
    """The same with the two libraries. aiostream looks at all calls in flight for each that ends: a part must do."""
    fewer = int(items * AIOSTREAM_SHARE)
    return (
        Contender(
            "streamable",
            partial(streamable, job, items, concurrency, ordered),
            f".map(f, concurrency=, as_completed={not ordered}).do, awaited",
        ),
        Contender(
            "aiostream",
            partial(aiostream, job, fewer, concurrency, ordered),
            f"map(f, task_limit=, ordered={ordered}) | action, awaited",
            AIOSTREAM_SHARE,
        ),
    )


def check(total: Total, items: int) -> None:
    total.check(items * (items + 1) // 2)


def ours(job: Call, items: int, concurrency: int, ordered: bool) -> float:
    total = Total()
    pipeline = (
        Source(range(items)) >> Transform(job, concurrency=concurrency, ordered=ordered) >> Sink(total.add)
    )
    began = perf_counter()
    run_sync(pipeline, observer=Recorder())
    seconds = perf_counter() - began
    check(total, items)
    return seconds


def workers(job: Call, items: int, concurrency: int) -> float:
    total = Total()

    async def work(shared: Iterator[int]) -> None:
        add = total.add
        for item in shared:
            add(await job(item))

    async def all_work() -> None:
        shared = iter(range(items))
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work(shared))

    began = perf_counter()
    asyncio.run(all_work())
    seconds = perf_counter() - began
    check(total, items)
    return seconds


def bare_loop(job: Call, items: int) -> float:
    total = Total()

    async def work() -> None:
        add = total.add
        for item in range(items):
            add(await job(item))

    began = perf_counter()
    asyncio.run(work())
    seconds = perf_counter() - began
    check(total, items)
    return seconds


def streamable(job: Call, items: int, concurrency: int, ordered: bool) -> float:
    total = Total()

    async def work() -> None:
        calls = stream(range(items)).map(job, concurrency=concurrency, as_completed=not ordered)
        await calls.do(total.add)

    began = perf_counter()
    asyncio.run(work())
    seconds = perf_counter() - began
    check(total, items)
    return seconds


def aiostream(job: Call, items: int, concurrency: int, ordered: bool) -> float:
    total = Total()

    async def work() -> None:
        calls = astream.iterate(range(items)) | asynchronous.map(job, ordered=ordered, task_limit=concurrency)
        await (calls | asynchronous.action(total.add))

    began = perf_counter()
    asyncio.run(work())
    seconds = perf_counter() - began
    check(total, items)
    return seconds
