"""Plain functions on two cores, beside two forked processes that do half each and never speak."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from time import perf_counter

from streamable import stream

from piko_flow import CpuMap, Pipeline, Sink, Source, run
from piko_flow.dataflow.workers.pool import WorkerPool
from tests.benchmarks.figure import LIMIT, OURS, Contender, Figure, part_of
from tests.benchmarks.jobs import Total, burning
from tests.benchmarks.recorder import Recorder

CORES = 2
Job = Callable[[int], int]
COLD = "piko_flow cold"
STREAMABLE_SHARE = 0.1


def figures() -> list[Figure]:
    """Many small items, and fewer larger ones."""
    return [
        figure("cpu-5us", 200_000, 0.000_005, target=0.8, peer_share=STREAMABLE_SHARE),
        figure("cpu-5ms", 2_000, 0.005, target=0.9),
    ]


def figure(name: str, items: int, seconds: float, *, target: float, peer_share: float = 1.0) -> Figure:
    """So many items of so many seconds each. The pool is warm from an earlier run; the cold one starts its own."""
    job, some = burning(seconds), int(items * peer_share)
    return Figure(
        name=name,
        title=f"{items:,} items of {seconds * 1e6:,.0f} us of computing on {CORES} cores",
        contenders=(
            Contender(OURS, partial(ours, job, items, warm=True), "Source >> CpuMap(f) >> Sink, pool warm"),
            Contender(LIMIT, partial(forked, job, items), "two forked processes, half the items each"),
            Contender(COLD, partial(ours, job, items, warm=False), "the same, starting its processes"),
            Contender(
                "streamable",
                partial(streamable, job, some),
                ".map(f, concurrency=ProcessPoolExecutor(2)).do, warm",
                peer_share,
            ),
        ),
        score=part_of,
        unit="of limit",
        better="more",
        target=target,
        how="time of the forked halves / time",
    )


def pipeline(job: Job, items: int, total: Total) -> Pipeline:
    return Source(range(items)) >> CpuMap(job, workers=CORES) >> Sink(total.add)


def check(total: Total, items: int) -> None:
    total.check(items * (items + 1) // 2)


def ours(job: Job, items: int, *, warm: bool) -> float:
    total = Total()

    async def work() -> float:
        if not warm:
            began = perf_counter()
            await run(pipeline(job, items, total), observer=Recorder())
            return perf_counter() - began
        async with WorkerPool(CORES) as pool:
            await run(pipeline(job, items // 10, Total()), pool=pool)
            began = perf_counter()
            await run(pipeline(job, items, total), pool=pool, observer=Recorder())
            return perf_counter() - began

    seconds = asyncio.run(work())
    check(total, items)
    return seconds


def forked(job: Job, items: int) -> float:
    began = perf_counter()
    children = [_fork(job, range(number, items, CORES)) for number in range(CORES)]
    for child in children:
        _, status = os.waitpid(child, 0)
        if status:
            raise AssertionError(f"a forked half ended with status {status}")
    return perf_counter() - began


def _fork(job: Job, numbers: range) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        total = Total()
        for number in numbers:
            total.add(job(number))
        status = 0
    finally:
        os._exit(status)


def streamable(job: Job, items: int) -> float:
    total = Total()
    with ProcessPoolExecutor(CORES) as processes:
        for _ in stream(range(100)).map(job, concurrency=processes):
            continue
        began = perf_counter()
        stream(range(items)).map(job, concurrency=processes).do(total.add)()
        seconds = perf_counter() - began
    check(total, items)
    return seconds
