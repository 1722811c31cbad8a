"""Runs that a stage's function starts, and the threads that the units of one run share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from piko_flow import Source, Transform, run
from piko_flow.testing import CollectingSink, items


def refuse(item: int) -> int:
    raise ValueError(f"no {item}")


async def inner(item: int) -> int:
    """A run of its own, which fails for odd numbers."""
    if item % 2:
        await run(Source([item]) >> Transform(refuse, name="inside") >> CollectingSink(), run_id="inner")
    return item


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
