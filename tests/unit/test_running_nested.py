"""Runs that a stage's function starts, and the threads that the units of one run share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from piko_flow import CpuMap, FlatMap, Retry, Source, Transform, run, run_sync
from piko_flow.testing import CollectingSink, items
from tests.runs import failure

ONCE_MORE = Retry(attempts=2, first=0)


def refuse(item: int) -> int:
    raise ValueError(f"no {item}")


async def inner(item: int) -> int:
    """A run of its own, which fails for odd numbers."""
    if item % 2:
        await run(Source([item]) >> Transform(refuse, name="inside") >> CollectingSink(), run_id="inner")
    return item


async def inner_flat(item: int) -> AsyncIterator[int]:
    yield await inner(item)


def inner_plain(item: int) -> int:
    if item % 2:
        run_sync(Source([item]) >> Transform(refuse, name="inside") >> CollectingSink(), run_id="inner")
    return item


def plain_flat(item: int) -> list[int]:
    return [inner_plain(item)]


KINDS: dict[str, Any] = {
    "async": lambda **options: Transform(inner, name="work", **options),
    "concurrent": lambda **options: Transform(inner, concurrency=3, name="work", **options),
    "keyed": lambda **options: Transform(inner, key=str, name="work", **options),
    "inline": lambda **options: Transform(inner_plain, name="work", **options),
    "FlatMap": lambda **options: FlatMap(inner_flat, name="work", **options),
    "FlatMap, inline": lambda **options: FlatMap(plain_flat, name="work", **options),
    "CpuMap": lambda **options: CpuMap(inner_plain, workers=1, name="work", **options),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_failed_inner_run_is_the_item_s_failure(kind: Any) -> None:
    sink: CollectingSink[int] = CollectingSink()
    report = await run(items(4) >> kind(on_error="dead_letter") >> sink)
    assert sink.items == [0, 2]
    assert [(letter.stage, letter.item, letter.error_type) for letter in report.dead_letters] == [
        ("work", 1, "StageFailed"),
        ("work", 3, "StageFailed"),
    ]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_failed_inner_run_fails_the_stage_that_started_it(kind: Any) -> None:
    caught = await failure(items(4) >> kind() >> CollectingSink(), match="no 1", run_id="outer")
    assert (caught.run, caught.stage, caught.item) == ("outer", "work", 1)


@pytest.mark.parametrize("kind", [KINDS["async"], KINDS["FlatMap"]], ids=["async", "FlatMap"])
async def test_a_failed_inner_run_is_tried_again(kind: Any) -> None:
    await failure(items(4) >> kind(retry=ONCE_MORE) >> CollectingSink(), run_id="outer")
    report = await run(items(4) >> kind(retry=ONCE_MORE, on_error="skip") >> CollectingSink())
    assert (report.stage("work").retried, report.skipped) == (2, 2)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_failed_inner_run_fails_the_source_that_started_it(waits: bool) -> None:
    async def read() -> AsyncIterator[int]:
        yield await inner(1)

    def read_plain() -> list[int]:
        return [inner_plain(1)]

    source: Source[int] = Source(read, name="read") if waits else Source(read_plain, name="read")
    caught = await failure(source >> CollectingSink(), run_id="outer")
    assert (caught.run, caught.stage) == ("outer", "read")


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
