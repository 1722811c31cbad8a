"""Functions that do what they must not, or look like it: no iterable, a coroutine, too many keys, a task group that fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from piko_flow import Batch, Fold, Source, Transform, run
from piko_flow.errors import TooManyKeys
from piko_flow.testing import CollectingSink, items
from tests.runs import failure


async def test_a_source_function_that_gives_no_iterable_fails_with_what_it_gave() -> None:
    def five() -> Any:
        return 5

    await failure(Source(five) >> CollectingSink(), match="must give an iterable, it gave int")


async def test_too_many_keys_end_the_run() -> None:
    fold: Fold[int, tuple[int, int]] = Fold(
        lambda total, item: total + item, start=int, key=abs, max_keys=5, name="fold"
    )
    caught = await failure(items(100) >> fold >> CollectingSink(), match="max_keys=5")
    assert (caught.stage, caught.item) == ("fold", 5)
    assert isinstance(caught.__cause__, TooManyKeys)


def add(total: int, item: int) -> int:
    return total + item


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
    caught = await failure(source >> end >> CollectingSink(), match="returned a coroutine")
    assert caught.stage == "read"


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


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("key", [None, str])
async def test_a_task_group_that_failed_inside_a_function_and_was_caught_changes_nothing(
    concurrency: int, key: Any
) -> None:
    caught: list[int] = []

    async def fail() -> None:
        raise ValueError

    async def catches(item: int) -> int:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
        except* ValueError:
            caught.append(item)
        return item

    sink: CollectingSink[int] = CollectingSink()
    await run(items(6) >> Transform(catches, concurrency=concurrency, key=key) >> sink)
    assert sink.items == sorted(caught) == list(range(6))
