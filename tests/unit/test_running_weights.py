"""Lists by weight whose weights do not grow, and keys that cannot be shown."""

from __future__ import annotations

import math
from typing import Any

import pytest

from piko_flow import Batch, Transform, run
from piko_flow.testing import CollectingSink, items
from tests.runs import failure


@pytest.mark.parametrize("weight", [0, 0.0])
async def test_items_that_weigh_nothing_are_handed_on_all_the_same(weight: float) -> None:
    sink: CollectingSink[list[int]] = CollectingSink()
    batch: Any = Batch(10, weight=lambda item: weight if item else 5)
    await run(items(95) >> batch >> sink, capacity=30)
    assert [len(one) for one in sink.items] == [31, 30, 30, 4]


@pytest.mark.parametrize("weight", [math.nan, -1])
async def test_a_weight_that_is_none_fails_at_its_item(weight: float) -> None:
    batch: Any = Batch(10, weight=lambda item: weight if item == 7 else 1, name="lists")
    caught = await failure(
        items(20) >> batch >> CollectingSink(), match="a weight must be a number of at least 0, got"
    )
    assert (caught.stage, caught.item) == ("lists", 7)


async def test_a_key_need_not_be_shown() -> None:
    class Key:
        def __repr__(self) -> str:
            raise ValueError("never shown")

    keys = [Key(), Key()]

    async def same(item: int) -> int:
        return item

    sink: CollectingSink[int] = CollectingSink()
    await run(items(6) >> Transform(same, concurrency=2, key=lambda item: keys[item % 2]) >> sink)
    assert sink.items == list(range(6))
