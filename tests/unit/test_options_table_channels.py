"""The options `capacity` and `validate` of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow import Batch, CpuMap, Filter, FlatMap, Sink, Source, Transform, run, start
from piko_flow.dataflow.plan.plan_options import Capacity
from piko_flow.testing import CollectingSink, RecordingTarget, Script, Stall, items, turns
from tests.runs import failure


class Numbers:
    """A source that knows how far it was read."""

    def __init__(self, count: int) -> None:
        self.read = 0
        self.count = count

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            self.read = number + 1
            yield number


PLAIN: Script[int] = Script()
STAGES: Any = Transform(PLAIN, concurrency=5) >> Transform(PLAIN, concurrency=5)
# What is between source and sink, the capacity, how many items the sink's lists have, and how many may have been read:
# what is written, what each stage holds and each channel, and the chunk that waits for room.
BOUNDED: dict[str, tuple[Any, Any, int]] = {
    **{f"capacity {capacity}": (None, capacity, 1 + 3 * capacity) for capacity in (1, 2, 10, 100)},
    "the sum of the capacities": (STAGES, 10, 3 * (2 * 10) + 2 * 5 + 10 + 1),
    "lists, by their items": (Batch(100), 1000, 4 * 1000),
    "weights": (None, Capacity(items=100, size=50, weigh=lambda item: 10), 1 + 100 + 100),
}


@pytest.mark.parametrize(("stages", "capacity", "most"), BOUNDED.values(), ids=BOUNDED)
async def test_a_source_runs_ahead_of_its_sink_by_no_more_than_the_capacity(
    stages: Any, capacity: Any, most: int
) -> None:
    numbers, writing = Numbers(10_000), Stall()
    target: RecordingTarget[Any] = RecordingTarget(faults={"write": [writing]})
    sink: Any = Sink(target, batch=1)
    async with start(Source(numbers) >> (stages >> sink if stages else sink), capacity=capacity):
        await writing.reached.wait()
        await turns(2000)
        assert numbers.read <= most
        writing.release()
    assert numbers.read == 10_000


class Order(BaseModel):
    """A model with one number."""

    amount: int


def give_order(item: int) -> Order:
    order: Any = {"amount": item} if item % 2 else Order(amount=item)
    good: Order = order
    return good


def amount(order: Order) -> int:
    return order.amount


async def amount_async(order: Order) -> int:
    return order.amount


def has_amount(order: Order) -> bool:
    return order.amount >= 0


def amounts(order: Order) -> Iterator[int]:
    yield order.amount


CHECKED: dict[str, Any] = {
    "inline": Transform(amount, name="work"),
    "async": Transform(amount_async, concurrency=2, name="work"),
    "thread": Transform(amount, on="thread", name="work"),
    "keyed": Transform(amount_async, concurrency=2, key=type, name="work"),
    "Filter": Filter(has_amount, name="work"),
    "FlatMap": FlatMap(amounts, name="work"),
    "FlatMap, thread": FlatMap(amounts, on="thread", name="work"),
    "CpuMap": CpuMap(amount, workers=1, name="work"),
}


@pytest.mark.parametrize("stage", CHECKED.values(), ids=CHECKED)
async def test_with_validate_a_value_that_does_not_fit_fails_at_the_stage_that_takes_it(stage: Any) -> None:
    def lie(item: int) -> Order:
        wrong: Any = {"amount": "much"}
        good: Order = wrong
        return good

    caught = await failure(
        items(6) >> Transform(lie) >> stage >> CollectingSink(), match="amount", validate=True
    )
    assert caught.stage == "work"
    assert caught.item == {"amount": "much"}
    assert type(caught.__cause__).__name__ == "ValidationError"


async def test_a_value_that_does_not_fit_is_treated_as_on_error_says() -> None:
    def lie(item: int) -> Order:
        wrong: Any = {"amount": "much"} if item == 1 else {"amount": item}
        good: Order = wrong
        return good

    sink: CollectingSink[int] = CollectingSink()
    stage: Transform[Order, int] = Transform(amount, on_error="dead_letter", name="work")
    report = await run(items(3) >> Transform(lie) >> stage >> sink, validate=True)
    assert sink.items == [0, 2]
    assert [letter.item for letter in report.dead_letters] == [{"amount": "much"}]


async def test_without_validate_joints_cost_nothing_and_check_nothing() -> None:
    seen: list[type] = []

    def look(order: Order) -> Order:
        seen.append(type(order))
        return order

    looked: Callable[[Order], Order] = look
    await run(items(2) >> Transform(give_order) >> Transform(looked) >> CollectingSink())
    assert seen == [Order, dict]
