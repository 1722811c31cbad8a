"""Functions that do what they must not: raise CancelledError or StopIteration, never give an iterable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from piko_flow import Batch, FlatMap, Fold, Retry, Sink, Source, Transform, run
from piko_flow.errors import StageFailed, TooManyKeys
from piko_flow.testing import CollectingSink, items, turns


async def test_a_source_function_that_gives_no_iterable_fails_with_what_it_gave() -> None:
    def five() -> Any:
        return 5

    with pytest.raises(StageFailed, match="must give an iterable, it gave int"):
        await run(Source(five) >> CollectingSink())


async def test_too_many_keys_end_the_run() -> None:
    fold: Fold[int, tuple[int, int]] = Fold(
        lambda total, item: total + item, start=int, key=abs, max_keys=5, name="fold"
    )
    with pytest.raises(StageFailed, match="max_keys=5") as caught:
        await run(items(100) >> fold >> CollectingSink())
    assert (caught.value.stage, caught.value.item) == ("fold", 5)
    assert isinstance(caught.value.__cause__, TooManyKeys)


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("ordered", [True, False])
async def test_a_call_that_ends_cancelled_by_somebody_else_is_a_failure(
    concurrency: int, ordered: bool
) -> None:
    async def cancelled(item: int) -> int:
        if item == 3:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        return item

    stage: Transform[int, int] = Transform(cancelled, concurrency=concurrency, ordered=ordered, name="work")
    with pytest.raises(StageFailed, match="CancelledError") as caught:
        await run(items(10) >> stage >> CollectingSink())
    assert (caught.value.stage, caught.value.item) == ("work", 3)


CANCELLED: dict[str, Any] = {
    "inline": lambda fail: Transform(fail, name="work"),
    "tried": lambda fail: Transform(fail, retry=Retry(2, first=0), name="work"),
    "keyed": lambda fail: Transform(fail, key=abs, name="work"),
    "FlatMap": lambda fail: FlatMap(fail, name="work"),
    "FlatMap, tried": lambda fail: FlatMap(fail, retry=Retry(2, first=0), name="work"),
    "Sink": lambda fail: Sink(fail, name="work"),
    "Source": lambda fail: Source(lambda: fail(0), name="work"),
    "thread": lambda fail: Transform(fail, on="thread", name="work"),
}


@pytest.mark.parametrize("make", CANCELLED.values(), ids=CANCELLED)
async def test_a_cancelled_error_from_a_plain_function_never_hangs_the_run(make: Any) -> None:
    def fail(item: int) -> Any:
        raise asyncio.CancelledError

    stage = make(fail)
    if isinstance(stage, Sink):
        pipeline: Any = items(5) >> stage
    elif isinstance(stage, Source):
        pipeline = stage >> CollectingSink()
    else:
        pipeline = items(5) >> stage >> CollectingSink()
    with pytest.raises(StageFailed, match="CancelledError") as caught:
        await run(pipeline)
    assert caught.value.stage == "work"


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_source_cancelled_by_somebody_else_is_a_failure(concurrency: int) -> None:
    async def read() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    with pytest.raises(StageFailed, match="CancelledError"):
        await run(Source(read) >> Transform(turns, concurrency=concurrency) >> CollectingSink())


STOPS: dict[str, Callable[[Any], Any]] = {
    "Transform": lambda stop: Transform(stop, name="work"),
    "Transform, thread": lambda stop: Transform(stop, on="thread", name="work"),
    "FlatMap": lambda stop: FlatMap(stop, name="work"),
    "FlatMap, skipping": lambda stop: Transform(abs) >> FlatMap(stop, name="work"),
    "FlatMap before": lambda stop: FlatMap(lambda item: [item]) >> Transform(stop, name="work"),
}


@pytest.mark.parametrize("make", STOPS.values(), ids=STOPS)
async def test_a_stop_iteration_is_a_failure_like_any_other(make: Callable[[Any], Any]) -> None:
    def stop(item: int) -> Any:
        raise StopIteration

    with pytest.raises(StageFailed, match="StopIteration") as caught:
        await run(items(5) >> make(stop) >> CollectingSink())
    assert caught.value.stage == "work"


async def test_a_stop_iteration_of_a_flat_map_is_not_taken_for_its_end() -> None:
    def stop(item: int) -> list[int]:
        if item == 2:
            raise StopIteration
        return [item]

    sink: CollectingSink[int] = CollectingSink()
    report = await run(items(4) >> FlatMap(stop, on_error="dead_letter", name="work") >> sink)
    assert sink.items == [0, 1, 3]
    assert [letter.item for letter in report.dead_letters] == [2]


def add(total: int, item: int) -> int:
    return total + item


def gathered(total: list[int], item: int) -> list[int]:
    return [*total, item]


async def fetched(split: int = 3) -> list[int]:
    return list(range(split))


def fetched_by(split: int = 3) -> Any:
    return fetched(split)


@pytest.mark.parametrize(
    "source",
    [
        Source(fetched_by, name="read"),
        Source(fetched_by, on="thread", name="read"),
        Source(fetched_by, splits=[2, 1], name="read"),
    ],
    ids=["once", "thread", "splits"],
)
@pytest.mark.parametrize("end", [Fold(add, start=int), Transform(str)])
async def test_a_plain_function_of_a_source_that_returns_a_coroutine_fails_too(source: Any, end: Any) -> None:
    with pytest.raises(StageFailed, match="returned a coroutine") as caught:
        await run(source >> end >> CollectingSink())
    assert caught.value.stage == "read"


async def test_an_async_function_of_a_source_is_awaited() -> None:
    assert await Source(fetched).collect() == [0, 1, 2]
    assert await (Source(fetched, splits=[2, 1]) >> Batch(9)).collect() == [[0, 1], [0]]


async def given_later(split: int) -> AsyncIterator[int]:
    for item in range(split):
        yield item


def either(split: int) -> Any:
    return given_later(split)


@pytest.mark.parametrize("on", ["loop", "thread"])
async def test_a_plain_function_may_give_async_iterables_for_its_splits(on: Any) -> None:
    """In one unit as in many."""
    total: Any = Fold(lambda total, item: [*total, item], start=list)
    source = Source(either, splits=[1, 2, 3], on=on)
    assert await (source >> total).collect() == [[0, 0, 1, 0, 1, 2]]
    assert await (source >> Transform(str)).collect() == ["0", "0", "1", "0", "1", "2"]


async def test_a_function_on_a_thread_is_called_there_too() -> None:
    called: list[str] = []

    def read(split: int) -> list[int]:
        called.append(threading.current_thread().name)
        return [split]

    loop_s = threading.current_thread().name
    assert await Source(read, splits=[1, 2], on="thread").collect() == [1, 2]
    whole = Source(read, splits=[1, 2], on="thread") >> Fold(add, start=int)
    assert await whole.collect() == [3]
    assert len(called) == 4
    assert loop_s not in called
