"""Integers through three trivial transforms, a filter and a summing sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from aiostream import pipe
from aiostream import stream as astream
from streamable import stream

from piko_flow import Filter, Sink, Source, Transform, run_sync
from tests.benchmarks.figure import LIMIT, OURS, Contender, Figure, ratio
from tests.benchmarks.jobs import Total, add_one, double, less_three, not_a_third
from tests.benchmarks.recorder import Recorder

T = TypeVar("T")
R = TypeVar("R")
Functions = tuple[Callable[[int], int], Callable[[int], int], Callable[[int], int], Callable[[int], object]]
ITEMS = 1_000_000
AIOSTREAM_SHARE = 0.05
asynchronous: Any = pipe  # its types ask for functions of any number of arguments


def figures() -> list[Figure]:
    """The chain against the same chain of generators, with functions that say what they return and that do not."""
    return [
        Figure(
            name="fused",
            title="1,000,000 integers: three transforms, a filter, a summing sink",
            contenders=(
                Contender(OURS, ours, "Source >> Transform x 3 >> Filter >> Sink"),
                Contender(LIMIT, generators, "chained generators, a for loop at the end"),
                Contender("streamable", streamable, "stream(...).map x 3 .filter .do, called"),
                Contender(
                    "aiostream", aiostream, "iterate | map x 3 | filter | action, awaited", AIOSTREAM_SHARE
                ),
            ),
            score=ratio,
            unit="x",
            better="less",
            target=1.0,
            aim=0.85,
            how="time / time of the generators",
        ),
        Figure(
            name="fused-lambdas",
            title="1,000,000 integers: the same chain of lambdas, which do not say what they return",
            contenders=(
                Contender(OURS, partial(ours, LAMBDAS), "Source >> Transform x 3 >> Filter >> Sink"),
                Contender(LIMIT, partial(generators, LAMBDAS), "chained generators, a for loop at the end"),
            ),
            score=ratio,
            unit="x",
            better="less",
            target=1.05,
            aim=0.85,
            how="time / time of the generators",
        ),
    ]


def expected(items: int) -> int:
    """The sum that comes out."""
    return sum(number for number in range(-1, 2 * items - 1, 2) if number % 3)


SAID: Functions = (add_one, double, less_three, not_a_third)
LAMBDAS: Functions = (
    lambda number: number + 1,
    lambda number: number * 2,
    lambda number: number - 3,
    lambda number: number % 3 != 0,
)
SUMS = {items: expected(items) for items in (ITEMS, int(ITEMS * AIOSTREAM_SHARE))}


def ours(functions: Functions = SAID) -> float:
    total, (first, second, third, keep) = Total(), functions
    pipeline = (
        Source(range(ITEMS))
        >> Transform(first)
        >> Transform(second)
        >> Transform(third)
        >> Filter(keep)
        >> Sink(total.add if functions is SAID else lambda number: total.add(number))
    )
    began = perf_counter()
    run_sync(pipeline, observer=Recorder())
    seconds = perf_counter() - began
    total.check(SUMS[ITEMS])
    return seconds


def mapped(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    for item in items:
        yield function(item)


def kept(predicate: Callable[[T], object], items: Iterable[T]) -> Iterator[T]:
    for item in items:
        if predicate(item):
            yield item


def generators(functions: Functions = SAID) -> float:
    total, (first, second, third, keep) = Total(), functions
    add = total.add if functions is SAID else lambda number: total.add(number)
    began = perf_counter()
    chain = mapped(third, mapped(second, mapped(first, range(ITEMS))))
    for item in kept(keep, chain):
        add(item)
    seconds = perf_counter() - began
    total.check(SUMS[ITEMS])
    return seconds


def streamable() -> float:
    total = Total()
    began = perf_counter()
    chain = stream(range(ITEMS)).map(add_one).map(double).map(less_three)
    chain.filter(not_a_third).do(total.add)()
    seconds = perf_counter() - began
    total.check(SUMS[ITEMS])
    return seconds


def aiostream() -> float:
    total, items = Total(), int(ITEMS * AIOSTREAM_SHARE)

    async def work() -> None:
        chain = (
            astream.iterate(range(items))
            | asynchronous.map(add_one)
            | asynchronous.map(double)
            | asynchronous.map(less_three)
        )
        await (chain | asynchronous.filter(not_a_third) | asynchronous.action(total.add))

    began = perf_counter()
    asyncio.run(work())
    seconds = perf_counter() - began
    total.check(SUMS[items])
    return seconds
